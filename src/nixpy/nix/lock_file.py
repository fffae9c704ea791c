"""What ``flake.nix`` asks for and ``flake.lock`` has, both read as files: nothing is evaluated.

Sources: Nix manual, "nix3-flake" (Flake inputs, Lock files, Flake references), and "Syntax".
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Locked",
    "MalformedLock",
    "declared_inputs",
    "differences",
    "files_named",
    "lookup_names",
    "read_lock",
]

MOST_FILES = 500
"""Nix files that are followed."""

OPENING, CLOSING = {"{", "(", "["}, {"}", ")", "]"}

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*|/\*.*?\*/)
    | (?P<string>"(?:[^"\\]|\\.)*"|''(?:[^']|'(?!')|''(?=['$\\]).)*'')
    | (?P<name>[A-Za-z_][\w'-]*(?!\w*[:+]))
    | (?P<other>[A-Za-z][\w+.-]*:[^\s;{}"]+|\.\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_PATH = re.compile(r"(?<![\w./~\"'+-])(\.{1,2}(?:/[\w.+-]+)+)/?")
_LOOKUP = re.compile(r"<([A-Za-z_][\w+-]*)(?:/[\w./+-]*)?>")
_COMMENT_OR_STRING = re.compile(
    r"""\#[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|''(?:[^']|'(?!')|''(?=['$\\]).)*''""", re.DOTALL
)
_INSERTED = re.compile(r"\$\{([^}]*)\}")

_FORGES = {"github", "gitlab", "sourcehut"}
_REVISION = re.compile(r"[0-9a-f]{40}")


class MalformedLock(ValueError):  # noqa: N818 - the sentence is the name
    """A ``flake.lock`` is none that Nix reads; the message says where."""


class Locked(NamedTuple):
    """An input of the flake itself in its lock file.

    Attributes:
        name: as the flake calls it.
        original: what was asked for when it was locked; empty where it follows another input.
        last_modified: the time of what it was locked to, in seconds since the epoch, or ``None``.
        is_nixpkgs: whether it is nixpkgs, by its name or its address.
    """

    name: str
    original: dict[str, Any]
    last_modified: int | None
    is_nixpkgs: bool


def read_lock(text: str) -> dict[str, Locked]:
    """Return the inputs of the flake itself that a lock file has, by name.

    Raises:
        MalformedLock: it is no JSON, or not as lock files are.
    """
    try:
        lock = json.loads(text)
    except ValueError as error:
        raise MalformedLock(str(error)) from None
    try:
        nodes = lock["nodes"]
        inputs = nodes[lock["root"]].get("inputs", {})
        return {name: _locked(name, target, nodes) for name, target in inputs.items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise MalformedLock(f"not as Nix writes it: {type(error).__name__}: {error}") from None


def _locked(name: str, target: Any, nodes: dict[str, Any]) -> Locked:
    if isinstance(target, list):  # a path of names from the root: it follows
        return Locked(name, {}, None, is_nixpkgs=False)
    node = nodes[target]
    locked, original = node.get("locked", {}), node.get("original", {})
    time = locked.get("lastModified")
    address = " ".join(str(locked.get(key, "")) for key in ("repo", "url", "path"))
    return Locked(
        name,
        dict(original),
        time if isinstance(time, int) else None,
        is_nixpkgs=name == "nixpkgs" or "nixpkgs" in address,
    )


def declared_inputs(text: str) -> dict[str, str | None]:
    """Return the inputs that a ``flake.nix`` asks for, with their addresses where they have one.

    Its ``inputs`` are literals, by a rule of Nix', so that reading is enough. What ``outputs``
    takes as an argument is an input too.
    """
    found: dict[str, str | None] = {}
    values: dict[tuple[str, ...], str] = {}
    tokens = [
        (match.lastgroup or "", match[0])
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "space"
    ]
    for path, value in _attributes(tokens):
        if path[0] == "inputs" and len(path) > 1 and path[1] != "self":
            found.setdefault(path[1], None)
            values[path[1:]] = value
        elif path == ("outputs",):
            values[path] = value
    for name in found:
        found[name] = values.get((name, "url"))
        if (name, "follows") in values:
            found[name] = ""
    for name in _arguments(tokens):
        found.setdefault(name, name)
    return found


def _attributes(tokens: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the attributes of the outermost set, those in ``inputs`` with their whole paths."""
    prefixes: list[tuple[str, ...]] = []
    path: list[str] = []
    position = 0
    while position < len(tokens):
        kind, word = tokens[position]
        position += 1
        if word == "{" and not prefixes:
            prefixes.append(())
        elif not prefixes:
            continue
        elif word == "}":
            prefixes.pop()
            path = []
        elif word == ";":
            path = []
        elif kind in {"name", "string"}:
            path.append(word.strip('"'))
        elif word == "=" and path:
            full = (*prefixes[-1], *path)
            path = []
            following = tokens[position] if position < len(tokens) else ("", "")
            if full[0] == "inputs" and following[1] == "{":
                yield full, ""
                prefixes.append(full)
                position += 1
            else:
                yield full, following[1].strip('"')
                position = _after(tokens, position)


def _after(tokens: list[tuple[str, str]], position: int) -> int:
    """Return the position behind the value that begins at one."""
    depth = lets = 0
    while position < len(tokens):
        word = tokens[position][1]
        if word in OPENING:
            depth += 1
        elif word in CLOSING:
            depth -= 1
            if depth < 0:
                return position
        elif depth == 0 and word == "let":
            lets += 1
        elif depth == 0 and word == "in" and lets:
            lets -= 1
        elif word == ";" and depth == 0 and not lets:
            return position + 1
        position += 1
    return position


def _arguments(tokens: list[tuple[str, str]]) -> Iterator[str]:
    """Yield what ``outputs`` takes by name, but ``self``."""
    texts = [word for _, word in tokens]
    found = (at for at in range(len(texts)) if texts[at : at + 2] == ["outputs", "="])
    start = next(found, len(texts)) + 2
    if texts[start + 1 : start + 2] == ["@"]:  # inputs@{ self, nixpkgs }: …
        start += 2
    depth = 0
    before = ""
    for kind, word in tokens[start:]:
        depth += (word in OPENING) - (word in CLOSING)
        if depth == 0:
            return
        if depth == 1 and before in {"{", ","} and kind == "name" and word != "self":
            yield word
        before = word


def differences(declared: dict[str, str | None], locked: dict[str, Locked]) -> Iterator[str]:
    """Yield in what a lock file is not that of what a flake asks for."""
    for name, url in declared.items():
        if name not in locked:
            yield f"{name} is not in flake.lock"
        elif url and locked[name].original:
            asked = _original(url)
            was = locked[name].original
            if asked and any(was.get(key) != asked.get(key) for key in {*asked, *was}):
                yield f"{name} is {url} in flake.nix, and {_shown(was)} in flake.lock"
    for name in locked:
        if name not in declared:
            yield f"{name} is in flake.lock, and not in flake.nix"


def _original(url: str) -> dict[str, str] | None:
    """Return an address as lock files have it; ``None`` for one that is not compared."""
    scheme, _, rest = url.partition(":")
    if "?" in rest or "#" in rest:
        return None
    if scheme == "path" and rest.startswith("/"):
        return {"type": "path", "path": rest}
    parts = rest.split("/", 2)
    if scheme not in _FORGES or len(parts) < 2:  # noqa: PLR2004 - owner and repository
        return None
    found = {"type": scheme, "owner": parts[0], "repo": parts[1]}
    if len(parts) > 2:  # noqa: PLR2004 - and what of it
        found["rev" if _REVISION.fullmatch(parts[2]) else "ref"] = parts[2]
    return found


def _shown(original: dict[str, Any]) -> str:
    kind = original.get("type", "")
    keys = ("path",) if kind == "path" else ("owner", "repo", "ref", "rev")
    return f"{kind}:" + "/".join(str(original[key]) for key in keys if key in original)


def files_named(path: str, read: Callable[[str], str | None]) -> dict[str, str]:
    """Return the files that a Nix file names by relative paths, and those do, with who names them.

    Args:
        path: the absolute path of the Nix file.
        read: returns a file's text, or ``None``.
    """
    found: dict[str, str] = {}
    waiting = [path]
    while waiting and len(found) < MOST_FILES:
        file = waiting.pop()
        text = _code(read(file) or "")
        for match in _PATH.finditer(text):
            named = os.path.normpath(os.path.join(os.path.dirname(file), match[1]))
            if os.path.isdir(named):
                named += "/default.nix"
            if named != path and named not in found and os.path.isfile(named):
                found[named] = file
                if named.endswith(".nix"):
                    waiting.append(named)
    return found


def lookup_names(text: str) -> tuple[str, ...]:
    """Return what a Nix file looks up in ``NIX_PATH``: ``nixpkgs`` of ``<nixpkgs/lib>``."""
    return tuple(dict.fromkeys(_LOOKUP.findall(_code(text))))


def _code(text: str) -> str:
    """Return a Nix file without comments, and of its strings only what is inserted."""
    return _COMMENT_OR_STRING.sub(lambda one: " ".join(("", *_INSERTED.findall(one[0]), "")), text)
