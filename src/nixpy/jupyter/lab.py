"""Starting and stopping a project's Jupyter server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import time
from typing import TYPE_CHECKING

from nixpy import cache
from nixpy.activation import activation, base_environment
from nixpy.composition import prompt_of
from nixpy.environment import Environment
from nixpy.errors import EnvironmentUnusable, ServerFailed, ToolMissing
from nixpy.jupyter.installing import Wanted, own_metadata, specification
from nixpy.jupyter.ipykernel import resources, with_ipykernel
from nixpy.jupyter.paths import runtime_directory
from nixpy.jupyter.servers import (
    Server,
    announced,
    descendants,
    is_alive,
    process_start,
    read_server,
    server_directory,
    write_server,
)
from nixpy.logs import cause_of, log_lines, log_path
from nixpy.managers.uv import find_uv
from nixpy.process import detach, find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.project import Project
    from nixpy.resolver import Resolution, Resolver

__all__ = ["running", "start", "stop"]

TOOLS = {"lab": "jupyterlab", "notebook": "notebook"}
"""What uv runs where a project has no such program of its own."""

TICK = 0.1
GRACE = 15.0
"""Seconds that a server has to end its kernels and itself."""

FORBIDDEN = (401, 403)


def running(state: str, root: str) -> Server | None:
    """Return the server of a project if it runs."""
    found = read_server(server_directory(state, root))
    return found if found and is_alive(found) else None


def start(
    resolver: Resolver,
    resolution: Resolution,
    flags: Mapping[str, object],
    *,
    state: str,
    command: tuple[str, ...],
    app: str = "lab",
    port: int = 0,
    arguments: tuple[str, ...] = (),
    timeout: float,
) -> tuple[Server, bool]:
    """Start the server of a project, or return the one that runs; and whether it was started.

    Args:
        resolver: made the resolution.
        resolution: of the project's environment.
        flags: the values of the project's arguments.
        state: nixpy's state directory.
        command: leads to nixpy, for the kernel.
        app: a subcommand of ``jupyter``.
        port: to listen on; 0 for a free one.
        arguments: more of them, for the server.
        timeout: seconds until it has to answer.

    Raises:
        NixpyError: it does not start, or would take anybody in.
    """
    project = resolution.project
    directory = server_directory(state, project.root)
    try:
        cache.make_private_directory(directory, state)
        with _alone(f"{directory}/lock"):
            found = running(state, project.root)
            if found:
                return found, False
            argv, environ = _program(resolver, resolution, app)
            resolution = with_ipykernel(resolver, resolution, flags, install=True)
            token = secrets.token_hex(24)
            port = port or _free_port()
            _configure(directory, project, resolution.prefix, command, token)
            environ = _with_ours(environ, directory)
            argv += [
                "--no-browser",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={project.directory}",
                *arguments,
            ]
            log = log_path(state, f"{project.root}#lab")
            assert log is not None
            with _opened(log, project.root) as file:
                leader = detach(argv, cwd=project.directory, environ=environ, log=file)
            server = Server(
                project=project.directory,
                app=app,
                leader=leader,
                leader_start=process_start(leader) or "",
                pid=leader,
                pid_start="",
                url="",
                port=port,
                log=log,
                opening="",
            )
            try:
                server = _awaited(server, token, environ, timeout)
                _check_closed(server)
                write_server(directory, server)
            except BaseException:
                stop(server)
                raise
            return server, True
    except OSError as error:
        raise EnvironmentUnusable(
            f"cannot be written: {error.strerror}",
            where=str(error.filename or directory),
            next="Make room, or make it writable.",
        ) from None


def stop(server: Server) -> None:
    """Stop a server that we started, and its kernels.

    Raises:
        ServerFailed: it does not end.
    """
    own = [
        (pid, start)
        for pid, start in ((server.pid, server.pid_start), (server.leader, server.leader_start))
        if start and process_start(pid) == start
    ]
    below = [one for pid, _ in own for one in descendants(pid)]
    # To SIGTERM a server ends its kernels first (jupyter_server, ServerApp._signal_stop).
    for number, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        left = _left([*own, *below])
        if not left:
            return
        targets = _left(own[:1]) if number == signal.SIGTERM else left
        for pid, _ in targets or left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + grace
        while _left([*own, *below]) and time.monotonic() < deadline:
            _reap(server.leader)
            time.sleep(TICK)
    if _left([*own, *below]):
        raise ServerFailed("the server does not end", where=f"process {server.pid}")


def _left(processes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(pid, start) for pid, start in processes if process_start(pid) == start]


def _reap(pid: int) -> int | None:
    """Return the exit status of a child of ours that has ended."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if done else None


def _program(
    resolver: Resolver, resolution: Resolution, app: str
) -> tuple[list[str], dict[str, str]]:
    """Return what to run, and its environment."""
    assert resolution.environment is not None
    environ = dict(resolver.environ)
    # With what undoes it: kernels of other projects start from without.
    operations = activation(resolution.environment, environ)
    within = Environment(operations).apply(environ)
    path = f"{resolution.prefix}/bin" if resolution.prefix else within.get("PATH", "")
    found = find_program(f"jupyter-{app}", path)
    if found:
        return [found], within
    if app not in TOOLS:
        raise ToolMissing(
            f"the environment has no jupyter-{app}",
            where=resolution.prefix or resolution.project.directory,
            next="Add it to the project; without that there are " + " and ".join(TOOLS) + ".",
        )
    resolver.report(f"the project has no jupyter-{app}: running {TOOLS[app]} by `uv tool run`")
    uv = find_uv(resolver.environ, resolution.prefix)
    outside = {
        name: value
        for name, value in base_environment(environ).items()
        if name not in {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}
    }
    return [uv, "tool", "run", "--from", TOOLS[app], f"jupyter-{app}"], outside


def _configure(
    directory: str, project: Project, prefix: str, command: tuple[str, ...], token: str
) -> None:
    """Write what the server is to read: its token, and the project's kernel.

    The kernel goes by ``python3``, in front of all others of this name: the one that notebooks
    ask for who do not know where they are opened.
    """
    kernel = f"{directory}/share/kernels/python3"
    shutil.rmtree(kernel, ignore_errors=True)
    os.makedirs(kernel)
    wanted = Wanted(project, project.arguments)
    display_name = f"Python ({prompt_of(project.root)})"
    spec = specification(wanted, display_name, command, own_metadata(prefix))
    with open(f"{kernel}/kernel.json", "w", encoding="ascii") as file:
        json.dump(spec, file, indent=1)
    for path in resources(prefix):
        shutil.copyfile(path, f"{kernel}/{os.path.basename(path)}")
    os.makedirs(f"{directory}/config", exist_ok=True)
    # Of this name it goes before what the user has configured for all servers, and for labs.
    text = json.dumps({"IdentityProvider": {"token": token}}).encode()
    for name in ("server", "lab", "notebook"):
        cache.write_private(f"{directory}/config/jupyter_{name}_config.json", text)


def _with_ours(environ: Mapping[str, str], directory: str) -> dict[str, str]:
    found = {name: value for name, value in environ.items() if name != "JUPYTER_TOKEN"}
    for name, folder in (("JUPYTER_PATH", "share"), ("JUPYTER_CONFIG_PATH", "config")):
        old = environ.get(name)
        found[name] = f"{directory}/{folder}" + (f"{os.pathsep}{old}" if old else "")
    return found


def _awaited(server: Server, token: str, environ: Mapping[str, str], timeout: float) -> Server:
    """Return a server that has announced itself, and answers."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = _reap(server.leader)
        if status is not None:
            cause = cause_of(log_lines(server.log)[1:])
            raise ServerFailed(
                f"jupyter-{server.app} ended with status {status}: {cause}",
                where=server.project,
                next=f"The full log: {server.log}",
            )
        for one in announced(runtime_directory(environ)):
            if one.token == token and one.port == server.port:
                server = server._replace(
                    pid=one.pid,
                    pid_start=process_start(one.pid) or "",
                    url=one.full_url,
                    opening=one.path.removesuffix(".json") + "-open.html",
                )
                if _asked(one.url, token) == 200:  # noqa: PLR2004 - HTTP's OK
                    return server
        time.sleep(TICK)
    raise ServerFailed(
        f"jupyter-{server.app} does not answer after {timeout:g} s",
        where=server.project,
        next=f"What it says: {server.log}; --timeout gives it longer.",
    )


def _check_closed(server: Server) -> None:
    """Check that nobody gets in without the token."""
    url = server.url.partition("?")[0]
    status = _asked(url, "")
    if status not in FORBIDDEN:
        raise ServerFailed(
            f"the server answers whoever asks ({status} without a token), so it was stopped",
            where=server.project,
            next="Take what turns the token off out of your Jupyter configuration.",
        )


def _asked(url: str, token: str) -> int:
    """Return the status of a request to a server's API; 0 where it does not answer."""
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    headers = {"Authorization": f"token {token}"} if token else {}
    request = Request(f"{url}api/contents", headers=headers)  # noqa: S310 - loopback, http
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold a lock: two starts at once would be two servers."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _opened(path: str, owner: str) -> Iterator[int]:
    """Open a log anew; its first line says whose it is, for ``nixpy gc``."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        os.write(file, os.fsencode(owner).replace(b"\n", b" ") + b"\n")
        yield file
    finally:
        os.close(file)
