"""Globs of the option ``watch``: further files that an environment depends on."""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixpy.files import Files

__all__ = ["read_matches"]


def read_matches(root: str, pattern: str, files: Files) -> None:
    """Read every file that a glob names, through ``files``, which records it.

    ``*``, ``?`` and ``[…]`` as in :mod:`fnmatch`, ``**`` for any depth; names with a leading dot
    match only patterns with one. The directories looked into are recorded too, so that a file
    that appears is noticed.

    Args:
        root: what a relative pattern is relative to.
        pattern: the glob.
        files: what to read with.

    Raises:
        ManifestError: a file or directory cannot be read.
    """

    def walk(directory: str, parts: tuple[str, ...]) -> None:
        if not parts:
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            walk(directory, rest)
        names = files.names(directory) if _is_pattern(first) else (first,)
        for name in names:
            path = os.path.join(directory, name)
            if first == "**":
                if os.path.isdir(path) and not os.path.islink(path) and not name.startswith("."):
                    walk(path, parts)
            elif _is_pattern(first) and (
                not fnmatch.fnmatchcase(name, first)
                or (name.startswith(".") and not first.startswith("."))
            ):
                continue
            elif rest:
                walk(path, rest)
            elif not os.path.isdir(path):
                files.read(path)

    absolute = pattern.startswith("/")
    walk("/" if absolute else root, tuple(part for part in pattern.split("/") if part))


def _is_pattern(part: str) -> bool:
    return any(character in part for character in "*?[")
