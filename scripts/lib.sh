# shellcheck shell=bash
# Sets up what the other scripts need, in folders that git ignores. Sourced from the top of a clone.

# What a login shell may have set that changes how Python runs, or is about another environment.
unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONOPTIMIZE PYTHONHOME PYTHONPATH PYTHONSTARTUP \
  PYTHONWARNINGS VIRTUAL_ENV UV_PROJECT_ENVIRONMENT UV_PYTHON PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

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
# Installs Debian packages for the commands that are missing, where that is allowed. What could not
# be installed is not tried again by the next run, only named.
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
  local tried=.cache/packages-that-failed
  if [[ -f $tried && $(<"$tried") == "${missing[*]}" ]]; then
    say "could not be installed before: ${missing[*]} (rm $tried to try again)"
    return 0
  fi
  say "installing ${missing[*]}"
  quietly "${as_root[@]}" apt-get update || say "apt-get update failed; going on"
  local package failed=() install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
  if ! quietly "${as_root[@]}" "${install[@]}" "${missing[@]}"; then
    for package in "${missing[@]}"; do
      quietly "${as_root[@]}" "${install[@]}" "$package" || failed+=("$package")
    done
  fi
  if ((${#failed[@]})); then
    say "could not install ${failed[*]}; what needs them is skipped"
    mkdir -p .cache
    printf '%s\n' "${failed[*]}" >"$tried"
  fi
}

# Usage: find_python
#
# Sets REPLY to a Python of 3.10 or later that runs.
find_python() {
  local candidate
  for candidate in python3 python3.{14,13,12,11,10} python; do
    REPLY=$("$candidate" -c 'import sys; print(sys.executable if sys.version_info >= (3, 10) else "")' 2>/dev/null) || continue
    if [[ -n $REPLY ]]; then
      return 0
    fi
  done
  say "no Python of 3.10 or later was found: install one"
  return 1
}

# Usage: make_environment PYTHON
#
# Makes .venv with uv in it. Debian's python3 lacks the means (ensurepip) until python3-venv is there.
make_environment() {
  local python=$1 tag
  rm -rf .venv
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    tag=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])') || return 1
    install_packages "ensurepip=$tag"
  fi
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    quietly "$python" -m venv .venv || return 1
    quietly .venv/bin/python -m pip install --disable-pip-version-check uv
  elif "$python" -m pip --version >/dev/null 2>&1; then
    quietly "$python" -m venv --without-pip .venv || return 1
    quietly "$python" -m pip install --disable-pip-version-check --upgrade --target .cache/uv uv || return 1
    PYTHONPATH=.cache/uv quietly "$python" -m uv pip install --python .venv/bin/python pip uv
  else
    say "$python has neither ensurepip nor pip: install python3-venv, and run this again"
    return 1
  fi
}

# Usage: set_up_python
#
# Makes .venv with nixpy and everything it is developed with; does nothing when that is there.
set_up_python() {
  local REPLY wanted
  wanted="$(cksum pyproject.toml) $PWD"
  if [[ -x .venv/bin/nixpy && -x .venv/bin/python && -f .venv/set-up-from && $(<.venv/set-up-from) == "$wanted" ]]; then
    return 0
  fi
  # An environment that was moved here with its folder has scripts that lead elsewhere.
  if ! { [[ -x .venv/bin/uv ]] && grep -qF "$PWD/.venv" .venv/bin/activate; }; then
    find_python || return 1
    say "making .venv with $REPLY"
    make_environment "$REPLY" || return 1
  fi
  say "installing nixpy and what it is developed with into .venv"
  # uv's console scripts start faster than those of older pips, and what the tests measure is nixpy.
  if ! quietly .venv/bin/uv pip install --quiet --python .venv/bin/python --editable . --group dev; then
    # uv does not read pip's configuration, where the only index may stand.
    say "uv could not; trying with pip"
    quietly .venv/bin/python -m pip install --disable-pip-version-check --upgrade 'pip>=25.1' || return 1
    quietly .venv/bin/python -m pip install --disable-pip-version-check --editable . --group dev || return 1
  fi
  printf '%s\n' "$wanted" >.venv/set-up-from
}

# Usage: set_up_nushell
#
# Installs nushell from npm, where there is an npm.
set_up_nushell() {
  export NIXPY_TEST_NODE_MODULES=$PWD/.cache/node/node_modules
  if [[ -d $NIXPY_TEST_NODE_MODULES/nushell ]] || type -P nu >/dev/null; then
    return 0
  fi
  if ! type -P npm >/dev/null; then
    say "no npm to install nushell with: what needs it is skipped"
    return 0
  fi
  say "installing nushell"
  quietly npm install --silent --no-fund --no-audit --prefix .cache/node nushell ||
    say "could not install nushell; what needs it is skipped"
}

# Usage: set_up_hub_proxy
#
# Installs the proxy that JupyterHub runs, from npm, where there is an npm. After set_up_nushell.
set_up_hub_proxy() {
  if [[ -x $NIXPY_TEST_NODE_MODULES/.bin/configurable-http-proxy ]]; then
    return 0
  fi
  if ! type -P npm >/dev/null; then
    say "no npm to install configurable-http-proxy with: what needs it is skipped"
    return 0
  fi
  say "installing configurable-http-proxy"
  quietly npm install --silent --no-fund --no-audit --prefix .cache/node configurable-http-proxy ||
    say "could not install configurable-http-proxy; what needs it is skipped"
}

# Usage: unpack_newer_nix DIRECTORY
#
# Unpacks the Nix of Debian 13, with the libraries that it needs; nothing is installed, and no right
# to do so is needed.
unpack_newer_nix() {
  local top=$1 part=$1.part keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror name
  if ! type -P apt-get >/dev/null || ! type -P patchelf >/dev/null || [[ ! -e $keyring ]]; then
    say "it takes apt-get, patchelf and Debian's keyring"
    return 1
  fi
  # Where the machine's own packages come from; others have addresses that end in /debian, too.
  # shellcheck disable=SC2016 # apt-get's own notation
  mirror=$(apt-get indextargets --format '$(SITE)' 'Label: Debian' 'Created-By: Packages' 2>/dev/null) || mirror=
  mirror=${mirror%%$'\n'*}
  rm -rf "$part"
  mkdir -p "$part"/{state/lists/partial,cache/archives/partial,root,bin} || return 1
  : >"$part/status"
  printf 'deb [signed-by=%s] %s trixie main\n' "$keyring" "${mirror:-http://deb.debian.org/debian}" >"$part/sources.list"
  local apt=(
    apt-get --quiet
    -o "Dir::Etc::SourceList=$part/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State=$part/state" -o "Dir::State::Status=$part/status"
    -o "Dir::Cache=$part/cache" -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)"
  )
  quietly "${apt[@]}" update || return 1
  quietly "${apt[@]}" install -y --download-only --no-install-recommends nix-bin || return 1
  for name in "$part"/cache/archives/*.deb; do
    quietly dpkg-deb --extract "$name" "$part/root" || return 1
  done
  # Its own loader and libraries, also where it starts itself again by /proc/self/exe.
  local usr=$top/root/usr loaders=("$part"/root/usr/lib*/ld-linux-*)
  quietly patchelf --force-rpath --set-rpath "$usr/lib/$(uname -m)-linux-gnu" \
    --set-interpreter "$top/${loaders[0]#"$part/"}" "$part/root/usr/bin/nix" || return 1
  for name in nix nix-build nix-collect-garbage nix-instantiate nix-shell nix-store; do
    ln -s ../root/usr/bin/nix "$part/bin/$name" || return 1
  done
  rm -rf "$top" "$part/cache" "$part/state"
  mv "$part" "$top" || return 1
  quietly "$top/bin/nix" --version
}

# Usage: set_up_newer_nix
#
# Has a second Nix beside that of the machine; NIXPY_TEST_NEWER_NIX is the directory of its commands.
set_up_newer_nix() {
  local top=$PWD/.cache/debian-13
  # It names its loader by an absolute path, so that one that was moved here with its folder cannot run.
  if ! "$top/bin/nix" --version >/dev/null 2>&1; then
    say "unpacking Nix of Debian 13"
    if ! unpack_newer_nix "$top"; then
      say "could not unpack it; what needs a second Nix is skipped"
      return 0
    fi
  fi
  export NIXPY_TEST_NEWER_NIX=$top/bin
}

# Usage: set_up_tests
set_up_tests() {
  install_packages git=git direnv=direnv zsh=zsh fish=fish tcsh=tcsh elvish=elvish dash=dash \
    g++=g++ patchelf=patchelf strace=strace shellcheck=shellcheck pkill=procps nix=nix-bin \
    chromium=chromium chromedriver=chromium-driver man=man-db groff=groff-base mandoc=mandoc
  set_up_python || return 1
  set_up_nushell
  set_up_hub_proxy
  set_up_newer_nix
}

# Usage: run_pytest ARGUMENT...
#
# Runs pytest on one worker more than there are processors: most tests wait for programs.
run_pytest() {
  local workers
  workers=$(nproc 2>/dev/null) || workers=2
  .venv/bin/python -m pytest -n "$((workers > 7 ? 8 : workers + 1))" "$@"
}
