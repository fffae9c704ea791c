"""What a conda program's output says went wrong, in a line (pure).

mamba and micromamba print long reports; what a user needs are the lines of ``error`` and
``critical`` and the tree below them. conda names its errors ``…Error:``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["cause", "missing_names"]

NOTHING = "it does not say why"
MOST_LINES = 8
LONGEST = 600

_LEVEL = re.compile(r"^(?:error|critical)\s+libmamba\s+(?P<text>.*)$")
_CONDA = re.compile(r"^(?P<text>[A-Za-z]*(?:Error|NotFound|Unsatisfiable)[A-Za-z]*:.*)$")
_TREE = re.compile(r"^[\s│├└─]+")
_MISSING = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)\s+(?:[^;]*?\s)?does not exist")
_LISTED = re.compile(r"^\s+- (?P<name>[A-Za-z0-9_.-]+)")
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADVICE = ("If you run into this", "Please try running", "If you still", "https://", "Subdir ")


def cause(output: str) -> str:
    """Return what went wrong, on one line; never empty."""
    lines = [_TERMINAL.sub("", line).rstrip() for line in _texts(output)]
    for find in (_solver_report, _first_error, _conda_error):
        found = find(lines)
        if found:
            return found[:LONGEST]
    spoken = [line.strip() for line in lines if line.strip()]
    return (spoken[-1] if spoken else NOTHING)[:LONGEST]


def missing_names(output: str) -> frozenset[str]:
    """Return the names of packages that a solver says do not exist."""
    found = set()
    in_list = False
    for line in _texts(output):
        match = _MISSING.search(_TREE.sub("", line))
        if match:
            found.add(match["name"].lower())
        in_list = (in_list and (not line.strip() or bool(_LISTED.match(line)))) or (
            "PackagesNotFound" in line or "not available from current channels" in line
        )
        listed = _LISTED.match(line) if in_list else None
        if listed:
            found.add(listed["name"].lower())
    return frozenset(found)


def _texts(output: str) -> Iterator[str]:
    """Yield the lines of an output; of JSON, those of the messages in it (micromamba 2.8)."""
    stripped = output.strip()
    if stripped.startswith("{"):
        try:
            document = json.loads(stripped)
        except ValueError:
            document = None
        if isinstance(document, dict):
            history = document.get("log_history")
            for one in history if isinstance(history, list) else ():
                if isinstance(one, dict) and isinstance(one.get("message"), str):
                    yield from f"{one.get('level')} libmamba {one['message']}".splitlines()
            for key in ("message", "error"):
                if isinstance(document.get(key), str):
                    yield from document[key].splitlines()
            problems = document.get("solver_problems")
            yield from map(str, problems if isinstance(problems, list) else ())
            return
    yield from output.splitlines()


def _below(lines: Sequence[str], start: int) -> list[str]:
    """Return the indented lines after one, without their indentation and without advice."""
    found: list[str] = []
    for line in lines[start + 1 :]:
        if line and not line[:1].isspace() and line[:1] not in "│├└":
            break
        text = _TREE.sub("", line).strip()
        if text and not text.startswith(_ADVICE):
            found.append(text)
    return found[:MOST_LINES]


def _solver_report(lines: Sequence[str]) -> str:
    for index, line in enumerate(lines):
        if "Could not solve for environment" in line or "UnsatisfiableError" in line:
            below = _below(lines, index)
            if below:
                return _joined(below)
    return ""


def _first_error(lines: Sequence[str]) -> str:
    for index, line in enumerate(lines):
        match = _LEVEL.match(line)
        if match:
            return _joined([match["text"].strip(), *_below(lines, index)])
    return ""


def _conda_error(lines: Sequence[str]) -> str:
    for index, line in enumerate(lines):
        match = _CONDA.match(line.strip())
        if match:
            return _joined([match["text"], *_below(lines, index)])
    return ""


def _joined(parts: Sequence[str]) -> str:
    text = "; ".join(dict.fromkeys(part.rstrip(";.,") for part in parts if part.strip(";., ")))
    return re.sub(r"^(The following [^;:]*); |:; ", lambda match: f"{match[1] or ''}: ", text)
