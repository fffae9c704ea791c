"""The marker in a prefix: to what it was synced, and that the sync ended.

``<prefix>/.nixpy/marker`` is written before anything in the prefix changes (``syncing``) and after
everything has (``synced``), so that a sync that was killed is known as such.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy import cache
from nixpy.inputs import NO_TIME, observe_program
from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    State = Literal["syncing", "synced"]

__all__ = [
    "Marker",
    "interpreter_of",
    "is_conda",
    "is_synced_to",
    "is_usable",
    "marker_mtime",
    "marker_path",
    "packages_mtime",
    "read_marker",
    "scope_of",
    "was_changed_by_hand",
    "write_marker",
]


class Marker(NamedTuple):
    """What nixpy wrote into a prefix.

    Attributes:
        state: whether the last sync ended.
        fingerprint: of what it was synced to; empty before the first sync has ended.
        prefix: real path of the prefix when it was made.
        packages_mtime: modification time of ``site-packages`` and ``conda-meta`` in nanoseconds
            after the sync, the newest one; it changes when a package is installed or removed.
        manager: what made it.
        interpreter: identity of the base interpreter (:func:`nixpy.inputs.observe_program`).
        root: real path of the workspace or project that it is for.
        scope: what was done to its files for libraries: a scope and a farm; empty for nothing.
    """

    state: State
    fingerprint: str
    prefix: str
    packages_mtime: int
    manager: str
    interpreter: str
    root: str
    scope: str = ""


def marker_path(prefix: str) -> str:
    """Return where the marker of a prefix lies."""
    return f"{prefix}/.nixpy/marker"


def read_marker(prefix: str) -> Marker | None:
    """Return the marker of a prefix, or ``None`` where there is none or it is damaged."""
    try:
        with open(marker_path(prefix), "rb") as file:
            fields = cache.decode(file.read())
        if fields is None:
            return None
        state, fingerprint, path, mtime, *others = fields
        return Marker(state, fingerprint, path, int(mtime), *others)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError):
        return None


def write_marker(marker: Marker) -> None:
    """Write a marker into its prefix.

    Raises:
        OSError: it cannot be written.
    """
    path = marker_path(marker.prefix)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    cache.write_private(path, cache.encode(map(str, marker)))


def scope_of(prefix: str) -> str:
    """Return what was done to the files of a prefix for libraries; empty for nothing."""
    marker = read_marker(prefix) if prefix else None
    return marker.scope if marker else ""


def marker_mtime(prefix: str) -> int:
    """Return the marker's modification time in nanoseconds, or -1 where there is none."""
    try:
        return os.stat(marker_path(prefix)).st_mtime_ns
    except OSError:
        return NO_TIME


def is_conda(prefix: str) -> bool:
    """Return whether a prefix is conda's: it has a ``conda-meta/history``."""
    return os.path.exists(f"{prefix}/conda-meta/history")


def is_usable(prefix: str) -> bool:
    """Return whether a prefix's interpreter can be run; a conda prefix may have none."""
    python = interpreter_of(prefix)
    return os.access(python, os.X_OK) or (not os.path.lexists(python) and is_conda(prefix))


def interpreter_of(prefix: str) -> str:
    """Return the path that leads to the interpreter of a prefix.

    That is ``bin/python``, or what a launcher there starts (:mod:`nixpy.libraries.launcher`).
    """
    launched = f"{prefix}/.nixpy/python"
    return launched if os.path.lexists(launched) else f"{prefix}/bin/python"


def packages_mtime(prefix: str) -> int:
    """Return the newest modification time of what lists the packages, in nanoseconds, or -1."""
    newest = NO_TIME
    try:
        newest = os.stat(f"{prefix}/conda-meta").st_mtime_ns
    except OSError:
        pass
    try:
        names = os.listdir(f"{prefix}/lib")
    except OSError:
        return newest
    for name in names:
        if name.startswith(("python", "pypy")):
            try:
                stat = os.stat(f"{prefix}/lib/{name}/site-packages")
            except OSError:
                continue
            newest = max(newest, stat.st_mtime_ns)
    return newest


def was_changed_by_hand(prefix: str) -> bool:
    """Return whether distributions were installed or removed since the last sync."""
    marker = read_marker(prefix) if prefix else None
    return marker is not None and marker.packages_mtime != packages_mtime(prefix)


def is_synced_to(prefix: str, fingerprint: str, scope: str | None = None) -> bool:
    """Whether the last sync of a prefix ended, at its path, with its interpreter, and to this.

    With ``scope``, also whether nothing else was done to its files for libraries since.
    """
    marker = read_marker(prefix)
    if marker is None or marker.state != "synced" or marker.fingerprint != fingerprint:
        return False
    if scope is not None and marker.scope != scope:
        return False
    return (
        marker.prefix == prefix
        and is_usable(prefix)
        and marker.interpreter == observe_program(interpreter_of(prefix)).value
    )
