"""What an ELF file says to the dynamic linker.

Sources: System V ABI, "Object Files" and "Dynamic Linking"; ld.so(8); LSB Core, "Symbol
Versioning". The format is read by pyelftools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAGIC", "DamagedElf", "Elf", "read_elf"]

MAGIC = b"\x7fELF"

MOST_TAGS = 10_000
"""Entries of a dynamic section that are read: a damaged one may have no end."""

WEAK = 0x2
"""``VER_FLG_WEAK``: a version that may be absent."""

NO_DEFAULT_LIBRARIES = 0x800
"""``DF_1_NODEFLIB``: neither the cache nor the default directories count."""


class DamagedElf(ValueError):  # noqa: N818 - the sentence is the name
    """A file begins as an ELF file does, and is none that can be read."""


class Elf(NamedTuple):
    """An ELF file, as far as the dynamic linker is concerned.

    Attributes:
        bits: 32 or 64 (``EI_CLASS``).
        machine: as ``e_machine`` is called: ``EM_X86_64``.
        is_dynamic: whether it has a dynamic section; a static program has none.
        soname: ``DT_SONAME``.
        needed: ``DT_NEEDED``, in their order.
        rpath: directories of ``DT_RPATH``; none where there is a ``DT_RUNPATH``.
        runpath: directories of ``DT_RUNPATH``.
        uses_defaults: whether the cache and the default directories count.
        interpreter: ``PT_INTERP``.
        versions_needed: symbol versions by the soname that has to have them.
        weak_versions_needed: those of ``versions_needed`` that may be absent (``VER_FLG_WEAK``).
        versions_defined: symbol versions that it has.
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


def read_elf(path: str) -> Elf | None:
    """Return what an ELF file says; ``None`` for a file that does not begin as one.

    Raises:
        DamagedElf: it begins as one and cannot be read.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        file.seek(0)
        try:
            return _read(file)
        except Exception as error:  # noqa: BLE001 - a damaged file leads the reader anywhere
            raise DamagedElf(f"{path}: {str(error) or type(error).__name__}") from None


def _read(file: Any) -> Elf:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(file)
    segments: dict[str, Any] = {one["p_type"]: one for one in elf.iter_segments()}
    interpreter = segments.get("PT_INTERP")
    dynamic = segments.get("PT_DYNAMIC")
    found = Elf(
        bits=elf.elfclass,
        machine=str(elf["e_machine"]),
        is_dynamic=dynamic is not None,
        interpreter=interpreter.get_interp_name() if interpreter else None,
    )
    if dynamic is None:
        return found
    tags = _tags(dynamic)
    versions = tuple(_versions_needed(elf))
    rpath, runpath = ("".join(tags.get(name, ())) for name in ("DT_RPATH", "DT_RUNPATH"))
    return found._replace(
        soname=next(iter(tags.get("DT_SONAME", ())), None),
        needed=tuple(dict.fromkeys(tags.get("DT_NEEDED", ()))),
        # ld.so(8): DT_RPATH counts only where there is no DT_RUNPATH.
        rpath=() if runpath else _directories(rpath),
        runpath=_directories(runpath),
        uses_defaults="no defaults" not in tags,
        versions_needed=tuple(
            (soname, tuple(name for name, _ in names)) for soname, names in versions
        ),
        weak_versions_needed=tuple(
            (soname, weak)
            for soname, names in versions
            if (weak := tuple(name for name, is_weak in names if is_weak))
        ),
        versions_defined=tuple(_versions_defined(elf)),
    )


def _tags(dynamic: Any) -> dict[str, tuple[str, ...]]:
    """Return the texts of a dynamic section by their tags."""
    texts = {"DT_NEEDED", "DT_RPATH", "DT_RUNPATH", "DT_SONAME"}
    found: dict[str, tuple[str, ...]] = {}
    for count, tag in enumerate(dynamic.iter_tags()):
        if count > MOST_TAGS:
            raise ValueError("its dynamic section has no end")
        name = tag.entry.d_tag
        if name in texts:
            text = getattr(tag, name.removeprefix("DT_").lower())
            found[name] = (*found.get(name, ()), text)
        elif name == "DT_FLAGS_1" and tag.entry.d_val & NO_DEFAULT_LIBRARIES:
            found["no defaults"] = ()
    return found


def _directories(text: str) -> tuple[str, ...]:
    # An empty element means the current directory, which no environment rests on.
    return tuple(dict.fromkeys(one for one in text.split(":") if one))


def _versions_needed(elf: Any) -> Iterator[tuple[str, tuple[tuple[str, bool], ...]]]:
    section = elf.get_section_by_name(".gnu.version_r")
    for need, names in section.iter_versions() if section else ():
        yield need.name, tuple((name.name, bool(name["vna_flags"] & WEAK)) for name in names)


def _versions_defined(elf: Any) -> Iterator[str]:
    section = elf.get_section_by_name(".gnu.version_d")
    for _, names in section.iter_versions() if section else ():
        first = next(iter(names), None)
        if first is not None:
            yield first.name
