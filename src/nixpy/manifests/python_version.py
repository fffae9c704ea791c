"""Files that name an interpreter: ``.python-version`` and its like, as a request for uv.

Sources: github.com/pyenv/pyenv, "Choosing the Python version" (several lines and words, the first
one is ``python``); docs.astral.sh/uv/concepts/python-versions, "Requesting a version";
asdf-vm.com, "Configuration: .tool-versions"; mise.jdx.dev, "mise.toml: [tools]".
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ManifestError
from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixpy.files import Files

__all__ = ["FILES", "PythonRequest", "find_python_request", "request_of"]

VERSION_FILES = (".python-version", ".python-versions")
TOOL_VERSIONS = ".tool-versions"
MISE_FILES = ("mise.toml", ".mise.toml")
FILES = (*VERSION_FILES, TOOL_VERSIONS, *MISE_FILES)
"""All of them, the one that counts first."""

LONGEST = 4096
SYSTEM = "system"
"""Whatever is on ``PATH`` (pyenv, asdf)."""

_VERSION = re.compile(
    r"(?:(?P<cpython>cpython)[-@]?|python[-@]?)?(?P<version>\d+(?:\.\d+){0,2}(?:(?:a|b|rc)\d+)?)"
    r"(?P<dev>-dev)?(?P<variant>td|dt|t|d|(?:\+(?:freethreaded|debug|gil))*)",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?:cpython|pypy|graalpy|pyodide)-\d[\w.+]*(?:-[\w.]+){1,3}", re.IGNORECASE)
_OTHER = re.compile(
    r"(?P<name>pypy|graalpy)(?:-(?:community|jvm|nightly))?[-@]?(?P<version>\d+\.\d+)?"
    r"(?:[-.]\S*)?",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(?:(?:===|==|!=|~=|<=|>=|<|>)\s*[\w.*+!-]+\s*,?\s*)+")
_PREFIXED = re.compile(r"(?:prefix|latest|v):?(?P<version>\d.*)")
_VARIANTS = {
    "t": "+freethreaded",
    "d": "+debug",
    "td": "+freethreaded+debug",
    "dt": "+freethreaded+debug",
}


class PythonRequest(NamedTuple):
    """An interpreter that a file asks for.

    Attributes:
        text: as ``uv python find`` takes it; ``None`` for whatever there is.
        path: absolute path of the file.
    """

    text: str | None
    path: str


def find_python_request(files: Files, directories: Iterable[str]) -> PythonRequest | None:
    """Return what the first of :data:`FILES` in the first of some directories asks for.

    Raises:
        ManifestError: it names no interpreter that uv could find.
    """
    shown_from = None
    for directory in directories:
        shown_from = shown_from or directory
        for name in FILES:
            path = os.path.join(directory, name)
            content = files.read(path)
            if content is None:
                continue
            for line, word in _words(name, path, content):
                where = f"{os.path.relpath(path, shown_from)}{f':{line}' if line else ''}"
                return PythonRequest(request_of(word, directory, where), path)
    return None


def request_of(word: str, directory: str, where: str) -> str | None:
    """Return the request that a word of such a file makes; ``None`` for any interpreter.

    Args:
        word: ``3.12``, ``3.13t``, ``pypy3.10-7.3.12``, ``>=3.10``, ``../python``, ``system``, …
        directory: what a path is relative to.
        where: file and line, for messages.

    Raises:
        ManifestError: it names no interpreter that uv could find.
    """
    if len(word) > LONGEST or not word.isprintable():
        raise ManifestError(
            f"expected a Python version, got {word[:20]!r}",
            where=where,
            next="Write one as in 3.12, cpython@3.12, >=3.11 or a path, on a line of its own.",
        )
    if word.lower() in {SYSTEM, "latest", "any"}:
        return None
    if word.startswith("path:"):
        # What asdf has there is an installation.
        return os.path.normpath(os.path.join(directory, word[5:], "bin/python"))
    prefixed = _PREFIXED.fullmatch(word)
    word = prefixed["version"] if prefixed else word
    version = _VERSION.fullmatch(word)
    if version:
        variant = version["variant"].lower()
        only = "cpython@" if version["cpython"] else ""
        return f"{only}{version['version'].lower()}{_VARIANTS.get(variant, variant)}"
    if _KEY.fullmatch(word) or _RANGE.fullmatch(word):
        return word.lower() if _KEY.fullmatch(word) else word.replace(" ", "")
    if "/" in word:
        return os.path.normpath(os.path.join(directory, os.path.expanduser(word)))
    other = _OTHER.fullmatch(word)
    if other:
        # The version of GraalPy itself is none of Python's.
        is_python = other["name"].lower() == "pypy" and other["version"]
        return f"{other['name'].lower()}{'@' + other['version'] if is_python else ''}"
    raise ManifestError(
        f"{word!r} names no interpreter that uv could find",
        where=where,
        next="Write its version, as in 3.12 or pypy3.10, or the path of the interpreter.",
    )


def _words(name: str, path: str, content: bytes) -> Iterator[tuple[int, str]]:
    """Yield the words that ask for an interpreter, with their lines (0: unknown)."""
    if name in MISE_FILES:
        yield from ((0, word) for word in _of_mise(path, content))
        return
    for number, line in enumerate(os.fsdecode(content).splitlines(), 1):
        text = line.split("#", 1)[0].strip().removeprefix("\ufeff")
        if name == TOOL_VERSIONS:
            tool, _, text = text.partition(" ")
            if tool != "python":
                continue
        if not text:
            continue
        if _RANGE.fullmatch(text.strip()) or "/" in text:
            yield number, text.strip()
        else:
            # pyenv takes several words in a line, too.
            yield from ((number, word) for word in text.split()[:1])


def _of_mise(path: str, content: bytes) -> Iterator[str]:
    """Yield what ``[tools]`` says: a version, several, or a table with one."""
    tools = read_toml(path, content).table("tools")
    if tools is None or "python" not in tools:
        return
    if tools.is_table("python"):
        table = tools.table("python")
        version = table.string("version") if table else None
        yield from (version,) if version else ()
    else:
        yield from tools.strings("python", or_one=True)[:1]
