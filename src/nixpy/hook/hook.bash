# shellcheck shell=bash disable=SC2050,SC2128,SC2178,SC2317
# nixpy's hook for bash: eval "$(nixpy hook bash)", before or after direnv's own line.
#
# It stands in front of direnv's hook. Where direnv's answer is known it is evaluated again, by
# builtins alone: no process is started, nothing is written. Otherwise direnv's own hook runs.

_nixpy_command=(nixpy)
_nixpy_root=/
_nixpy_direnv_path=direnv
_nixpy_exact=$_nixpy_root/@exact
_nixpy_refs=$_nixpy_root/@refs
_nixpy_always='' _nixpy_tried=''
_nixpy_direnv() { return 1; }
_nixpy_prompt() { return 1; }

# Fails unless direnv need not be asked, because it would say nothing or what it said before.
_nixpy_known() {
  # Under nocasematch comparisons fold case; a directory that is gone or was moved is direnv's affair.
  [[ a != A && ${PWD@a} == *x* && . -ef $PWD && $PWD/ != */./* && $PWD/ != */../* && $PWD != *//* ]] ||
    return 1
  local _nixpy_dir=${PWD%/} _nixpy_was=${DIRENV_FILE-} _nixpy_asks=direnv _nixpy_about=
  if [[ -n $_nixpy_was ]]; then
    [[ ${DIRENV_DIR+x}${DIRENV_DIFF+x}${DIRENV_WATCHES+x} == xxx &&
      ${DIRENV_FILE@a}${DIRENV_DIR@a}${DIRENV_DIFF@a}${DIRENV_WATCHES@a} == xxxx ]] || return 1
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

  # Is direnv one that is known, as far as a prompt, or an evaluation, depends on it?
  "_nixpy_$_nixpy_asks" "$_nixpy_refs/direnv" "$_nixpy_was" || {
    _nixpy_source "$_nixpy_root/@direnv" && "_nixpy_$_nixpy_asks" "$_nixpy_refs/direnv" "$_nixpy_was"
  } || return 1
  [[ -n $_nixpy_about ]] || return 0
  local _nixpy_name=${_nixpy_functions["=$_nixpy_dir"]-}
  if [[ -n $_nixpy_name ]] && "_nixpy_${_nixpy_about}_$_nixpy_name" "$_nixpy_refs/$_nixpy_name"; then
    return 0
  fi
  _nixpy_learn && "_nixpy_${_nixpy_about}_$_nixpy_name" "$_nixpy_refs/$_nixpy_name"
}

# Reads what is kept about $_nixpy_dir once more: another shell may know more by now.
_nixpy_learn() {
  _nixpy_functions["=$_nixpy_dir"]='' _nixpy_always=''
  _nixpy_source "$_nixpy_root$_nixpy_dir/@answers" || return 1
  _nixpy_name=${_nixpy_functions["=$_nixpy_dir"]-}
  [[ -n $_nixpy_name ]]
}

# Usage: _nixpy_source PLACE
#
# What is sourced has the time 0, which nobody but its owner can give it: what another user has
# written to is not that old, and is not sourced.
_nixpy_source() {
  [[ -O $1 && -O $1/bash && $1/bash -ot $_nixpy_exact/1 ]] || return 1
  # shellcheck disable=SC1091
  if ! source "$1/bash" 2>/dev/null; then
    # bash 5.2 stays within a [[ that a damaged file broke off in: this one is given up to it.
    eval '[[ a ]]' 2>/dev/null
    return 1
  fi
}

# Usage: _nixpy_ask STATUS
_nixpy_ask() {
  local _nixpy_before=${DIRENV_DIFF-}
  _nixpy_end "$1"
  _nixpy_asked_direnv
  _nixpy_record
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
}

# At the first prompt all of the startup files have been read, direnv's line among them.
_nixpy_install() {
  local _nixpy_status=$? _nixpy_text
  _nixpy_install() { return "$?"; }
  # It takes bash 4.4, and one that compares nanoseconds.
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)) ||
    [[ ! $_nixpy_exact/1 -ot $_nixpy_exact/2 || ! $_nixpy_exact/2 -nt $_nixpy_exact/1 ]] ||
    ! declare -F _direnv_hook >/dev/null; then
    return "$_nixpy_status"
  fi
  # By directory, how the functions' names end that know it; by long value, a short one.
  declare -gA _nixpy_functions=() _nixpy_values=()
  _nixpy_text=$(declare -f _direnv_hook)
  if [[ $_nixpy_text != *_nixpy_known* ]]; then
    if [[ $_nixpy_text =~ \"(/[^\"]+)\"\ export ]]; then
      _nixpy_direnv_path=${BASH_REMATCH[1]}
    fi
    eval "_nixpy_asked_direnv${_nixpy_text#_direnv_hook}"
    # Its own is _nixpy_asked_direnv now.
    _direnv_hook() {
      local _nixpy_status=$?
      _nixpy_known || _nixpy_ask "$_nixpy_status"
      return "$_nixpy_status"
    }
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
