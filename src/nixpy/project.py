"""Projects: which directory is meant, and with which options its ``.envrc`` says ``use nixpy``.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MANIFEST_NAMES",
    "Project",
    "current_directory",
    "envrc_arguments",
    "find_project",
    "open_at_once",
]

MANIFEST_NAMES = (
    "nixpy.toml",
    "pyproject.toml",
    "uv.lock",
    "pylock.toml",
    "requirements.txt",
    "environment.yml",
    "environment.yaml",
    "conda-lock.yml",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
    "setup.py",
    "setup.cfg",
    "flake.nix",
    "shell.nix",
    "default.nix",
    ".python-version",
    ".tool-versions",
)
"""Files that make a directory a project where no ``.envrc`` says ``use nixpy``."""

_LONGEST_ENVRC = 1_000_000


class Project(NamedTuple):
    """A directory that nixpy makes an environment for.

    Attributes:
        directory: absolute path as the caller names it, perhaps through symbolic links.
        root: its real path.
        arguments: what the ``.envrc`` hands to ``use nixpy``, or the caller instead of it.
    """

    directory: str
    root: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def at(cls, directory: str, arguments: tuple[str, ...] = ()) -> Project:
        """Return the project whose root is ``directory``, an absolute path."""
        return cls(directory, os.path.realpath(directory), arguments)


def current_directory(environ: Mapping[str, str]) -> str:
    """Return the working directory as the shell names it (POSIX, ``pwd -L``).

    Raises:
        OSError: the working directory is gone.
    """
    logical = environ.get("PWD", "")
    physical = os.getcwd()
    try:
        if logical.startswith("/") and os.path.samefile(logical, physical):
            return os.path.normpath(logical)
    except OSError:
        pass
    return physical


def find_project(start: str) -> Project:
    """Return the project that ``start``, an absolute path, lies in.

    The nearest directory upwards whose ``.envrc`` says ``use nixpy``, else the nearest one with a
    manifest, else ``start`` itself.
    """
    for directory in _upwards(start):
        arguments = envrc_arguments(directory)
        if arguments is not None:
            return Project.at(directory, arguments)
    for directory in _upwards(start):
        if any(os.path.exists(f"{directory}/{name}") for name in MANIFEST_NAMES):
            return Project.at(directory)
    return Project.at(start)


def envrc_arguments(directory: str) -> tuple[str, ...] | None:
    """Return the arguments of the last ``use nixpy`` in the ``.envrc`` of a directory.

    ``None`` where it says no such thing. Arguments that only a shell could compute count as none.
    """
    try:
        with open(f"{directory}/.envrc", "rb", opener=open_at_once) as file:
            content = file.read(_LONGEST_ENVRC)
    except OSError:
        return None
    found: tuple[str, ...] | None = None
    for line in content.split(b"\n"):
        words = line.split(None, 2)
        if words[:2] == [b"use", b"nixpy"] or line.strip() == b"use_nixpy":
            found = _words(os.fsdecode(words[2])) if len(words) > 2 else ()  # noqa: PLR2004
    return found


def open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe of that name would wait for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _words(text: str) -> tuple[str, ...]:
    if not set(text) & set("'\"\\$`;&|<>(){}*?[]#!~"):
        return tuple(text.split())
    import shlex

    try:
        words = tuple(shlex.split(_without_comment(text)))
    except ValueError:
        return ()
    return () if any(set(word) & set("$`;&|<>(){}") for word in words) else words


def _without_comment(text: str) -> str:
    """Return a line without its comment: a ``#`` counts only where a word begins, as in bash.

    :mod:`shlex` takes any, also that of a flake reference (``.#ci``).
    """
    quote = ""
    at = 0
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (at == 0 or text[at - 1].isspace()):
            return text[:at]
        at += 1
    return text


def _upwards(directory: str) -> list[str]:
    found = [directory]
    while directory != "/":
        directory = os.path.dirname(directory)
        found.append(directory)
    return found
