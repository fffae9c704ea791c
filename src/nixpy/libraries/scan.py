"""The ELF files of an environment, read anew only where a distribution changed.

What a distribution has installed stands in its ``RECORD`` (PyPA, "Recording installed projects"):
where that is as it was, and the file system says the same of its ELF files, none of them is opened.
What a conda package has installed stands in ``conda-meta``; of it everything outside
``site-packages`` counts.

Shared objects in ``site-packages`` that no ``RECORD`` names, as those of an ``.egg-info``, of an
installation without ``RECORD`` or of a build in place, are found by their names and go by no
distribution's: they are looked for each time, and read again where one of them changed. Those of an
editable installation lie in its project, outside the environment, and are not looked for: they were
built on this machine, with what it has.
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
from nixpy.libraries.loader import Loader, Need, linker_of
from nixpy.libraries.loading import process_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nixpy.libraries.loading import Process

__all__ = ["Distribution", "LibraryNeed", "kept_scan", "library_needs", "loading_process", "scan"]

SCHEMA = 3

UNLISTED = ""
"""The name of what no distribution has."""

NO_ELF = (
    *(".py", ".pyc", ".pyi", ".pyx", ".pxd", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp"),
    *(".txt", ".md", ".rst", ".json", ".toml", ".yaml", ".yml", ".xml", ".html", ".css", ".js"),
    *(".svg", ".png", ".qml", ".qm", ".ts", ".cmake", ".npy", ".csv", ".gz"),
)
"""Endings of files that are not opened: nobody loads an ELF file of such a name."""

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
        record: digest of what lists them: of a ``RECORD`` itself; of a file of ``conda-meta``, and
            of files that nothing lists, what the file system says of that.
        files: by their absolute paths.
        damaged: paths of those that cannot be read.
        others: paths of those that are called shared objects, and are no ELF files.
        observed: digest of what the file system says of them all: somebody may have patched them.
    """

    record: str
    files: Files
    damaged: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    observed: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all that was looked into, and is what its name or its first bytes say."""
        return (*self.files, *self.damaged, *self.others)

    def holds(self, record: str) -> bool:
        """Whether nothing changed since."""
        return self.record == record and self.observed == _observed(self.paths)


Scan = dict[str, Distribution]


def scan(prefix: str, before: Scan) -> Scan:
    """Return the ELF files of each distribution of a prefix.

    Args:
        prefix: real path of the environment.
        before: an earlier scan: of what did not change since no file is opened.
    """
    found: Scan = {}
    top = glob.escape(prefix)
    # In a conda environment python3.1 is a link to python3.11.
    sites = sorted({os.path.realpath(one) for one in glob.glob(f"{top}/lib/py*/site-packages")})
    for site in sites:
        for path in sorted(glob.glob(f"{glob.escape(site)}/*.dist-info")):
            name = os.path.basename(path).removesuffix(".dist-info")
            try:
                with open(f"{path}/RECORD", "rb") as file:
                    content = file.read()
            except OSError:
                continue
            record = digest(content)
            kept = before.get(name)
            found[name] = (
                kept if kept and kept.holds(record) else _read(record, _recorded(site, content))
            )
    for path in sorted(glob.glob(f"{top}/conda-meta/*.json")):
        name = os.path.basename(path).removesuffix(".json")
        record = _observed([path])
        kept = before.get(name)
        found[name] = (
            kept if kept and kept.holds(record) else _read(record, _of_conda(prefix, path))
        )
    listed = {path for one in found.values() for path in one.paths}
    unlisted = [path for site in sites for path in _shared_objects(site) if path not in listed]
    if unlisted:
        record = _observed(unlisted)
        kept = before.get(UNLISTED)
        found[UNLISTED] = kept if kept and kept.holds(record) else _read(record, unlisted)
    return found


def kept_scan(top: str | None, prefix: str, *, is_kept: bool = True) -> Scan:
    """Return the scan of a prefix, made as far as the kept one does not hold; and keep it.

    Args:
        top: nixpy's cache directory; ``None`` where nothing can be kept.
        prefix: real path of the environment.
        is_kept: whether anything is written.
    """
    path = f"{top}/projects{prefix}/@nixpy/{cache.SCHEMA}/scan" if top else None
    before = _loaded(path) if path else {}
    found = scan(prefix, before)
    if is_kept and path and top and found != before:
        try:
            cache.make_private_directory(os.path.dirname(path), top)
            cache.write_private(path, _document(found))
        except OSError:
            pass  # the next one looks at everything again
    return found


def loading_process(prefix: str, found: Scan) -> Process | None:
    """Return the process that loads the ELF files of an environment.

    ``None`` where its interpreter is no ELF program, or has no dynamic linker.

    Args:
        prefix: real path of the environment.
        found: its ELF files; the process does not read them again.
    """
    return process_of(prefix, _files(found))


def library_needs(
    found: Scan, process: Process, library_path: Sequence[str] = ()
) -> tuple[LibraryNeed, ...]:
    """Return what the ELF files of an environment need, for the interpreter that loads them.

    Args:
        found: the ELF files.
        process: what :func:`loading_process` returns for them.
        library_path: directories of ``LD_LIBRARY_PATH`` in force.
    """
    read, names, above = process.read, process.loaded, process.above
    loader = process.loader(library_path)
    # A program is loaded by its own dynamic linker, in a process that has nothing of ours.
    loaders: dict[str, Loader | None] = {}
    needs: dict[str, tuple[Need, ...]] = {}
    for path, elf in _files(found).items():
        if elf.is_library or elf.interpreter is None:
            walk = loader.walk(path, dict(names), above)
        else:
            if elf.interpreter not in loaders:
                its = linker_of(path)
                loaders[elf.interpreter] = (
                    Loader(its, library_path=library_path, read=read) if its else None
                )
            another = loaders[elf.interpreter]
            walk = another.walk(path, {}) if another else iter(())
        needs[path] = next((needs for _, needs in walk), ())
    needs.update(_of_private_libraries(needs, loader, names, above))
    return tuple(
        LibraryNeed(name, need)
        for name, one in found.items()
        for path in one.files
        for need in needs[path]
    )


def _files(found: Scan) -> Files:
    return {path: elf for one in found.values() for path, elf in one.files.items()}


def _of_private_libraries(
    needs: dict[str, tuple[Need, ...]],
    loader: Loader,
    names: Mapping[str, str],
    above: Sequence[str],
) -> dict[str, tuple[Need, ...]]:
    """Return what libraries need of which something is missing where they are loaded first.

    Nobody imports such a library: what loads it may have a ``DT_RPATH`` that counts for it too. It
    is missing something where any of these has no such path.
    """
    loading: dict[str, set[str]] = {}
    for path, all_ in needs.items():
        for need in all_:
            if need.found:
                loading.setdefault(os.path.realpath(need.found), set()).add(path)
    lacking = {
        path
        for path, all_ in needs.items()
        if loading.get(path, set()) - {path} and any(need.found is None for need in all_)
        if os.path.basename(path).startswith("lib")
    }
    pending = list(lacking)
    first: set[str] = set()
    while pending:
        more = loading.get(pending.pop(), set()) - first
        first |= more
        pending.extend(more)
    found: dict[str, tuple[Need, ...]] = {}
    # A library that others load is not where anything starts.
    for start in first - {path for path in first if loading.get(path, set()) - {path}} or first:
        for one, all_ in loader.walk(start, dict(names), above):
            path = os.path.realpath(one.path)
            if path in lacking and one.path != start:
                missing = sum(need.found is None for need in all_)
                before = found.get(path)
                if before is None or missing > sum(need.found is None for need in before):
                    found[path] = tuple(need._replace(file=path) for need in all_)
    return found


def _read(record: str, paths: Iterable[str]) -> Distribution:
    files: Files = {}
    damaged = []
    others = []
    for path in paths:
        with contextlib.suppress(OSError):
            try:
                elf = read_elf(path)
            except DamagedElf:
                damaged.append(path)
            else:
                if elf:
                    files[path] = elf
                elif _is_shared_object(os.path.basename(path)):
                    others.append(path)
    found = Distribution(record, files, tuple(damaged), tuple(others))
    return found._replace(observed=_observed(found.paths))


def _recorded(site: str, record: bytes) -> Iterator[str]:
    """Yield the files of a ``RECORD`` that may be ELF files."""
    shortest = len(MAGIC)
    try:
        rows = list(csv.reader(record.decode("utf-8", "surrogateescape").splitlines()))
    except csv.Error:
        return
    for row in rows:
        if not row or row[0].endswith(NO_ELF) or ".dist-info/" in row[0]:
            continue
        if "\0" in row[0]:  # one that is damaged: no file has such a name
            continue
        size = row[2] if len(row) > 2 else ""  # noqa: PLR2004 - path, digest, size
        if not (size.isdecimal() and int(size) < shortest) or _is_shared_object(row[0]):
            yield os.path.normpath(os.path.join(site, row[0]))


def _of_conda(prefix: str, path: str) -> Iterator[str]:
    """Yield the shared objects of a conda package that no ``RECORD`` can name."""
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        names = [name for name in document["files"] if isinstance(name, str)]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in names:
        file_name = f"{prefix}/{name}"
        if (
            _is_shared_object(os.path.basename(name))
            and "/site-packages/" not in name
            and not os.path.islink(file_name)
        ):
            yield file_name


def _shared_objects(directory: str) -> Iterator[str]:
    """Yield what is called a shared object below a directory."""
    for top, directories, names in os.walk(directory):
        directories.sort()
        for name in sorted(names):
            if _is_shared_object(name):
                yield f"{top}/{name}"


def _is_shared_object(name: str) -> bool:
    return name.endswith(".so") or ".so." in name


def _observed(paths: Iterable[str]) -> str:
    """Return a digest of what the file system says of files."""
    parts = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            # Not its ctime: another environment's link to the same file changes that.
            parts.append(f"{path}\0{status.st_ino} {status.st_size} {status.st_mtime_ns}")
    return digest(os.fsencode("\0".join(parts)))


def _document(found: Scan) -> bytes:
    document = {
        "schema": SCHEMA,
        "distributions": {
            name: [
                one.record,
                {path: list(elf) for path, elf in one.files.items()},
                one.damaged,
                one.others,
                one.observed,
            ]
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
                record,
                {path: _elf(values) for path, values in files.items()},
                tuple(damaged),
                tuple(others),
                observed,
            )
            for name, (record, files, damaged, others, observed) in document[
                "distributions"
            ].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _elf(values: list[object]) -> Elf:
    def frozen(value: object) -> object:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return Elf(*map(frozen, values))  # type: ignore[arg-type]
