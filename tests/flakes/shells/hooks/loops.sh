export BEFORE=yes
while :; do :; done
