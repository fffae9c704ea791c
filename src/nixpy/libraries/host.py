"""Programs of the machine that ``LD_LIBRARY_PATH`` with a link farm would break.

Each is loaded by its own dynamic linker, which looks into the farm before anything else but
``DT_RPATH`` (ld.so(8)): a library there may need what the program's glibc does not define, or may
not define what the program needs.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.libraries.elf import DamagedElf, remembering
from nixpy.libraries.loader import Loader, linker_of
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
    read = remembering({})
    seen = set()
    for name in programs:
        found = find_program(name, path)
        program = os.path.realpath(found) if found else ""
        linker = linker_of(program) if found and program not in seen else None
        seen.add(program)
        if found and linker:
            with_farm = Loader(linker, library_path=(farm,), read=read)
            without = _lacking(Loader(linker, read=read), program, {})
            yield from _broken(found, program, with_farm, farm, {}, without)
    shell = os.path.realpath("/bin/sh")
    linker = linker_of(shell)
    if linker is None:
        return
    loader = Loader(linker, library_path=(farm,), read=read)
    loaded: dict[str, str] = {}
    # What a process has loaded when it begins counts for whatever it loads later: its glibc, above
    # all, and not the one that a library would find by its own search path.
    with contextlib.suppress(OSError, DamagedElf):
        for _ in Loader(linker, read=read).walk(shell, loaded):
            pass
    for soname in sonames:
        yield from _broken("/bin/sh", f"{farm}/{soname}", loader, farm, loaded, frozenset())


def _broken(
    program: str,
    file: str,
    loader: Loader,
    farm: str,
    loaded: Mapping[str, str],
    without: frozenset[Lack],
) -> Iterator[Broken]:
    """Yield the first thing that an object does not find with a farm, and did ``without``."""
    try:
        lacking = loader.lacking_versions(file, loaded=loaded)
        needs = loader.needs_of(file, loaded=loaded)
    except (OSError, DamagedElf):
        return
    for one in lacking:
        if (one.file, one.soname, one.version) not in without:
            yield Broken(program, one.found, one.version, one.file)
            return
    for need in needs:
        if need.found is None and need.file.startswith(farm + "/"):
            yield Broken(program, need.soname, "", need.file)
            return


def _lacking(loader: Loader, file: str, loaded: Mapping[str, str]) -> frozenset[Lack]:
    try:
        found = loader.lacking_versions(file, loaded=loaded)
    except (OSError, DamagedElf):
        return frozenset()
    return frozenset((one.file, one.soname, one.version) for one in found)
