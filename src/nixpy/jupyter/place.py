"""Paths in kernelspecs, which are JSON and templates: what Jupyter hands to a kernel is the path.

Jupyter replaces ``{connection_file}`` and the like in each argument, VS Code too, and JSON holds
text alone. A path that is not plain is written as a ``file:`` URI (RFC 8089).

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

__all__ = ["path_of", "place_of"]

_SCHEME = "file://"


def place_of(path: str) -> str:
    """Return how an absolute path stands in a kernelspec."""
    if "{" not in path and "$" not in path and path.isprintable() and _is_text(path):
        return path
    from urllib.parse import quote

    return _SCHEME + quote(os.fsencode(path))


def path_of(place: str) -> str:
    """Return the path that stands in a kernelspec."""
    if not place.startswith(_SCHEME):
        return place
    from urllib.parse import unquote_to_bytes

    return os.fsdecode(unquote_to_bytes(place[len(_SCHEME) :]))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
