"""One sync of an environment at a time, and one writer of what the hook keeps.

The lock is flock(2) on a file in the cache. Managers inherit its descriptor: when nixpy is killed
and the manager it started goes on, the lock is held until that one has ended too, and whoever
comes next finds a prefix that nobody is writing to. (That is why this is not the filelock
library, whose locks end with the process that took them.) A lock whose holders all died is free.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.errors import LockTimeout, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "LONGEST_WAIT",
    "Held",
    "alone",
    "environment_lock",
    "holder_of",
    "lock_path",
    "longest_wait",
]

LONGEST_WAIT = 900.0
"""Seconds to wait for another sync, unless ``NIXPY_LOCK_TIMEOUT`` says otherwise."""

TIMEOUT_VARIABLE = "NIXPY_LOCK_TIMEOUT"

_POLL = 0.05


def lock_path(cache_directory: str, prefix: str) -> str:
    """Return where the lock of a prefix lies."""
    return f"{cache_directory}/projects{prefix}/@nixpy/lock"


class Held(NamedTuple):
    """A lock that is held.

    Attributes:
        descriptor: for managers to inherit.
        waited: whether somebody else held it before, and may have done the work.
    """

    descriptor: int
    waited: bool


def longest_wait(environ: Mapping[str, str]) -> float:
    """Return how many seconds to wait for another sync.

    Raises:
        UsageError: ``NIXPY_LOCK_TIMEOUT`` is no number of seconds.
    """
    text = environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = float(text) if text else LONGEST_WAIT
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise UsageError(f"expected a number of seconds, got {text!r}", where=TIMEOUT_VARIABLE)
    return seconds


@contextmanager
def environment_lock(
    path: str, top: str, *, report: Callable[[str], None], longest_wait: float
) -> Iterator[Held]:
    """Hold the lock at ``path`` inside the block.

    Args:
        path: the lock file, created with the directories above it down from ``top``.
        top: nixpy's cache directory.
        report: told once, in one line, for whom we wait.
        longest_wait: seconds.

    Raises:
        LockTimeout: somebody holds it for longer.
        OSError: the file cannot be created.
    """
    cache.make_private_directory(os.path.dirname(path), top)

    def wait() -> None:
        report(f"waiting for {holder_of(path)}, which syncs this environment")

    try:
        descriptor, waited = _take(path, longest_wait, wait)
    except BlockingIOError:
        raise LockTimeout(
            f"{holder_of(path)} has been syncing this environment for too long",
            where=path,
            next="Wait for it or end it, then try again.",
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d" % os.getpid(), 0)
        yield Held(descriptor, waited)
    finally:
        # Not LOCK_UN: that would end it for a manager that still runs, too.
        os.close(descriptor)


@contextmanager
def alone(path: str, longest_wait: float) -> Iterator[None]:
    """Hold the lock at ``path``, in a directory that is there, inside the block.

    Raises:
        BlockingIOError: somebody else has held it for ``longest_wait`` seconds.
        OSError: the file cannot be created.
    """
    descriptor, _ = _take(path, longest_wait, lambda: None)
    try:
        yield
    finally:
        os.close(descriptor)


def holder_of(path: str) -> str:
    """Return who holds, or last held, the lock at ``path``, for a message."""
    try:
        with open(path, encoding="ascii") as file:
            return f"process {int(file.read())}"
    except (OSError, ValueError):
        return "another process"


def _take(path: str, longest_wait: float, wait: Callable[[], None]) -> tuple[int, bool]:
    """Return a descriptor that holds the lock, and whether ``wait`` was called before: once."""
    deadline = time.monotonic() + longest_wait
    waited = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, path):
                return descriptor, waited
        except BlockingIOError:
            if not waited:
                wait()
                waited = True
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise
            time.sleep(_POLL)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still_there(descriptor: int, path: str) -> bool:
    # `nixpy gc` may have removed the file between open and flock.
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
