"""Fixtures that read as sentences: projects, direnv, real interactive shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import ParamSpec, TypeVar

    from .hook.hooked import PlainShell

    P = ParamSpec("P")
    S = TypeVar("S", bound="Shell")

PROMPT = "__nixpy_prompt__ "

PREPARED = {
    "bash": f"PS1='{PROMPT}'\nPS2=\nbind 'set enable-bracketed-paste off'\n",
    "zsh": f"PS1='{PROMPT}'\nunsetopt zle prompt_sp prompt_cr\n",
    "fish": f"set -g fish_greeting\nfunction fish_prompt; printf '%s' '{PROMPT}'; end\n"
    "function fish_title; end\nfunction fish_mode_prompt; end\n",
}
"""What the startup file of a shell has, so that a program can tell its prompt."""

DIRENV = {
    "bash": 'eval "$(direnv hook bash)"\n',
    "zsh": 'eval "$(direnv hook zsh)"\n',
    "fish": "direnv hook fish | source\n",
}
"""direnv's own line."""

INTERACTIVE = {"bash": ("--noprofile", "-i"), "zsh": ("-i",), "fish": ("-i",)}


@dataclass
class World:
    """A user's machine: a HOME with nixpy set up, and programs run in its environment."""

    environ: dict[str, str]
    home: Path
    directory: Path

    def run(
        self, *argv: str, cwd: Path | None = None, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program without a terminal."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.directory,
            env={**self.environ, **variables, "PWD": str(cwd or self.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
        if check and done.returncode:
            said = ascii(f"{argv} ended with {done.returncode}: {done.stdout} {done.stderr}")
            pytest.fail(said.replace("\\n", "\n"))
        return done

    def nixpy(
        self, *arguments: str, cwd: Path | None = None, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a nixpy command."""
        return self.run("nixpy", *arguments, cwd=cwd, check=check, **variables)

    def setup(self) -> None:
        """Install the library for direnv."""
        self.nixpy("setup")

    def project(self, name: str | bytes = "project", envrc: str = "use nixpy\n") -> Project:
        """Make a project with an allowed ``.envrc``."""
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.directory), os.fsencode(name))))
        path.mkdir(parents=True, exist_ok=True)
        project = Project(path, self)
        project.write(".envrc", envrc)
        project.allow()
        return project

    @property
    def cache(self) -> Path:
        return Path(self.environ["XDG_CACHE_HOME"]) / "nixpy"


@dataclass
class Project:
    """A directory with an ``.envrc``."""

    path: Path
    world: World

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def allow(self) -> None:
        """Allow the ``.envrc``."""
        self.world.run("direnv", "allow", cwd=self.path)

    def entered(self, **variables: str) -> Entered:
        """Enter the directory as a shell with direnv's hook does, and look at the result."""
        done = self.world.run("direnv", "export", "json", cwd=self.path, check=False, **variables)
        return Entered(
            done.returncode, done.stdout, done.stderr, {**self.world.environ, **variables}
        )

    def python(self, code: str) -> str:
        """Run code in the project's environment, by its own interpreter."""
        return self.world.run(str(self.path / ".venv/bin/python"), "-I", "-c", code).stdout.strip()

    def marker(self) -> bytes:
        """The marker of the last sync."""
        return (self.path / ".venv/.nixpy/marker").read_bytes()

    def nixpy(
        self, *arguments: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a nixpy command in the project."""
        return self.world.nixpy(*arguments, cwd=self.path, check=check, **variables)


@dataclass
class Entered:
    """What ``direnv export`` came to."""

    status: int
    stdout: str
    stderr: str
    before: Mapping[str, str]
    changes: dict[str, str | None] = field(init=False)

    def __post_init__(self) -> None:
        import json

        self.changes = json.loads(self.stdout) if self.stdout.strip() else {}

    @property
    def environ(self) -> dict[str, str]:
        """The environment after entering."""
        result = {**self.before}
        for name, value in self.changes.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = value
        return result

    @property
    def said(self) -> list[str]:
        """What nixpy said, line by line."""
        return [line for line in self.stderr.splitlines() if line.startswith("nixpy:")]

    @property
    def synced(self) -> bool:
        """Whether a manager ran."""
        return any(line.startswith("nixpy: synced") for line in self.said)


class Shell:
    """A real interactive shell on a terminal of its own.

    ``under`` is a command that runs it, such as ``strace``. ``startup`` is what its startup file
    has behind direnv's line; ``None``: the file is there already.
    """

    def __init__(
        self, kind: str, world: World, under: tuple[str, ...] = (), startup: str | None = ""
    ) -> None:
        if shutil.which(kind) is None:
            pytest.skip(f"{kind} is not installed")
        self.kind = kind
        self.world = world
        self._dump = world.home / f"{kind}-environment"
        if startup is not None:
            startup_file(world, kind).write_text(PREPARED[kind] + DIRENV[kind] + startup)
        argv = [*under, kind, *INTERACTIVE[kind]]
        self.process = pexpect.spawn(
            argv[0],
            argv[1:],
            env=world.environ,
            cwd=str(world.directory),
            encoding="utf-8",
            codec_errors="surrogateescape",
            echo=False,
            timeout=90,
            dimensions=(50, 200),
        )
        self.process.expect_exact(PROMPT)

    def run(self, line: str) -> str:
        """Type a line; return what the terminal showed until the next prompt."""
        self.process.sendline(line)
        self.process.expect_exact(PROMPT)
        return self.process.before or ""

    def cd(self, path: Path) -> str:
        """Change the directory."""
        return self.run(f"cd {_quoted(str(path), self.kind)}")

    def wait_for_next_second(self) -> None:
        """Wait until a change has another time for direnv, which compares whole seconds."""
        time.sleep(1.05 - time.time() % 1)

    def environment(self) -> dict[str, str]:
        """The variables that the shell exports."""
        self._dump.unlink(missing_ok=True)
        self.run(f"command env -0 > {self._dump}")
        lines = self._dump.read_bytes().split(b"\0")
        pairs = (os.fsdecode(line).partition("=") for line in lines if line)
        return {name: value for name, _, value in pairs}

    def variable(self, name: str) -> str | None:
        """One variable that the shell exports."""
        return self.environment().get(name)

    def close(self) -> None:
        self.process.close(force=True)


def _quoted(text: str, kind: str) -> str:
    if kind == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"


def startup_file(world: World, kind: str) -> Path:
    """Return where the startup file of a shell is."""
    if kind == "fish":
        path = Path(world.environ["XDG_CONFIG_HOME"]) / "fish/config.fish"
    else:
        path = world.home / f".{kind}rc"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def bare_world(environ: dict[str, str], home: Path, tmp_path: Path) -> World:
    """A machine on which nothing was set up."""
    directory = tmp_path / "work"
    directory.mkdir()
    return World(environ, home, directory)


@pytest.fixture
def world(bare_world: World) -> World:
    """A machine on which nixpy was set up."""
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    bare_world.setup()
    return bare_world


@contextmanager
def closing(start: Callable[P, S]) -> Iterator[Callable[P, S]]:
    """Close in the end all shells that ``start`` has returned."""
    started: list[S] = []

    def noted(*arguments: P.args, **named: P.kwargs) -> S:
        started.append(start(*arguments, **named))
        return started[-1]

    yield noted
    for shell in started:
        shell.close()


@pytest.fixture
def shell_of(world: World) -> Iterator[Callable[[str], Shell]]:
    """Starts interactive shells by name; a shell that is not installed skips the test."""
    with closing(lambda kind: Shell(kind, world)) as start:
        yield start


@pytest.fixture
def start_noted(world: World) -> Iterator[Callable[..., PlainShell]]:
    """Starts shells in which one can see when direnv is asked, with nixpy's hook or without."""
    from .hook.hooked import HookedShell, PlainShell

    def start(kind: str, under: tuple[str, ...] = (), *, hooked: bool = True) -> PlainShell:
        return (HookedShell if hooked else PlainShell)(kind, world, under)

    with closing(start) as noted:
        yield noted
