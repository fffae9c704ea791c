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

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Distribution", "Recorded", "find_distributions"]

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
