"""Programs of the machine that ``LD_LIBRARY_PATH`` with a link farm would break.

Each is loaded by its own dynamic linker, which looks into the farm before anything else but
``DT_RPATH`` (ld.so(8)): a library there may need what the program's glibc does not define, or may
not define what the program needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.libraries.elf import DamagedElf, Elf, read_elf
from nixpy.libraries.loader import lacking_versions, linker_of, needs_of
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nixpy.libraries.loader import LackingVersion, Linker, Need, Reader

    Lack = tuple[str, str, str]
    """Object, soname and version."""

__all__ = ["PROGRAMS", "Broken", "broken_programs"]

PROGRAMS = (
    *("git", "ssh", "curl", "nix", "node", "bash", "zsh", "fish", "python3", "perl"),
    *("gcc", "ld", "make", "cmake", "gdb", "vim", "nvim", "emacs", "less", "tmux", "gpg"),
    *("wget", "rsync", "docker", "psql", "sqlite3", "ffmpeg", "code"),
)
"""Programs that people start from a shell."""


class Broken(NamedTuple):
    """A program that a farm breaks.

    Attributes:
        program: its path; or that of the machine's shell, where any program would break that loads
            the library.
        library: the library of the farm, or what cannot be found because of it.
        version: the symbol version that is not defined; empty where a library is missing.
        file: the object that needs it.
    """

    program: str
    library: str
    version: str
    file: str

    def __str__(self) -> str:
        if not self.version:
            return f"{self.program} would not find {self.library}, which {self.file} needs"
        what = f"symbol version {self.version}, which {self.file} needs"
        return f"{self.program} would not find {what} in {self.library}"


def broken_programs(
    path: str, farm: str, sonames: Iterable[str], programs: Sequence[str] = PROGRAMS
) -> Iterator[Broken]:
    """Yield the programs on a search path that a farm breaks, and one object that shows it.

    A library that no program of this machine could load counts too, for ``/bin/sh``: it is not
    known here what else loads libraries of its name.

    Args:
        path: ``PATH``.
        farm: the directory.
        sonames: what is in it.
        programs: names of programs to look for.
    """
    read = _remembering()
    seen = set()
    for name in programs:
        found = find_program(name, path)
        program = os.path.realpath(found) if found else ""
        linker = linker_of(program) if found and program not in seen else None
        seen.add(program)
        if found and linker:
            without = _lacking(program, linker, (), read)
            yield from _broken(found, program, linker, farm, read, without)
    linker = linker_of("/bin/sh")
    for soname in sonames if linker else ():
        assert linker is not None
        yield from _broken("/bin/sh", f"{farm}/{soname}", linker, farm, read, frozenset())


def _broken(
    program: str, file: str, linker: Linker, farm: str, read: Reader, without: frozenset[Lack]
) -> Iterator[Broken]:
    """Yield the first thing that an object does not find with a farm, and did ``without``."""
    for lacking in _versions(file, linker, (farm,), read):
        if (lacking.file, lacking.soname, lacking.version) not in without:
            yield Broken(program, lacking.found, lacking.version, lacking.file)
            return
    for need in _needs(file, linker, (farm,), read):
        if need.found is None and need.file.startswith(farm + "/"):
            yield Broken(program, need.soname, "", need.file)
            return


def _lacking(
    file: str, linker: Linker, library_path: tuple[str, ...], read: Reader
) -> frozenset[Lack]:
    found = _versions(file, linker, library_path, read)
    return frozenset((one.file, one.soname, one.version) for one in found)


def _versions(
    file: str, linker: Linker, library_path: tuple[str, ...], read: Reader
) -> tuple[LackingVersion, ...]:
    try:
        return lacking_versions(file, linker, library_path=library_path, read=read)
    except (OSError, DamagedElf):
        return ()


def _needs(
    file: str, linker: Linker, library_path: tuple[str, ...], read: Reader
) -> tuple[Need, ...]:
    try:
        return needs_of(file, linker, library_path=library_path, read=read)
    except (OSError, DamagedElf):
        return ()


def _remembering() -> Reader:
    known: dict[str, Elf | None] = {}

    def read(path: str) -> Elf | None:
        if path not in known:
            known[path] = read_elf(path)
        return known[path]

    return read
