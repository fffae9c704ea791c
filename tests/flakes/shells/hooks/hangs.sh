export BEFORE=yes
sleep 1000
export AFTER=yes
