# shellcheck shell=bash
# Sets up what the other scripts need, in folders that git ignores. Sourced from the top of a clone.

# What a login shell may have set, and what is about another environment than ours.
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV UV_PROJECT_ENVIRONMENT

# Usage: say TEXT
say() {
  printf '== %s\n' "$*" >&2
}

# Usage: quietly COMMAND...
#
# Shows what a command printed only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    tail -n 30 "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

# Usage: install_packages COMMAND=PACKAGE...
#
# Installs Debian packages for the commands that are missing, where that is allowed.
install_packages() {
  local pair missing=() commands=() as_root=()
  for pair in "$@"; do
    if ! type -P "${pair%%=*}" >/dev/null; then
      commands+=("${pair%%=*}")
      missing+=("${pair#*=}")
    fi
  done
  ((${#missing[@]})) || return 0
  if ! type -P apt-get >/dev/null; then
    say "not installed, and no apt-get to install them with: ${commands[*]}"
    return 0
  fi
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      say "not installed, and no right to install them: ${commands[*]}"
      return 0
    fi
    as_root=(sudo -n)
  fi
  say "installing ${missing[*]}"
  quietly "${as_root[@]}" apt-get update || say "apt-get update failed; going on"
  local package
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y "${missing[@]}" ||
    for package in "${missing[@]}"; do
      quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y "$package" ||
        say "could not install $package; what needs it is skipped"
    done
}

# Usage: find_python
#
# Sets REPLY to a Python of 3.10 or later that runs.
find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
    REPLY=$("$candidate" -c 'import sys; print(sys.executable if sys.version_info >= (3, 10) else "")' 2>/dev/null) || continue
    if [[ -n $REPLY ]]; then
      return 0
    fi
  done
  say "no Python of 3.10 or later was found: install one"
  return 1
}

# Usage: set_up_python
#
# Makes .venv with nixpy and everything it is developed with; does nothing when that is there.
set_up_python() {
  local REPLY wanted
  wanted=$(cksum pyproject.toml)
  if [[ -x .venv/bin/nixpy && -f .venv/set-up-from && $(<.venv/set-up-from) == "$wanted" ]]; then
    return 0
  fi
  find_python || return 1
  say "making .venv with $REPLY"
  if ! "$REPLY" -c 'import ensurepip' 2>/dev/null; then
    install_packages "no-ensurepip=python3-venv"
  fi
  rm -rf .venv
  quietly "$REPLY" -m venv .venv || return 1
  quietly .venv/bin/python -m pip install --disable-pip-version-check uv || return 1
  # uv's console scripts start faster than pip's: what the tests measure is nixpy.
  quietly .venv/bin/uv pip install --python .venv/bin/python --editable . --group dev || return 1
  printf '%s\n' "$wanted" >.venv/set-up-from
}

# Usage: set_up_nushell
#
# Installs nushell from npm, where there is an npm.
set_up_nushell() {
  export NIXPY_TEST_NODE_MODULES=$PWD/.cache/node/node_modules
  if [[ -d $NIXPY_TEST_NODE_MODULES/@nushell ]] || ! type -P npm >/dev/null; then
    return 0
  fi
  say "installing nushell"
  quietly npm install --silent --no-fund --no-audit --prefix .cache/node nushell ||
    say "could not install nushell; what needs it is skipped"
}

# Usage: set_up_tests
set_up_tests() {
  install_packages git=git direnv=direnv zsh=zsh fish=fish tcsh=tcsh elvish=elvish dash=dash \
    strace=strace shellcheck=shellcheck pkill=procps nix=nix-bin hyperfine=hyperfine
  set_up_python || return 1
  set_up_nushell
}
