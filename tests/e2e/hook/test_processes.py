"""What is known is answered without a process, and without writing anything."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ..test_processes import CREATIONS, WRITES
from .conftest import hooked

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World
    from .conftest import Start

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

MANIFEST = '[project]\nname = "{}"\nversion = "0"\nrequires-python = ">=3.10"\n'


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_entering_leaving_and_prompting_start_no_process(
    kind: str, world: World, start: Start
) -> None:
    first, second = project(world, "first"), project(world, "second")
    log = world.home / "strace"
    under = ("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={CREATIONS},{WRITES}")
    shell = hooked(start(kind, under))

    def walk() -> None:
        for place in (first, first / "below", second, first, world.directory):
            shell.cd(place)
            shell.run("true")

    walk()
    asked = log.read_text(errors="replace").splitlines()
    assert any("/direnv" in call and "execve" in call for call in asked)
    walk()
    said = shell.cd(first)
    assert "direnv: loading" in said
    assert "+VIRTUAL_ENV" in said
    calls = log.read_text(errors="replace").splitlines()[len(asked) :]
    assert [call for call in calls if is_ours(call, str(world.directory.parent))] == []
    assert shell.variable("VIRTUAL_ENV") == str(first / ".venv")


def project(world: World, name: str) -> Path:
    made = world.project(name)
    made.write("pyproject.toml", MANIFEST.format(name))
    made.write("below/empty", "")
    made.entered()
    return made.path


def is_ours(call: str, own: str) -> bool:
    """Whether a call creates a process (Go's and fish's threads apart), or writes below ``own``."""
    name = call.split(None, 1)[-1].split("(", maxsplit=1)[0]
    if name in {"execve", "fork", "vfork", "clone", "clone3"}:
        return "CLONE_THREAD" not in call
    return f'"{own}' in call and "O_RDONLY" not in call and "fish/" not in call
