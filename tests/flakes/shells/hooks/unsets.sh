unset PYTHONPATH
export AFTER=yes
