export BEFORE=yes
exit 0
export AFTER=yes
