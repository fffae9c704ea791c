"""How much a directory holds, as far as a short look tells."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Size", "size_of", "size_of_all"]

LONGEST = 0.7
"""Seconds that one look takes at most."""


class Size(NamedTuple):
    """What files together hold.

    Attributes:
        bytes: of their contents.
        files: how many they are.
        parts: bytes by the first element of their paths, the largest first.
        is_whole: whether all were looked at; else there is more.
    """

    bytes: int
    files: int
    parts: tuple[tuple[str, int], ...]
    is_whole: bool


def size_of(top: str, most_files: int) -> Size:
    """Return what a directory holds; links are not followed."""
    return _added(_walk(top), most_files)


def size_of_all(top: str, names: Iterable[str], most_files: int) -> Size:
    """Return what files of a directory hold, by their names relative to it."""
    return _added(((name, f"{top}/{name}") for name in names), most_files)


def _walk(top: str) -> Iterator[tuple[str, str]]:
    for path, _, files in os.walk(top):
        below = path[len(top) + 1 :]
        for name in files:
            yield (f"{below}/{name}" if below else name), f"{path}/{name}"


def _added(files: Iterable[tuple[str, str]], most_files: int) -> Size:
    deadline = time.monotonic() + LONGEST
    parts: Counter[str] = Counter()
    total = count = 0
    is_whole = True
    for name, path in files:
        if count >= most_files or (count % 256 == 0 and time.monotonic() > deadline):
            is_whole = False
            break
        try:
            status = os.lstat(path)
        except OSError:
            continue
        count += 1
        if stat.S_ISREG(status.st_mode):
            total += status.st_size
            parts[name.partition("/")[0]] += status.st_size
    return Size(total, count, tuple(parts.most_common()), is_whole)
