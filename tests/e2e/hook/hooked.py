"""Interactive shells with both hooks, in which one can see when direnv is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..conftest import Shell, World
from .conftest import HOOK

if TYPE_CHECKING:
    from ..conftest import Project

SHELLS = ("bash", "zsh", "fish")

ONE_OF_SHELLS = (
    "bash",
    *(pytest.param(kind, marks=pytest.mark.campaign) for kind in ("zsh", "fish")),
)
"""For what is told of bash, and in a campaign of the others."""

IGNORED = {"_", "SHLVL", "OLDPWD", "NOTES"}
"""What shells count and note by themselves, and where their calls are noted."""

_EMPTIED = {
    "bash": "_nixpy_functions=() _nixpy_tried=",
    "zsh": "_nixpy_functions=() _nixpy_tried=",
    "fish": "set -g _nixpy_functions; set -g _nixpy_tried ''",
}


class PlainShell(Shell):
    """A shell with direnv's hook alone, by way of a program that notes each call."""

    is_hooked = False

    def __init__(self, kind: str, world: World, under: tuple[str, ...] = ()) -> None:
        self.direnv = world.home / "bin/noted-direnv"
        self._log = world.home / f"direnv-calls-{kind}-{self.is_hooked}"
        if not self.direnv.exists():
            real = shutil.which("direnv")
            self.direnv.write_text(f'#!/bin/sh\necho "$1" >>"$NOTES"\nexec {real} "$@"\n')
            self.direnv.chmod(0o755)
        shadow = world.home / "shadow"
        shadow.mkdir(exist_ok=True)
        # What `direnv hook` prints names the program by its real path.
        hook = shadow / "direnv"
        hook.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = hook ] || exec {self.direnv} "$@"\n'
            f'{shutil.which("direnv")} hook $2 | sed \'s,"/[^"]*direnv","{self.direnv}",\'\n'
        )
        hook.chmod(0o755)
        path = f"{shadow}:{world.environ['PATH']}"
        environ = {**world.environ, "PATH": path, "NOTES": str(self._log)}
        noted = World(environ, world.home, world.directory)
        super().__init__(kind, noted, under, HOOK[kind] if self.is_hooked else "")
        self.asked()

    def asked(self) -> int:
        """Return how often direnv was asked since the last time."""
        calls = self._log.read_text().split() if self._log.exists() else []
        self._log.write_text("")
        return calls.count("export")

    def exported(self) -> dict[str, str]:
        """Return what the shell exports, less what it counts by itself."""
        return {name: value for name, value in self.environment().items() if name not in IGNORED}


class HookedShell(PlainShell):
    """A shell with nixpy's hook, too."""

    is_hooked = True

    def forget(self) -> None:
        """Have the shell read again what is kept on disk."""
        self.run(_EMPTIED[self.kind])

    def warm(self, project: Project) -> None:
        """Enter a project and leave it until both are known."""
        for _ in range(4):
            self.asked()
            self.cd(project.path)
            self.cd(project.world.directory)
            if not self.asked():
                return
        pytest.fail(f"direnv is always asked: {self.kept(project)}")

    def kept(self, project: Project) -> str:
        """Return what is kept of a project, to be shown."""
        path = self.place(project) / "answers"
        return ascii(path.read_text()[:2000]) if path.exists() else "nothing is kept"

    def place(self, project: Project) -> Path:
        """Return where the answers about a project lie."""
        return Path(f"{project.world.cache}/hook/1{project.path}/@answers")
