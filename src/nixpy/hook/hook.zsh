# nixpy's hook for zsh: eval "$(nixpy hook zsh)", before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv's own hook runs.

typeset -ga _nixpy_command=(nixpy)
typeset -g _nixpy_root=/
typeset -g _nixpy_direnv_path=direnv
typeset -g _nixpy_answers= _nixpy_always= _nixpy_place= _nixpy_tried=
typeset -g _nixpy_direnv_is=
_nixpy_direnv() { return 1 }
_nixpy_prompt() { return 1 }

# Fails unless direnv need not be asked, because it would say nothing or what it said before.
_nixpy_known() {
  emulate -L zsh -o no_aliases
  # A directory that is gone or was moved is direnv's affair.
  [[ ${(t)PWD} == *export* && . -ef $PWD && $PWD/ != */./* && $PWD/ != */../* ]] || return 1
  local _nixpy_dir=${PWD%/} _nixpy_file _nixpy_was=${DIRENV_FILE-}
  [[ $_nixpy_dir != *//* ]] || return 1
  local -i _nixpy_own=${#${(@k)parameters[(I)DIRENV_*]}}
  if [[ -n $_nixpy_was ]]; then
    (( _nixpy_own -= 4 ))
    [[ ${(t)DIRENV_FILE} == *export* && ${(t)DIRENV_DIR} == *export* &&
      ${(t)DIRENV_DIFF} == *export* && ${(t)DIRENV_WATCHES} == *export* ]] || return 1
  fi
  while [[ -n $_nixpy_dir && ! -e $_nixpy_dir/.envrc ]]; do
    _nixpy_dir=${_nixpy_dir%/*}
  done
  _nixpy_file=$_nixpy_dir/.envrc
  if [[ -z $_nixpy_dir ]]; then
    [[ ! -e /.envrc ]] || return 1
    if [[ -z $_nixpy_was ]]; then
      _nixpy_is prompt
    else
      _nixpy_is direnv && _nixpy_replay leave ${_nixpy_was%/*}
    fi
  elif [[ ! -f $_nixpy_file || ! -r $_nixpy_file ]]; then
    return 1
  elif [[ $_nixpy_file == "$_nixpy_was" ]]; then
    _nixpy_is prompt && _nixpy_replay watched $_nixpy_dir
  else
    _nixpy_is direnv && _nixpy_replay enter $_nixpy_dir
  fi
}

# Usage: _nixpy_is prompt|direnv
#
# Fails unless direnv is one that is known, as far as a prompt, or an evaluation, depends on it.
_nixpy_is() {
  _nixpy_$1 $_nixpy_root/@direnv/refs $_nixpy_own && return 0
  _nixpy_source $_nixpy_root/@direnv && _nixpy_$1 $_nixpy_root/@direnv/refs $_nixpy_own
}

# Usage: _nixpy_replay watched|enter|leave DIRECTORY
_nixpy_replay() {
  if [[ $_nixpy_answers == "$2" ]] && _nixpy_$1 $_nixpy_place/refs; then
    return 0
  fi
  # Another shell may know more by now.
  _nixpy_answers= _nixpy_always=
  _nixpy_source $_nixpy_root$2/@answers || return 1
  [[ $_nixpy_answers == "$2" ]] || return 1
  _nixpy_place=$_nixpy_root$2/@answers
  _nixpy_$1 $_nixpy_place/refs
}

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
_nixpy_source() {
  [[ -O $1 && -O $1/zsh && $1/zsh -ot $_nixpy_root/@exact/1 ]] || return 1
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
  _nixpy_answers=
}

# At the first prompt all of the startup files have been read, direnv's line among them.
_nixpy_install() {
  emulate -L zsh -o extendedglob
  local _nixpy_exact=$_nixpy_root/@exact
  precmd_functions=(${precmd_functions:#_nixpy_install})
  # It takes a zsh that compares nanoseconds.
  if [[ ! $_nixpy_exact/1 -ot $_nixpy_exact/2 || ! $_nixpy_exact/2 -nt $_nixpy_exact/1 ]] ||
    (( ! $+functions[_direnv_hook] )); then
    return 0
  fi
  if [[ $functions[_direnv_hook] != *_nixpy_hook* ]]; then
    if [[ $functions[_direnv_hook] == (#b)*\"(/[^\"]##)\"\ export* ]]; then
      _nixpy_direnv_path=$match[1]
    fi
    functions[_nixpy_asked_direnv]=$functions[_direnv_hook]
    functions[_direnv_hook]=_nixpy_hook
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
