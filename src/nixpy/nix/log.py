"""What Nix says while it works: its ``--log-format internal-json``.

One JSON object on each line, after ``@nix``: messages with a level (0 error, 1 warning, … 7 vomit)
and activities that start and stop (Nix manual, ``log-format``; the same in 2.8 and 2.26). Lines
without ``@nix`` come from programs that Nix started.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["Log", "plain"]

ERROR, WARNING, INFO = 0, 1, 3

_PREFIX = b"@nix "
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_READ = re.compile(
    r"(?:evaluating file|checking access to|source path|copied source|copying) '(/[^']*)'"
)
_COPYING = re.compile(r"copying '\"?(/[^'\"]*)\"?' to the store")


def plain(text: str) -> str:
    """Return text without the escape sequences of a terminal (ECMA-48)."""
    return _ESCAPE.sub("", text)


@dataclass
class Log:
    """What one call of Nix said, heard piece by piece.

    Attributes:
        file: gets what a person would read of it.
        errors: messages of level 0, the last is what it ended with.
        warnings: messages of level 1.
        paths: every path that it said it evaluated, copied or looked at.
        copied: trees that it said it copies to the store, and how often.
        activity: what it is doing, in Nix's words; empty where it has not said.
    """

    file: BinaryIO
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    copied: Counter[str] = field(default_factory=Counter)
    activity: str = ""
    _rest: bytes = b""

    def hear(self, piece: bytes) -> None:
        """Take in a piece of stderr."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        if line.startswith(_PREFIX):
            try:
                said = json.loads(line[len(_PREFIX) :])
            except ValueError:
                said = None
            if isinstance(said, dict):
                self._event(said)
                return
        text = plain(line.decode("utf-8", "replace"))
        if text.startswith("error:"):  # before Nix has read its options it knows no format
            self.errors.append(text)
        self._keep(text)

    def _event(self, said: dict[str, Any]) -> None:
        level = said.get("level")
        if said.get("action") == "msg" and isinstance(level, int):
            text = plain(str(said.get("msg", "")))
            if level == ERROR:
                self.errors.append(text)
            elif level == WARNING:
                self.warnings.append(text)
            self.paths.update(_READ.findall(text))
            if level <= INFO:
                self._keep(text)
        elif said.get("action") == "start" and said.get("text"):
            self.activity = plain(str(said["text"]))
            copying = _COPYING.fullmatch(self.activity)
            if copying:
                self.copied[copying[1].rstrip("/")] += 1
            self._keep(self.activity)

    def _keep(self, line: str) -> None:
        self.file.write(line.encode("utf-8", "replace") + b"\n")
