"""Calling ``nix``: the one place that knows its options and reads its answers."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from nixpy.errors import ToolMissing
from nixpy.nix.log import Log
from nixpy.nix.problems import DEV_SHELL, problem
from nixpy.process import find_program, has_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from nixpy.errors import DevShellFailed
    from nixpy.process import Runner

__all__ = ["PLACES", "Nix", "find_nix"]

FEATURES = ("--extra-experimental-features", "nix-command flakes")
"""Switched on for our calls alone; whoever has them switched on notices nothing."""

PLACES = (
    "/run/current-system/sw/bin/nix",
    "/nix/var/nix/profiles/default/bin/nix",
    "~/.nix-profile/bin/nix",
    "/usr/bin/nix",
)
"""Where Nix' own installers, NixOS and distributions put it."""

SILENCE = 1.0
"""Seconds after which a user is told what Nix is doing."""


def find_nix(environ: Mapping[str, str]) -> str:
    """Return the path of the ``nix`` to use: on ``PATH``, else where installers put it.

    Raises:
        ToolMissing: there is none.
    """
    home = environ.get("HOME", "")
    for candidate in (
        find_program("nix", environ.get("PATH", "")),
        *(place.replace("~", home, 1) for place in PLACES),
    ):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise ToolMissing(
        "Nix is not installed, so the dev shell is left out",
        next="Install it (nixos.org/download), or say `flake = false` in [tool.nixpy].",
    )


def _nothing() -> None:
    pass


class Nix:
    """The ``nix`` command, called for one project.

    Args:
        program: its path.
        directory: the working directory, which relative references are relative to.
        environ: the caller's environment.
        runner: starts programs.
        log: gets what it says.
        report: is told what it is doing where that takes long, one line a call.
        keep_open: descriptors that it inherits.
        subject: what it is called for, in messages.
    """

    def __init__(
        self,
        program: str,
        directory: str,
        *,
        environ: Mapping[str, str],
        runner: Runner,
        log: BinaryIO,
        report: Callable[[str], None],
        keep_open: tuple[int, ...] = (),
        subject: str = DEV_SHELL,
    ) -> None:
        self.subject = subject
        self.program = program
        self.directory = directory
        self.environ = environ
        self.runner = runner
        self.log = log
        self.report = report
        self.keep_open = keep_open

    def run(
        self,
        *arguments: str,
        command: str = "nix",
        meanwhile: Callable[[], None] = _nothing,
    ) -> tuple[bytes, Log]:
        """Return what a command printed, and what it said of its work.

        Args:
            arguments: its arguments.
            command: ``nix``, or one that lies beside it: ``nix-store``.
            meanwhile: called again and again while it runs.

        Raises:
            DevShellFailed: it failed.
        """
        program = f"{os.path.dirname(self.program)}/{command}" if command != "nix" else self.program
        argv = [program, *FEATURES, *arguments, "--log-format", "internal-json"]
        self.log.write(f"\n$ {' '.join(argv)}\n".encode("utf-8", "surrogateescape"))
        log = Log(self.log)
        progress = _Progress(log, self.report, self.subject)

        def heard(piece: bytes) -> None:
            log.hear(piece)
            progress.look()
            meanwhile()

        done = self.runner.follow(
            argv,
            cwd=self.directory,
            environ=self.environ,
            heard=heard,
            keep_open=self.keep_open,
        )
        log.hear(b"\n")
        if done.status:
            raise self._problem(log, done.status)
        return done.stdout, log

    def json(self, *arguments: str) -> Any:
        """Return what a command printed as JSON.

        Raises:
            DevShellFailed: it failed, or printed something else.
        """
        printed, log = self.run(*arguments)
        try:
            return json.loads(printed)
        except ValueError:
            raise self._problem(log, 0) from None

    def _problem(self, log: Log, status: int) -> DevShellFailed:
        path = getattr(self.log, "name", None)
        return problem(log, status, self.directory, path, subject=self.subject)


class _Progress:
    """Tells what Nix is doing once it has been silent for a while, and then as that changes."""

    def __init__(self, log: Log, report: Callable[[str], None], subject: str) -> None:
        self.log = log
        self.subject = subject
        self.report = report
        self.told = ""
        self.since = time.monotonic()
        self.is_wanted = has_terminal()

    def look(self) -> None:
        now = time.monotonic()
        if not self.is_wanted or now - self.since < SILENCE:
            return
        doing = self.log.activity or f"evaluating {self.subject}"
        if doing != self.told:
            self.report(doing)
            self.told, self.since = doing, now
