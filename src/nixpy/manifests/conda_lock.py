"""Conda's lock files: ``conda-lock.yml`` and ``@EXPLICIT`` files.

Sources: conda.github.io/conda-lock, "Lockfile" (version 1); docs.conda.io, "Managing environments:
Building identical conda environments" (explicit specification files).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.errors import ManifestError
from nixpy.manifests.yaml import read_yaml

if TYPE_CHECKING:
    from nixpy.manifests.toml import Table

__all__ = ["Locked", "Package", "is_explicit", "read_conda_lock", "read_explicit"]

VERSION = "1"
MAIN = "main"

_DIGEST = re.compile(r"(?:sha256:)?(?P<sha256>[0-9a-f]{64})|(?P<md5>[0-9a-f]{32})")
_ARCHIVE = re.compile(r"\.(?:conda|tar\.bz2)$")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is pinned: its URL, and the digests of its archive, hexadecimal."""

    url: str
    sha256: str | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock file pins for one platform.

    Attributes:
        packages: conda packages.
        pip: requirements with their hashes, one line each, as pip reads them.
        channels: names or URLs of the channels that were locked from.
    """

    packages: tuple[Package, ...]
    pip: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


def is_explicit(content: bytes) -> bool:
    """Return whether a file is an explicit specification: one of its first lines says so."""
    return any(line.strip() == b"@EXPLICIT" for line in content.splitlines()[:20])


def read_explicit(name: str, content: bytes) -> Locked:
    """Return what an ``@EXPLICIT`` file pins: one URL a line, with ``#md5`` or ``#sha256:…``.

    Raises:
        ManifestError: a line is no URL of a package.
    """
    packages = []
    lines = content.decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#") or text == "@EXPLICIT":
            continue
        url, _, fragment = text.partition("#")
        digest = _DIGEST.fullmatch(fragment)
        if "://" not in url or not _ARCHIVE.search(url) or (fragment and not digest):
            raise ManifestError(
                "expected the URL of a .conda or .tar.bz2, with #md5 or #sha256:… behind it",
                where=f"{name}:{number}",
                next="Make the file anew: `conda list --explicit --md5`, or `conda-lock render`.",
            )
        md5, sha256 = (digest["md5"], digest["sha256"]) if digest else (None, None)
        packages.append(Package(url, sha256, md5))
    return Locked(tuple(packages))


def read_conda_lock(
    name: str, content: bytes, *, platform: str, categories: frozenset[str] | None
) -> Locked:
    """Return what a ``conda-lock.yml`` pins.

    Args:
        name: the name of the file in messages.
        content: its bytes.
        platform: ``linux-64``.
        categories: those to install beside ``main``; ``None`` for all.

    Raises:
        ManifestError: it is malformed, of another version, or not for this platform.
    """
    top = read_yaml(name, content, shown_as=name)
    version = top.string("version")
    if version != VERSION:
        raise ManifestError(
            f"expected version {VERSION}, got {version or 'none'}",
            where=f"{name}: version",
            next="Make it anew with a conda-lock of version 1 or later: `conda-lock lock`.",
        )
    metadata = top.table("metadata")
    platforms = metadata.strings("platforms") if metadata else ()
    if platforms and platform not in platforms:
        raise ManifestError(
            f"it pins nothing for {platform}, only for {', '.join(platforms)}",
            where=name,
            next=f"Add it: `conda-lock lock --platform {platform}`.",
        )
    channels = (one.string("url") for one in metadata.tables("channels")) if metadata else ()
    packages: list[Package] = []
    pip: list[str] = []
    for one in top.tables("package"):
        if one.string("platform") != platform:
            continue
        category = one.string("category") or MAIN
        if category != MAIN and categories is not None and category not in categories:
            continue
        digests = one.table("hash")
        sha256 = digests.string("sha256") if digests else None
        md5 = digests.string("md5") if digests else None
        url = _required(one, "url")
        if _required(one, "manager") == "conda":
            packages.append(Package(url, sha256, md5))
        else:
            pip.append(_pip_line(one, url, sha256))
    return Locked(tuple(packages), tuple(pip), tuple(url for url in channels if url))


def _pip_line(one: Table, url: str, sha256: str | None) -> str:
    name = _required(one, "name")
    if url.startswith(("git+", "file:")) or "://" in url:
        line = f"{name} @ {url}"
    else:
        line = f"{name}=={_required(one, 'version')}"
    return f"{line} --hash=sha256:{sha256}" if sha256 and not url.startswith("git+") else line


def _required(table: Table, key: str) -> str:
    value = table.string(key)
    if value is None:
        raise ManifestError("expected a text", where=f"{table.where}.{key}")
    return value
