"""What direnv sources in front of each ``.envrc``, and whether the answer then follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.hook.reading import read_configuration
from nixpy.hook.recording import configuration_files, configuration_reasons

if TYPE_CHECKING:
    from pathlib import Path

NIX_DIRENV = """\
# -*- mode: sh -*-
NIX_DIRENV_VERSION=3.2.0

_NIX_DIRENV_LOG_PREFIX="nix-direnv"
_nix_direnv_nix=""

_nix_direnv_info() {
  log_status "${_NIX_DIRENV_LOG_PREFIX}: $*"
}

: "${_nix_direnv_manual_reload:=0}"
nix_direnv_manual_reload() {
  _nix_direnv_manual_reload=1
}
use_flake() {
  cat <<-EOF
	}
EOF
}
"""
"""In the form of nix-direnv's own direnvrc."""


def test_a_library_in_the_form_of_nix_direnv_is_understood(tmp_path: Path) -> None:
    library = tmp_path / "config/direnv/lib/hm-nix-direnv.sh"
    library.parent.mkdir(parents=True)
    library.write_text(NIX_DIRENV)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert configuration_reasons(environ) == []
    assert read_configuration(str(library), str(tmp_path)).variables == {
        "NIX_DIRENV_VERSION",
        "_NIX_DIRENV_LOG_PREFIX",
        "_nix_direnv_nix",
        "_nix_direnv_manual_reload",
    }


NIXOS = """\
#Load nix-direnv
source {}/nix-direnv/direnvrc


 #Load direnvrcExtra

 #Load user-configuration if present (~/.direnvrc or ~/.config/direnv/direnvrc)
 direnv_config_dir_home="${{DIRENV_CONFIG_HOME:-${{XDG_CONFIG_HOME:-$HOME/.config}}/direnv}}"
 if [[ -f $direnv_config_dir_home/direnvrc ]]; then
   source "$direnv_config_dir_home/direnvrc" >&2
 elif [[ -f $HOME/.direnvrc ]]; then
   source "$HOME/.direnvrc" >&2
 fi

 unset direnv_config_dir_home
"""
"""In the form of /etc/direnv/direnvrc on NixOS."""


def test_the_configuration_of_nixos_goes_on_to_the_users(tmp_path: Path) -> None:
    system, users = tmp_path / "etc/direnv", tmp_path / ".config/direnv"
    for directory in (system / "lib", users, tmp_path / "nix-direnv"):
        directory.mkdir(parents=True)
    (tmp_path / "nix-direnv/direnvrc").write_text(NIX_DIRENV)
    (system / "direnvrc").write_text(NIXOS.format(tmp_path))
    environ = {"HOME": str(tmp_path), "DIRENV_CONFIG": str(system)}
    # Where it does not go on to the user's libraries, it is not NixOS'.
    assert len(configuration_reasons(environ)) == 3
    (system / "lib/zz-user.sh").write_text('for lib in "$x/lib/"*.sh; do source "$lib"; done\n')
    assert configuration_reasons(environ) == []
    assert str(tmp_path / "nix-direnv/direnvrc") in configuration_files(environ)
    (users / "direnvrc").write_text("date\n")
    assert [one.path for one in configuration_reasons(environ)] == [str(users / "direnvrc")]


@pytest.mark.parametrize(
    "line", ["source $HOME/share/direnvrc", '. "$HOME/share/direnvrc"', "source ~/share/direnvrc"]
)
def test_what_is_sourced_belongs_to_the_configuration(tmp_path: Path, line: str) -> None:
    (tmp_path / "share").mkdir()
    sourced, direnvrc = tmp_path / "share/direnvrc", tmp_path / ".direnvrc"
    direnvrc.write_text(f"{line}\n")
    sourced.write_text(f"a=1\nsource {direnvrc}\n")
    environ = {"HOME": str(tmp_path)}
    assert configuration_reasons(environ) == []
    assert str(sourced) in configuration_files(environ)
    sourced.write_text("date\n")
    assert [(one.path, one.line) for one in configuration_reasons(environ)] == [(str(sourced), 1)]
    sourced.unlink()
    assert [one.path for one in configuration_reasons(environ)] == [str(sourced)]


@pytest.mark.parametrize(
    "line",
    [
        "source relative",
        'source "$PWD/x"',
        'source "$OTHER/x"',
        "source /a /b",
        "source /a; date",
        ': "${A:=$(date)}"',
        ': "${A:=$B}"',
        ': "${A:-b}" "${C:=d}"',
        ': "${A:=b}" > file',
        "A=$B",
        "A=b date",
        "export A",
        "unset A",
    ],
)
def test_what_depends_on_something_else_is_a_reason(tmp_path: Path, line: str) -> None:
    path = tmp_path / "direnvrc"
    path.write_text(f"b=1\n{line}\n")
    found = read_configuration(str(path), str(tmp_path))
    assert [(one.line, one.text) for one in found.reasons] == [(2, line)]
    assert found.sources == []
    path.write_text(f"# nixpy: pure\nb=1\n{line}\n")
    assert read_configuration(str(path), str(tmp_path)).reasons == []
