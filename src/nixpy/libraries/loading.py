"""The process that loads an environment's files: its interpreter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.libraries.elf import DamagedElf, Elf, read_elf
from nixpy.libraries.loader import lacking_versions, linker_of, needs_of
from nixpy.marker import interpreter_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.libraries.loader import LackingVersion, Linker, Need, Reader

__all__ = ["Process", "process_of"]


class Process(NamedTuple):
    """A program, as the dynamic linker has loaded it.

    Attributes:
        linker: its dynamic linker.
        elf: the program.
        loaded: paths by soname of what is loaded when it begins.
        read: reads ELF files.
    """

    linker: Linker
    elf: Elf
    loaded: Mapping[str, str]
    read: Reader

    def needs(self, path: str, library_path: Sequence[str] = ()) -> tuple[Need, ...]:
        """Return what an object needs that the process loads: see :func:`needs_of`."""
        return needs_of(
            path,
            self.linker,
            library_path=library_path,
            loaded=self.loaded,
            above=self.elf.rpath,
            read=self.read,
        )

    def lacking(self, path: str, library_path: Sequence[str] = ()) -> tuple[LackingVersion, ...]:
        """Return the symbol versions that it does not get: see :func:`lacking_versions`."""
        return lacking_versions(
            path,
            self.linker,
            library_path=library_path,
            loaded=self.loaded,
            above=self.elf.rpath,
            read=self.read,
        )


def process_of(prefix: str, known: Mapping[str, Elf]) -> Process | None:
    """Return the process that the interpreter of an environment is.

    ``None`` where it is no ELF program, or has no dynamic linker, as on macOS.

    Args:
        prefix: real path of the environment.
        known: ELF files that were read already, by their paths.
    """
    program = os.path.realpath(interpreter_of(prefix))
    linker = linker_of(program)
    if linker is None:
        return None
    remembered: dict[str, Elf | None] = dict(known)

    def read(path: str) -> Elf | None:
        if path not in remembered:
            remembered[path] = read_elf(path)
        return remembered[path]

    try:
        elf = read(program)
        assert elf is not None
        own = needs_of(program, linker, read=read)
    except (OSError, DamagedElf):
        return None
    loaded = {one.soname: one.found for one in own if one.found}
    return Process(linker, elf, loaded, read)
