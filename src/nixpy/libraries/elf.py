"""What an ELF file says to the dynamic linker.

Everything is read as the dynamic linker reads it: from the program headers and the dynamic
segment. Section headers, which may have been stripped, are not looked at. Of a file no more is read
than that, in blocks; and a damaged one ends early: nothing here follows a list without a bound.

Sources: System V ABI, "Object Files" and "Dynamic Linking"; ld.so(8); LSB Core, "Symbol
Versioning"; glibc, ``elf/dl-load.c``.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Reader: TypeAlias = "Callable[[str], Elf | None]"

__all__ = ["MAGIC", "DamagedElf", "Elf", "read_elf", "remembering"]

MAGIC = b"\x7fELF"

BLOCK = 4096
MOST_RECORDS = 10_000
"""Entries of a dynamic segment, and records of versions: a damaged file may have no end of them."""

LONGEST_TEXT = 1 << 16
MOST_TEXT = 1 << 20
"""Bytes of a single text, and of all: an ``RPATH`` may be long, but not as long as that."""

MACHINES = {
    3: "EM_386",
    8: "EM_MIPS",
    20: "EM_PPC",
    21: "EM_PPC64",
    22: "EM_S390",
    40: "EM_ARM",
    62: "EM_X86_64",
    183: "EM_AARCH64",
    243: "EM_RISCV",
    258: "EM_LOONGARCH",
}

ET_DYN = 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 14, 15, 29
DT_FLAGS_1, DT_VERDEF, DT_VERNEED = 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFE
DF_1_NODEFLIB, DF_1_PIE = 0x800, 0x8000000
VER_FLG_WEAK = 0x2
SYSTEM_V, GNU = 0, 3
"""``EI_OSABI`` of what glibc loads."""


class DamagedElf(ValueError):  # noqa: N818 - the sentence is the name
    """A file begins as an ELF file does, and is none that can be read."""


class Elf(NamedTuple):
    """An ELF file, as far as the dynamic linker is concerned.

    Attributes:
        bits: 32 or 64 (``EI_CLASS``).
        machine: as ``e_machine`` is called: ``EM_X86_64``.
        is_dynamic: whether it has a dynamic segment; a static program has none.
        soname: ``DT_SONAME``.
        needed: ``DT_NEEDED``, in their order.
        rpath: directories of ``DT_RPATH``; none where there is a ``DT_RUNPATH``. An empty one is
            the current directory.
        runpath: directories of ``DT_RUNPATH``; of them the same holds.
        uses_defaults: whether the default directories count (``DF_1_NODEFLIB``).
        interpreter: ``PT_INTERP``.
        versions_needed: symbol versions by the soname that has to have them.
        versions_defined: symbol versions that it has.
        weak_versions_needed: those of ``versions_needed`` that may be absent (``VER_FLG_WEAK``).
        has_runpath: whether there is a ``DT_RUNPATH``, be it empty.
        is_library: whether other objects can load it: no program can be loaded.
    """

    bits: int
    machine: str
    is_dynamic: bool
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    uses_defaults: bool = True
    interpreter: str | None = None
    versions_needed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    versions_defined: tuple[str, ...] = ()
    weak_versions_needed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has_runpath: bool = False
    is_library: bool = True


def read_elf(path: str) -> Elf | None:
    """Return what an ELF file says; ``None`` for a file that does not begin as one.

    Raises:
        DamagedElf: it begins as one and cannot be read.
        OSError: the file cannot be opened.
    """
    # A pipe of that name would not answer before somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        first = os.pread(descriptor, BLOCK, 0)
        if first[: len(MAGIC)] != MAGIC:
            return None
        return _Image(descriptor, first).elf()
    except (ValueError, struct.error) as error:
        raise DamagedElf(f"{path}: {error}") from None
    finally:
        os.close(descriptor)


def remembering(known: Mapping[str, Elf]) -> Reader:
    """Return a :func:`read_elf` that reads each file once, and none that is ``known``.

    Args:
        known: ELF files that were read already, by their paths.
    """
    remembered: dict[str, Elf | None] = dict(known)

    def read(path: str) -> Elf | None:
        if path not in remembered:
            remembered[path] = read_elf(path)
        return remembered[path]

    return read


class _Layout(NamedTuple):
    """How the records of a class and a byte order lie (System V ABI), what is skipped as ``x``."""

    file: struct.Struct  # e_type, e_machine, e_phoff, e_phentsize, e_phnum
    segment: struct.Struct  # p_type, p_offset, p_vaddr, p_filesz
    tag: struct.Struct
    need: struct.Struct
    need_name: struct.Struct
    definition: struct.Struct
    definition_name: struct.Struct


def _layout(bits: int, order: str) -> _Layout:
    is_wide = bits == 64  # noqa: PLR2004
    return _Layout(
        file=struct.Struct(f"{order}16xHH" + ("12xQ14xHH" if is_wide else "8xI10xHH")),
        segment=struct.Struct(order + ("I4xQQ8xQ16x" if is_wide else "III4xI12x")),
        tag=struct.Struct(order + ("qQ" if is_wide else "iI")),
        need=struct.Struct(f"{order}HHIII"),
        need_name=struct.Struct(f"{order}IHHII"),
        definition=struct.Struct(f"{order}HHHHIII"),
        definition_name=struct.Struct(f"{order}II"),
    )


LAYOUTS = {
    (number, data): (bits, _layout(bits, order))
    for number, bits in ((1, 32), (2, 64))
    for data, order in ((1, "<"), (2, ">"))
}
"""By ``EI_CLASS`` and ``EI_DATA``."""


class _Image:
    """An open ELF file, as it lies in memory."""

    def __init__(self, descriptor: int, first: bytes) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.blocks = {0: first}
        self.records = MOST_RECORDS
        self.text = MOST_TEXT
        self.identity = first[:16]
        if len(self.identity) < 16 or (self.identity[4], self.identity[5]) not in LAYOUTS:  # noqa: PLR2004
            raise ValueError("its class or its byte order is unknown")
        self.bits, self.layout = LAYOUTS[self.identity[4], self.identity[5]]
        self.kind, machine, at, size, count = self._record(self.layout.file, 0)
        self.machine = MACHINES.get(machine, str(machine))
        if count and size != self.layout.segment.size:
            raise ValueError("its program headers are of another size")
        self.segments: list[tuple[int, ...]] = [
            self._record(self.layout.segment, at + number * size) for number in range(count)
        ]

    def elf(self) -> Elf:
        """Return what is read of it."""
        # Of several the dynamic linker takes the last; that of a file with nothing but debugging
        # information is empty.
        dynamic = next(
            (one for one in reversed(self.segments) if one[0] == PT_DYNAMIC and one[3]), None
        )
        interpreter = next((one for one in self.segments if one[0] == PT_INTERP), None)
        found = Elf(
            bits=self.bits,
            machine=self.machine,
            is_dynamic=dynamic is not None,
            interpreter=self._text(interpreter[1]) if interpreter else None,
            is_library=False,
        )
        if dynamic is None:
            return found
        if any(kind == PT_LOAD and at + size > self.size for kind, at, _, size in self.segments):
            raise ValueError("its end is missing")
        tags: dict[int, int] = {}
        needed: list[int] = []
        for tag, value in self._tags(self._offset(dynamic[2])):
            tags[tag] = value  # of several the last one counts, except:
            if tag == DT_NEEDED:
                needed.append(value)
        flags = tags.get(DT_FLAGS_1, 0)
        if DT_STRTAB in tags:
            texts = self._offset(tags[DT_STRTAB])
        elif needed or tags.keys() & {DT_SONAME, DT_RPATH, DT_RUNPATH, DT_VERNEED, DT_VERDEF}:
            raise ValueError("its dynamic segment has no strings")
        else:
            texts = 0
        has_runpath = DT_RUNPATH in tags
        versions = tuple(self._versions_needed(tags, texts))
        return found._replace(
            soname=self._text(texts + tags[DT_SONAME]) if DT_SONAME in tags else None,
            needed=tuple(dict.fromkeys(self._text(texts + one) for one in needed)),
            # ld.so(8): DT_RPATH counts only where there is no DT_RUNPATH.
            rpath=() if has_runpath else self._directories(tags.get(DT_RPATH), texts),
            runpath=self._directories(tags.get(DT_RUNPATH), texts),
            uses_defaults=not flags & DF_1_NODEFLIB,
            versions_needed=tuple(
                (soname, tuple(name for name, _ in names)) for soname, names in versions
            ),
            versions_defined=tuple(self._versions_defined(tags, texts)),
            weak_versions_needed=tuple(
                (soname, weak)
                for soname, names in versions
                if (weak := tuple(name for name, is_weak in names if is_weak))
            ),
            has_runpath=has_runpath,
            is_library=(
                self.kind == ET_DYN and not flags & DF_1_PIE and self.identity[7] in {SYSTEM_V, GNU}
            ),
        )

    def _tags(self, at: int) -> Iterator[tuple[int, int]]:
        while True:
            tag, value = self._record(self.layout.tag, at)
            if tag == DT_NULL:
                return
            yield tag, value
            at += self.layout.tag.size

    def _directories(self, value: int | None, texts: int) -> tuple[str, ...]:
        text = "" if value is None else self._text(texts + value)
        # glibc's decompose_rpath: one without any text is none; then each empty element counts.
        return tuple(dict.fromkeys(text.split(":"))) if text else ()

    def _versions_needed(
        self, tags: dict[int, int], texts: int
    ) -> Iterator[tuple[str, tuple[tuple[str, bool], ...]]]:
        # As glibc's dl-version.c does it: by the distances alone, whatever the counts say.
        at = self._offset(tags[DT_VERNEED]) if DT_VERNEED in tags else 0
        while at:
            version, _, file, first, further = self._record(self.layout.need, at)
            if version != 1:
                raise ValueError("its needed versions are of an unknown kind")
            names = []
            name_at = at + first
            while name_at:
                _, flags, _, name, next_name = self._record(self.layout.need_name, name_at)
                names.append((self._text(texts + name), bool(flags & VER_FLG_WEAK)))
                name_at = name_at + next_name if next_name else 0
            yield self._text(texts + file), tuple(names)
            at = at + further if further else 0

    def _versions_defined(self, tags: dict[int, int], texts: int) -> Iterator[str]:
        at = self._offset(tags[DT_VERDEF]) if DT_VERDEF in tags else 0
        while at:
            version, _, _, _, _, first, further = self._record(self.layout.definition, at)
            if version != 1:
                raise ValueError("its versions are of an unknown kind")
            name, _ = self._record(self.layout.definition_name, at + first)
            yield self._text(texts + name)
            at = at + further if further else 0

    def _offset(self, address: int) -> int:
        """Return where in the file an address is."""
        for kind, at, start, size in self.segments:
            if kind == PT_LOAD and start <= address < start + size:
                return at + address - start
        raise ValueError("it points to what is not loaded")

    def _record(self, layout: struct.Struct, at: int) -> tuple[int, ...]:
        self.records -= 1
        if self.records < 0:
            raise ValueError("its lists have no end")
        return layout.unpack(self._bytes(at, layout.size))

    def _text(self, at: int) -> str:
        found = bytearray()
        while len(found) < LONGEST_TEXT:
            block = self._block(at // BLOCK)
            end = block.find(b"\0", at % BLOCK)
            found += block[at % BLOCK : None if end < 0 else end]
            if end >= 0:
                self.text -= len(found)
                if self.text < 0:
                    break
                return os.fsdecode(bytes(found))
            at += BLOCK - at % BLOCK
        raise ValueError("its texts have no end")

    def _bytes(self, at: int, size: int) -> bytes:
        found = self._block(at // BLOCK)[at % BLOCK : at % BLOCK + size]
        if len(found) < size:
            found += self._block(at // BLOCK + 1)[: size - len(found)]
        return found

    def _block(self, number: int) -> bytes:
        found = self.blocks.get(number)
        if found is None:
            if number * BLOCK >= self.size:
                raise ValueError("its end is missing")
            found = self.blocks[number] = os.pread(self.descriptor, BLOCK, number * BLOCK)
        return found
