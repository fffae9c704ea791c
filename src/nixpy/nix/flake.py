"""Which of the user's own directories a flake is made of, by ``nix flake metadata``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Tree", "local_trees", "source_path"]

BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"
"""Nix' own base 32 (Nix manual, "Store path specification")."""


class Tree(NamedTuple):
    """A tree of the user's that Nix evaluates from.

    Attributes:
        path: where Nix reads it: a copy in the store, or the directory itself.
        origin: the directory that it is a copy of.
        subdirectory: where the flake lies in it.
    """

    path: str
    origin: str
    subdirectory: str = ""

    def original(self, path: str) -> str:
        """Return what a path in the copy is a copy of."""
        return self.origin + path[len(self.path) :]


def local_trees(metadata: dict[str, Any]) -> tuple[Tree, ...]:
    """Return the local trees of a flake and of its inputs, its own first.

    Args:
        metadata: what ``nix flake metadata --json`` printed.
    """
    path = metadata.get("path", "")
    store = os.path.dirname(path)
    found = []
    own = metadata.get("locked") or metadata.get("resolved") or {}
    origin = _origin(own)
    if origin and path:
        # Where Nix makes no copy it reads the directory itself.
        read = path if os.path.isdir(path) else origin
        found.append(Tree(read, origin, own.get("dir") or metadata["resolved"].get("dir") or ""))
    for node in metadata.get("locks", {}).get("nodes", {}).values():
        locked = node.get("locked") or {}
        origin = _origin(locked)
        hashed = locked.get("narHash")
        if origin and hashed and store:
            copy = source_path(hashed, store)
            if copy and os.path.isdir(copy):
                found.append(Tree(copy, origin))
    return tuple(dict.fromkeys(found))


def source_path(nar_hash: str, store: str) -> str | None:
    """Return where a fetched tree lies in the store, by its hash.

    Args:
        nar_hash: ``sha256-…``, as lock files have it (W3C, "Subresource Integrity").
        store: the store directory.

    ``None`` for another kind of hash. Source: Nix manual, "Store path specification"; fetched
    trees are content-addressed, recursive and named ``source``.
    """
    kind, _, encoded = nar_hash.partition("-")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    if kind != "sha256" or len(digest) != hashlib.sha256().digest_size:
        return None
    fingerprint = f"source:sha256:{digest.hex()}:{store}:source"
    full = hashlib.sha256(fingerprint.encode()).digest()
    folded = bytearray(20)
    for index, byte in enumerate(full):
        folded[index % 20] ^= byte
    return f"{store}/{''.join(_base32(bytes(folded)))}-source"


def _base32(digest: bytes) -> Iterator[str]:
    number = int.from_bytes(digest, "little")
    for position in reversed(range(len(digest) * 8 // 5)):
        yield BASE32[number >> (5 * position) & 31]


def _origin(locked: dict[str, Any]) -> str | None:
    """Return the local directory that a locked reference names, or ``None``."""
    if locked.get("type") == "path":
        path = str(locked.get("path", ""))
        return path if path.startswith("/") else None
    if locked.get("type") == "git":
        parts = urlsplit(str(locked.get("url", "")))
        if parts.scheme in {"file", "git+file"} and parts.netloc in {"", "localhost"}:
            return unquote(parts.path)
    return None
