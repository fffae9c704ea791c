"""Recorded runs of real programs, and their option tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parents[3] / "recordings"
PROGRAMS = {"mamba": "mamba-2.0.5", "micromamba": "micromamba-2.8.1"}

_FLAGS = re.compile(r"^\s{1,10}(?P<flags>-[^\s].*?)(?:\s{2,}|$)")
_VALUE = re.compile(r"^(?:[A-Z][A-Z0-9]*(?![A-Za-z0-9])|ENUM:\S.*|'<false>' or PATH)")


@dataclass(frozen=True)
class Recording:
    """One run of a program."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def recording(program: str, name: str) -> Recording:
    """Read a recording."""
    text = (DIRECTORY / PROGRAMS[program] / f"{name}.txt").read_text(encoding="utf-8")
    head, _, rest = text.partition("## stdout\n")
    stdout, _, stderr = rest.partition("## stderr\n")
    command, status = head.splitlines()[:2]
    return Recording(
        tuple(command.removeprefix("$ ").split()), int(status.rsplit(" ", 1)[1]), stdout, stderr
    )


def names(program: str) -> list[str]:
    """The names of all recordings of a program."""
    return sorted(path.stem for path in (DIRECTORY / PROGRAMS[program]).glob("*.txt"))


def option_table(help_text: str) -> dict[str, bool]:
    """Return which options a help text lists, and whether they take a value."""
    table = {}
    for line in help_text.splitlines():
        # `-c,     --channel CHANNEL   Define …` and `  -c,--channel TEXT ...  Define …`
        joined = re.sub(r",\s+-", ",-", line)
        match = _FLAGS.match(joined)
        if match is None:
            continue
        flags, _, value = match["flags"].partition(" ")
        if flags.endswith(","):
            value = ""
        for flag in re.split(r",\s*", joined.strip().split("  ")[0]):
            word, _, behind = flag.strip().partition(" ")
            word = word.removesuffix("{false}")
            if word.startswith("-"):
                table[word] = bool(_VALUE.match(behind or value))
    return table


def refused(argv: list[str], table: dict[str, bool]) -> str | None:
    """Return why a program with these options would refuse arguments, or ``None``."""
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        flag, equals, _ = word.partition("=")
        if flag not in table:
            return f"no such option: {flag}"
        if table[flag] and not equals:
            if not rest or rest[0].startswith("-"):
                return f"{flag} needs a value"
            rest.pop(0)
        if equals and not table[flag]:
            return f"{flag} takes no value"
    return None
