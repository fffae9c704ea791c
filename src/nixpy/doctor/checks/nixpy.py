"""Checks of nixpy itself: its cache, its locks, its logs, and the room that it has."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

from nixpy import cache
from nixpy.collect import collect, entries
from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity, some
from nixpy.doctor.locks import holders, is_locked
from nixpy.freshness import revalidated
from nixpy.lock import lock_path
from nixpy.logs import CAUSES, cause_of, log_lines, log_path
from nixpy.marker import is_synced_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

MOST_SHOWN = 5
MOST_PATHS = 20_000

LITTLE_ROOM = 500_000_000
NO_ROOM = 50_000_000
"""Bytes: a middle-sized wheel, and hardly a small one."""

TEMPORARY = "temporary files"

FEW_FILES = 2_000
"""A virtual environment with a few packages."""

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|fuse\.(sshfs|s3fs|rclone|gcsfuse|glusterfs)"
)
"""Types of file systems (``/proc/self/mountinfo``) on which a file costs a round trip."""


@check("nixpy.home-missing", title="nixpy has no place for its cache", severity=Severity.WARNING)
def home_missing(seen: Examination) -> Iterator[Found]:
    """Looks whether HOME or XDG_CACHE_HOME say where the cache lies.

    Symptom:
        Each load takes as long as the first one, and two syncs can run at once.

    Cause:
        Neither `HOME` nor `XDG_CACHE_HOME` is an absolute path: a service, a container or
        `env -i` does not set them.

    Remedy:
        Set `HOME`, or `XDG_CACHE_HOME` and `XDG_STATE_HOME`, in that service or container.
    """
    try:
        yield Found(f"entries lie in {seen.cache}", severity=Severity.OK)
    except Absent:
        shown = (f"{name}={seen.environ.get(name, '')}" for name in ("HOME", "XDG_CACHE_HOME"))
        yield Found(*shown)


@check(
    "nixpy.several",
    title="there are several nixpy on PATH",
    severity=Severity.NOTE,
)
def several(seen: Examination) -> Iterator[Found]:
    """Looks for other commands of this name on PATH.

    Symptom:
        `nixpy --version` says another version than the one that you have just installed.

    Cause:
        It was installed twice: by uv, pipx, Nix, or into the environment of the project.

    Remedy:
        Remove the one that you do not mean, then run `nixpy setup`.
    """
    found: dict[str, str] = {}
    for directory in seen.environ.get("PATH", "").split(os.pathsep):
        path = f"{directory}/nixpy"
        if directory.startswith("/") and os.path.isfile(path) and os.access(path, os.X_OK):
            found.setdefault(os.path.realpath(path), path)
    if len(found) > 1:
        yield Found(*found.values(), f"this one runs on {sys.executable}")


def _in_cache(top: str) -> Iterator[str]:
    """Yield nixpy's own paths in the cache: all down to entries, locks and stamps."""
    for number, (path, directories, files) in enumerate(os.walk(top)):
        if number > MOST_PATHS:
            return
        yield path
        yield from (f"{path}/{name}" for name in files)
        directories[:] = [name for name in directories if name not in {"refs", "@refs"}]


@check(
    "nixpy.cache-not-private",
    title="others can write to nixpy's cache, so it is not used",
    severity=Severity.WARNING,
)
def cache_not_private(seen: Examination) -> Iterator[Found]:
    """Looks at owners and modes of nixpy's directories and entries.

    Symptom:
        Each `cd` takes as long as a Python start; nixpy says that it cannot keep the entry.

    Cause:
        What lies in the cache is sourced by your shell. So what belongs to somebody else, or what
        others can write to, is passed over. `sudo nixpy …` with your HOME leaves such files, and
        so does `chmod -R g+w`.

    Remedy:
        Give the files back to yourself, and take the right to write from others.
    """
    top = seen.cache
    if not os.path.isdir(top):
        raise Absent(f"{top} is not there yet")
    user = os.geteuid()
    foreign, open_ = [], []
    for path in (top, *_in_cache(f"{top}/projects")):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if status.st_uid != user:
            foreign.append(f"{path} belongs to user {status.st_uid}")
        elif status.st_mode & 0o022 and not os.path.islink(path):
            open_.append(path)
    quoted = shlex.quote(top)
    if foreign:
        yield Found(
            *some(foreign, MOST_SHOWN),
            command=f'sudo chown -R "$(id -u)" {quoted} && chmod -R go-w {quoted}',
        )
    elif open_:

        def close() -> None:
            for path in open_:
                os.chmod(path, os.lstat(path).st_mode & 0o7755)

        lines = [f"{path} has mode {os.lstat(path).st_mode & 0o7777:04o}" for path in open_]
        fix = Fix(f"take from others the right to write to {len(open_)} paths below {top}", close)
        yield Found(*some(lines, MOST_SHOWN), command=f"chmod -R go-w {quoted}", fix=fix)


@check("nixpy.entry-damaged", title="an entry in the cache is damaged", severity=Severity.NOTE)
def entry_damaged(seen: Examination) -> Iterator[Found]:
    """Reads every entry.

    Symptom:
        One load took longer than usual; nothing else, since a damaged entry counts as none.

    Cause:
        The disk was full or failed, or something else than nixpy has written there.

    Remedy:
        Remove it; the next load writes it anew. If that happens again, look at the disk.
    """
    damaged = [
        path
        for path in _in_cache(f"{seen.cache}/projects")
        if path.endswith("/entry")
        and f"/@nixpy/{cache.SCHEMA}/" in path
        and cache.is_private(path)
        and cache.read_entry(os.path.dirname(path)) is None
    ]
    if damaged:

        def remove() -> None:
            for path in damaged:
                os.unlink(path)

        yield Found(
            *some(damaged, MOST_SHOWN),
            command=f"rm {' '.join(map(shlex.quote, damaged))}",
            fix=Fix(f"remove {len(damaged)} damaged entries below {seen.cache}", remove),
        )


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


@check(
    "nixpy.leftovers",
    title="the cache holds what is left of projects that are gone",
    severity=Severity.NOTE,
)
def leftovers(seen: Examination) -> Iterator[Found]:
    """Does what `nixpy gc --dry-run` does, and counts the entries.

    Symptom:
        Disk space that nobody uses; store paths that Nix does not collect.

    Cause:
        Projects were removed or moved. Their entries, logs, gc roots and central environments
        stay until somebody asks.

    Remedy:
        Run `nixpy gc`.
    """
    top = seen.cache
    try:
        removable = collect(seen.environ, dry_run=True)
        known = [directory for directory, _, _ in entries(seen.environ)]
    except OSError as error:
        raise Absent(f"{error.filename}: {error.strerror}") from None
    if not removable:
        sizes = [_size(path) for path in _in_cache(f"{top}/projects")]
        shown = f"{len(known)} entries in {top}, {sum(sizes) // 1000} kB"
        yield Found(shown, severity=Severity.OK)
        return

    def remove() -> None:
        collect(seen.environ)

    yield Found(
        *some([f"{one.path} ({one.why})" for one in removable], MOST_SHOWN),
        command="nixpy gc",
        fix=Fix("remove what belongs to projects that are gone", remove),
    )


@check(
    "nixpy.stamp-missing",
    title="each `cd` looks at everything again",
    severity=Severity.NOTE,
)
def stamp_missing(seen: Examination) -> Iterator[Found]:
    """Looks for the stamp beside the entry of the environment that direnv has loaded.

    Symptom:
        Each `cd` into the project takes as long as a Python start.

    Cause:
        There is no stamp: it was removed, the cache's file system does not keep the times of files
        to the nanosecond, or an input was written just then.

    Remedy:
        Load the environment once more. docs/how-it-works.md lists where there never is one.
    """
    if not seen.is_in_force or "DIRENV_DIR" not in seen.environ:
        raise Absent("direnv has not loaded this project's environment here")
    if revalidated(seen.entry, seen.project.root, seen.outside) is None:
        raise Absent("the entry does not hold any more")
    stamp = f"{seen.entry_directory}/stamp"
    if not os.path.exists(stamp):
        directory = shlex.quote(seen.project.directory)
        yield Found(f"{stamp} is not there", command=f"direnv exec {directory} true")


@check(
    "nixpy.lock-held",
    title="somebody is syncing this environment, or hangs",
    severity=Severity.WARNING,
)
def lock_held(seen: Examination) -> Iterator[Found]:
    """Looks whether the environment's lock is held, and by whom.

    Symptom:
        `cd` and `nixpy sync` say that they wait for a process.

    Cause:
        One sync of an environment runs at a time. A manager that was started by a nixpy that has
        ended holds the lock until it ends too.

    Remedy:
        Wait for it. If it hangs, end the processes that the evidence names.
    """
    path = lock_path(seen.cache, seen.planned_prefix.path)
    if not is_locked(path):
        return
    since = int(seen.now() - os.stat(path).st_mtime)
    found = [(pid, command) for pid, command in holders(path) if pid != os.getpid()]
    lines = [f"process {pid}: {command}" for pid, command in found]
    yield Found(
        f"{path} is held since {since} s",
        *(
            lines
            or ["by a process that cannot be seen from here: another user's, or a container's"]
        ),
        command=f"kill {' '.join(str(pid) for pid, _ in found)}" if found else "",
    )


@check("nixpy.last-sync-failed", title="the last sync failed", severity=Severity.PROBLEM)
def last_sync_failed(seen: Examination) -> Iterator[Found]:
    """Reads the log of the last sync, where the environment is not what is asked for.

    Symptom:
        "the last good environment stays in force", or there is no environment.

    Cause:
        The evidence has what the manager said.

    Remedy:
        Mend what the manager complained of; `nixpy sync` then shows whether that was all.
    """
    prefix = seen.planned_prefix.path
    if is_synced_to(prefix, seen.derivation.synced):
        return
    path = log_path(seen.state, prefix) or ""
    lines = log_lines(path)[1:]
    starts = ("error:", "×", "ERROR:", *CAUSES)
    if any(line.startswith(starts) for line in lines):
        yield Found(cause_of(lines), f"the whole log: {path}", command="nixpy sync")


def _nearest(path: str) -> str:
    while path != "/" and not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _places(seen: Examination) -> dict[str, str]:
    """Return the directories that nixpy writes to, with what they are for."""
    found: dict[str, str] = {}
    with contextlib.suppress(Absent):
        found[seen.cache] = "nixpy's cache"
    with contextlib.suppress(Absent):
        found[seen.state] = "nixpy's logs"
    with contextlib.suppress(Absent):
        found[seen.planned_prefix.path] = "the environment"
    found[seen.environ.get("TMPDIR") or "/tmp"] = TEMPORARY  # noqa: S108 - as tools do
    return {_nearest(path): what for path, what in found.items()}


@check("nixpy.disk-full", title="there is hardly any room left", severity=Severity.WARNING)
def disk_full(seen: Examination) -> Iterator[Found]:
    """Looks at the free space where environments, entries, logs and temporary files lie.

    Symptom:
        A sync fails with `No space left on device`, or each `cd` looks at everything again.

    Cause:
        The file system is full, or has no room for further files (inodes).

    Remedy:
        Make room: `nixpy gc`, `uv cache prune`, `nix-collect-garbage`, or another file system.
    """
    for path, what in _places(seen).items():
        try:
            status = os.statvfs(path)
        except OSError:
            continue
        free = status.f_bavail * status.f_frsize
        if free < (LITTLE_ROOM if what != TEMPORARY else 2 * NO_ROOM):
            yield Found(
                f"{path} ({what}) has {free // 1_000_000} MB left",
                severity=Severity.PROBLEM if free < NO_ROOM else None,
            )
        # File systems that make inodes as they go say that they have none at all.
        elif status.f_files and status.f_favail < FEW_FILES:
            yield Found(f"{path} ({what}) has room for {status.f_favail} more files")


def mount_of(path: str, mountinfo: str) -> tuple[str, str]:
    """Return the mount point and the type of the file system that a real path lies on (proc(5))."""
    best = ("/", "")
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        parts = fields.split()
        if len(parts) < 5 or not tail:  # noqa: PLR2004 - the mount point is the fifth field
            continue
        point = re.sub(r"\\([0-7]{3})", lambda one: chr(int(one[1], 8)), parts[4])
        below = point.rstrip("/") + "/"
        # Of several on one point the last one counts.
        if (path + "/").startswith(below) and len(point) >= len(best[0]):
            best = (point, tail.split()[0])
    return best


@check(
    "nixpy.cache-on-network",
    title="nixpy's cache or the environment lies on a network file system",
    severity=Severity.WARNING,
)
def cache_on_network(seen: Examination) -> Iterator[Found]:
    """Looks at the types of the file systems where entries and the environment lie.

    Symptom:
        Each `cd` and each start of Python is slow; locks may not hold between machines.

    Cause:
        Each file that is looked at costs a round trip to a server. HOME is often mounted by NFS.

    Remedy:
        Let `XDG_CACHE_HOME` lie on a disk of this machine, and the environment with
        `venv = "central"` and `XDG_DATA_HOME` too.
    """
    mountinfo = seen.read(f"{seen.root}/proc/self/mountinfo")
    if mountinfo is None:
        raise Absent("there is no /proc/self/mountinfo to read")
    for path, what in _places(seen).items():
        point, kind = mount_of(os.path.realpath(path), mountinfo)
        if NETWORK.fullmatch(kind):
            yield Found(f"{path} ({what}) is on {point}, which is {kind}")
