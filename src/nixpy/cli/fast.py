"""``export``, ``run`` and ``sync`` where the entry holds: answered without parsing options.

The arguments are the entry's key, so what they mean need not be known. Anything that is not plain
(``--help``, a flag of these commands themselves, an entry that does not hold) is left to
:mod:`nixpy.cli.commands`.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os
import sys

from nixpy import cache
from nixpy.activation import activation, base_environment
from nixpy.directories import nixpy_directory
from nixpy.freshness import keep_entry, revalidated, watched_paths
from nixpy.marker import was_changed_by_hand
from nixpy.project import Project, current_directory, find_project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.cache import Entry

__all__ = ["answer", "fresh_entry", "with_watches"]

LARGEST_NUMBER_OF_PAIRS = 8
"""``DIRENV_WATCHES`` differs with what an ``.envrc`` watches besides; old ones are forgotten."""

OWN_FLAGS = ("--help", "-h", "--project", "--force", "--json")


def answer(arguments: list[str]) -> int | None:
    """Answer one of the three from a fresh entry; ``None`` where that cannot be."""
    command, rest = arguments[0], arguments[1:]
    if command == "run":
        return _run(rest)
    if command == "sync":
        return _sync(rest)
    return _export(rest)


def _export(rest: list[str]) -> int | None:
    from nixpy.shells import SHELLS, bash, render

    if not rest or rest[0] not in SHELLS or rest[0] == "github":
        return None
    shell, rest = rest[0], rest[1:]
    direnv = ""
    if rest[:1] == ["--direnv"] and len(rest) > 1:
        direnv, rest = rest[1], rest[2:]
    found = fresh_entry(rest, os.environ, use_envrc=not direnv)
    if found is None:
        return None
    _, entry = found
    operations = entry.operations.operations
    text = ""
    if direnv:
        watched = with_watches(*found, direnv, os.environ)
        if watched is None:
            return None
        text = f"export DIRENV_WATCHES={bash.quote(watched)}\n"
    else:
        operations = activation(entry.operations, os.environ)
    text += render(shell, operations, os.environ)
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.buffer.flush()
    return 0


def _run(rest: list[str]) -> int | None:
    from nixpy.process import find_program

    if "--" not in rest:
        return None
    split = rest.index("--")
    flags, command = rest[:split], rest[split + 1 :]
    found = fresh_entry(flags, os.environ, use_envrc=True)
    if found is None or not command:
        return None
    environ = found[1].operations.apply(base_environment(os.environ))
    # os.execvpe would do, but for what it imports.
    program = command[0] if "/" in command[0] else find_program(command[0], environ.get("PATH", ""))
    try:
        if program:
            os.execve(program, command, environ)  # noqa: S606
    except OSError:
        pass
    return None  # said by the command itself


def _sync(rest: list[str]) -> int | None:
    found = fresh_entry(rest, os.environ, use_envrc=True)
    if found is None or was_changed_by_hand(found[1].prefix):
        return None
    os.write(2, b"nixpy: already in sync\n")
    return 0


def fresh_entry(
    arguments: list[str], environ: Mapping[str, str], *, use_envrc: bool
) -> tuple[Project, Entry] | None:
    """Return the project and its entry if that holds, with today's modification times.

    These are not kept: only a stamp rests on them, and :func:`with_watches` writes that.
    """
    if any(argument.partition("=")[0] in OWN_FLAGS for argument in arguments):
        return None
    top = nixpy_directory("cache", environ)
    if top is None:
        return None
    try:
        here = current_directory(environ)
    except OSError:
        return None
    project = find_project(here) if use_envrc else Project.at(here, tuple(arguments))
    if use_envrc and arguments:
        project = project._replace(arguments=tuple(arguments))
    directory = cache.entry_directory(top, project.directory, project.arguments)
    old = cache.read_entry(directory) if directory else None
    if old is None:
        return None
    entry = revalidated(old, project.root, base_environment(environ))
    return (project, entry) if entry else None


def with_watches(
    project: Project, entry: Entry, direnv: str, environ: Mapping[str, str]
) -> str | None:
    """Return ``DIRENV_WATCHES`` with the inputs of an entry, as direnv itself prints it.

    Kept with the entry's stamp, so that the next time nobody has to ask; written also where it
    was known, since whoever gets here had no stamp that held. ``None`` where direnv fails.
    """
    from nixpy.direnv import WATCHES, watches_after
    from nixpy.process import SystemRunner

    before = environ.get(WATCHES, "")
    top = nixpy_directory("cache", environ)
    directory = top and cache.entry_directory(top, project.directory, project.arguments)
    after = dict(entry.watches).get(before)
    if after is None:
        paths = watched_paths(entry.inputs, entry.prefix, entry.root)
        after = watches_after(direnv, paths, runner=SystemRunner(), environ=environ)
        if after is None:
            return None
        pairs = (*entry.watches, (before, after))[-LARGEST_NUMBER_OF_PAIRS:]
        entry = entry._replace(watches=pairs)
    if top and directory:
        try:
            keep_entry(directory, top, entry)
        except OSError:
            pass
    return after
