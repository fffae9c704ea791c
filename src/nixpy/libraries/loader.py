"""Where the dynamic linker finds a soname: ld.so(8), "DESCRIPTION", and glibc's ``dl-load.c``.

1. what is loaded already: by the name that it was asked for, by its path, by its ``DT_SONAME``, or
   because it is the same file;
2. ``DT_RPATH`` of the object that needs it, of those that loaded that one, and of the program; not
   at all where the object has a ``DT_RUNPATH``;
3. ``LD_LIBRARY_PATH``;
4. ``DT_RUNPATH`` of the object that needs it, alone;
5. the cache, one path of it;
6. the default directories.

Of each directory the subdirectories for the machine's processor are first (``glibc-hwcaps``, and
before glibc 2.37 others). A file of another class or machine is passed over; one that is damaged,
or cannot be loaded, is where the dynamic linker gives up.

Each glibc has its own cache and defaults, which are read from it: that of a Nix store looks into
neither ``/lib`` nor ``/usr/lib``. Other dynamic linkers, musl's for one, follow other rules. Not
looked at are filters (``DT_FILTER``, ``DT_AUXILIARY``) and notes that ask for a level of processor.
"""

from __future__ import annotations

import itertools
import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from nixpy.libraries.elf import DamagedElf, Elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nixpy.libraries.elf import Reader

__all__ = [
    "LackingVersion",
    "Linker",
    "Loader",
    "Need",
    "library_path_of",
    "linker_of",
    "read_cache",
]

CACHE = "/etc/ld.so.cache"
CACHE_MAGIC = b"glibc-ld.so.cache1.1"
HEADER = struct.Struct("<20sII4xI12x")
ENTRY = struct.Struct("<iIIIQ")
EXTENSION = struct.Struct("<II")
EXTENSION_MAGIC = 0xEAA42174
SECTION = struct.Struct("<IIII")
HWCAPS_SECTION = 1
HWCAPS_ENTRY = 1 << 62
"""The format of the cache: glibc, ``sysdeps/generic/dl-cache.h``. A cache is of its machine's byte
order, which has been the little one wherever Nix and wheels are."""

CACHE_FLAGS = {"EM_X86_64": 0x303, "EM_AARCH64": 0xA03}
"""Of entries that a machine's dynamic linker takes: glibc, ``sysdeps/generic/ldconfig.h``."""

TRIPLETS = {"EM_X86_64": "x86_64-linux-gnu", "EM_AARCH64": "aarch64-linux-gnu"}
PLATFORMS = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}

LEVELS = (
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512bw avx512cd avx512dq avx512f avx512vl"),
)
"""Levels of the x86-64 psABI, with what ``/proc/cpuinfo`` calls their features; each needs those of
the one before."""

_TOKEN = re.compile(
    r"\$(?:\{(?P<braced>ORIGIN|LIB|PLATFORM)\}|(?P<bare>ORIGIN|LIB|PLATFORM))(?![A-Za-z0-9_])"
)
_DEFAULTS = re.compile(rb"(?:(?:/[!-.0-~]+)*/lib(?:64|32|x32)?(?:/[!-.0-~]*-linux-[!-.0-~]*)?/\0)+")
_CACHE_PATH = re.compile(rb"/[!-~]*/ld\.so\.cache(?=\0)")
_LIB = re.compile(r"(lib[^/]*(?:/[^/]*-linux-[^/]*)?)$")


class Linker(NamedTuple):
    """A dynamic linker: what it looks at by itself.

    Attributes:
        path: of the program, as ``PT_INTERP`` has it.
        cache: paths by soname; of several the first one counts.
        defaults: directories.
        subdirectories: those that it looks into before each directory itself.
        lib: value of ``$LIB``.
        platform: value of ``$PLATFORM``.
        origin: directory of the program that it loads: ``$ORIGIN`` in ``LD_LIBRARY_PATH``.
    """

    path: str
    cache: Mapping[str, tuple[str, ...]]
    defaults: tuple[str, ...]
    subdirectories: tuple[str, ...] = ()
    lib: str = "lib"
    platform: str = ""
    origin: str = ""


class Need(NamedTuple):
    """A soname that an object needs.

    Attributes:
        file: the object.
        soname: what it needs.
        found: the path where that is found; ``None`` where it is missing.
        by: what led there: ``rpath``, ``LD_LIBRARY_PATH``, ``runpath``, ``cache``, ``default``,
            ``path`` for a name with a slash, or ``loaded`` for what the process has already. Where
            it is missing: ``damaged`` if the dynamic linker gives up at a file of that name which
            it cannot load, else empty.
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
    """Return the dynamic linker of a program; ``None`` for one without, or not with glibc's."""
    program = os.path.realpath(program)
    try:
        elf = read_elf(program)
    except (OSError, DamagedElf):
        return None
    if elf is None or elf.interpreter is None:
        return None
    if os.path.basename(elf.interpreter).startswith("ld-musl-"):
        return None
    try:
        with open(elf.interpreter, "rb") as file:
            content = file.read()
    except OSError:
        content = b""
    # It has its directories in itself, each with a slash at its end, one after the other.
    match = _DEFAULTS.search(content)
    if match:
        texts = match[0].decode("ascii").split("\0")[:-1]
        defaults = tuple(text.rstrip("/") for text in texts)
    else:
        defaults = _usual_defaults(elf)
    cache = _CACHE_PATH.search(content)
    features, platform = _processor(elf.machine)
    levels = _levels(features) if elf.machine == "EM_X86_64" else ()
    lib = _LIB.search(defaults[0]) if defaults else None
    return Linker(
        elf.interpreter,
        read_cache(
            cache[0].decode("ascii") if cache else CACHE, levels, CACHE_FLAGS.get(elf.machine)
        ),
        defaults,
        _subdirectories(content, elf.machine, levels, features, platform),
        lib[1] if lib else "lib",
        platform,
        os.path.dirname(program),
    )


def _usual_defaults(elf: Elf) -> tuple[str, ...]:
    """Return the default directories of a dynamic linker that does not tell."""
    own = os.path.dirname(elf.interpreter or "")
    if own.startswith("/nix/store/"):
        return (own,)
    triplet = TRIPLETS.get(elf.machine, "")
    names = (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
    return tuple(name for name in names if os.path.isdir(name))


def _processor(machine: str) -> tuple[frozenset[str], str]:
    """Return features of the processor, and the platform that glibc takes it for."""
    platform = PLATFORMS.get(machine, "")
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            # That of the first processor: the whole file is long where there are many.
            text = file.read(1 << 13).decode("ascii", "replace")
    except OSError:
        return frozenset(), platform
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    features = frozenset(match[1].split()) if match else frozenset()
    # glibc, sysdeps/x86/cpu-features.c: for this maker's alone.
    if machine == "EM_X86_64" and re.search(r"^vendor_id\s*: GenuineIntel$", text, re.MULTILINE):
        if features >= {"avx512cd", "avx512er", "avx512pf"}:
            platform = "xeon_phi"
        elif features >= {"avx2", "bmi1", "bmi2", "abm", "movbe", "popcnt", "fma"}:
            platform = "haswell"
    return features, platform


def _levels(features: frozenset[str]) -> tuple[str, ...]:
    """Return the levels that a processor has, the highest first."""
    having = itertools.takewhile(lambda level: features >= set(level[1].split()), LEVELS)
    return tuple(name for name, _ in having)[::-1]


def _subdirectories(
    content: bytes, machine: str, levels: tuple[str, ...], features: frozenset[str], platform: str
) -> tuple[str, ...]:
    """Return the subdirectories that a dynamic linker looks into.

    glibc 2.33 introduced ``glibc-hwcaps``, and 2.37 left those before it (NEWS).
    """
    found = tuple(f"glibc-hwcaps/{level}" for level in levels) if b"glibc-hwcaps" in content else ()
    if machine == "EM_X86_64" and b"Legacy HWCAP subdirectories" in content:
        is_wide = features >= {"avx512cd", "avx512bw", "avx512dq", "avx512vl"}
        names = ["tls", platform]
        if is_wide and platform == "haswell":
            names.append("avx512_1")
        names.append("x86_64")
        # glibc's _dl_important_hwcaps: every choice of them, that of all first, that of none last.
        for choice in itertools.product((True, False), repeat=len(names)):
            chosen = "/".join(name for name, is_in in zip(names, choice, strict=True) if is_in)
            found += (chosen,) if chosen else ()
    return tuple(dict.fromkeys(found))


def read_cache(
    path: str, levels: Sequence[str] | None = None, flags: int | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the paths that a cache has for each soname; none where it cannot be read.

    Args:
        path: of the cache.
        levels: of the processor, the highest first: paths are in the order of preference, and
            those for other processors are left out. ``None`` for all paths as they come.
        flags: of the entries that count; ``None`` for all.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return {}
    start = content.find(CACHE_MAGIC)
    if start < 0:
        return {}
    content = content[start:]
    found: dict[str, list[tuple[int, str]]] = {}
    try:
        _, count, _, extension = HEADER.unpack_from(content)
        names = _hwcaps(content, extension) if extension else ()
        for number in range(count):
            kind, key, value, _, hwcap = ENTRY.unpack_from(
                content, HEADER.size + number * ENTRY.size
            )
            rank = 0
            if levels is not None and hwcap:
                # glibc's dl-cache.c: a supported level is better than none, a higher than a lower.
                level = names[hwcap & 0xFFFFFFFF] if hwcap & HWCAPS_ENTRY else ""
                if level not in levels:
                    continue
                rank = levels.index(level) - len(levels)
            if flags in {None, kind}:
                found.setdefault(_text(content, key), []).append((rank, _text(content, value)))
    except (struct.error, ValueError, IndexError):
        return {}
    # Sorting keeps the order of those with the same rank.
    return {
        soname: tuple(where for _, where in sorted(paths, key=lambda one: one[0]))
        for soname, paths in found.items()
    }


def _hwcaps(content: bytes, start: int) -> tuple[str, ...]:
    """Return the names of ``glibc-hwcaps`` subdirectories that entries of a cache refer to."""
    magic, count = EXTENSION.unpack_from(content, start)
    if magic != EXTENSION_MAGIC:
        return ()
    for number in range(count):
        at = start + EXTENSION.size + number * SECTION.size
        kind, _, offset, size = SECTION.unpack_from(content, at)
        if kind == HWCAPS_SECTION:
            names = struct.unpack_from(f"<{size // 4}I", content, offset)
            return tuple(_text(content, name) for name in names)
    return ()


def library_path_of(value: str) -> tuple[str, ...]:
    """Return the directories of a value of ``LD_LIBRARY_PATH``.

    Both separators count, and an empty element is the current directory; an empty value is none.
    """
    return tuple(re.split("[:;]", value)) if value else ()


class _Object(NamedTuple):
    """An object that is loaded, and the one that loaded it."""

    path: str
    elf: Elf
    by: _Object | None


class Loader:
    """Answers for many objects, and looks at each directory and each candidate once.

    What it has seen it does not look at again: it is made for one question, or a set of them.
    Relative paths are those of this process.

    Args:
        linker: the dynamic linker that loads them.
        library_path: directories of ``LD_LIBRARY_PATH``.
        read: reads ELF files, by default from the disk.
    """

    def __init__(
        self, linker: Linker, *, library_path: Sequence[str] = (), read: Reader = read_elf
    ) -> None:
        self.linker = linker
        self.read = read
        self.library_path = self._expanded(library_path, linker.origin)
        self.own = {linker.path: linker.path, os.path.basename(linker.path): linker.path}
        self.candidates: dict[str, Elf | None] = {}
        self.existing: dict[str, tuple[str, ...]] = {}
        self.identities: dict[str, tuple[int, int] | None] = {}

    def needs_of(
        self, path: str, *, loaded: Mapping[str, str] | None = None, above: Sequence[str] = ()
    ) -> tuple[Need, ...]:
        """Return what an object and all that it loads need, and where each is found.

        Args:
            path: of the object.
            loaded: paths by soname of what the process has loaded already.
            above: ``DT_RPATH`` of the program itself, and before it those of what loads the object.

        Raises:
            DamagedElf: the object cannot be read.
            OSError: the object cannot be read.
        """
        names = dict(loaded or {})
        return tuple(need for _, needs in self.walk(path, names, above) for need in needs)

    def lacking_versions(
        self, path: str, *, loaded: Mapping[str, str] | None = None, above: Sequence[str] = ()
    ) -> tuple[LackingVersion, ...]:
        """Return the symbol versions that an object, or what it loads, needs and does not get.

        As the dynamic linker has it, a weak one may be absent, and a library that defines no
        versions at all is taken as it is. Of a soname that is missing nothing is said.

        The arguments, and what is raised, are those of :meth:`needs_of`.
        """
        names = dict(loaded or {})
        # A version may be needed of a library that comes later: all are found first.
        objects = [one for one, _ in self.walk(path, names, above)]
        return tuple(
            LackingVersion(file, soname, names[soname], version)
            for file, elf, _ in objects
            for soname, versions in elf.versions_needed
            if soname in names and (defined := self._defined(names[soname]))
            for version in versions
            if version not in defined
            and version not in dict(elf.weak_versions_needed).get(soname, ())
        )

    def walk(
        self, path: str, names: dict[str, str], above: Sequence[str] = ()
    ) -> Iterator[tuple[_Object, tuple[Need, ...]]]:
        """Yield an object and all that it loads, in that order, each with what it needs.

        ``names`` are the paths by every name of what is loaded; what is found is added.
        """
        elf = self.read(path)
        if elf is None:
            return
        above = self._expanded(above, self.linker.origin)
        for name, where in self.own.items():
            names.setdefault(name, where)
        for where in tuple(names.values()):
            names.setdefault(where, where)
        identities = {self._identity(where): where for where in names.values()}
        pending = [_Object(path, elf, None)]
        self._name(names, pending[0])
        identities[self._identity(path)] = path
        while pending:
            one = pending.pop(0)
            needs: list[Need] = []
            for soname in one.elf.needed:
                # glibc's expand_dst: a name is one with its tokens replaced, also to compare.
                name = next(iter(self._expanded((soname,), _origin(one.path))), "")
                if name in names:
                    needs.append(Need(one.path, soname, names[name], "loaded"))
                    names.setdefault(soname, names[name])
                    continue
                by, below = self._search(name, one, above)
                if below is None:
                    needs.append(Need(one.path, soname, None, by))
                    continue
                identity = self._identity(below.path)
                where = identities.setdefault(identity, below.path) if identity else below.path
                if where == below.path:
                    pending.append(below)
                    self._name(names, below)
                else:
                    by = "loaded"
                needs.append(Need(one.path, soname, where, by))
                names[soname] = names[name] = where
            yield one, tuple(needs)

    @staticmethod
    def _name(names: dict[str, str], one: _Object) -> None:
        names.setdefault(one.path, one.path)
        if one.elf.soname:
            names.setdefault(one.elf.soname, one.path)

    def _search(self, name: str, one: _Object, above: Sequence[str]) -> tuple[str, _Object | None]:
        """Return what a name leads to, and what led there (:class:`Need`)."""
        for path, by in self._paths(name, one, above):
            try:
                found = self._candidate(path)
            except (DamagedElf, IsADirectoryError):
                return "damaged", None
            if found is None or (found.bits, found.machine) != (one.elf.bits, one.elf.machine):
                continue
            return (by, _Object(path, found, one)) if found.is_library else ("damaged", None)
        return "", None

    def _paths(self, name: str, one: _Object, above: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the paths that a name may lead to, in order, each with what led there."""
        if "/" in name:
            yield name, "path"
            return
        has_runpath = one.elf.has_runpath or bool(one.elf.runpath)
        inherited = () if has_runpath else itertools.chain(self._inherited(one), above)
        runpath = self._expanded(one.elf.runpath, _origin(one.path))
        yield from self._in(inherited, name, "rpath")
        yield from self._in(self.library_path, name, "LD_LIBRARY_PATH")
        yield from self._in(runpath, name, "runpath")
        # dl-load.c: without the defaults, the cache counts for what is not in one of these.
        systems = tuple(f"{directory}/" for directory in self.linker.defaults)
        for path in self.linker.cache.get(name, ())[:1]:
            if one.elf.uses_defaults or not path.startswith(systems):
                yield path, "cache"
        if one.elf.uses_defaults:
            yield from self._in(self.linker.defaults, name, "default")

    def _in(self, directories: Iterable[str], name: str, by: str) -> Iterator[tuple[str, str]]:
        for directory in directories:
            for path in self._existing(directory):
                yield f"{path}{name}", by

    def inherited(self, one: _Object) -> tuple[str, ...]:
        """Return the directories that count for what an object loads; see ``above``."""
        return tuple(self._inherited(one))

    def _inherited(self, one: _Object) -> Iterator[str]:
        """Yield the directories of ``DT_RPATH`` of an object and of those that loaded it."""
        link: _Object | None = one
        while link:
            yield from self._expanded(link.elf.rpath, _origin(link.path))
            link = link.by

    def _existing(self, directory: str) -> tuple[str, ...]:
        """Return what is there of a directory and its subdirectories, each with its slash."""
        found = self.existing.get(directory)
        if found is None:
            # An empty one is the current directory; what is in it has no slash before it.
            start = directory.rstrip("/") + "/" if directory else ""
            every = (*(f"{start}{one}/" for one in self.linker.subdirectories), start)
            found = self.existing[directory] = (
                tuple(one for one in every if not one or os.path.isdir(one))
                if not start or os.path.isdir(start)
                else ()
            )
        return found

    def _candidate(self, path: str) -> Elf | None:
        """Return what is at a path; ``None`` for nothing that can be opened."""
        if path not in self.candidates:
            try:
                found = self.read(path)
            except IsADirectoryError:
                raise
            except OSError:
                self.candidates[path] = None
                return None
            if found is None:
                raise DamagedElf(f"{path}: no ELF file")
            self.candidates[path] = found
        return self.candidates[path]

    def _identity(self, path: str) -> tuple[int, int] | None:
        if path not in self.identities:
            try:
                status = os.stat(path)
            except OSError:
                self.identities[path] = None
            else:
                self.identities[path] = (status.st_dev, status.st_ino)
        return self.identities[path]

    def _defined(self, path: str) -> frozenset[str]:
        """Return the symbol versions that a file defines; none for one that cannot be read."""
        try:
            elf = self.read(path)
        except (OSError, DamagedElf):
            return frozenset()
        return frozenset(elf.versions_defined) if elf else frozenset()

    def _expanded(self, texts: Sequence[str], origin: str) -> tuple[str, ...]:
        """Return texts with their tokens replaced, but for those that have no replacement."""
        values = {"ORIGIN": origin, "LIB": self.linker.lib, "PLATFORM": self.linker.platform}
        found = []
        for text in texts:
            lacks = any(
                not values[match["braced"] or match["bare"]] for match in _TOKEN.finditer(text)
            )
            if not lacks:
                found.append(
                    _TOKEN.sub(lambda match: values[match["braced"] or match["bare"]], text)
                )
        return tuple(found)


def _origin(path: str) -> str:
    """Return the directory of an object, as its path has it: symbolic links stay what they are."""
    directory = os.path.dirname(path)
    return directory if directory.startswith("/") else os.path.join(os.getcwd(), directory)


def _text(content: bytes, start: int) -> str:
    end = content.index(b"\0", start)
    return os.fsdecode(content[start:end])
