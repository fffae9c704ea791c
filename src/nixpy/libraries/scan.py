"""The ELF files of an environment, read anew only where a distribution changed.

What a distribution has installed stands in its ``RECORD`` (PyPA, "Recording installed projects"):
where that is as it was, so are its files, and none of them is opened.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.inputs import digest
from nixpy.libraries.elf import MAGIC, DamagedElf, Elf, read_elf
from nixpy.libraries.loader import Need, linker_of, needs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Distribution", "LibraryNeed", "kept_scan", "library_needs", "scan"]

SCHEMA = 2

Files = dict[str, Elf]
"""ELF files by their absolute paths."""


class LibraryNeed(NamedTuple):
    """A soname that a file of an environment needs.

    Attributes:
        distribution: whose file it is.
        need: what, and where it is found.
    """

    distribution: str
    need: Need


class Distribution(NamedTuple):
    """A distribution's ELF files.

    Attributes:
        record: digest of the ``RECORD`` that they stand in.
        files: by their absolute paths.
        damaged: paths of those that cannot be read.
    """

    record: str
    files: Files
    damaged: tuple[str, ...] = ()


Scan = dict[str, Distribution]


def scan(prefix: str, before: Scan) -> Scan:
    """Return the ELF files of each distribution of a prefix.

    Args:
        prefix: real path of the environment.
        before: an earlier scan: of what did not change since no file is opened.
    """
    found: Scan = {}
    for path in sorted(glob.glob(f"{glob.escape(prefix)}/lib/python*/site-packages/*.dist-info")):
        name = os.path.basename(path).removesuffix(".dist-info")
        try:
            with open(f"{path}/RECORD", "rb") as file:
                content = file.read()
        except OSError:
            continue
        record = digest(content)
        kept = before.get(name)
        found[name] = kept if kept and kept.record == record else _read(path, record, content)
    return found


def kept_scan(top: str | None, prefix: str) -> Scan:
    """Return the scan of a prefix, made as far as the kept one does not hold; and keep it.

    ``top`` is nixpy's cache directory; ``None`` where nothing can be kept.
    """
    path = f"{top}/libraries/{digest(os.fsencode(prefix))}" if top else None
    before = _loaded(path) if path else {}
    found = scan(prefix, before)
    if path and top and found != before:
        try:
            cache.make_private_directory(os.path.dirname(path), top)
            cache.write_private(path, _document(found))
        except OSError:
            pass  # the next one looks at everything again
    return found


def library_needs(
    prefix: str, found: Scan, library_path: Sequence[str] = ()
) -> tuple[LibraryNeed, ...] | None:
    """Return what the ELF files of an environment need, for the interpreter that loads them.

    ``None`` where that interpreter is no ELF program, or has no dynamic linker.

    Args:
        prefix: real path of the environment.
        found: its ELF files.
        library_path: directories of ``LD_LIBRARY_PATH`` in force.
    """
    program = os.path.realpath(f"{prefix}/bin/python")
    linker = linker_of(program)
    if linker is None:
        return None
    known: dict[str, Elf | None] = {
        path: elf for one in found.values() for path, elf in one.files.items()
    }

    def read(path: str) -> Elf | None:
        if path not in known:
            known[path] = read_elf(path)
        return known[path]

    own = needs_of(program, linker, library_path=library_path, read=read)
    loaded = {one.soname: one.found for one in own if one.found}
    itself = read(program)
    above = itself.rpath if itself else ()
    return tuple(
        LibraryNeed(name, need)
        for name, one in found.items()
        for path in one.files
        for need in needs_of(
            path, linker, library_path=library_path, loaded=loaded, above=above, read=read
        )
        if need.file == path
    )


def _read(path: str, record: str, content: bytes) -> Distribution:
    files: Files = {}
    damaged = []
    for file in _installed(os.path.dirname(path), content):
        with contextlib.suppress(OSError):
            try:
                elf = read_elf(file)
            except DamagedElf:
                damaged.append(file)
            else:
                files.update({file: elf} if elf else {})
    return Distribution(record, files, tuple(damaged))


def _installed(directory: str, record: bytes) -> Iterator[str]:
    """Yield the files of a ``RECORD`` that may be ELF files."""
    shortest = len(MAGIC)
    for row in csv.reader(record.decode("utf-8", "replace").splitlines()):
        size = row[2] if len(row) > 2 else ""  # noqa: PLR2004 - path, digest, size
        if row and not (size.isdigit() and int(size) < shortest):
            yield os.path.normpath(os.path.join(directory, row[0]))


def _document(found: Scan) -> bytes:
    document = {
        "schema": SCHEMA,
        "distributions": {
            name: [one.record, {path: list(elf) for path, elf in one.files.items()}, one.damaged]
            for name, one in found.items()
        },
    }
    return json.dumps(document).encode("utf-8", "surrogateescape")


def _loaded(path: str) -> Scan:
    if not cache.is_private(path):
        return {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            document = json.load(file)
        if document["schema"] != SCHEMA:
            return {}
        return {
            name: Distribution(
                record, {path: _elf(values) for path, values in files.items()}, tuple(damaged)
            )
            for name, (record, files, damaged) in document["distributions"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _elf(values: list[object]) -> Elf:
    def frozen(value: object) -> object:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return Elf(*map(frozen, values))  # type: ignore[arg-type]
