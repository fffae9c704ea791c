export BEFORE=yes
exit 3
