"""Patching an environment's ELF files, so that they find libraries by themselves: ``rpath``.

A directory is appended to what ``DT_RUNPATH`` or ``DT_RPATH`` of a file has (ld.so(8)), on a copy
that then takes the file's place: other names of its inode, in uv's cache and in other
environments, never change. A journal keeps what undoes it. The order of steps is original, copy,
record, rename: killed at any instant, a file is the original or patched, and has a record that
knows its patched state before it is in that state.

One process at a time patches or restores an environment: the caller holds its lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nixpy.libraries.elf import DamagedElf, read_elf
from nixpy.libraries.journal import (
    Journal,
    Record,
    digest_of,
    inode_of,
    remove,
    sync,
    with_directory,
)
from nixpy.libraries.trial import LIMIT, Outcome, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nixpy.libraries.trial import Loading
    from nixpy.process import Runner

__all__ = ["Patched", "Refusal", "patch", "patched_files", "restore"]


class Refusal(NamedTuple):
    """A file that is not patched as it was wanted, and why."""

    file: str
    why: str


class Patched(NamedTuple):
    """How a file is patched.

    Attributes:
        directory: what was appended; empty where that is unknown.
        original: path of what it was before.
    """

    directory: str
    original: str


class _RefusedError(Exception):
    """A file cannot be patched; the text says why."""


_Tool: TypeAlias = "tuple[str, Runner, Mapping[str, str]]"


def patch(
    prefix: str,
    wanted: Mapping[str, str],
    *,
    patchelf: str,
    runner: Runner,
    environ: Mapping[str, str],
    limit: float = LIMIT,
) -> tuple[Refusal, ...]:
    """Make the files of an environment be patched exactly as wanted, and return those that are not.

    A file that is patched so already is not touched; one that is patched in another way is made
    the original first. Each that is new is loaded by the environment's interpreter, and put back
    if it does not load; a file that its original, given the directory by ``LD_LIBRARY_PATH``, makes
    the linker say the same about (another library that is missing, a symbol that something loaded
    before has, a program) is none that patching broke, and stays.

    Args:
        prefix: path of the environment.
        wanted: by absolute paths of ELF files the directory that each finds libraries in as well.
        patchelf: the program.
        runner: starts programs.
        environ: the environment of programs that are started.
        limit: seconds that a file has to load.
    """
    journal = Journal(prefix)
    refused: list[Refusal] = []
    goals = dict(_goals(journal, wanted, refused))
    names = {journal.file(path): asked for path, (asked, _) in goals.items()}
    fresh: dict[str, Record] = {}
    for path in journal.kept():
        record = journal.read(path)
        try:
            if not journal.is_patched(path, record):
                journal.forget(path)
            elif record is None or goals.get(path, ("", ""))[1] != record.directory:
                journal.put_back(path, record)
            else:
                del goals[path]
                if not record.is_verified:
                    fresh[path] = record
        except OSError as error:
            asked, _ = goals.pop(path, (journal.file(path), ""))
            refused.append(Refusal(asked, f"cannot be put back: {error.strerror}"))
    for path, (asked, directory) in goals.items():
        made = _attempted(journal, path, directory, (patchelf, runner, environ))
        if isinstance(made, Record):
            fresh[path] = made
        elif made:
            refused.append(Refusal(asked, made))
    for file, why in _verified(journal, fresh, (runner, environ, limit)):
        refused.append(Refusal(names.get(file, file), why))
    journal.tidy()
    return tuple(refused)


def restore(prefix: str) -> tuple[str, ...]:
    """Put every original back, and return the paths of those files.

    A file that was replaced or removed since it was patched is left as it is, and its original is
    dropped. One that cannot be put back stays patched: :func:`patched_files` still has it.
    """
    journal = Journal(prefix)
    restored = []
    for path in journal.kept():
        with contextlib.suppress(OSError):
            record = journal.read(path)
            if journal.is_patched(path, record):
                journal.put_back(path, record)
                restored.append(journal.file(path))
            else:
                journal.forget(path)
    journal.tidy()
    return tuple(restored)


def patched_files(prefix: str) -> dict[str, Patched]:
    """Return how files are patched now, by their real paths, without those replaced since."""
    journal = Journal(prefix)
    found = {}
    for path in journal.kept():
        with contextlib.suppress(OSError):
            record = journal.read(path)
            if journal.is_patched(path, record):
                original = journal.original(path)
                directory = record.directory if record else journal.appended(path)
                found[journal.file(path)] = Patched(directory or "", original)
    return found


def _goals(
    journal: Journal, wanted: Mapping[str, str], refused: list[Refusal]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield paths below the prefix with the path that was asked for, and the directory."""
    seen: dict[str, str] = {}
    for asked, directory in wanted.items():
        real = os.path.realpath(asked)
        path = os.path.relpath(real, journal.prefix)
        if path.split("/")[0] in ("..", ".nixpy"):
            refused.append(Refusal(asked, f"it lies outside of the environment: {real}"))
        elif not directory.startswith("/") or set(":$\0") & set(directory):
            refused.append(Refusal(asked, f"no search path can hold the directory {directory!r}"))
        elif seen.setdefault(path, directory) != directory:
            refused.append(Refusal(asked, f"another name of it is to find {seen[path]}"))
        else:
            yield path, (asked, directory)


def _attempted(journal: Journal, path: str, directory: str, tool: _Tool) -> Record | str | None:
    """Patch a file as :func:`_patched` does; a text says why it is as it was."""
    try:
        return _patched(journal, path, directory, tool)
    except (_RefusedError, DamagedElf, OSError) as error:
        with contextlib.suppress(OSError):
            journal.forget(path)
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        file = journal.file(path)
        return str(error).replace(journal.aside(path), file).removeprefix(f"{file}: ")


def _patched(journal: Journal, path: str, directory: str, tool: _Tool) -> Record | None:
    """Patch a file and return its record; ``None`` where it has the directory by itself.

    Raises:
        DamagedElf, OSError, _RefusedError: it cannot be done; the file is as it was.
    """
    patchelf, runner, environ = tool
    file, aside = journal.file(path), journal.aside(path)
    before = read_elf(file)
    if before is None or not before.is_dynamic:
        raise _RefusedError("it is no ELF file that the dynamic linker loads")
    if directory in (before.runpath or before.rpath):
        return None
    journal.keep(path)
    # Copying onto what a killed check has left here would write into the original's inode.
    remove(aside)
    shutil.copy2(file, aside)
    os.chmod(aside, stat.S_IMODE(os.stat(aside).st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    # patchelf(1): without it, it makes a DT_RUNPATH. Where there was none, that would end what the
    # DT_RPATH of whoever loads this file leads to (ld.so(8)), by which wheels find their own.
    force = () if before.runpath else ("--force-rpath",)
    argv = (patchelf, *force, "--add-rpath", directory, aside)
    done = runner.capture(argv, cwd="/", environ=environ)
    if done.status != 0:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.status}"])[-1]
        raise _RefusedError(f"patchelf: {said.removeprefix('patchelf: ')}")
    shutil.copystat(file, aside)
    if read_elf(aside) != with_directory(before, directory):
        raise _RefusedError("patchelf made something else of it than was asked for")
    sync(aside)
    inode = inode_of(os.stat(aside))
    record = Record(path, digest_of(file), digest_of(aside), directory, inode)
    journal.write(record)
    os.rename(aside, file)
    return record


def _verified(journal: Journal, fresh: Mapping[str, Record], loading: Loading) -> Iterator[Refusal]:
    """Load files that were patched; put back, and yield, those that fail for having been."""
    outcomes = load(journal.prefix, map(journal.file, fresh), "", loading)
    failed: dict[str, list[str]] = {}
    for path, record in fresh.items():
        if outcomes[journal.file(path)].kind == "said":
            failed.setdefault(record.directory, []).append(path)
    excused = {
        path
        for directory, paths in failed.items()
        for path, outcome in _load_originals(journal, paths, directory, loading)
        if outcome == outcomes[journal.file(path)]
    }
    for path, record in fresh.items():
        outcome = outcomes[journal.file(path)]
        try:
            if outcome.kind == "loaded" or path in excused:
                journal.write(record._replace(is_verified=True))
                continue
            journal.put_back(path, record)
            yield Refusal(journal.file(path), outcome.text)
        except OSError as error:
            why = outcome.text or "whether it loads cannot be kept"
            yield Refusal(journal.file(path), f"{why}; it stays patched: {error.strerror}")


def _load_originals(
    journal: Journal, paths: Iterable[str], directory: str, loading: Loading
) -> Iterator[tuple[str, Outcome]]:
    """Load originals, beside the patched files: there ``$ORIGIN`` leads to the same."""
    asides = {}
    try:
        for path in paths:
            with contextlib.suppress(OSError):
                aside = journal.aside(path)
                remove(aside)
                asides[path] = aside
                try:
                    os.link(journal.original(path), aside)
                except OSError:
                    shutil.copy2(journal.original(path), aside)
        outcomes = load(journal.prefix, asides.values(), directory, loading)
    finally:
        for aside in asides.values():
            with contextlib.suppress(OSError):
                remove(aside)
    for path, aside in asides.items():
        kind, text = outcomes[aside]
        yield path, Outcome(kind, text.replace(aside, journal.file(path)))
