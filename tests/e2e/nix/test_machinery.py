"""What the stories about Nix stand on: two Nix that differ, and flakes that both evaluate."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

import pytest

from .conftest import FLAKES, NEWER, copy_flake

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Nix

SHELLS = f".#devShells.{platform.machine()}-linux"
FAIL = {"failing", "missing", "undefined", "impure", "notBash"}
"""Dev shells that are there to fail."""


@pytest.fixture
def shells(nix: Nix, tmp_path: Path) -> Path:
    """A git tree with the flake of ``tests/flakes/shells``."""
    return copy_flake("shells", tmp_path / "shells", nix.environ).path


def greeting(nix: Nix, path: Path, *arguments: str) -> str:
    """The variable that is in each of the flakes."""
    variables = json.loads(nix.run("print-dev-env", "--json", *arguments, cwd=path))["variables"]
    assert variables["GREETING"]["type"] == "exported"
    return str(variables["GREETING"]["value"])


def test_the_two_are_not_the_same(nix: Nix, tmp_path: Path) -> None:
    assert (nix.version >= (2, 26)) == (str(nix.commands) == NEWER)
    version = ".".join(map(str, nix.version))
    for name in ("nix", "nix-build", "nix-collect-garbage", "nix-instantiate", "nix-store"):
        said = nix.command(name, "--version", cwd=tmp_path)
        assert said.startswith(f"{name} (Nix) {version}.")


def test_flakes_are_not_switched_on(nix: Nix, shells: Path) -> None:
    assert nix.command("nix", "print-dev-env", cwd=shells, check=False) == ""


def test_each_flake_evaluates(nix: Nix, shells: Path, tmp_path: Path) -> None:
    assert greeting(nix, shells) == "hello\n"
    part = copy_flake("part", tmp_path / "part", nix.environ)
    other = copy_flake("with-input", tmp_path / "with-input", nix.environ, part=str(part.path))
    assert greeting(nix, other.path) == "hello from the part"
    plain = copy_flake("no-flake", tmp_path / "no-flake", nix.environ).path
    assert greeting(nix, plain, "--file", "shell.nix") == "hello\n"
    assert greeting(nix, plain, "--file", "default.nix") == "hello from another one"


def test_each_dev_shell_evaluates_that_is_not_there_to_fail(nix: Nix, shells: Path) -> None:
    names = set(json.loads(nix.run("eval", "--json", SHELLS, "--apply", "__attrNames", cwd=shells)))
    assert names > {path.stem for path in (FLAKES / "shells/hooks").iterdir()} | FAIL
    good = " ".join(f"shells.{name}.drvPath" for name in sorted(names - FAIL))
    drvs = json.loads(
        nix.run("eval", "--json", SHELLS, "--apply", f"shells: [ {good} ]", cwd=shells)
    )
    assert all(drv.startswith(nix.environ["NIX_STORE_DIR"]) for drv in drvs)


def test_what_was_built_stays_until_its_link_is_gone(nix: Nix, shells: Path) -> None:
    link = shells / "result"
    nix.run("build", f"{SHELLS}.default.stdenv", "--out-link", str(link), cwd=shells)
    built = link.readlink()
    nix.run("store", "gc", cwd=shells)
    assert (built / "setup").is_file()
    link.unlink()
    nix.command("nix-collect-garbage", cwd=shells)
    assert not built.exists()
