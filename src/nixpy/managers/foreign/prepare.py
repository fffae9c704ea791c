"""What tools export, made into what uv installs anywhere (pure).

A tool exports from a copy of the lock file that lies below a scratch directory, at the path that
the project has: what is local in an export is below that scratch directory, and is the project's
own once that is taken off.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import tomli_w

from nixpy.errors import ManifestError

__all__ = ["prepared_pylock", "prepared_requirements"]

ALWAYS = "python_version >= '0'"
"""A marker that always holds."""

_CHOSEN = re.compile(r"""(["'])[^"']*\1 (?:not )?in (?:dependency_groups|extras)""")
"""What is left of a choice that the export has made already (PEP 751, "marker")."""

_EDITABLE_GIT = re.compile(r"(?P<url>git\+[^#\s]+)#egg=(?P<name>[A-Za-z0-9._-]+)(?P<rest>.*)")
_USER = re.compile(r"(?<=https:)//[^/?#\s\"']+@|(?<=http:)//[^/?#\s\"']+@")
"""User and password in an address: an export is kept on disk."""

_LOCAL = re.compile(r"file://[^\s;#]+")


def prepared_pylock(text: str, *, scratch: str, directory: str, project: str = "") -> str:
    """Return a ``pylock.toml`` (PEP 751) that holds at any place.

    Args:
        text: as a tool has exported it.
        scratch: what local paths lie below.
        directory: real path of the project.
        project: its name, if it is to be installed too, editable.

    Raises:
        ManifestError: it is no pylock.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, Any] = tomllib.loads(_USER.sub("//", text))
        packages: list[dict[str, Any]] = list(document["packages"])
    except (ValueError, KeyError, TypeError):
        raise ManifestError("the export is no pylock.toml", where=directory) from None
    for key in ("extras", "dependency-groups", "default-groups", "tool"):
        document.pop(key, None)
    document["packages"] = [_package(one, scratch, directory) for one in packages]
    if project:
        where = {"path": directory, "editable": True}
        document["packages"].append({"name": project, "directory": where})
    return tomli_w.dumps(document)


def prepared_requirements(
    text: str,
    *,
    scratch: str,
    directory: str,
    project: str = "",
    editables: frozenset[str] = frozenset(),
) -> str:
    """Return requirements that hold at any place; see :func:`prepared_pylock`.

    ``editables`` are real paths that are to be editable whether the text says so or not.
    """
    lines = []
    for line in _USER.sub("//", text).splitlines():
        flag, blank, value = line.partition(" ")
        git = _EDITABLE_GIT.fullmatch(value)
        if flag in {"-e", "--editable"} and git:
            # uv installs nothing editable from a repository, which it does not keep.
            url = _LOCAL.sub(lambda match: _real_url(match[0], scratch, directory), git["url"])
            lines.append(f"{git['name']} @ {url}{git['rest']}")
        elif flag in {"-e", "--editable"}:
            path, semicolon, marker = value.partition(";")
            path = unquote(path.strip().removeprefix("file://"))
            lines.append(f"{flag} {_real(path, scratch, directory)}{semicolon}{marker}")
        elif line.startswith((".", "/")) and not blank:
            path = _real(line, scratch, directory)
            lines.append(f"--editable {path}" if path in editables else path)
        else:
            lines.append(_LOCAL.sub(lambda match: _real_url(match[0], scratch, directory), line))
    if project:
        lines.append(f"--editable {directory}")
    return "\n".join((*lines, ""))


def _package(package: dict[str, Any], scratch: str, directory: str) -> dict[str, Any]:
    found = {key: value for key, value in package.items() if key != "tool"}
    marker = found.get("marker")
    if isinstance(marker, str):
        found["marker"] = _CHOSEN.sub(ALWAYS, marker)
    archive = found.get("archive")
    if isinstance(archive, dict) and "path" in archive:
        # PDM calls a directory an archive, too, and gives no digest of what is local.
        path = _real(archive["path"], scratch, directory)
        del found["archive"]
        if os.path.isdir(path):
            found["directory"] = {"path": path}
        else:
            digests = archive.get("hashes") or {"sha256": _digest(path)}
            found["archive"] = {"path": path, "hashes": digests}
    vcs = found.get("vcs")
    if isinstance(vcs, dict) and isinstance(vcs.get("url"), str):
        # Poetry's export makes a host of none out of `file:///`.
        found["vcs"] = vcs = {**vcs, "url": vcs["url"].replace("file://None/", "file:///")}
    for key in ("directory", "vcs"):
        where = found.get(key)
        if isinstance(where, dict) and isinstance(where.get("path"), str):
            found[key] = {**where, "path": _real(where["path"], scratch, directory)}
    return found


def _real(path: str, scratch: str, directory: str) -> str:
    """Return the path that is meant by one that a tool printed in its scratch directory."""
    there = os.path.normpath(os.path.join(scratch + directory, path))
    return there.removeprefix(scratch) or "/"


def _real_url(url: str, scratch: str, directory: str) -> str:
    return f"file://{quote(_real(unquote(urlsplit(url).path), scratch, directory), safe='/@')}"


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise ManifestError(
            f"cannot be read: {error.strerror}", where=path, next="The lock file names it."
        ) from None
