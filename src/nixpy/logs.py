"""Logs of what managers and Nix said, one for each thing that they work on."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import TYPE_CHECKING, Any, cast

from nixpy.inputs import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

__all__ = ["cause_of", "log_lines", "log_path", "open_log"]

CAUSES = ("cause:", "Caused by:", "╰─▶", "├─▶")

_LABEL = re.compile(r"^(?:error:|cause:|Caused by:|hint:|[×╰├]─*▶?)\s*", re.IGNORECASE)


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


def log_lines(path: str) -> list[str]:
    """Return the lines of a log that say something, as text; none where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line for line in map(_plain, file) if line]
    except OSError:
        return []


def cause_of(lines: Sequence[str]) -> str:
    """Return what a log says went wrong, on one line."""
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].lower().startswith("error:") or lines[index].startswith("×"):
            # uv lists causes under the first line: what failed comes first, and why comes last.
            follow = [line for line in lines[index + 1 :] if line.startswith(CAUSES)]
            hints = [line for line in lines[index + 1 :] if line.startswith("hint:")]
            kept = dict.fromkeys((lines[index], *follow[:1], *follow[-1:], *hints[:1]))
            return "; ".join(_LABEL.sub("", line) for line in kept)
    return lines[-1] if lines else ""


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip()
