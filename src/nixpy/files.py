"""The one seam through which manifests and configuration are read.

Whoever reads a file to decide something reads it through :class:`Files`, so that everything that
was looked at, also what was absent, can be recorded as an input (DESIGN.md, section 6).
Paths are absolute ``str`` (``surrogateescape`` for bytes that are not UTF-8).
"""

from __future__ import annotations

from typing import Protocol

from nixpy.inputs import observe_directory, observe_file

__all__ = ["DiskFiles", "Files"]


class Files(Protocol):
    """Reads files and directories; an implementation may record what was asked for."""

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, or None where there is none.

        Raises:
            ManifestError: the file exists and cannot be read.
        """

    def names(self, directory: str) -> tuple[str, ...]:
        """Return the sorted names in a directory; none where there is no such directory.

        Raises:
            ManifestError: the directory exists and cannot be read.
        """


class DiskFiles:
    """Reads from the disk and records nothing."""

    def read(self, path: str) -> bytes | None:
        """See :meth:`Files.read`."""
        return observe_file(path)[1]

    def names(self, directory: str) -> tuple[str, ...]:
        """See :meth:`Files.names`."""
        return observe_directory(directory)[1]
