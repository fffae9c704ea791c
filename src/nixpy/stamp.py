"""Stamps: the proof, checkable by bash with builtins alone, that an entry is fresh.

A stamp is a bash file with one function, ``_nixpy_hit REFS``. It fails at the first condition
that does not hold, and otherwise exports the environment. Its conditions (DESIGN.md, section 2):

- A file is as it was when its modification time equals, to the nanosecond, that of a *reference
  file*: ``! a -nt ref && ! a -ot ref``. A reference file is named by the time it carries, so that
  inputs of one time share one. Where a path leads through symbolic links, ``-ef`` also holds it to
  its target: all files in a Nix store have the same time.
- What was absent is absent; variables are what they were.
- The prefix's interpreter can be executed, which follows its links into a store.
- ``DIRENV_WATCHES`` is one that direnv was asked about before, for these very times.

Trust: the stamp has the modification time 0, which only its owner can give it (utimensat(2));
``direnvrc`` sources a stamp only if it is the user's own and older than ``direnvrc`` itself, so
what somebody else with write access has changed is not evaluated.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os
import time

from nixpy import cache
from nixpy.inputs import ABSENT, NO_TIME
from nixpy.shells import bash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["remove_stamp", "render_stamp", "settles_at", "write_stamp"]

TRUSTED_TIME = 0
NANOSECONDS = 1_000_000_000

TICK = 20_000_000
"""Nanoseconds for which a second write may leave a modification time as it was (the kernel's
coarse clock ticks every 1 to 10 ms)."""

COARSE_TICK = 2 * NANOSECONDS
"""The same for file systems that keep whole seconds, or, as FAT does, every second one."""


def settles_at(mtime: int) -> int:
    """Return the time in nanoseconds from which on a write must change ``mtime``."""
    return mtime + (COARSE_TICK if mtime % NANOSECONDS == 0 else TICK)


def render_stamp(entry: cache.Entry) -> bytes:
    """Return the stamp of an entry as bash."""
    body = "\n".join(("_nixpy_hit() {", *_conditions(entry), _watches(entry)))
    exports = bash.render(entry.operations.operations, {})
    return os.fsencode(f"{body}\n{exports.rstrip()}\n}}\n")


def write_stamp(directory: str, entry: cache.Entry) -> bool:
    """Write the stamp of ``entry`` and its reference files; return whether there is one now.

    There is none while a modification time is so young that a further write could leave it as it
    is, nor where the cache's file system cannot keep the time of an input.

    Raises:
        OSError: it cannot be written.
    """
    times = {one.mtime for one in entry.inputs if one.mtime != NO_TIME}
    if entry.marker_mtime != NO_TIME:
        times.add(entry.marker_mtime)
    now = time.time_ns()
    if any(mtime <= now < settles_at(mtime) for mtime in times):
        remove_stamp(directory)
        return False
    references = f"{directory}/refs"
    if not os.path.isdir(references):
        os.mkdir(references, 0o700)
    present = set(os.listdir(references))
    for mtime in times:
        path = f"{references}/{mtime}"
        if str(mtime) not in present:
            cache.write_private(path, b"", mtime=mtime)
        if os.stat(path).st_mtime_ns != mtime:
            remove_stamp(directory)
            return False
    cache.write_private(f"{directory}/stamp", render_stamp(entry), mtime=TRUSTED_TIME)
    for name in present - set(map(str, times)):
        os.unlink(f"{references}/{name}")
    return True


def remove_stamp(directory: str) -> None:
    """Remove the stamp of an entry, so that the next one to come looks at everything."""
    try:
        os.unlink(f"{directory}/stamp")
    except FileNotFoundError:
        pass


def _conditions(entry: cache.Entry) -> Iterator[str]:
    quote = bash.quote
    # The same path may lead to another directory by now.
    yield f"[[ . -ef {quote(entry.root)} ]] || return 1"
    if entry.prefix:
        yield f"[[ -x {quote(entry.prefix + '/bin/python')} ]] || return 1"
    if entry.marker_mtime != NO_TIME:
        yield _same_time(quote(f"{entry.prefix}/.nixpy/marker"), entry.marker_mtime)
    for one in entry.inputs:
        name = quote(one.name) if "/" in one.name else one.name
        if one.kind in {"file", "directory", "program"}:
            if one.value == ABSENT:
                yield f"[[ ! -e {name} ]] || return 1"
            else:
                yield _same_time(name, one.mtime)
                if one.target:
                    yield f"[[ {name} -ef {quote(one.target)} ]] || return 1"
        elif one.kind == "variable":
            if one.value == ABSENT:
                yield f"[[ -z ${{{name}+x}} ]] || return 1"
            else:
                yield f"[[ ={'${' + name + '-}'} == {quote(one.value)} ]] || return 1"
        elif one.kind == "variables":
            # Those recorded are each compared as a variable: with their number the sets are equal.
            yield f"local -a _nixpy_names=(${{!{name}@}})"
            yield f"((${{#_nixpy_names[@]}} == {len(one.value.split())})) || return 1"


def _same_time(name: str, mtime: int) -> str:
    return f'[[ ! {name} -nt "$1"/{mtime} && ! {name} -ot "$1"/{mtime} ]] || return 1'


def _watches(entry: cache.Entry) -> str:
    cases = "\n".join(
        f"{bash.quote(before)}) export DIRENV_WATCHES={bash.quote(after)} ;;"
        for before, after in entry.watches
    )
    return f'case "${{DIRENV_WATCHES-}}" in\n{cases}\n*) return 1 ;;\nesac'
