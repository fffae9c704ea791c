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
from nixpy.inputs import ABSENT, MASK, NO_TIME, observe
from nixpy.marker import interpreter_of, marker_path
from nixpy.shells import bash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nixpy.inputs import Input

__all__ = ["remove_stamp", "render_stamp", "settles_at", "write_stamp"]

TRUSTED_TIME = 0
NANOSECONDS = 1_000_000_000

TICK = 20_000_000
"""Nanoseconds for which a second write may leave a modification time as it was (the kernel's
coarse clock ticks every 1 to 10 ms)."""

BATCH = 50
"""Conditions in one expression."""

DAY = 86_400
"""Seconds."""

COARSE_TICK = 2 * NANOSECONDS
"""The same for file systems that keep whole seconds, or, as FAT does, every second one."""


def settles_at(mtime: int) -> int:
    """Return the time in nanoseconds from which on a write must change ``mtime``."""
    return mtime + (COARSE_TICK if mtime % NANOSECONDS == 0 else TICK)


def render_stamp(entry: cache.Entry) -> bytes:
    """Return the stamp of an entry as bash."""
    exports = bash.render(entry.operations.operations, {}).rstrip()
    parts = (
        "_nixpy_hit() {",
        *_in_batches(_conditions(entry)),
        *_counts(entry),
        *_expiry(entry),
        _watches(entry),
    )
    return os.fsencode("\n".join((*parts, exports, "return 0", "}", "")))


def write_stamp(directory: str, entry: cache.Entry) -> bool:
    """Write the stamp of ``entry`` and its reference files; return whether there is one now.

    A modification time may be so young that a further write would leave it as it is: then this
    waits until it no longer is, and looks at the input again. There is no stamp where that takes
    too long, nor where the cache's file system cannot keep the time of an input.

    Raises:
        OSError: it cannot be written.
    """
    times = _times(entry)
    if not _have_settled(entry, times):
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


def _times(entry: cache.Entry) -> set[int]:
    times = {one.mtime for one in entry.inputs} | {entry.marker_mtime}
    return times - {NO_TIME}


def remove_stamp(directory: str) -> None:
    """Remove the stamp of an entry, so that the next one to come looks at everything."""
    try:
        os.unlink(f"{directory}/stamp")
    except FileNotFoundError:
        pass


def _have_settled(entry: cache.Entry, times: set[int]) -> bool:
    now = time.time_ns()
    young = [mtime for mtime in times if mtime <= now < settles_at(mtime)]
    if not young:
        return True
    wait = settles_at(max(young)) - now
    if wait > TICK:
        return False
    time.sleep(wait / NANOSECONDS)
    return all(observe(one, {}) == one for one in entry.inputs if one.mtime in young)


def _conditions(entry: cache.Entry) -> Iterator[str]:
    """Yield what must hold, as operands of one conditional expression."""
    below = entry.root.rstrip("/") + "/"

    def quote(path: str) -> str:
        # Short to parse, and to look up. What is below the root is below the directory we are in:
        return bash.quote("./" + path[len(below) :] if path.startswith(below) else path)

    # The same path may lead to another directory by now.
    yield f". -ef {bash.quote(entry.root)}"
    # Of two files that are not there, neither is newer or older.
    yield from (f'-e "$1"/{mtime}' for mtime in sorted(_times(entry)))
    if entry.prefix:
        python = interpreter_of(entry.prefix)
        if os.path.lexists(python):
            yield f"-x {quote(python)}"
        else:
            yield f"-e {quote(entry.prefix + '/conda-meta/history')}"
    if entry.marker_mtime != NO_TIME:
        yield _same_time(quote(marker_path(entry.prefix)), entry.marker_mtime)
    for one in entry.inputs:
        yield from _conditions_of(one, quote)


def _conditions_of(one: Input, quote: Callable[[str], str]) -> Iterator[str]:
    if one.kind == "variable":
        if one.value == ABSENT:
            yield f"-z ${{{one.name}+x}}"
        else:
            yield f"=${{{one.name}-}} == {_pattern(one.value)}"
    elif one.kind == "root":
        yield f"-e {quote(one.name)}"
    elif one.kind in {"file", "directory", "program"}:
        name = quote(one.name)
        if one.value == ABSENT:
            yield f"! -e {name}"
        else:
            yield _same_time(name, one.mtime)
            if one.target:
                yield f"{name} -ef {bash.quote(one.target)}"


def _pattern(value: str) -> str:
    """Return what a variable's value is to match: itself, but for any secret in it."""
    return "*".join(bash.quote(part) if part else "" for part in value.split(MASK))


def _same_time(name: str, mtime: int) -> str:
    return f'! {name} -nt "$1"/{mtime} && ! {name} -ot "$1"/{mtime}'


def _in_batches(conditions: Iterator[str]) -> Iterator[str]:
    # A command for each costs time, and one expression of them all costs stack.
    batch = []
    for condition in conditions:
        batch.append(condition)
        if len(batch) == BATCH:
            yield f"[[ {' && '.join(batch)} ]] || return 1"
            batch.clear()
    if batch:
        yield f"[[ {' && '.join(batch)} ]] || return 1"


def _counts(entry: cache.Entry) -> Iterator[str]:
    """Yield that no variable of a prefix was added.

    Those recorded are each compared by :func:`_conditions`: with their number the sets are equal.
    """
    for one in entry.inputs:
        if one.kind == "variables":
            yield f"local -a _nixpy_names=(${{!{one.name}@}})"
            yield f"((${{#_nixpy_names[@]}} == {len(one.value.split())})) || return 1"


def _expiry(entry: cache.Entry) -> Iterator[str]:
    """Yield that a stamp which rests on gc roots is not old: whoever comes next renews these."""
    if any(one.kind == "root" for one in entry.inputs):
        yield "local -i _nixpy_now"
        yield "printf -v _nixpy_now '%(%s)T' -1"
        yield f"((_nixpy_now < {int(time.time()) + DAY})) || return 1"


def _watches(entry: cache.Entry) -> str:
    cases = "\n".join(
        f"{bash.quote(before)}) export DIRENV_WATCHES={bash.quote(after)} ;;"
        for before, after in entry.watches
    )
    return f'case "${{DIRENV_WATCHES-}}" in\n{cases}\n*) return 1 ;;\nesac'
