"""Tier 2: whether an entry still holds, by looking again at all that it rests on.

Content is hashed and modification times do not count: after a touch, a rebase or a fresh checkout
with equal content the entry holds, and gets a new stamp.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy import cache
from nixpy.environment import SEPARATOR, Prepend, Set
from nixpy.errors import ManifestError
from nixpy.inputs import NO_TIME, Input, is_text, observe
from nixpy.marker import is_synced_to, marker_mtime, marker_path
from nixpy.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.cache import Entry

__all__ = ["changed_inputs", "keep_entry", "revalidated", "watched_paths"]


def revalidated(entry: Entry, root: str, environ: Mapping[str, str]) -> Entry | None:
    """Return the entry with today's modification times if it holds, else ``None``."""
    if entry.version != __version__ or entry.root != root:
        return None
    environ = _without_ours(entry, environ)
    now = []
    for one in entry.inputs:
        try:
            seen = observe(one, environ)
        except ManifestError:
            return None
        if not seen.is_same(one):
            return None
        now.append(seen)
    if entry.prefix and not is_synced_to(entry.prefix, entry.synced, entry.scope):
        return None
    mtime = marker_mtime(entry.prefix) if entry.prefix else NO_TIME
    if tuple(now) == entry.inputs and mtime == entry.marker_mtime:
        return entry
    # direnv recorded the times that were: it has to be asked again.
    return entry._replace(inputs=tuple(now), marker_mtime=mtime, watches=())


def _without_ours(entry: Entry, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``environ`` without what the entry itself has set, where that is in force."""
    if environ.get("NIXPY_PROJECT") != entry.root:
        return environ
    operations = entry.operations.operations
    ours = {one.name: one.value for one in operations if isinstance(one, Set)}
    result = {name: value for name, value in environ.items() if ours.get(name) != value}
    for one in operations:
        if isinstance(one, Prepend) and one.name in result:
            kept = [part for part in result[one.name].split(SEPARATOR) if part not in one.elements]
            result[one.name] = SEPARATOR.join(kept)
            if not kept:
                del result[one.name]
    return result


def changed_inputs(
    before: tuple[Input, ...], after: tuple[Input, ...]
) -> tuple[tuple[Input | None, Input | None], ...]:
    """Return the inputs that differ, as pairs of before and after; ``None``: was not looked at."""
    old = {one[:2]: one for one in before}
    new = {one[:2]: one for one in after}
    pairs = ((old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new)))
    return tuple((a, b) for a, b in pairs if a is None or b is None or not a.is_same(b))


def keep_entry(directory: str, top: str, entry: Entry) -> None:
    """Write an entry and its stamp: the stamp of another entry never stands beside this one.

    The gc roots that it rests on are made young: what clears away old ones goes by their age.

    Raises:
        OSError: they cannot be written, or the directory is not the user's own alone.
    """
    from nixpy.stamp import remove_stamp, write_stamp  # nobody else here needs to know bash

    cache.make_private_directory(directory, top)
    remove_stamp(directory)
    cache.write_entry(directory, entry)
    if entry.watches:
        write_stamp(directory, entry)
    for one in entry.inputs:
        if one.kind == "root":
            _make_young(os.path.dirname(one.name))


def _make_young(roots: str) -> None:
    try:
        for name in os.listdir(roots):
            if os.path.islink(f"{roots}/{name}"):
                os.utime(f"{roots}/{name}", follow_symlinks=False)
    except OSError:
        pass  # they are roots all the same


def watched_paths(inputs: tuple[Input, ...], prefix: str, root: str) -> tuple[str, ...]:
    """Return the paths for direnv to watch: a change of any of them reloads.

    Each costs time in every process of direnv. So programs are left out, and what is absent
    outside of the project: if these change, the next entry notices. Paths that are not UTF-8 are
    left out too: direnv keeps its list as JSON and would watch others.
    """
    below = root.rstrip("/") + "/"
    paths = [
        one.name
        for one in inputs
        if one.kind in {"file", "directory"} and (one.value or one.name.startswith(below))
    ]
    if prefix:
        paths.append(marker_path(prefix))
    return tuple(path for path in dict.fromkeys(paths) if is_text(path))
