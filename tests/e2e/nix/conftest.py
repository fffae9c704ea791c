"""Two real Nix, each with a store, a state and a configuration of the test's own."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAKES = Path(__file__).parents[2] / "flakes"

NEWER = os.environ.get("NIXPY_TEST_NEWER_NIX", "")
OLDER = Path(shutil.which("nix") or "/nonexistent").parent

FEATURES = ("--extra-experimental-features", "nix-command flakes")

GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "nobody",
    "GIT_AUTHOR_EMAIL": "nobody@example.org",
    "GIT_COMMITTER_NAME": "nobody",
    "GIT_COMMITTER_EMAIL": "nobody@example.org",
}


@dataclass
class Nix:
    """A Nix, and the variables that it works with."""

    commands: Path
    environ: dict[str, str]
    version: tuple[int, ...]

    def run(self, *arguments: str, cwd: Path, check: bool = True) -> str:
        """Run ``nix`` as a user would who has switched flakes on; return what it prints."""
        return self.command("nix", *FEATURES, *arguments, cwd=cwd, check=check)

    def command(self, name: str, *arguments: str, cwd: Path, check: bool = True) -> str:
        """Run another of its commands."""
        done = subprocess.run(
            [str(self.commands / name), *arguments],
            cwd=cwd,
            env=self.environ,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout


def _version(commands: str | os.PathLike[str]) -> tuple[int, ...] | None:
    program = Path(commands) / "nix"
    if not program.exists():
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


@pytest.fixture(params=["the machine's Nix", "a newer Nix"])
def nix(request: pytest.FixtureRequest, tmp_path: Path, environ: dict[str, str]) -> Iterator[Nix]:
    """One of two Nix, with a store of its own."""
    commands = OLDER if request.param == "the machine's Nix" else Path(NEWER)
    if not NEWER and request.param == "a newer Nix":
        pytest.skip("there is no second Nix: NIXPY_TEST_NEWER_NIX is not set")
    version = _version(commands)
    if version is None:
        pytest.skip("nix is not installed")
    top = tmp_path.resolve() / "nix"
    environ |= {**GIT, "PATH": f"{commands}:{environ['PATH']}", **own_store(top)}
    yield Nix(commands, environ, version)
    make_removable(top)


one_nix = pytest.mark.parametrize("nix", ["the machine's Nix"], indirect=True)
"""For what does not depend on the Nix that a user has."""

newer_in_campaign = pytest.mark.parametrize(
    "nix",
    ["the machine's Nix", pytest.param("a newer Nix", marks=pytest.mark.campaign)],
    indirect=True,
)
"""For what takes long and hardly depends on it."""


@pytest.fixture
def nixpkgs(nix: Nix, environ: dict[str, str], tmp_path: Path) -> Path:
    """What stands for nixpkgs, and is meant by flakes that name it."""
    path = tmp_path / "nixpkgs"
    copy_flake("template-nixpkgs", path, nix.environ)
    environ["NIXPY_NIX_OPTIONS"] = f"--override-input nixpkgs path:{path}"
    return path


def own_store(top: Path) -> dict[str, str]:
    """Configure a Nix with all that it has below a directory; return the variables that say so."""
    configuration = top / "etc"
    configuration.mkdir(parents=True)
    # Flakes are not switched on: nixpy does that for its own calls.
    (configuration / "nix.conf").write_text(
        "build-users-group =\nsandbox = false\nsubstituters =\n"
    )
    return {
        "NIX_CONF_DIR": str(configuration),
        "NIX_REMOTE": "local",
        "NIX_STORE_DIR": str(top / "store"),
        "NIX_STATE_DIR": str(top / "var"),
        "NIX_LOG_DIR": str(top / "log"),
        "NIX_PATH": "",
    }


def make_removable(top: Path) -> None:
    """Let what a store holds be deleted: Nix takes the right to write away."""
    for directory, _, _ in os.walk(top / "store"):
        Path(directory).chmod(0o700)


@dataclass
class Tree:
    """A directory that git tracks."""

    path: Path
    environ: dict[str, str]

    def git(self, *arguments: str) -> None:
        """Run git in it."""
        subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environ, check=True, capture_output=True
        )

    def commit(self) -> None:
        """Have git track everything as it is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "as it is")


def copy_flake(name: str, path: Path, environ: dict[str, str], **texts: str) -> Tree:
    """Copy a flake of ``tests/flakes`` into a directory, as a git tree of its own.

    ``texts`` take the place of ``@name@`` in its ``flake.nix``.
    """
    shutil.copytree(FLAKES / name, path, dirs_exist_ok=True)
    if name != "shells":
        shutil.copytree(FLAKES / "shells" / "nix", path / "nix", dirs_exist_ok=True)
    (path / "interpreter.txt").write_text(shutil.which("python3", path="/usr/bin") or "")
    for file in path.rglob("*.nix"):
        text = file.read_text().replace("x86_64-linux", f"{platform.machine()}-linux")
        for key, value in texts.items():
            text = text.replace(f"@{key}@", value)
        file.write_text(text)
    tree = Tree(path, environ)
    tree.git("init", "--quiet")
    tree.commit()
    return tree
