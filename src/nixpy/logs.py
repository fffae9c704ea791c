"""Logs of what managers and Nix said, one for each thing that they work on."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any, cast

from nixpy.inputs import digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["log_path", "open_log"]


def log_path(state_directory: str | None, subject: str) -> str | None:
    """Return where the log of the last work on a path lies, or ``None`` where there is no place."""
    if state_directory is None:
        return None
    return f"{state_directory}/logs/{digest(os.fsencode(subject))}.log"


@contextlib.contextmanager
def open_log(path: str | None, owner: str) -> Iterator[BinaryIO]:
    """Open a log anew; where that cannot be, what is written to it goes nowhere.

    Its first line is the directory that it is about, so that ``nixpy gc`` knows whose it is.
    """
    try:
        if path is None:
            raise FileNotFoundError
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        file = _Log(path, "w", opener=_private)
    except OSError:
        file = _Log(os.devnull, "w")
    with file:
        file.write(os.fsencode(owner).replace(b"\n", b" ") + b"\n")
        yield cast("BinaryIO", file)


class _Log(io.FileIO):
    """A log, which on a full disk ends early: the work itself goes on."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
