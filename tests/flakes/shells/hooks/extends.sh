export PATH="$PWD/bin:$PATH"
export LD_LIBRARY_PATH="/example/lib:$LD_LIBRARY_PATH"
export PYTHONPATH="$PWD/src:$PYTHONPATH"
export TEXT="two
lines, 'quotes' and \$dollars"
