"""What a check finds, and how it can be mended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Absent", "Finding", "Fix", "Found", "Severity", "some"]


class Severity(enum.Enum):
    """How much a finding matters, from the least to the most."""

    OK = "ok"
    """All is well; what was seen is told only to those who ask for everything."""

    SKIPPED = "skipped"
    """It could not be looked at; the reason is the evidence."""

    NOTE = "note"
    """Worth knowing."""

    WARNING = "warning"
    """Works, and may surprise."""

    PROBLEM = "problem"
    """Does not work."""

    @property
    def rank(self) -> int:
        """A number that grows with how much it matters."""
        return list(Severity).index(self)


class Absent(Exception):  # noqa: N818 - no error: a check that needs it is skipped
    """Something that a check needs is not there; the message is the reason, in one clause."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A way to mend something.

    Attributes:
        description: what it will do, a sentence in the imperative without a full stop. Two fixes
            with the same one are the same, and applied once.
        apply: does it, wholly or not at all; raises ``OSError`` or ``NixpyError`` where it cannot.
    """

    description: str
    apply: Callable[[], None]


@dataclass(frozen=True, slots=True, init=False)
class Found:
    """What a check yields: what it saw, and what differs from what its docstring says.

    Attributes:
        evidence: paths, versions, the very variable and element; one line each.
        severity: if it is not the one that the check declares.
        cause: if it is known better than in the docstring.
        remedy: the same.
        command: one to run that mends it; empty for none.
        fix: what ``--fix`` would do.
    """

    evidence: tuple[str, ...]
    severity: Severity | None
    cause: str
    remedy: str
    command: str
    fix: Fix | None

    def __init__(
        self,
        *evidence: str,
        severity: Severity | None = None,
        cause: str = "",
        remedy: str = "",
        command: str = "",
        fix: Fix | None = None,
    ) -> None:
        object.__setattr__(self, "evidence", evidence)
        object.__setattr__(self, "severity", severity)
        object.__setattr__(self, "cause", cause)
        object.__setattr__(self, "remedy", remedy)
        object.__setattr__(self, "command", command)
        object.__setattr__(self, "fix", fix)


def some(lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines of evidence, and one that says how many there are besides."""
    more = len(lines) - most
    return [*lines[:most], *([f"and {more} more"] if more > 0 else [])]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a user is told.

    Attributes:
        identifier: of the check, such as ``direnv.hook-missing``; stable, so that it can be
            searched for.
        title: what the check looks for, as a claim that holds where it found something.
        group: what it is about.
        severity: how much it matters.
        evidence: what was seen, one line each.
        cause: how that comes about.
        remedy: what to do, in words.
        command: a command to run, or empty.
        fix: what ``--fix`` would do, if it is safe.
    """

    identifier: str
    title: str
    group: str
    severity: Severity
    evidence: tuple[str, ...] = ()
    cause: str = ""
    remedy: str = ""
    command: str = ""
    fix: Fix | None = None
