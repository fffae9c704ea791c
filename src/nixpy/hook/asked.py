"""What hooks call: to be printed, and to have an answer kept.

On the path that a shell's start waits for: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os
import sys

from nixpy.directories import nixpy_directory
from nixpy.errors import EnvironmentUnusable, NixpyError, ToolMissing, UsageError
from nixpy.hook.places import SHELLS, hook_directory
from nixpy.hook.script import prepare, script
from nixpy.process import SystemRunner, find_program
from nixpy.project import current_directory
from nixpy.setup import own_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BEFORE", "answer", "hook", "record"]

BEFORE = "NIXPY_HOOK_BEFORE"
"""The variable by which a hook hands on what ``DIRENV_DIFF`` was."""


def answer(arguments: Sequence[str]) -> int | None:
    """Answer what a shell's startup file or its hook asks; ``None`` for all else."""
    if arguments[:1] == ["record"]:
        return record(arguments[1:])
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        return None
    try:
        text = hook(arguments[0], own_command(), os.environ)
    except NixpyError:
        return None  # said by the command itself
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.buffer.flush()
    return 0


def hook(shell: str, command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the hook of a shell, and make what it needs.

    Raises:
        UsageError: there is no place for a cache.
        ToolMissing: there is no direnv.
        EnvironmentUnusable: the cache cannot be written.
    """
    top = nixpy_directory("cache", environ)
    if top is None:
        raise UsageError("there is no place for nixpy's cache", next="Set HOME and try again.")
    direnv = find_program("direnv", environ.get("PATH", ""))
    if direnv is None:
        raise ToolMissing("direnv is not on PATH", next="Install it, and start a new shell.")
    root = hook_directory(top)
    try:
        prepare(root, top)
    except OSError as error:
        raise EnvironmentUnusable(
            f"cannot be written: {error.strerror}",
            where=error.filename or root,
            next="Until it can, use direnv's own hook.",
        ) from None
    return script(shell, command, root, direnv)


def record(arguments: Sequence[str]) -> int:
    """Keep what direnv has answered; return the exit status, which is not 0 if that cannot be."""
    from nixpy.hook.recording import Recorder

    shell, root, direnv = arguments
    environ = dict(os.environ)
    before = environ.pop(BEFORE, "")
    try:
        directory = current_directory(environ)
    except OSError:
        return 0  # it is gone
    try:
        Recorder(shell, root, direnv, environ, SystemRunner()).record(before, directory)
    except OSError:
        return 1
    return 0
