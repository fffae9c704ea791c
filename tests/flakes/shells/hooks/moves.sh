cd /
export AFTER=yes
