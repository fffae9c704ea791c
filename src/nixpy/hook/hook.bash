# shellcheck shell=bash disable=SC2050,SC2128,SC2178,SC2317
# nixpy's hook for bash: eval "$(nixpy hook bash)", before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv's own hook runs.

_nixpy_command=(nixpy)
_nixpy_root=/
_nixpy_direnv_path=direnv
_nixpy_answers='' _nixpy_always='' _nixpy_place='' _nixpy_tried=''
_nixpy_direnv() { return 1; }
_nixpy_prompt() { return 1; }

# Fails unless direnv need not be asked, because it would say nothing or what it said before.
_nixpy_known() {
  # Under nocasematch comparisons fold case; a directory that is gone or was moved is direnv's affair.
  [[ a != A && ${PWD@a} == *x* && . -ef $PWD && $PWD/ != */./* && $PWD/ != */../* ]] || return 1
  local _nixpy_dir=${PWD%/} _nixpy_file _nixpy_was=${DIRENV_FILE-}
  [[ $_nixpy_dir != *//* ]] || return 1
  local -a _nixpy_names=("${!DIRENV_@}")
  local -i _nixpy_own=${#_nixpy_names[@]}
  if [[ -n $_nixpy_was ]]; then
    ((_nixpy_own -= 4))
    [[ -n ${DIRENV_DIR+x} && -n ${DIRENV_DIFF+x} && -n ${DIRENV_WATCHES+x} &&
      ${DIRENV_FILE@a}${DIRENV_DIR@a}${DIRENV_DIFF@a}${DIRENV_WATCHES@a} == xxxx ]] || return 1
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
      _nixpy_is direnv && _nixpy_replay leave "${_nixpy_was%/*}"
    fi
  elif [[ ! -f $_nixpy_file || ! -r $_nixpy_file ]]; then
    return 1
  elif [[ $_nixpy_file == "$_nixpy_was" ]]; then
    _nixpy_is prompt && _nixpy_replay watched "$_nixpy_dir"
  else
    _nixpy_is direnv && _nixpy_replay enter "$_nixpy_dir"
  fi
}

# Usage: _nixpy_is prompt|direnv
#
# Fails unless direnv is one that is known, as far as a prompt, or an evaluation, depends on it.
_nixpy_is() {
  "_nixpy_$1" "$_nixpy_root/@direnv/refs" "$_nixpy_own" && return 0
  _nixpy_source "$_nixpy_root/@direnv" && "_nixpy_$1" "$_nixpy_root/@direnv/refs" "$_nixpy_own"
}

# Usage: _nixpy_replay watched|enter|leave DIRECTORY
_nixpy_replay() {
  if [[ $_nixpy_answers == "$2" ]] && "_nixpy_$1" "$_nixpy_place/refs"; then
    return 0
  fi
  # Another shell may know more by now.
  _nixpy_answers='' _nixpy_always=''
  _nixpy_source "$_nixpy_root$2/@answers" || return 1
  [[ $_nixpy_answers == "$2" ]] || return 1
  _nixpy_place=$_nixpy_root$2/@answers
  "_nixpy_$1" "$_nixpy_place/refs"
}

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
_nixpy_source() {
  [[ -O $1 && -O $1/bash && $1/bash -ot $_nixpy_root/@exact/1 ]] || return 1
  # shellcheck disable=SC1091
  if ! source "$1/bash" 2>/dev/null; then
    # bash 5.2 stays within a [[ that a damaged file broke off in: this one is given up to it.
    eval '[[ a ]]' 2>/dev/null
    return 1
  fi
}

# In the place of direnv's hook, which is _nixpy_asked_direnv now.
_nixpy_hook() {
  local _nixpy_status=$?
  if ! _nixpy_known; then
    local _nixpy_before=${DIRENV_DIFF-}
    _nixpy_end "$_nixpy_status"
    _nixpy_asked_direnv
    _nixpy_record
  fi
  return "$_nixpy_status"
}

_nixpy_end() {
  return "$1"
}

# Has kept what direnv answered, once for each state of this shell.
_nixpy_record() {
  local _nixpy_state="$PWD ${DIRENV_FILE-} ${DIRENV_DIFF-} $_nixpy_before"
  [[ $_nixpy_tried != off && $_nixpy_tried != "$_nixpy_state" ]] || return 0
  # Where direnv is always asked there is nothing to keep but what it watches.
  if [[ -n $_nixpy_always ]] && _nixpy_known; then
    return 0
  fi
  _nixpy_tried=$_nixpy_state
  NIXPY_HOOK_BEFORE=$_nixpy_before "${_nixpy_command[@]}" hook record bash "$_nixpy_root" \
    "$_nixpy_direnv_path" </dev/null >/dev/null 2>&1 || _nixpy_tried=off
  _nixpy_answers=
}

# At the first prompt all of the startup files have been read, direnv's line among them.
_nixpy_install() {
  local _nixpy_status=$? _nixpy_text _nixpy_exact=$_nixpy_root/@exact
  _nixpy_install() { return "$?"; }
  # It takes bash 4.4, and one that compares nanoseconds.
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)) ||
    [[ ! $_nixpy_exact/1 -ot $_nixpy_exact/2 || ! $_nixpy_exact/2 -nt $_nixpy_exact/1 ]] ||
    ! declare -F _direnv_hook >/dev/null; then
    return "$_nixpy_status"
  fi
  _nixpy_text=$(declare -f _direnv_hook)
  if [[ $_nixpy_text != *_nixpy_hook* ]]; then
    if [[ $_nixpy_text =~ \"(/[^\"]+)\"\ export ]]; then
      _nixpy_direnv_path=${BASH_REMATCH[1]}
    fi
    eval "_nixpy_asked_direnv${_nixpy_text#_direnv_hook}"
    _direnv_hook() { _nixpy_hook; }
  fi
  return "$_nixpy_status"
}

if ! declare -F _direnv_hook >/dev/null; then
  eval "$("$_nixpy_direnv_path" hook bash)"
fi
if [[ ";${PROMPT_COMMAND[*]-};" != *_nixpy_install* ]]; then
  if [[ $(declare -p PROMPT_COMMAND 2>/dev/null) == "declare -a"* ]]; then
    PROMPT_COMMAND=(_nixpy_install "${PROMPT_COMMAND[@]}")
  else
    PROMPT_COMMAND=_nixpy_install${PROMPT_COMMAND:+;$PROMPT_COMMAND}
  fi
fi
