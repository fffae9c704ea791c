"""Where nixpy keeps things: the user's cache, state and data directories.

The XDG Base Directory Specification, on macOS Apple's places unless an ``XDG_`` variable says
otherwise. The same places as platformdirs gives (a test compares them); written out here because
``direnvrc`` must find the cache without a process, and because importing platformdirs costs more
than a whole revalidation.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    Purpose = Literal["cache", "state", "data"]

__all__ = ["nixpy_directory"]

_XDG = {"cache": "XDG_CACHE_HOME", "state": "XDG_STATE_HOME", "data": "XDG_DATA_HOME"}
_UNIX = {"cache": ".cache", "state": ".local/state", "data": ".local/share"}
_MACOS = {
    "cache": "Library/Caches",
    "state": "Library/Application Support",
    "data": "Library/Application Support",
}


def nixpy_directory(
    purpose: Purpose, environ: Mapping[str, str], platform: str = sys.platform
) -> str | None:
    """Return nixpy's directory for a purpose, or ``None`` where ``HOME`` says nothing.

    A relative path in an ``XDG_`` variable is ignored, as the specification demands.
    """
    base = environ.get(_XDG[purpose], "")
    if not base.startswith("/"):
        home = environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/{(_MACOS if platform == 'darwin' else _UNIX)[purpose]}"
    return f"{base}/nixpy"
