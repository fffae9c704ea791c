export BEFORE=yes
exec fish
