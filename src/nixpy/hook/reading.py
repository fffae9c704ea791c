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

from nixpy.direnv import USERS_LIBRARIES
from nixpy.init.bash_commands import chunks
from nixpy.project import open_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nixpy.init.bash_commands import Chunk

__all__ = ["Configuration", "Reading", "Reason", "read_configuration", "read_envrc"]

LARGEST = 1_000_000
DEEPEST = 20
"""How many files may source one another."""

_PURE = re.compile(r"\s*#\s*nixpy:\s*pure\s*")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = rf"\$(?:{_NAME}|\{{{_NAME}\}})"
# What stands for itself anywhere in a word: no pattern, no brace, no `~` but a leading `~/`.
_PLAIN = r"(?:[\w./:=@%+,-]|\\[ \w./:=@%+,~$'\"\\-])"
_SINGLE = r"'[^'\n]*'"
_DOUBLE = rf'"(?:[^"\\$`\n]|\\["\\$`]|{_VARIABLE})*"'
_WORD = re.compile(rf"(?:~/)?(?:{_PLAIN}|{_SINGLE}|{_DOUBLE})+|~")
_ASSIGNMENT = re.compile(
    rf"({_NAME})=(?:~/)?(?:{_PLAIN}|{_SINGLE}|{_DOUBLE}|{_VARIABLE})*", re.ASCII
)
_PIECE = re.compile(rf"{_SINGLE}|\\.|({_VARIABLE})")
_SEPARATOR = re.compile(r"[ \t]+")
_DEFAULT = re.compile(rf":[ \t]+(\"?)\$\{{({_NAME}):?=[\w./:@%+,-]*\}}\1", re.ASCII)
"""Sets a variable that has no value, as nix-direnv does (POSIX, 2.6.2)."""

_DYNAMIC = frozenset(
    {
        "BASHOPTS", "BASHPID", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_COMMAND",
        "BASH_LINENO", "BASH_SOURCE", "BASH_SUBSHELL", "BASH_VERSION", "COLUMNS", "DIRSTACK",
        "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GROUPS", "HISTCMD", "HOSTNAME",
        "LINENO", "LINES", "OLDPWD", "OPTARG", "OPTIND", "PIPESTATUS", "PPID", "RANDOM",
        "REPLY", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "_", "direnv",
    }
)  # fmt: skip
"""Variables that bash or direnv's stdlib gives values of their own."""

_STDLIB = frozenset(
    {
        "PATH_add", "__main__", "_source_up", "dotenv", "dotenv_if_exists", "env_vars_required",
        "expand_path", "export", "find_up", "has", "join_args", "log_error", "log_status",
        "path_add", "realpath.absolute", "realpath.basename", "realpath.dirname", "source_env",
        "source_env_if_exists", "source_up", "source_up_if_exists", "strict_env", "use",
        "use_nixpy", "user_rel_path", "watch_file", "__env_strictness", "_nixpy_ask",
        "_nixpy_warm",
    }
)  # fmt: skip
"""What the commands that are understood are made of: nobody else may define these."""


_GOES_ON_TO_USERS = frozenset(
    {
        'direnv_config_dir_home="${DIRENV_CONFIG_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/direnv}"',
        (
            "if [[ -f $direnv_config_dir_home/direnvrc ]]; then"
            ' source "$direnv_config_dir_home/direnvrc" >&2'
            ' elif [[ -f $HOME/.direnvrc ]]; then source "$HOME/.direnvrc" >&2 fi'
        ),
        "unset direnv_config_dir_home",
    }
)
"""How NixOS' direnvrc goes on to that of the user, which is read beside it: nixpkgs,
``nixos/modules/programs/direnv.nix``."""


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
        variables: the names of those whose values count.
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


@dataclass
class Configuration:
    """What a file does that direnv sources in front of each ``.envrc``.

    Attributes:
        variables: the names of those that it sets: they change where they are exported.
        sources: files that it sources.
        reasons: why direnv is always asked; empty where it need not be.
    """

    variables: set[str] = field(default_factory=set)
    sources: list[str] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)


def read_configuration(path: str, home: str) -> Configuration:
    """Return what a file does that direnv sources in front of each ``.envrc``.

    Nothing is said against one that defines functions, which none of those that are understood
    calls, sets variables to what stands there, and sources files by absolute paths.

    Args:
        path: its absolute path.
        home: the value of ``HOME``, which ``~/`` stands for.
    """
    text = _text_of(path)
    if text is None:
        return Configuration(reasons=[Reason(path, 0, "", "it cannot be read")])
    found = Configuration()
    if os.path.basename(path) == "nixpy.sh" and "\n# nixpy-version: " in text:
        return found
    is_pure = any(_PURE.fullmatch(line) for line in text.splitlines())
    beside = os.path.join(os.path.dirname(path), "lib", USERS_LIBRARIES)
    known = _GOES_ON_TO_USERS if os.path.exists(beside) else frozenset()
    for chunk in chunks(text):
        if " ".join(chunk.text.split()) not in known:
            _take(found, chunk, path, home)
    if is_pure:
        found.reasons.clear()
    return found


def _take(found: Configuration, chunk: Chunk, path: str, home: str) -> None:
    """Add what some lines do to what is known of their file."""
    text = chunk.text.strip()
    why = ""
    if chunk.function in _STDLIB:
        why = f"it changes what {chunk.function} does"
    elif chunk.function and chunk.is_complete:
        return
    elif names := _assigned(text):
        found.variables |= names
    elif source := _sourced(text, home):
        found.sources.append(source)
    elif chunk.commands:
        why = "it runs each time"
    if why:
        found.reasons.append(Reason(path, chunk.first + 1, chunk.lines[0].strip(), why))


def _assigned(text: str) -> set[str]:
    """Return the variables that a line sets to what stands there, and that is all it does."""
    if default := _DEFAULT.fullmatch(text):
        return {default[2]}
    words = _words(text.removeprefix("export "), _ASSIGNMENT) or []
    if any(_variables_in(word) for word in words):
        return set()
    return {word.partition("=")[0] for word in words}


def _sourced(text: str, home: str) -> str:
    """Return the file that a line sources, and that is all it does, by its absolute path."""
    if re.fullmatch(r"[\w./+-]*", home):
        # It is one word without quotes, too.
        text = re.sub(r"^(source|\.)[ \t]+\$(?:HOME|\{HOME\})/", r"\1 ~/", text)
    words = _words(text) or []
    if len(words) != 2 or words[0] not in {"source", "."} or "PWD" in _variables_in(words[1]):  # noqa: PLR2004
        return ""
    path = _value(words[1], "", home) or ""
    return path if os.path.isabs(path) else ""


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", opener=open_at_once) as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(text) <= LARGEST else None


def _words(text: str, pattern: re.Pattern[str] = _WORD) -> list[str] | None:
    """Return the words of a line as they are written, or ``None`` where it is not plain."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if gap := _SEPARATOR.match(text, at):
            at = gap.end()
        if at == len(text) or text[at] == "#":
            break
        if not (gap or not words):
            return None
        matched = pattern.match(text, at)
        if matched is None:
            return None
        words.append(matched[0])
        at = matched.end()
    return words


def _variables_in(word: str) -> set[str]:
    return {match[1].strip("${}") for match in _PIECE.finditer(word) if match[1]}


def _value(word: str, directory: str, home: str) -> str | None:
    """Return what a word comes to; ``None`` where it holds a variable but ``PWD`` and ``HOME``."""
    if _variables_in(word) - {"PWD", "HOME"}:
        return None
    if word == "~" or word.startswith("~/"):
        word = f"'{home}'{word[1:]}"
    found: list[str] = []
    for piece in re.findall(rf"{_SINGLE}|{_DOUBLE}|\\.|[^'\"\\]+", word):
        if piece[0] == "'":
            found.append(piece[1:-1])
        elif piece[0] == '"':
            inner = piece[1:-1].replace("${PWD}", directory).replace("$PWD", directory)
            inner = inner.replace("${HOME}", home).replace("$HOME", home)
            found.append(re.sub(r'\\(["\\$`])', r"\1", inner))
        else:
            found.append(piece.removeprefix("\\"))
    return "".join(found)


class _Reader:
    """Reads an ``.envrc`` and what it sources."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.found = Reading()
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
        text = _text_of(path)
        if text is None:
            self.found.reasons.append(Reason(path, 0, "", "it cannot be read"))
            return
        if depth > DEEPEST:
            self.found.reasons.append(Reason(path, 0, "", "files source one another"))
            return
        lines = text.split("\n")
        is_pure = any(_PURE.fullmatch(line) for line in lines)
        for number, line in enumerate(lines, 1):
            why = self._line(path, line, depth)
            if why and not is_pure:
                self.found.reasons.append(Reason(path, number, line.strip(), why))

    def _line(self, path: str, line: str, depth: int) -> str:
        """Take a line; return why it is not understood, or nothing."""
        text = line.strip(" \t")
        if text.startswith("export "):
            return self._export(text.removeprefix("export "))
        words = _words(text)
        if words is None:
            return "only a shell could say what this comes to"
        if not words:
            return ""
        command = self._commands.get(words[0])
        if command is None:
            return "not one of the commands that are known to depend on nothing else"
        try:
            command(_Line(path, words, depth, self.home))
        except _NotPlainError as reason:
            return str(reason)
        return ""

    def _export(self, text: str) -> str:
        words = _words(text, _ASSIGNMENT)
        if not words:
            return "only a shell could say what this comes to"
        names = set().union(*map(_variables_in, words)) - {"PWD"}
        if dynamic := sorted(names & _DYNAMIC):
            return f"{dynamic[0]} is another each time"
        self.found.variables |= names
        return ""

    def _nothing(self, line: _Line) -> None:
        line.values()

    def _path_add(self, line: _Line) -> None:
        values = line.values()
        if line.words[0] == "path_add":
            if not values or not re.fullmatch(_NAME, values[0]):
                raise _NotPlainError("it names no variable")
            self.found.variables.add(values[0])

    def _strict_env(self, line: _Line) -> None:
        if line.values():
            raise _NotPlainError("it runs a command")

    def _env_vars_required(self, line: _Line) -> None:
        for name in line.values():
            if not re.fullmatch(_NAME, name) or name in _DYNAMIC:
                raise _NotPlainError("it names no variable")
            self.found.filled.add(name)

    def _dotenv(self, line: _Line) -> None:
        values = line.values()
        if len(values) > 1:
            raise _NotPlainError("more than one file")
        path = os.path.join(line.directory, values[0] if values else ".env")
        if os.path.isdir(path):
            path = os.path.join(path, ".env")
        if not os.path.exists(path):
            return
        text = _text_of(path)
        if text is None or "$" in text:
            raise _NotPlainError(f"{os.path.basename(path)} has variables in it")

    def _source_env(self, line: _Line) -> None:
        values = line.values()
        if len(values) != 1:
            raise _NotPlainError("it names no file")
        path = os.path.join(line.directory, values[0])
        if os.path.isdir(path):
            if line.words[0] != "source_env":
                return
            path = os.path.join(path, ".envrc")
            self.found.absent += () if os.path.exists(path) else (path,)
        if os.path.exists(path):
            self.file(os.path.normpath(path), line.depth + 1)

    def _source_up(self, line: _Line) -> None:
        values = line.values()
        name = values[0] if values else ".envrc"
        if len(values) > 1 or "/" in name:
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
        values = []
        for word in self.words[1:]:
            value = _value(word, self.directory, self.home)
            if value is None:
                raise _NotPlainError("only a shell could say what this comes to")
            values.append(value)
        return values
