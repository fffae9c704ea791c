# nixpy's hook for zsh: eval "$(nixpy hook zsh)", before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv's own hook runs.

typeset -ga _nixpy_command=(nixpy)
typeset -g _nixpy_root=/
typeset -g _nixpy_direnv_path=direnv
typeset -g _nixpy_exact=$_nixpy_root/@exact
typeset -g _nixpy_always= _nixpy_tried= _nixpy_direnv_is=
# By directory, how the functions' names end that know it.
typeset -gA _nixpy_functions=()
_nixpy_direnv() { return 1 }
_nixpy_prompt() { return 1 }

# Fails unless direnv need not be asked, because it would say nothing or what it said before.
_nixpy_known() {
  emulate -L zsh -o no_aliases
  # A directory that is gone or was moved is direnv's affair.
  [[ ${(t)PWD} == *export* && . -ef $PWD && $PWD/ != */./* && $PWD/ != */../* && $PWD != *//* ]] ||
    return 1
  local _nixpy_dir=${PWD%/} _nixpy_was=${DIRENV_FILE-} _nixpy_asks=direnv _nixpy_about=
  local -a _nixpy_times
  if [[ -n $_nixpy_was ]]; then
    [[ ${(t)DIRENV_FILE} == *export* && ${(t)DIRENV_DIR} == *export* &&
      ${(t)DIRENV_DIFF} == *export* && ${(t)DIRENV_WATCHES} == *export* ]] || return 1
  fi
  while [[ -n $_nixpy_dir && ! -e $_nixpy_dir/.envrc ]]; do
    _nixpy_dir=${_nixpy_dir%/*}
  done
  if [[ -z $_nixpy_dir ]]; then
    [[ ! -e /.envrc ]] || return 1
    if [[ -z $_nixpy_was ]]; then
      _nixpy_asks=prompt
    else
      _nixpy_dir=${_nixpy_was%/*} _nixpy_about=leave
    fi
  elif [[ ! -f $_nixpy_dir/.envrc || ! -r $_nixpy_dir/.envrc ]]; then
    return 1
  elif [[ $_nixpy_dir/.envrc == "$_nixpy_was" ]]; then
    _nixpy_asks=prompt _nixpy_about=watched
  else
    _nixpy_about=enter
  fi

  # Is direnv one that is known, as far as a prompt, or an evaluation, depends on it? (What looks at
  # times itself needs no reference files.)
  _nixpy_$_nixpy_asks '' $_nixpy_was || {
    _nixpy_source $_nixpy_root/@direnv && _nixpy_$_nixpy_asks '' $_nixpy_was
  } || return 1
  [[ -n $_nixpy_about ]] || return 0
  local _nixpy_name=${_nixpy_functions[$_nixpy_dir]-}
  [[ -n $_nixpy_name ]] && _nixpy_${_nixpy_about}_$_nixpy_name && return 0
  _nixpy_learn && _nixpy_${_nixpy_about}_$_nixpy_name
}

# Reads what is kept about $_nixpy_dir once more: another shell may know more by now.
_nixpy_learn() {
  _nixpy_functions+=("$_nixpy_dir" '') _nixpy_always=
  _nixpy_source $_nixpy_root$_nixpy_dir/@answers || return 1
  _nixpy_name=${_nixpy_functions[$_nixpy_dir]-}
  [[ -n $_nixpy_name ]]
}

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
_nixpy_source() {
  [[ -O $1 && -O $1/zsh && $1/zsh -ot $_nixpy_exact/1 ]] || return 1
  source $1/zsh 2>/dev/null
}

# In the place of direnv's hook, which is _nixpy_asked_direnv now.
_nixpy_hook() {
  _nixpy_known && return 0
  local _nixpy_before="${DIRENV_DIFF-}"
  _nixpy_asked_direnv
  _nixpy_record
}

# Has kept what direnv answered, once for each state of this shell.
_nixpy_record() {
  emulate -L zsh
  local _nixpy_state="$PWD ${DIRENV_FILE-} ${DIRENV_DIFF-} $_nixpy_before"
  [[ $_nixpy_tried != off && $_nixpy_tried != "$_nixpy_state" ]] || return 0
  # Where direnv is always asked there is nothing to keep but what it watches.
  if [[ -n $_nixpy_always ]] && _nixpy_known; then
    return 0
  fi
  _nixpy_tried=$_nixpy_state
  NIXPY_HOOK_BEFORE=$_nixpy_before "${_nixpy_command[@]}" hook record zsh $_nixpy_root \
    $_nixpy_direnv_path </dev/null >/dev/null 2>&1 || _nixpy_tried=off
}

# At the first prompt all of the startup files have been read, direnv's line among them.
_nixpy_install() {
  emulate -L zsh -o extendedglob
  local -a _nixpy_times
  precmd_functions=(${precmd_functions:#_nixpy_install})
  # It takes a zsh that knows nanoseconds.
  zmodload -F zsh/stat b:zstat &&
    zstat -g -F %Y%m%d%H%M%S.%9. -A _nixpy_times +mtime -- $_nixpy_exact/1 $_nixpy_exact/2 &&
    [[ "$_nixpy_times" == '19700101000001.000000001 19700101000001.000000002' ]] &&
    (( $+functions[_direnv_hook] )) || return 0
  if [[ $functions[_direnv_hook] != *_nixpy_known* ]]; then
    if [[ $functions[_direnv_hook] == (#b)*\"(/[^\"]##)\"\ export* ]]; then
      _nixpy_direnv_path=$match[1]
    fi
    functions[_nixpy_asked_direnv]=$functions[_direnv_hook]
    functions[_direnv_hook]=$functions[_nixpy_hook]
  fi
}

zmodload zsh/parameter zsh/datetime
if (( ! $+functions[_direnv_hook] )); then
  eval "$("$_nixpy_direnv_path" hook zsh)"
fi
typeset -ga precmd_functions
if [[ -z ${precmd_functions[(r)_nixpy_install]} ]]; then
  precmd_functions=(_nixpy_install $precmd_functions)
fi
