greet() { echo "hello from a function"; }
alias greeting=greet
export AFTER=yes
