set -e
export BEFORE=yes
false
export AFTER=yes
