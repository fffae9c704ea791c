"""The pages of the documentation, and what of them is to be run.

A comment in a line of its own, which neither GitHub nor the site shows, says what a page needs, or
what becomes of the fenced block right below it:

``<!-- page: direnv, network -->``
    What the page needs: a name of :data:`NEEDS` each. Without it, a bare machine.
``<!-- run -->``
    The block is typed in a shell of its language, line by line, and each must end with status 0.
    In a ``console`` block these are the lines that begin with ``$``, and what they print must be
    what stands below them: ``…`` is anything within a line, and alone in a line any lines. How
    long something took is not compared.
``<!-- run: workflow -->``
    The block is a workflow of GitHub Actions, whose ``run:`` steps are run.
``<!-- file: app/pyproject.toml -->``
    The block is written to that file.
``<!-- set-up: mkdir app -->``
    A line that is typed before what follows, and that no reader needs to see.

All blocks of a page are run in their order, in shells that go on from one block to the next; the
first one starts at home.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

NEEDS = frozenset({"direnv", "git", "network", "nix", "release"})
"""``direnv``: its hook, and nixpy's library; ``git``: git, and a name to commit by; ``network``: a
package registry; ``nix``: Nix with a store of its own, and something small that stands for nixpkgs;
``release``: nixpy is not installed, and ``uv tool install nixpy`` installs it."""

TYPED = {"sh": "bash", "bash": "bash", "console": "bash", "zsh": "zsh", "fish": "fish"}
"""The interactive shell that a language is typed in."""

SCRIPTS = {
    "tcsh": ("tcsh", "-f"),
    "elvish": ("elvish", "-norc"),
    "python": (sys.executable,),
}
"""Languages that are run as a whole, without a terminal: the program, without its startup files.
Python is the one that has the nixpy under test."""

GENERATED = frozenset({"checks", "options", "symptoms"})
"""What comments enclose that a program writes."""

_COMMENT = re.compile(r"\s*<!-- *(/?)([\w-]+)(?:: *(.*?))? *-->\s*")
_FENCE = re.compile(r"(`{3,})([\w-]*)(.*)")


class PageError(ValueError):
    """A page says something that nobody understands; the message names page and line."""


@dataclass(frozen=True)
class Step:
    """One thing to do for a page.

    Attributes:
        kind: ``run``, ``workflow``, ``file`` or ``set-up``.
        text: what the block holds, or the line to type.
        language: of the block.
        name: of the file.
        line: where the block begins.
    """

    kind: str
    text: str
    line: int
    language: str = ""
    name: str = ""


@dataclass(frozen=True)
class Page:
    """A page, what it needs, and what of it is run."""

    path: Path
    needs: frozenset[str]
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else "page"


def all_pages() -> list[Page]:
    """Return every page, also those of which nothing is run."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [read_page(path, path.read_text("utf-8")) for path in paths]


def read_page(path: Path, text: str) -> Page:
    """Return a page.

    Raises:
        PageError: a comment is not understood, or stands above nothing that can be run.
    """
    needs: set[str] = set()
    steps: list[Step] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        comment = _COMMENT.fullmatch(lines[at])
        at += 1
        if comment is None:
            fence = _FENCE.fullmatch(lines[at - 1].lstrip())
            if fence:
                at = _end(lines, at, fence[1]) + 1
            continue
        closes, word, value = comment.groups()
        where = f"{path}:{at}"
        if word in GENERATED and not value:
            continue
        if closes or word not in {"page", "run", "file", "set-up"}:
            raise PageError(f"{where}: {lines[at - 1].strip()} is not understood")
        if word == "page":
            needs |= set(re.split(r", *", value or ""))
            if not needs <= NEEDS:
                raise PageError(f"{where}: a page needs some of {', '.join(sorted(NEEDS))}")
        elif word == "set-up":
            steps.append(Step("set-up", value or "", at, "sh"))
        else:
            fence = _FENCE.fullmatch(lines[at]) if at < len(lines) else None
            if fence is None:
                raise PageError(f"{where}: no fenced block begins right below this")
            end = _end(lines, at + 1, fence[1])
            block = "\n".join(lines[at + 1 : end]) + "\n"
            steps.append(_step(where, word, value or "", fence[2], block, at + 1))
            at = end + 1
    return Page(path, frozenset(needs), tuple(steps))


def _end(lines: list[str], start: int, fence: str) -> int:
    for at in range(start, len(lines)):
        if lines[at].strip() == fence:
            return at
    return len(lines)


def _step(where: str, word: str, value: str, language: str, block: str, line: int) -> Step:
    if word == "file":
        if not value or value.startswith(("/", "..")):
            raise PageError(f"{where}: expected a file's path below home")
        return Step("file", block, line, language, value)
    if value == "workflow":
        if language != "yaml":
            raise PageError(f"{where}: a workflow is in YAML, not in {language or 'nothing'}")
        return Step("workflow", block, line, language)
    if value:
        raise PageError(f"{where}: {value} is not understood")
    if language not in TYPED and language not in SCRIPTS:
        raise PageError(f"{where}: a block in {language or 'no language'} cannot be run")
    return Step("run", block, line, language)


def commands(text: str) -> list[str]:
    """Return what of a block is typed at one prompt each: continued lines belong together."""
    found: list[str] = []
    continued = False
    for line in text.split("\n"):
        if continued:
            found[-1] += "\n" + line
        elif line.strip() and not line.lstrip().startswith("#"):
            found.append(line)
        else:
            continue
        continued = line.endswith("\\")
    return found


def dialogue(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a ``console`` block, each with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"{line!r}: a console block begins with a command")
    return found


def is_as_said(said: list[str], expected: list[str]) -> bool:
    """Return whether lines are those that a ``console`` block expects."""
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else _line_pattern(line) + r"\n" for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in said)) is not None


def _line_pattern(line: str) -> str:
    pattern = re.escape(line).replace("…", ".*")
    return re.sub(r"\d+(?:\\\.\d+)?((?:\\ )?m?s)\b", r"\\d+(?:\\.\\d+)?\1", pattern)
