"""Where the dynamic linker finds a soname: ld.so(8), "DESCRIPTION", in its order.

1. ``DT_RPATH`` of the object that needs it, and of those that loaded that one;
2. ``LD_LIBRARY_PATH``;
3. ``DT_RUNPATH`` of the object that needs it, alone;
4. the cache, ``/etc/ld.so.cache``;
5. the default directories.

Each glibc has its own cache and defaults: that of a Nix store looks into neither ``/lib`` nor
``/usr/lib``.
"""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nixpy.libraries.elf import DamagedElf, Elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Reader: TypeAlias = "Callable[[str], Elf | None]"

__all__ = [
    "LackingVersion",
    "Linker",
    "Need",
    "lacking_versions",
    "linker_of",
    "needs_of",
    "read_cache",
]

CACHE = "/etc/ld.so.cache"
CACHE_MAGIC = b"glibc-ld.so.cache1.1"
HEADER = struct.Struct("<20sII20x")
ENTRY = struct.Struct("<iIIIQ")
"""The format of the cache: glibc, ``sysdeps/generic/dl-cache.h``."""

TRIPLETS = {"EM_X86_64": "x86_64-linux-gnu", "EM_AARCH64": "aarch64-linux-gnu"}
PLATFORMS = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}

_TOKEN = re.compile(r"\$(?:\{(?P<braced>ORIGIN|LIB|PLATFORM)\}|(?P<bare>ORIGIN|LIB|PLATFORM)\b)")


class Linker(NamedTuple):
    """A dynamic linker: what it looks at by itself.

    Attributes:
        path: of the program, as ``PT_INTERP`` has it.
        cache: paths by soname.
        defaults: directories.
    """

    path: str
    cache: Mapping[str, tuple[str, ...]]
    defaults: tuple[str, ...]


class Need(NamedTuple):
    """A soname that an object needs.

    Attributes:
        file: the object.
        soname: what it needs.
        found: the path where that is found; ``None`` where it is missing.
        by: what led there: ``rpath``, ``LD_LIBRARY_PATH``, ``runpath``, ``cache``, ``default``, or
            ``loaded`` for what the process has already; empty where it is missing.
    """

    file: str
    soname: str
    found: str | None
    by: str


class LackingVersion(NamedTuple):
    """A symbol version that an object needs and that the file found does not define.

    The dynamic linker says of it: "{found}: version `{version}' not found (required by {file})".

    Attributes:
        file: the object.
        soname: which library is to define it.
        found: the file that was found for that.
        version: for example ``GLIBC_2.38``.
    """

    file: str
    soname: str
    found: str
    version: str


def linker_of(program: str) -> Linker | None:
    """Return the dynamic linker of a program; ``None`` for one without."""
    try:
        elf = read_elf(os.path.realpath(program))
    except (OSError, DamagedElf):
        return None
    if elf is None or elf.interpreter is None:
        return None
    own = os.path.dirname(elf.interpreter)
    if own.startswith("/nix/store/"):
        return Linker(elf.interpreter, {}, (own,))
    triplet = TRIPLETS.get(elf.machine, "")
    names = (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
    defaults = tuple(name for name in names if os.path.isdir(name))
    return Linker(elf.interpreter, read_cache(CACHE), defaults)


def read_cache(path: str) -> dict[str, tuple[str, ...]]:
    """Return the paths that a cache has for each soname; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return {}
    start = content.find(CACHE_MAGIC)
    if start < 0:
        return {}
    content = content[start:]
    found: dict[str, tuple[str, ...]] = {}
    try:
        _, count, _ = HEADER.unpack_from(content)
        for number in range(count):
            _, key, value, _, _ = ENTRY.unpack_from(content, HEADER.size + number * ENTRY.size)
            soname = _text(content, key)
            found[soname] = (*found.get(soname, ()), _text(content, value))
    except (struct.error, ValueError):
        return {}
    return found


def needs_of(
    path: str,
    linker: Linker,
    *,
    library_path: Sequence[str] = (),
    loaded: Mapping[str, str] | None = None,
    above: tuple[str, ...] = (),
    read: Reader = read_elf,
) -> tuple[Need, ...]:
    """Return what an object and all that it loads need, and where each is found.

    Args:
        path: of the object.
        linker: the dynamic linker that loads it.
        library_path: directories of ``LD_LIBRARY_PATH``.
        loaded: paths by soname of what the process has loaded already.
        above: ``DT_RPATH`` of the program itself.
        read: reads ELF files, by default from the disk.

    Raises:
        DamagedElf: the object cannot be read.
        OSError: the object cannot be read.
    """
    known = dict(loaded or {})
    return tuple(
        need
        for _, _, needs in _walk(path, linker, library_path, known, above, read)
        for need in needs
    )


def lacking_versions(
    path: str,
    linker: Linker,
    *,
    library_path: Sequence[str] = (),
    loaded: Mapping[str, str] | None = None,
    above: tuple[str, ...] = (),
    read: Reader = read_elf,
) -> tuple[LackingVersion, ...]:
    """Return the symbol versions that an object, or what it loads, needs and does not get.

    As the dynamic linker has it, a weak one may be absent, and a library that defines no versions
    at all is taken as it is. Of a soname that is missing nothing is said.

    The arguments, and what is raised, are those of :func:`needs_of`.
    """
    known = dict(loaded or {})
    # A version may be needed of a library that comes later: all are found first.
    objects = [
        (file, elf) for file, elf, _ in _walk(path, linker, library_path, known, above, read)
    ]
    return tuple(
        LackingVersion(file, soname, known[soname], version)
        for file, elf in objects
        for soname, versions in elf.versions_needed
        if soname in known and (defined := _defined(known[soname], read))
        for version in versions
        if version not in defined and version not in dict(elf.weak_versions_needed).get(soname, ())
    )


def _defined(path: str, read: Reader) -> frozenset[str]:
    """Return the symbol versions that a file defines; none for one that cannot be read."""
    try:
        elf = read(path)
    except (OSError, DamagedElf):
        return frozenset()
    return frozenset(elf.versions_defined) if elf else frozenset()


def _walk(
    path: str,
    linker: Linker,
    library_path: Sequence[str],
    known: dict[str, str],
    above: tuple[str, ...],
    read: Reader,
) -> Iterator[tuple[str, Elf, tuple[Need, ...]]]:
    """Yield an object and all that it loads, in that order, each with what it needs.

    ``known`` are paths by soname of what is loaded; what is found is added.
    """
    first = read(path)
    if first is None:
        return
    if first.soname:
        known.setdefault(first.soname, path)
    pending: list[tuple[str, Elf, tuple[str, ...]]] = [(path, first, above)]
    while pending:
        file, elf, inherited = pending.pop(0)
        rpath = () if elf.runpath else (*_expanded(elf.rpath, file, elf), *inherited)
        needs: list[Need] = []
        for soname in elf.needed:
            if soname in known:
                needs.append(Need(file, soname, known[soname], "loaded"))
                continue
            where, by = _search(soname, file, elf, rpath, linker, library_path, read)
            needs.append(Need(file, soname, where, by))
            if where is None:
                continue
            known[soname] = where
            below = read(where)
            if below is not None:
                if below.soname:
                    known.setdefault(below.soname, where)
                pending.append((where, below, rpath))
        yield file, elf, tuple(needs)


def _search(
    soname: str,
    file: str,
    elf: Elf,
    rpath: tuple[str, ...],
    linker: Linker,
    library_path: Sequence[str],
    read: Reader,
) -> tuple[str | None, str]:
    if "/" in soname:
        path = next(iter(_expanded((soname,), file, elf)))
        return (path, "path") if _fits(path, elf, read) else (None, "")
    for directories, by in (
        (rpath, "rpath"),
        (library_path, "LD_LIBRARY_PATH"),
        (_expanded(elf.runpath, file, elf), "runpath"),
    ):
        for directory in directories:
            if _fits(f"{directory}/{soname}", elf, read):
                return f"{directory}/{soname}", by
    if elf.uses_defaults:
        for path in linker.cache.get(soname, ()):
            if _fits(path, elf, read):
                return path, "cache"
        for directory in linker.defaults:
            if _fits(f"{directory}/{soname}", elf, read):
                return f"{directory}/{soname}", "default"
    return None, ""


def _expanded(directories: Sequence[str], file: str, elf: Elf) -> tuple[str, ...]:
    """Return directories with ``$ORIGIN``, ``$LIB`` and ``$PLATFORM`` replaced."""
    triplet = TRIPLETS.get(elf.machine, "")
    values = {
        "ORIGIN": os.path.dirname(os.path.abspath(file)),
        "LIB": f"lib/{triplet}" if os.path.isdir(f"/lib/{triplet}") else f"lib{elf.bits}",
        "PLATFORM": PLATFORMS.get(elf.machine, ""),
    }
    return tuple(
        _TOKEN.sub(lambda match: values[match["braced"] or match["bare"]], one)
        for one in directories
    )


def _fits(path: str, elf: Elf, read: Reader) -> bool:
    """Whether a file is there that an object can load: of its class and its machine."""
    try:
        other = read(path)
    except (OSError, DamagedElf):
        return False
    return other is not None and (other.bits, other.machine) == (elf.bits, elf.machine)


def _text(content: bytes, start: int) -> str:
    end = content.index(b"\0", start)
    return os.fsdecode(content[start:end])
