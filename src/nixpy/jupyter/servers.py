"""The Jupyter servers that run: one for each project, started by us, and whoever else's.

What we know of ours lies in a file under the state directory, readable by its owner alone, for it
holds the token. A process is known by its number and the time of its start: numbers come again.
"""

from __future__ import annotations

import glob
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from nixpy import cache
from nixpy.inputs import digest
from nixpy.process import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Announced",
    "Server",
    "announced",
    "descendants",
    "is_alive",
    "process_start",
    "read_server",
    "server_directory",
    "servers",
    "write_server",
]

_FILE = "server.json"


class Server(NamedTuple):
    """A server that we started.

    Attributes:
        project: the project's directory.
        app: the subcommand of ``jupyter``: ``lab``, ``notebook``.
        leader: the process that leads its session.
        leader_start: when that was started (:func:`process_start`).
        pid: the server's own process; another one where something like uv is its parent.
        pid_start: when that was started.
        url: where it is to be opened, token included.
        port: on loopback.
        log: path of what it says.
        opening: path of a page that opens it without the token in a command line.
    """

    project: str
    app: str
    leader: int
    leader_start: str
    pid: int
    pid_start: str
    url: str
    port: int
    log: str
    opening: str


class Announced(NamedTuple):
    """A server as it announces itself in Jupyter's runtime directory (``jpserver-PID.json``)."""

    pid: int
    url: str
    port: int
    token: str
    root: str
    path: str

    @property
    def full_url(self) -> str:
        """The address with the token."""
        return f"{self.url}?token={self.token}" if self.token else self.url


def server_directory(state: str, root: str) -> str:
    """Return where all that belongs to a project's server lies."""
    return f"{state}/servers/{digest(os.fsencode(root))}"


def read_server(directory: str) -> Server | None:
    """Return the server of a directory, whether it runs or not; ``None`` where there is none."""
    try:
        with open(f"{directory}/{_FILE}", encoding="utf-8") as file:
            told = json.load(file)
        return Server(**told)
    except (OSError, ValueError, TypeError):
        return None


def write_server(directory: str, server: Server | None) -> None:
    """Write down a server, or that there is none.

    Raises:
        OSError: it cannot be written.
    """
    path = f"{directory}/{_FILE}"
    if server is None:
        if os.path.lexists(path):
            os.unlink(path)
        return
    cache.write_private(path, json.dumps(server._asdict()).encode())


def servers(state: str) -> Iterator[tuple[str, Server]]:
    """Yield every server that we started, with its directory, whether it runs or not."""
    for path in sorted(glob.glob(f"{glob.escape(state)}/servers/*/{_FILE}")):
        found = read_server(os.path.dirname(path))
        if found is not None:
            yield os.path.dirname(path), found


def is_alive(server: Server) -> bool:
    """Return whether a server, or what leads its session, still runs."""
    return process_start(server.pid) == server.pid_start or (
        process_start(server.leader) == server.leader_start
    )


def process_start(pid: int) -> str | None:
    """Return what tells a process from others of its number; ``None`` where there is none.

    The time of its start, in clock ticks since a boot (proc_pid_stat(5)), and the boot; elsewhere
    what ps(1) says. A zombie does not count.
    """
    if os.path.isdir("/proc/self"):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                boot = file.read().strip()
        except OSError:
            return None
        return None if fields[0] == b"Z" else f"{fields[19].decode()}@{boot}"
    argv = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    done = SystemRunner().capture(argv, cwd="/", environ=os.environ)
    state, _, started = done.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def descendants(pid: int) -> list[tuple[int, str]]:
    """Return the processes below one, with their starts."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return [(one, start) for one in found if (start := process_start(one)) is not None]


def _parents() -> Iterator[tuple[int, int]]:
    """Yield every process with its parent."""
    if not os.path.isdir("/proc/self"):
        argv = ["ps", "-A", "-o", "pid=,ppid="]
        for line in SystemRunner().capture(argv, cwd="/", environ=os.environ).stdout.splitlines():
            child, parent = map(int, line.split())
            yield child, parent
        return
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    yield int(name), int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue


def announced(runtime: str | None) -> list[Announced]:
    """Return the servers that announce themselves and run."""
    if runtime is None:
        return []
    found = []
    for path in sorted(glob.glob(f"{glob.escape(runtime)}/*server-*.json")):
        try:
            with open(path, encoding="utf-8") as file:
                told: dict[str, Any] = json.load(file)
            one = Announced(
                pid=int(told["pid"]),
                url=str(told["url"]),
                port=int(told["port"]),
                token=str(told.get("token", "")),
                root=str(told.get("root_dir") or told.get("notebook_dir", "")),
                path=path,
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if process_start(one.pid) is not None:
            found.append(one)
    return found
