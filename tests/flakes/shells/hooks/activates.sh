export BEFORE=yes
source .venv/bin/activate
export AFTER=yes
