"""What an ``.envrc`` says besides ``use nixpy``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nixpy.project import open_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["double_lines"]

_DOUBLE = re.compile(r"(?:use (?:flake|nix)|layout (?:python|python3|uv|poetry))(?: |$)")


def double_lines(directory: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that do what ``use nixpy`` does too: their numbers, and what they say."""
    try:
        path = f"{directory}/.envrc"
        with open(path, encoding="utf-8", errors="replace", opener=open_at_once) as file:
            lines = [" ".join(line.split()) for line in file]
    except OSError:
        return
    for number, line in enumerate(lines, 1):
        if _DOUBLE.match(line):
            yield number, line
