"""The process that loads an environment's files: its interpreter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.libraries.elf import DamagedElf, remembering
from nixpy.libraries.loader import Loader, linker_of
from nixpy.marker import interpreter_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.libraries.elf import Elf, Reader
    from nixpy.libraries.loader import LackingVersion, Linker, Need

__all__ = ["Process", "process_of"]


class Process(NamedTuple):
    """A program, as the dynamic linker has loaded it.

    Attributes:
        linker: its dynamic linker.
        elf: the program.
        loaded: paths by every name of what is loaded when it begins.
        above: ``DT_RPATH`` that counts for whatever it loads later.
        read: reads ELF files.
    """

    linker: Linker
    elf: Elf
    loaded: Mapping[str, str]
    above: tuple[str, ...]
    read: Reader

    def loader(self, library_path: Sequence[str] = ()) -> Loader:
        """Return what finds libraries for it, with a value of ``LD_LIBRARY_PATH``."""
        return Loader(self.linker, library_path=library_path, read=self.read)

    def needs(self, path: str, library_path: Sequence[str] = ()) -> tuple[Need, ...]:
        """Return what an object needs that it loads, and all that this one loads."""
        loader = self.loader(library_path)
        return loader.needs_of(path, loaded=self.loaded, above=self.above)

    def lacking(self, path: str, library_path: Sequence[str] = ()) -> tuple[LackingVersion, ...]:
        """Return the symbol versions that an object does not get which it loads."""
        loader = self.loader(library_path)
        return loader.lacking_versions(path, loaded=self.loaded, above=self.above)


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
    read = remembering(known)
    loader = Loader(linker, read=read)
    names: dict[str, str] = {}
    try:
        elf = read(program)
        objects = [one for one, _ in loader.walk(program, names)]
    except (OSError, DamagedElf):
        return None
    if elf is None:
        return None
    # dl-load.c: for what is loaded later count the paths of what loads it, too, which is where the
    # interpreter is: the program itself, or a library of its own.
    interpreter = [
        one for one in objects if os.path.basename(one.path).startswith(("libpython", "libpypy"))
    ]
    above = loader.inherited((interpreter or objects)[0]) if objects else ()
    return Process(linker, elf, names, tuple(above), read)
