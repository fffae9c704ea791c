"""Collecting what is left of projects that are gone."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.directories import nixpy_directory
from nixpy.hook.places import HOLDER as ANSWERS
from nixpy.hook.places import SCHEMA as ANSWERS_SCHEMA
from nixpy.hook.places import answers_place, direnv_place, hook_directory, references_directory
from nixpy.jupyter.servers import is_alive, servers
from nixpy.managers.foreign.exporter import exporter_key
from nixpy.managers.foreign.tools import TOOLS
from nixpy.marker import read_marker
from nixpy.nix.roots import owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Collected", "collect", "entries"]

KEPT_FOR = 90 * 86_400
"""Seconds that an export of another tool's lock file, and an exporter of the user's own, stay."""

HOLDER = "@nixpy"
"""The name of the directories that hold entries and locks."""


class Collected(NamedTuple):
    """Something that was removed, or would be: its path, and why."""

    path: str
    why: str


def entries(environ: Mapping[str, str]) -> Iterator[tuple[str, str, cache.Entry]]:
    """Yield every entry, as the directory it is for, the entry's own directory, and the entry."""
    top = nixpy_directory("cache", environ)
    for directory, holder in _holders(top, f"{top}/projects", HOLDER):
        slots = f"{holder}/{cache.SCHEMA}"
        for name in _names(slots):
            entry = cache.read_entry(f"{slots}/{name}")
            if entry is not None:
                yield directory, f"{slots}/{name}", entry


def collect(environ: Mapping[str, str], *, dry_run: bool = False) -> list[Collected]:
    """Remove what belongs to projects that are gone: entries, environments, gc roots and logs.

    And what the hook keeps for directories that direnv has no ``.envrc`` for any more.

    Raises:
        OSError: something of it cannot be removed.
    """
    removed = [
        *_environments(environ),
        *_roots(environ),
        *_logs(environ),
        *_exports(environ),
        *_servers(environ),
        *_answers(environ),
    ]
    top = nixpy_directory("cache", environ)
    for directory, holder in list(_holders(top, f"{top}/projects", HOLDER)):
        if not os.path.isdir(directory):
            removed.append(Collected(holder, f"{directory} is gone"))
        else:
            removed += [
                Collected(f"{holder}/{name}", "of another version of nixpy")
                for name in sorted(os.listdir(holder))
                if name not in {cache.SCHEMA, "lock"}
            ]
    if not dry_run:
        for one in removed:
            if os.path.isdir(one.path):
                shutil.rmtree(one.path)
            else:
                os.unlink(one.path)
            for place in ("projects", "hook"):
                _remove_empty(os.path.dirname(one.path), f"{top}/{place}")
    return removed


def _environments(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield the central environments whose project is gone, by what their markers say."""
    folder = f"{nixpy_directory('data', environ)}/environments"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.realpath(f"{folder}/{name}")
        marker = read_marker(path)
        if marker is not None and not os.path.isdir(marker.root):
            yield Collected(path, f"{marker.root} is gone")


def _roots(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield the gc roots that no entry rests on any more: Nix may collect them then."""
    folder = f"{nixpy_directory('state', environ)}/roots"
    used = {
        os.path.dirname(os.path.dirname(one.name))
        for _, _, entry in entries(environ)
        for one in entry.inputs
        if one.kind == "root"
    }
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = f"{folder}/{name}"
        owner = owner_of(path)
        if owner is not None and not os.path.isdir(owner):
            yield Collected(path, f"{owner} is gone")
        elif path not in used:
            yield Collected(path, f"no dev shell of {owner or 'a project'} that is in use")


def _logs(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield the logs of environments that are gone, by their first lines."""
    folder = f"{nixpy_directory('state', environ)}/logs"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = f"{folder}/{name}"
        with open(path, "rb") as file:
            prefix = os.fsdecode(file.readline()).rstrip("\n")
        if not os.path.isdir(prefix):
            yield Collected(path, f"{prefix} is gone")


def _servers(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield what is known of Jupyter servers that have ended, and whose project is gone."""
    state = nixpy_directory("state", environ)
    for path, server in servers(state) if state else ():
        if not os.path.isdir(server.project) and not is_alive(server):
            yield Collected(path, f"{server.project} is gone")


def _exports(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield exporters and exports that were made long ago, but the exporters that are pinned.

    An export that is asked for again is made again.
    """
    top = nixpy_directory("cache", environ)
    pinned = {exporter_key(tool, (), "") for tool in TOOLS.values()}
    for folder, why in (("exporters", "not used for long"), ("exports", "made long ago")):
        place = f"{top}/{folder}"
        for name in _names(place):
            path = f"{place}/{name}"
            is_old = os.stat(path).st_mtime < time.time() - KEPT_FOR
            if is_old and name not in pinned:
                yield Collected(path, why)


def _answers(environ: Mapping[str, str]) -> Iterator[Collected]:
    """Yield what the hook keeps for directories without an ``.envrc``, and of other versions."""
    top = nixpy_directory("cache", environ)
    if top is None or not cache.is_private(top):
        return
    root = hook_directory(top)
    place = os.path.dirname(root)
    for name in _names(place):
        if name != ANSWERS_SCHEMA:
            yield Collected(f"{place}/{name}", "of another version of nixpy")
    kept = {direnv_place(root).references}
    for directory, holder in _holders(top, root, ANSWERS):
        if not os.path.isdir(directory):
            yield Collected(holder, f"{directory} is gone")
        elif not os.path.lexists(f"{directory}/.envrc"):
            yield Collected(holder, f"{directory} has no .envrc any more")
        else:
            kept.add(answers_place(root, directory).references)
    place = references_directory(root)
    for name in _names(place):
        if f"{place}/{name}" not in kept:
            yield Collected(f"{place}/{name}", "of a directory that nothing is kept for")


def _names(directory: str) -> list[str]:
    """Return what is in a directory, sorted: nothing where there is none."""
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def _holders(top: str | None, root: str, holder: str) -> Iterator[tuple[str, str]]:
    """Yield the directories called ``holder`` in a tree that mirrors that of all directories.

    Each behind the directory that it is for.
    """
    if top is None or not cache.is_private(top):
        return
    for path, names, _ in os.walk(root):
        if holder in names:
            yield path[len(root) :] or "/", f"{path}/{holder}"
            names.remove(holder)
        names.sort()


def _remove_empty(path: str, top: str) -> None:
    while path.startswith(top + "/"):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)
