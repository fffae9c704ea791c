"""Who holds a lock, seen without taking it."""

from __future__ import annotations

import fcntl
import glob
import os

__all__ = ["holders", "is_locked"]


def is_locked(path: str) -> bool:
    """Return whether somebody holds a flock(2) on a file.

    Read from ``/proc/locks`` (proc(5)) where there is one: taking the lock, be it for an instant,
    would make a sync that comes just then believe that it has to wait.
    """
    try:
        status = os.stat(path)
    except OSError:
        return False
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return _cannot_be_taken(path)
    # 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF; waiters have "->" in front.
    locked = {row[5] for row in rows if row[1:2] == ["FLOCK"] and len(row) > 5}  # noqa: PLR2004
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    if f"{device}:{status.st_ino}" in locked:
        return True
    # Some file systems (btrfs, overlays) have another device there than stat(2) has; a file of this
    # number on a quite different one is not meant.
    return any(one.endswith(f":{status.st_ino}") for one in locked) and bool(holders(path))


def holders(path: str) -> tuple[tuple[int, str], ...]:
    """Return the processes that have a file open, with their command lines, as far as is seen.

    A lock is inherited: the one who took it may have ended, and a child of his may hold it.
    """
    found = []
    for link in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) != path:
                continue
            process = link.split("/")[2]
            with open(f"/proc/{process}/cmdline", "rb") as file:
                command = os.fsdecode(file.read().replace(b"\0", b" ")).strip()
        except OSError:
            continue
        found.append((int(process), command))
    return tuple(dict.fromkeys(found))


def _cannot_be_taken(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
