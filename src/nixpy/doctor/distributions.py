"""What is installed in an environment, read from its ``.dist-info`` directories.

The format is that of PyPA's "Recording installed projects"
(packaging.python.org/specifications/recording-installed-packages).
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nixpy.manifests.requirements import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixpy.manifests.requirements import Entry

__all__ = ["Distribution", "Recorded", "Unmet", "find_distributions", "unmet_requirements"]

SUFFIX = ".dist-info"


class Recorded(NamedTuple):
    """One line of ``RECORD``: an absolute path, and what the file was when it was installed.

    Attributes:
        path: absolute.
        digest: ``sha256=…`` in URL-safe base64 without padding, or empty.
        size: in bytes, or -1.
    """

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution.

    Attributes:
        name: normalised (PEP 503).
        version: as its directory is named.
        directory: its ``.dist-info``.
    """

    name: str
    version: str
    directory: str

    def recorded(self) -> Iterator[Recorded]:
        """Yield the lines of its ``RECORD``; none where there is none, as with conda's packages."""
        top = os.path.dirname(self.directory)
        try:
            with open(
                f"{self.directory}/RECORD", encoding="utf-8", errors="surrogateescape"
            ) as file:
                text = file.read()
        except OSError:
            return
        for row in _rows(text):
            if row and row[0]:
                size = row[2] if len(row) > 2 else ""  # noqa: PLR2004 - path, hash, size
                yield Recorded(
                    os.path.normpath(os.path.join(top, row[0])),
                    row[1] if len(row) > 1 else "",
                    int(size) if size.isdecimal() else -1,
                )

    def read(self, name: str) -> str:
        """Return the text of a file of its ``.dist-info``; empty where there is none."""
        try:
            with open(f"{self.directory}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""


def _rows(text: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text)))
    except csv.Error:
        return []


def find_distributions(site_packages: str) -> tuple[Distribution, ...]:
    """Return what is installed in a ``site-packages`` directory, by name."""
    try:
        names = os.listdir(site_packages)
    except OSError:
        return ()
    found = []
    for name in names:
        stem = name.removesuffix(SUFFIX)
        if stem != name and "-" in stem:
            project, _, version = stem.partition("-")
            directory = f"{site_packages}/{name}"
            found.append(Distribution(canonicalize_name(project), version, directory))
    return tuple(sorted(found, key=lambda one: (one.name, one.version)))


class Unmet(NamedTuple):
    """A requirement that what is installed does not meet.

    Attributes:
        entry: as a requirements file has it.
        wanted: what it asks for.
        installed: the version that is installed; ``None`` where none is.
    """

    entry: Entry
    wanted: Requirement
    installed: str | None


def unmet_requirements(
    entries: Iterable[Entry], distributions: Iterable[Distribution], python: str
) -> Iterator[Unmet]:
    """Yield the requirements by name that what is installed does not meet.

    Args:
        entries: of requirements files; what is no name or only a constraint does not count.
        distributions: what is installed.
        python: version of the Python that markers are evaluated for (PyPA, "Dependency
            specifiers"); empty for the one that runs.
    """
    markers = {}
    if python:
        markers["python_version"] = ".".join(python.split(".")[:2])
        markers["python_full_version"] = python
    installed = {one.name: one.version for one in distributions}
    for entry in entries:
        if entry.kind is not Kind.NAMED or entry.is_constraint:
            continue
        try:
            wanted = Requirement(entry.text)
        except InvalidRequirement:
            continue
        if wanted.marker and not wanted.marker.evaluate(markers):
            continue
        version = installed.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            yield Unmet(entry, wanted, version)
