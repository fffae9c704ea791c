"""Which uv workspace a directory belongs to, found as uv finds it.

The rules are those of uv's ``crates/uv-workspace``, tried with uv 0.13:

- The project is the nearest directory upwards with a ``pyproject.toml``. With
  ``tool.uv.managed = false`` it has no workspace. With ``[tool.uv.workspace]`` it is the root.
- Otherwise, if it has a ``[project]`` table, the next ``pyproject.toml`` further up decides alone:
  it is the root if it has ``[tool.uv.workspace]`` whose members include the project and whose
  exclude does not. Whatever else it is, nothing above it is looked at.
- Globs are those of Rust's ``glob`` crate: a ``*`` matches names with a leading dot; there are no
  braces and no escapes. In ``exclude`` a ``*``, ``?`` or ``[…]`` also matches a slash, in
  ``members`` it does not (it did in older versions, from a project below).
- A directory that a glob finds and that has no ``pyproject.toml`` is an error for uv, unless it
  is hidden or holds only what Git ignores; a root that is a member of another root is one too.

Only what decides about membership is read here; a member that uv will refuse is still a member.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.files import Files
    from nixpy.manifests.toml import Table

__all__ = ["Workspace", "find_workspace", "glob_fault"]

# What changes by itself, or with each sync, and holds no members.
_NOT_ENTERED = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules"})
_ENVIRONMENT_MARKER = "pyvenv.cfg"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A uv workspace: its root and the sorted directories of its members, the root among them."""

    root: str
    members: tuple[str, ...]


def find_workspace(directory: str, files: Files) -> Workspace | None:
    """Return the workspace that uv would use in a directory; None for a project on its own.

    Everything that was looked at on the way is asked of ``files``: the ``pyproject.toml`` of
    each directory upwards and of each member, and the names in each directory that a glob visits.

    Args:
        directory: an absolute path.
        files: reads the files.

    Raises:
        ManifestError: a ``pyproject.toml`` on the way is malformed.
    """
    directory = os.path.normpath(directory)
    nearest = _nearest_pyproject(directory, directory, files)
    if nearest is None:
        return None
    project, table = nearest
    uv = _uv_table(table)
    if uv is not None and uv.boolean("managed") is False:
        return None
    definition = None if uv is None else uv.table("workspace")
    if definition is not None:
        return _workspace(project, definition, directory, files)
    return _workspace_above(project, directory, files) if "project" in table else None


def glob_fault(pattern: str) -> str | None:
    """Say why uv would refuse a glob, or return None."""
    try:
        for part in (pattern, *pattern.split("/")):
            _translated(part)
    except ValueError as error:
        return f"not a glob: {error}"
    return "not a glob: it holds NUL" if "\0" in pattern else None


def _workspace_above(project: str, shown_from: str, files: Files) -> Workspace | None:
    parent = os.path.dirname(project)
    nearest = None if parent == project else _nearest_pyproject(parent, shown_from, files)
    if nearest is None:
        return None
    root, table = nearest
    uv = _uv_table(table)
    definition = None if uv is None else uv.table("workspace")
    if definition is None:
        return None
    members, exclude = _globs(definition)
    included = any(_compiled(root, glob, any_one="[^/]").fullmatch(project) for glob in members)
    if not included or _is_excluded(root, exclude, project):
        return None
    return _workspace(root, definition, shown_from, files)


def _nearest_pyproject(start: str, shown_from: str, files: Files) -> tuple[str, Table] | None:
    directory = start
    while True:
        path = os.path.join(directory, "pyproject.toml")
        content = files.read(path)
        if content is not None:
            return directory, read_toml(path, content, shown_as=os.path.relpath(path, shown_from))
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def _uv_table(table: Table) -> Table | None:
    tool = table.table("tool")
    return None if tool is None else tool.table("uv")


def _globs(definition: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        definition.strings("members", check=glob_fault),
        definition.strings("exclude", check=glob_fault),
    )


def _workspace(root: str, definition: Table, shown_from: str, files: Files) -> Workspace:
    globs, exclude = _globs(definition)
    members = {root}
    for glob in globs:
        for path in _matches(root, glob, files):
            if _is_excluded(root, exclude, path):
                continue
            member = os.path.normpath(path)
            if member not in members and _is_managed_project(member, shown_from, files):
                members.add(member)
    return Workspace(root, tuple(sorted(members)))


def _is_managed_project(directory: str, shown_from: str, files: Files) -> bool:
    path = os.path.join(directory, "pyproject.toml")
    content = files.read(path)
    if content is None:
        return False
    uv = _uv_table(read_toml(path, content, shown_as=os.path.relpath(path, shown_from)))
    return uv is None or uv.boolean("managed") is not False


def _matches(root: str, glob: str, files: Files) -> Iterator[str]:
    """Yield what a glob finds, unsorted, with what may be no directory; ``..`` stays as it is."""
    absolute = os.path.join(root, _normalized(glob))
    if absolute.startswith(f"{root}/"):
        base, parts = root, absolute[len(root) + 1 :].split("/")
    else:
        base, parts = "/", absolute.strip("/").split("/")
    yield from _walk(base, tuple(part for part in parts if part), files, ())


def _walk(base: str, parts: tuple[str, ...], files: Files, above: tuple[str, ...]) -> Iterator[str]:
    if not parts:
        yield base
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        while rest and rest[0] == "**":
            rest = rest[1:]
        yield from _walk_everything(base, rest, files, above)
    elif not _has_wildcard(part):
        yield from _walk(os.path.join(base, part), rest, files, above)
    elif os.path.isdir(base):
        pattern = re.compile(_translated(part), re.DOTALL)
        # A part like .* is also the directory itself and its parent, but not below a **.
        special = (".", "..") if part.startswith(".") and not above else ()
        for name in filter(pattern.fullmatch, (*special, *files.names(base))):
            path = base if name == "." else os.path.join(base, name)
            yield from _walk(path, rest, files, above)


def _walk_everything(
    base: str, rest: tuple[str, ...], files: Files, above: tuple[str, ...]
) -> Iterator[str]:
    """Yield what the rest of a glob finds in a directory and in all directories below it.

    ``above`` holds the resolved directories on the way here: links that lead back end the walk.
    It is empty outside of a ``**``.
    """
    real = os.path.realpath(base)
    if real in above or not os.path.isdir(base):
        return
    if rest:
        yield from _walk(base, rest, files, (*above, real))
    for name in files.names(base):
        child = os.path.join(base, name)
        if name in _NOT_ENTERED or os.path.exists(os.path.join(child, _ENVIRONMENT_MARKER)):
            continue
        if not rest:
            yield child
        yield from _walk_everything(child, rest, files, (*above, real))


def _is_excluded(root: str, exclude: tuple[str, ...], path: str) -> bool:
    return any(_compiled(root, glob, any_one=".").fullmatch(path) for glob in exclude)


def _compiled(root: str, glob: str, *, any_one: str) -> re.Pattern[str]:
    expression = _translated(_normalized(glob), any_one)
    if not os.path.isabs(glob):
        expression = f"{re.escape(root.rstrip('/'))}/{expression}"
    return re.compile(expression, re.DOTALL)


def _normalized(glob: str) -> str:
    """Remove ``.`` and inner ``..``, as text, as uv does before it uses a glob."""
    normal = os.path.normpath(glob)
    return "" if normal == "." else normal


def _has_wildcard(part: str) -> bool:
    return any(character in part for character in "*?[")


def _translated(glob: str, any_one: str = ".") -> str:
    """Return a glob as a regular expression.

    Args:
        glob: the glob.
        any_one: the expression for what a wildcard may match.

    Raises:
        ValueError: with what is wrong.
    """
    expression: list[str] = []
    position = 0
    while position < len(glob):
        character = glob[position]
        if character == "*":
            stars = len(glob[position:]) - len(glob[position:].lstrip("*"))
            expression.append(_translated_stars(glob, position, stars, any_one))
            position += stars
            position += stars == 2 and position < len(glob)  # noqa: PLR2004 - ** takes its slash
        elif character == "[":
            start = position + (2 if glob[position + 1 : position + 2] == "!" else 1)
            # The first character is literal even if it is the closing bracket.
            end = glob.find("]", start + 1)
            if end < 0:
                raise ValueError("a bracket that is not closed")
            is_negated = start > position + 1
            expression.append(f"(?={any_one}){_translated_class(glob[start:end], is_negated)}")
            position = end + 1
        else:
            expression.append(any_one if character == "?" else re.escape(character))
            position += 1
    return "".join(expression)


def _translated_stars(glob: str, position: int, stars: int, any_one: str) -> str:
    if stars == 1:
        return f"{any_one}*"
    before, after = glob[position - 1 : position], glob[position + stars : position + stars + 1]
    if stars > 2 or before not in ("", "/") or after not in ("", "/"):  # noqa: PLR2004
        raise ValueError("** must be a whole part of the path")
    return "(?:.*/)?" if after else ".*"


def _translated_class(content: str, is_negated: bool) -> str:
    """Return a bracket expression; a range upside down matches nothing, as in Rust."""
    pieces: list[str] = []
    position = 0
    while position < len(content):
        first = content[position]
        if content[position + 1 : position + 2] == "-" and position + 2 < len(content):
            last = content[position + 2]
            if first <= last:
                pieces.append(f"{re.escape(first)}-{re.escape(last)}")
            position += 3
        else:
            pieces.append(re.escape(first))
            position += 1
    if not pieces:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{''.join(pieces)}]"
