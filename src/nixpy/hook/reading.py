"""Whether evaluating an ``.envrc`` is a function of what direnv watches and of known variables.

That is so for what is made of a few commands of direnv's stdlib (direnv-stdlib(1)) and of ``use
nixpy``, each alone on its line, with words that any shell reads alike. Everything else means that
direnv is asked each time, unless the file says ``# nixpy: pure`` on a line of its own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nixpy.hook.words import (
    NAME,
    assignments,
    is_assignable,
    is_dynamic,
    value,
    variables_in,
    words,
)
from nixpy.project import open_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Reading", "Reason", "is_pure", "read_envrc", "text_of"]

LARGEST = 1_000_000
DEEPEST = 20
"""How many files may source one another."""

MOST_FILES = 100

_PURE = re.compile(r"\s*#\s*nixpy:\s*pure\s*")

# More than direnv's parser takes for names, never less.
_NAME_IN_DOTENV = re.compile(rf"({NAME})\s*[=:]")

_SET_BY_STDLIB = frozenset({"direnv", "direnv_config_dir", "lib"})
"""Variables that direnv's stdlib assigns whatever the ``.envrc``: an exported one is changed."""

_OF_NIXPY = frozenset({"NIXPY_PROJECT", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"})
"""Variables that ``use nixpy`` looks at without keeping them as inputs."""


class Reason(NamedTuple):
    """Why direnv is always asked.

    Attributes:
        path: the file that says so.
        line: its number, from 1; 0 for the file as a whole.
        text: what stands there.
        why: what that means, in words.
    """

    path: str
    line: int
    text: str
    why: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.text}: {self.why}" if self.text else f"{place}: {self.why}"


@dataclass
class Reading:
    """What the evaluation of an ``.envrc`` rests on.

    Attributes:
        calls: each ``use nixpy``: the directory that it is called in, and its arguments.
        absent: files that were looked for and are not watched by direnv.
        variables: the names of those whose values count, used or assigned: what is assigned the
            value that it has leaves no change by which one could tell.
        filled: the names of those that must not be empty.
        reasons: why direnv is always asked; empty where it need not be.
    """

    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)
    reasons: list[Reason] = field(default_factory=list)


def read_envrc(path: str, home: str) -> Reading:
    """Return what the evaluation of an ``.envrc`` rests on.

    Args:
        path: its absolute path.
        home: the value of ``HOME``, which ``~/`` stands for.
    """
    reader = _Reader(home)
    if set(path) & set('"$`\\'):
        # direnv 2.32 puts the path between double quotes and lets bash evaluate that.
        reader.found.reasons.append(Reason(path, 0, "", "bash would expand this name"))
    else:
        reader.file(path, 0)
    return reader.found


def is_pure(text: str) -> bool:
    """Whether a file declares that what it does follows from what is watched."""
    return any(_PURE.fullmatch(line) for line in text.split("\n"))


def text_of(path: str) -> str | None:
    """Return the text of a file; ``None`` where it cannot be read, is too large or no text."""
    try:
        with open(path, encoding="utf-8", newline="", opener=open_at_once) as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(text) <= LARGEST else None


class _Reader:
    """Reads an ``.envrc`` and what it sources."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.found = Reading(variables={*_SET_BY_STDLIB})
        self._files = 0
        self._commands: dict[str, Callable[[_Line], None]] = {
            "PATH_add": self._path_add,
            "path_add": self._path_add,
            "watch_file": self._nothing,
            "strict_env": self._strict_env,
            "env_vars_required": self._env_vars_required,
            "dotenv": self._dotenv,
            "dotenv_if_exists": self._dotenv,
            "source_env": self._source_env,
            "source_env_if_exists": self._source_env,
            "source_up": self._source_up,
            "source_up_if_exists": self._source_up,
            "use": self._use,
        }

    def file(self, path: str, depth: int) -> None:
        """Read a file that is evaluated in its own directory."""
        self._files += 1
        if depth > DEEPEST or self._files > MOST_FILES:
            self.found.reasons.append(Reason(path, 0, "", "too many files source one another"))
            return
        text = text_of(path)
        if text is None:
            self.found.reasons.append(Reason(path, 0, "", "it cannot be read"))
            return
        declared = is_pure(text)
        for number, line in enumerate(text.split("\n"), 1):
            why = self._line(path, line, depth)
            if why and not declared:
                self.found.reasons.append(Reason(path, number, line.strip(), why))

    def _line(self, path: str, line: str, depth: int) -> str:
        """Take a line; return why it is not understood, or nothing."""
        text = line.strip(" \t")
        try:
            if text.startswith("export "):
                self._export(text.removeprefix("export "))
                return ""
            found = words(text)
            if found is None:
                return _ONLY_A_SHELL
            if not found:
                return ""
            command = self._commands.get(found[0])
            if command is None:
                return "not one of the commands that are known to depend on nothing else"
            command(_Line(path, found, depth, self.home))
        except _NotPlainError as reason:
            return str(reason)
        return ""

    def _export(self, text: str) -> None:
        found = assignments(text)
        if not found:
            raise _NotPlainError(_ONLY_A_SHELL)
        for name, word in found:
            self._assigned(name)
            used = variables_in(word) - {"PWD"}
            if dynamic := sorted(filter(is_dynamic, used)):
                raise _NotPlainError(f"{dynamic[0]} is another each time")
            self.found.variables |= used

    def _assigned(self, name: str) -> None:
        if not is_assignable(name):
            raise _NotPlainError(f"{name} means something to the shell")
        self.found.variables.add(name)

    def _nothing(self, line: _Line) -> None:
        line.values()

    def _path_add(self, line: _Line) -> None:
        values = line.values()
        if line.words[0] == "path_add":
            if not values or not re.fullmatch(NAME, values[0]):
                raise _NotPlainError("it names no variable")
            self._assigned(values[0])

    def _strict_env(self, line: _Line) -> None:
        if line.values():
            raise _NotPlainError("it runs a command")

    def _env_vars_required(self, line: _Line) -> None:
        for name in line.values():
            if not re.fullmatch(NAME, name) or is_dynamic(name):
                raise _NotPlainError("it names no variable")
            self.found.filled.add(name)
        self.found.variables.add("var")  # It runs over them.

    def _dotenv(self, line: _Line) -> None:
        values = line.values()
        if len(values) > 1:
            raise _NotPlainError("more than one file")
        path = os.path.join(line.directory, (values and values[0]) or ".env")
        if os.path.isdir(path):
            path = os.path.join(path, ".env")
        if not os.path.exists(path):
            return
        text = text_of(path)
        if text is None or "$" in text:
            raise _NotPlainError(f"{os.path.basename(path)} has variables in it")
        for name in _NAME_IN_DOTENV.findall(text):
            self._assigned(name)

    def _source_env(self, line: _Line) -> None:
        values = line.values()
        # The stdlib replaces a leading `~`, and pushd has a meaning for the signs.
        if len(values) != 1 or not values[0] or values[0][0] in "~-+":
            raise _NotPlainError("it names no file")
        path = os.path.join(line.directory, values[0])
        if os.path.isdir(path):
            if line.words[0] != "source_env":
                return
            path = os.path.join(path, ".envrc")
        if os.path.exists(path):
            self.file(os.path.normpath(path), line.depth + 1)
        else:
            # direnv does not watch what `source_env` does not find.
            self.found.absent.append(path)

    def _source_up(self, line: _Line) -> None:
        values = line.values()
        name = (values and values[0]) or ".envrc"
        if len(values) > 1 or "/" in name or name[0] in "~-+":
            raise _NotPlainError("it names no file")
        directory = line.directory
        while directory != "/":
            directory = os.path.dirname(directory)
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                self.file(path, line.depth + 1)
                return
            self.found.absent.append(path)

    def _use(self, line: _Line) -> None:
        values = line.values()
        if values[:1] != ["nixpy"]:
            raise _NotPlainError("only `use nixpy` is known to depend on nothing else")
        self.found.calls.append((line.directory, tuple(values[1:])))
        self.found.variables |= _OF_NIXPY


_ONLY_A_SHELL = "only a shell could say what this comes to"


class _NotPlainError(Exception):
    """A command is not one whose effect is known."""


@dataclass(frozen=True)
class _Line:
    """A line that is evaluated.

    Attributes:
        path: the file that it stands in.
        words: as they are written.
        depth: how many files sourced this one.
        home: the value of ``HOME``.
    """

    path: str
    words: Sequence[str]
    depth: int
    home: str

    @property
    def directory(self) -> str:
        """The directory that it is evaluated in."""
        return os.path.dirname(self.path)

    def values(self) -> list[str]:
        """Return what its arguments come to."""
        known = {"PWD": self.directory}
        if self.home:
            known["HOME"] = self.home
        values = []
        for word in self.words[1:]:
            found = value(word, known)
            if found is None:
                raise _NotPlainError(_ONLY_A_SHELL)
            values.append(found)
        return values
