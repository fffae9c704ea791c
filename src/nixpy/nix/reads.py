"""Which files an evaluation reads, heard from the kernel (:manpage:`inotify(7)`).

Nix evaluates a flake from a copy of its tree in the store; watched are the directories of that
copy, so that what is heard is the evaluation and not the user's editor. Where Nix reads the
working tree itself, that is watched.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CannotWatch", "Reads", "directories_below"]

MOST_DIRECTORIES = 20_000
"""More are not watched: each watch takes about a kilobyte of the kernel's memory."""

SKIPPED = frozenset({".git", ".hg", ".svn", ".venv", ".direnv", "node_modules", "__pycache__"})
"""Directories of a working tree that no evaluation reads and that may hold very many others."""


class CannotWatch(Exception):  # noqa: N818
    """Why reads cannot be heard here, in a few words."""


class Reads:
    """Hears what is opened below directories.

    Attributes:
        files: absolute paths of the files that were opened, and how often.
        directories: absolute paths of the directories that were listed.

    Raises:
        CannotWatch: there is no inotify, or no watch is left.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise CannotWatch("only Linux tells which files are read")
        from inotify_simple import INotify  # type: ignore[import-untyped]

        self.files: Counter[str] = Counter()
        self.directories: set[str] = set()
        self._watched: dict[int, str] = {}
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise CannotWatch(f"inotify: {error.strerror}") from None

    def close(self) -> None:
        """Stop hearing."""
        self._inotify.close()

    def watch(self, directories: list[str]) -> None:
        """Watch directories, without those below them.

        Raises:
            CannotWatch: no watch is left.
        """
        from inotify_simple import flags

        # Two events that are the same, one after the other, are one: a close tells them apart.
        mask = flags.OPEN | flags.CLOSE_NOWRITE | flags.ONLYDIR
        for directory in directories:
            try:
                descriptor = self._inotify.add_watch(directory, mask)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CannotWatch(
                    f"inotify, {len(directories)} directories: {error.strerror}"
                ) from None
            self._watched[descriptor] = directory

    def take_in(self) -> None:
        """Take in what was opened since the last call; the kernel's queue is short.

        Raises:
            CannotWatch: the queue ran over.
        """
        from inotify_simple import flags

        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                raise CannotWatch("inotify: more was read at once than its queue holds")
            directory = self._watched.get(event.wd)
            if directory is None or not event.mask & flags.OPEN:
                continue
            path = f"{directory}/{event.name}" if event.name else directory
            if event.mask & flags.ISDIR:
                self.directories.add(path)
            else:
                self.files[path] += 1


def directories_below(tree: str, *, all_of_them: bool = True) -> list[str]:
    """Return a directory and all directories below it; links are not followed.

    Args:
        tree: absolute path.
        all_of_them: else those that no evaluation reads (:data:`SKIPPED`) are left out.

    Raises:
        CannotWatch: there are too many.
    """
    found = []
    for path in _walk(tree, all_of_them=all_of_them):
        found.append(path)
        if len(found) > MOST_DIRECTORIES:
            raise CannotWatch(f"{tree} has more than {MOST_DIRECTORIES} directories")
    return found


def _walk(tree: str, *, all_of_them: bool) -> Iterator[str]:
    for path, names, _ in os.walk(tree):
        yield path
        if not all_of_them:
            names[:] = [
                name
                for name in names
                if name not in SKIPPED and not os.path.exists(f"{path}/{name}/pyvenv.cfg")
            ]
