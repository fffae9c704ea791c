from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nixpy.hook.configuration import Configuration, read_configuration

if TYPE_CHECKING:
    from pathlib import Path

# Of the shape of nix-direnv's: functions, values, a default.
LIKE_NIX_DIRENV = """\
# -*- mode: sh -*-
# shellcheck shell=bash

SOME_VERSION=3.2.0
DIRENV_MIN_VERSION=2.21

# wanted
BASH_MIN_VERSION=4.4
_PREFIX="some"

_some_say() {
  log_status "${_PREFIX}: $*"
}

_some_error() { log_error "${_PREFIX}$*"; }

_some_nix=""

_some_version() {
  local cmd=$1 raw=$2 version=${2%%[^0-9.]*}
  if ! printf "%s\\n" "$raw" "$version" | LC_ALL=C sort -c -V 2>/dev/null; then
    _some_error \\
      "it is $(basename "$cmd")"
    return 1
  fi
}

_some_script() {
  cat <<-EOF
#!/usr/bin/env bash
if [[ ! -d "$PWD" ]]; then
  exit 1
fi
EOF
}

_some_restore() {
  local -A values=(
    ["TMP"]=${TMP:-__UNSET__}
  )
  while IFS= read -r line; do
    local regex='"[Pp]ath": "(.+)"$'
    if [[ $line =~ $regex ]]; then
      values+=("${BASH_REMATCH[1]}")
    fi
  done < <($direnv show_dump "${DIRENV_WATCHES}")
  eval "$(<"$1")"
  case $2 in
  -p | --packages)
    in=1
    ;;
  *) in=0 ;;
  esac
}

: "${_some_reload:=0}"
some_manual_reload() {
  _some_reload=1
}

use_flake() {
  date
}
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def configured(environ: dict[str, str], text: str, name: str = "direnvrc") -> Configuration:
    """Read a configuration with a file."""
    path = f"{environ['XDG_CONFIG_HOME']}/direnv/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return read_configuration(environ)


def test_a_file_like_that_of_nix_direnv_has_no_reasons(environ: dict[str, str]) -> None:
    found = configured(environ, LIKE_NIX_DIRENV)
    assert found.reasons == []
    assert found.variables == {
        "SOME_VERSION",
        "DIRENV_MIN_VERSION",
        "BASH_MIN_VERSION",
        "_PREFIX",
        "_some_nix",
        "_some_reload",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n  # nothing\n\t\n",
        "f() { date; }\n",
        "f()\n{\n  date\n}\n",
        "function f { date; }\n",
        "f() (\n  date\n)\n",
        "f() {\n  g() { date; }\n}\n",
        "export A=1 B='2'\n",
        "unset A B\n",
        "use_flake() { date; }\n",
        "use_nix() {\n  if true; then\n    date\n  fi\n}\n",
        "# nixpy: pure\ndate\n",
    ],
)
def test_functions_and_values_have_no_reasons(environ: dict[str, str], text: str) -> None:
    for name in ("direnvrc", "lib/own.sh"):
        assert configured(environ, text, name).reasons == []


@pytest.mark.parametrize(
    "text",
    [
        "date\n",
        "export A=$(date)\n",
        "export A=$B\n",
        "A=$B\n",
        "A=1 date\n",
        "f() { :; }; date\n",
        "f() { :; } && date\n",
        "f() { :; } | date\n",
        "f() { :; }; { date; }\n",
        "f() {\n  :\n}; {\n  date\n}\n",
        "f() { :; }; g() { date; }\n",
        "f() { date\n",
        "f() {\n  date\n}; date\n",
        "if true; then date; fi\n",
        "if true; then\n  f() { :; }\nfi\n",
        "use_nixpy() { date; }\n",
        "use() { date; }\n",
        "cd() { date; }\n",
        "grep() { date; }\n",
        "export HOME=/x\n",
        "BASH_ENV=/x\n",
        "unset HOME\n",
        "unset -f use\n",
        ': "${A:=$(date)}"\n',
        ': "${A:=$B}"\n',
        ": $(date)\n",
        ": > file\n",
        "> file\n",
        "((\n))\n",
        "(\n)\n",
        "source relative\n",
        'source "$A"\n',
        "source /gone/x argument\n",
        "shopt -s nocasematch\n",
        "set -e\n",
        "trap date EXIT\n",
        "alias use=date\n",
        "f() { :; }\r\n",
        'direnv_config_dir_home="${DIRENV_CONFIG_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/direnv}"\n',
    ],
)
def test_what_does_something_each_time_is_named(environ: dict[str, str], text: str) -> None:
    for name in ("direnvrc", "lib/own.sh"):
        found = configured(environ, text, name)
        assert found.reasons
        assert found.reasons[0].path.endswith(name)
        os.unlink(found.reasons[0].path)


def test_a_file_that_is_sourced_is_read_and_watched(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("A=1\nsource ~/third\n")
    found = configured(environ, f'source {tmp_path}/other\n. "$HOME/gone"\n')
    assert found.reasons == []
    assert found.variables == {"A"}
    assert {f"{tmp_path}/{name}" for name in ("other", "third", "gone")} <= {*found.files}
    (tmp_path / "third").write_text("date\n")
    assert [reason.path for reason in read_configuration(environ).reasons] == [f"{tmp_path}/third"]
    (tmp_path / "third").write_text("source ~/third\n")
    assert read_configuration(environ).reasons


def test_everything_that_direnv_may_read_is_among_the_files(
    environ: dict[str, str], tmp_path: Path
) -> None:
    configured(environ, "", "lib/b.sh")
    found = configured(environ, "", "lib/a.sh")
    place = f"{tmp_path}/config/direnv"
    assert {
        *(f"{place}/{name}" for name in ("direnv.toml", "config.toml", "lib", "lib/a.sh")),
        *(f"{place}/{name}" for name in ("lib/b.sh", "direnvrc")),
        f"{tmp_path}/.direnvrc",
    } == {*found.files}


def test_variables_by_which_bash_does_something_else_are_reasons(environ: dict[str, str]) -> None:
    for name in ("BASH_ENV", "CDPATH"):
        assert [one.path for one in read_configuration({**environ, name: "x"}).reasons] == [name]
    assert read_configuration(environ).reasons == []


def test_a_configuration_that_loads_dotenv_files_is_known(environ: dict[str, str]) -> None:
    found = configured(environ, "[global]\nload_dotenv = true\n", "direnv.toml")
    assert found.loads_dotenv
    assert found.reasons


# As NixOS writes them: they are recognized to the letter.
NIXOS_DIRENVRC = """\
#Load nix-direnv
source {store}/share/nix-direnv/direnvrc


 #Load direnvrcExtra
 {extra}

 #Load user-configuration if present (~/.direnvrc or ~/.config/direnv/direnvrc)
 direnv_config_dir_home="${{DIRENV_CONFIG_HOME:-${{XDG_CONFIG_HOME:-$HOME/.config}}/direnv}}"
 if [[ -f $direnv_config_dir_home/direnvrc ]]; then
   source "$direnv_config_dir_home/direnvrc" >&2
 elif [[ -f $HOME/.direnvrc ]]; then
   source "$HOME/.direnvrc" >&2
 fi

 unset direnv_config_dir_home
"""
NIXOS_ZZ_USER = """\
direnv_config_dir_home="${DIRENV_CONFIG_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/direnv}"

for lib in "$direnv_config_dir_home/lib/"*.sh; do
  source "$lib"
done

unset direnv_config_dir_home
"""


@pytest.fixture
def nixos(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    system = tmp_path / "etc/direnv"
    (system / "lib").mkdir(parents=True)
    (system / "direnvrc").write_text(NIXOS_DIRENVRC.format(store=tmp_path / "store", extra=""))
    (system / "lib/zz-user.sh").write_text(NIXOS_ZZ_USER)
    store = tmp_path / "store/share/nix-direnv"
    store.mkdir(parents=True)
    (store / "direnvrc").write_text(LIKE_NIX_DIRENV)
    return {**environ, "DIRENV_CONFIG": str(system)}


def test_the_configuration_of_nixos_goes_on_to_the_users(
    nixos: dict[str, str], tmp_path: Path
) -> None:
    found = configured(nixos, "OWN=1\n", "lib/own.sh")
    assert found.reasons == []
    assert found.variables >= {"OWN", "direnv_config_dir_home", "lib", "_some_reload"}
    assert f"{tmp_path}/config/direnv/direnvrc" in found.files
    assert f"{tmp_path}/config/direnv/lib/own.sh" in found.files
    assert f"{tmp_path}/store/share/nix-direnv/direnvrc" in found.files
    assert configured(nixos, "date\n", "lib/own.sh").reasons
    os.unlink(tmp_path / "config/direnv/lib/own.sh")
    assert configured(nixos, "date\n").reasons


def test_what_an_administrator_adds_to_it_is_read(nixos: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "etc/direnv/direnvrc"
    path.write_text(NIXOS_DIRENVRC.format(store=tmp_path / "store", extra='export FOO="foo"'))
    assert read_configuration(nixos).reasons == []
    path.write_text(NIXOS_DIRENVRC.format(store=tmp_path / "store", extra='echo "loaded!"'))
    assert [reason.text for reason in read_configuration(nixos).reasons] == ['echo "loaded!"']


def test_a_users_file_of_the_same_name_is_read_like_any_other(environ: dict[str, str]) -> None:
    assert configured(environ, "date\n", "lib/zz-user.sh").reasons


# What follows asks bash itself.

_LINES = (
    "f() {\n  date\n}", "f() {\n  if x; then\n    date\n  fi\n}", "g() (\n  date\n)",
    "f() {", "}", "  date", "f() { date; }", "g() (", ")", "A=1", "export B='x y'", "# }", "date",
    "if true; then", "fi", "case x in", "y) date ;;", "esac", "}; date", "{", "cat <<EOF", "EOF",
    "h() { date; }; date", "x=(", "'", '"', 'echo "}"', "echo '{'", "while false; do", "done",
    "function k", "function k {", "} # }", "f() {  # {", "\\", "} | date", "} && date", "$(", "`",
    "[[ x ]] && date", "]]", "[[ a", ": ${x#'}'}", ': "${y:=1}"', "unset A", "for i in 1; do", "()",
    "f() if true; then date; fi", "((1))", "((", "))", "}>x", "${", "A=1 f() { :; }", "l()",
)  # fmt: skip

SLOW = [HealthCheck.too_slow]

_TRACE = """\
command_not_found_handle() { printf 'RAN %s\\0' "$1" >&3; }
note() {
  case $BASH_COMMAND in
    'eval "$text"' | 'trap - DEBUG' | A=1 | "export B='x y'" | ': "${y:=1}"' | 'unset A') ;;
    *) printf 'RAN %s\\0' "$BASH_COMMAND" >&3 ;;
  esac
}
while IFS= read -r -d '' text; do
  printf 'TEXT\\0' >&3
  trap note DEBUG
  eval "$text"
  trap - DEBUG
done 3>&1 >/dev/null 2>&1
"""


def ran(texts: list[str], cwd: Path) -> str:
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "--noprofile", "-c", _TRACE],
        input="".join(f"{text}\0" for text in texts),
        encoding="utf-8",
        cwd=cwd,
        env={"PATH": "/nowhere", "HOME": str(cwd)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.stdout


def test_a_configuration_without_reasons_runs_nothing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    assert "RAN date" in ran(["f() { :; }; date"], place)
    seen = 0

    @settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(
        st.lists(
            st.lists(st.sampled_from(_LINES), max_size=7).map("\n".join), min_size=60, max_size=90
        )
    )
    def check(texts: list[str]) -> None:
        nonlocal seen
        accepted = [text for text in texts if not configured(environ, text + "\n").reasons]
        seen += sum("date" in text for text in accepted)
        each = ran([text + "\n" for text in accepted], place).split("TEXT\0")[1:]
        assert [pair for pair in zip(accepted, each, strict=True) if pair[1]] == []
        assert os.listdir(place) == []

    check()
    assert seen > 20
