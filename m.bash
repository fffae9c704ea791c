P=; for i in {1..70}; do P=$P:/nix/store/0c5vhkn4yyp0yfkq1m5l7k8hdkfyx2q1-name-$i-1.2.3/bin; done; P=${P#:}
[[ ${U-} ]] && P=$P:/é
f_sub() { v=:$P:; v=${v//:/::}; v=${v//':/proj/.venv/bin:'/}; v=${v//':/nix/a/bin:'/}; while [[ $v == *::* ]]; do v=${v//::/:}; done; v=${v#:}; v=${v%:}; }
f_case() { v=:$P:; while [[ $v == *::* ]]; do v=${v//::/:}; done; while [[ $v == *':/proj/.venv/bin:'* ]]; do v=${v//':/proj/.venv/bin:'/:}; done; while [[ $v == *':/nix/a/bin:'* ]]; do v=${v//':/nix/a/bin:'/:}; done;  v=${v#:}; v=${v%:}; }
f_sub2() { v=:$P:; while [[ $v == *::* ]]; do v=${v//::/:}; done; v=${v//':/proj/.venv/bin:'/:}; v=${v//':/nix/a/bin:'/:};   v=${v#:}; v=${v%:}; }
f_split() { local - IFS=: e; set -f; v=; for e in $P; do [[ $e && $e != '/proj/.venv/bin' && $e != '/nix/a/bin' ]] && v+=:$e; done; v=${v#:}; }
f_cut() { v=:$P:; h=${v%%':/proj/.venv/bin:'*}; [ "$h" = "$v" ]; }
echo ${#P}
for f in f_sub f_case f_sub2 f_split f_cut; do s=$EPOCHREALTIME; for i in {1..100}; do $f; done; e=$EPOCHREALTIME; echo $f $(( (${e/./}-${s/./})/100 ))us; done
