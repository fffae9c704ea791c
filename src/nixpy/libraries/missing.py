"""What an environment misses: sonames that nobody has, and who needs them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nixpy.libraries.nixpkgs import GLIBC, OPENED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nixpy.libraries.loading import Process
    from nixpy.libraries.scan import LibraryNeed, Scan

__all__ = [
    "farms_of",
    "is_imported",
    "missing_sonames",
    "opened_sonames",
    "own_files",
    "place_of",
    "without_ours",
]


def farms_of(prefix: str) -> str:
    """Return the directory that the farms of an environment lie in."""
    return f"{prefix}/.nixpy/libraries"


def missing_sonames(
    found: Scan, needs: Iterable[LibraryNeed], process: Process
) -> dict[str, tuple[str, ...]]:
    """Return the sonames that an environment misses, and the files or distributions that need them.

    What another file of the environment is called counts as there: whoever imports packages in
    their order has it loaded before.
    """
    own = own_files(found)
    missing: dict[str, tuple[str, ...]] = {}
    for _, need in needs:
        # One that is damaged stands in the way of any other.
        if need.found is None and need.by != "damaged" and need.soname not in own:
            missing[need.soname] = (*missing.get(need.soname, ()), need.file)
    for distribution, soname in opened_sonames(found):
        if place_of(soname, process) is None:
            missing[soname] = (*missing.get(soname, ()), distribution)
    return {soname: files for soname, files in missing.items() if soname not in GLIBC}


def is_imported(file: str) -> bool:
    """Return whether what needs a library is imported, and not a plugin of something larger.

    Extension modules have the suffixes of :data:`importlib.machinery.EXTENSION_SUFFIXES`; a plain
    ``.so`` is a library or plugin where its name begins with ``lib``. A distribution that opens a
    library by name stands for itself.
    """
    name = os.path.basename(file)
    return "/" not in file or ".cpython-" in name or ".abi3." in name or name[:3] != "lib"


def own_files(found: Scan) -> dict[str, str]:
    """Return the files of an environment by their sonames and by their names."""
    return {
        name: path
        for one in found.values()
        for path, elf in one.files.items()
        for name in (elf.soname, os.path.basename(path))
        if name
    }


def opened_sonames(found: Scan) -> Iterator[tuple[str, str]]:
    """Yield distributions and the sonames that they open by name and do not bring themselves."""
    own = own_files(found)
    names = {canonicalize_name(name.partition("-")[0]): name for name in found}
    for row in OPENED:
        for soname in row.sonames if row.distribution in names else ():
            stem = soname.partition(".so")[0]
            if not any(name.startswith(stem) for name in own):
                yield names[canonicalize_name(row.distribution)], soname


def place_of(soname: str, process: Process, directories: Sequence[str] = ()) -> str | None:
    """Return where a process finds a soname that it opens by name; ``None`` for nowhere."""
    linker = process.linker
    places = (
        *(f"{one}/{soname}" for one in directories),
        *linker.cache.get(soname, ()),
        *(f"{one}/{soname}" for one in linker.defaults),
    )
    return process.loaded.get(soname) or next(filter(os.path.exists, places), None)


def without_ours(found: Scan, prefix: str) -> Scan:
    """Return a scan without what patching has put into files: they are seen as they came."""
    ours = farms_of(prefix) + "/"

    def own(directories: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in directories if not one.startswith(ours))

    return {
        name: one._replace(
            files={
                path: elf._replace(rpath=own(elf.rpath), runpath=own(elf.runpath))
                for path, elf in one.files.items()
            }
        )
        for name, one in found.items()
    }
