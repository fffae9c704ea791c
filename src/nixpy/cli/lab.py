"""``nixpy lab``: parse, call, print."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from nixpy.cli.shared import (
    FLAGS,
    Command,
    Group,
    accept,
    cli,
    examples,
    find,
    flags_argument,
    json_option,
    print_json,
    project_option,
    tell,
    write,
)
from nixpy.directories import nixpy_directory
from nixpy.errors import ServerFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.jupyter.servers import Server
    from nixpy.project import Project

__all__ = ["lab"]


@cli.group(cls=Group, epilog=examples("nixpy lab start", "nixpy lab open", "nixpy lab stop"))
def lab() -> None:
    """The project's JupyterLab, in the background: it outlives the terminal."""


@lab.command(
    **FLAGS,
    epilog=examples("nixpy lab start", "nixpy lab start --app notebook", "nixpy lab start --open"),
)
@click.option("--app", default="lab", metavar="NAME", help="Another subcommand of `jupyter`.")
@click.option("--port", default=0, metavar="NUMBER", help="Instead of a free one.")
@click.option("--allow-root", is_flag=True, help="Run as root, which Jupyter advises against.")
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser, too.")
@click.option("--timeout", default=300.0, metavar="SECONDS", help="Until it has to answer.")
@project_option
@json_option
@flags_argument
def start(
    app: str,
    port: int,
    allow_root: bool,
    is_opened: bool,
    timeout: float,
    directory: str | None,
    as_json: bool,
    flags: tuple[str, ...],
) -> None:
    """Start the project's server, or say where it runs already."""
    from nixpy.jupyter.installing import nixpy_command
    from nixpy.jupyter.lab import running
    from nixpy.jupyter.lab import start as start_server
    from nixpy.jupyter.start import outside_of
    from nixpy.resolver import Resolver

    project, values = find(directory, flags)
    state = _state()
    server, is_new = running(state, project.root), False
    if server is None:
        resolver = Resolver(environ=outside_of(os.environ, project.root), report=tell)
        resolution = resolver.resolve(project, values)
        accept(resolution)
        server, is_new = start_server(
            resolver,
            resolution,
            values,
            state=state,
            command=nixpy_command(os.environ, sys.argv[0]),
            app=app,
            port=port,
            arguments=("--allow-root",) if allow_root else (),
            timeout=timeout,
        )
    if as_json:
        print_json("lab-start", {"started": is_new, **_report(server)})
    else:
        if not is_new:
            tell(f"jupyter {server.app} runs already, process {server.pid}")
        click.echo(server.url)
    if is_opened:
        _open(server)


@lab.command(cls=Command, epilog=examples("nixpy lab stop"))
@project_option
def stop(directory: str | None) -> None:
    """Stop the project's server and its kernels."""
    from nixpy.jupyter.lab import stop as stop_server
    from nixpy.jupyter.servers import server_directory, write_server

    project = _the_project(directory)
    server = _running(project)
    place = server_directory(_state(), project.root)
    if server is not None:
        stop_server(server)
    write_server(place, None)
    tell("nothing runs" if server is None else f"stopped process {server.pid}")


@lab.command(cls=Command, epilog=examples("nixpy lab status", "nixpy lab status --json"))
@project_option
@json_option
def status(directory: str | None, as_json: bool) -> int:
    """Say whether the project's server runs, and where; exit 1 if it does not."""
    from nixpy.jupyter.servers import read_server, server_directory

    project = _the_project(directory)
    server = _running(project)
    known = read_server(server_directory(_state(), project.root))
    if as_json:
        nothing = dict.fromkeys(("app", "pid", "url", "port", "log"))
        report = _report(server) if server else {"project": project.directory, **nothing}
        print_json("lab-status", {"running": server is not None, **report})
    elif server:
        click.echo(f"jupyter {server.app}, process {server.pid}: {server.url}")
    elif known:
        click.echo(f"process {known.pid} has ended by itself; its log: {known.log}")
    else:
        click.echo("nothing runs")
    return 0 if server else 1


@lab.command("list", cls=Command, epilog=examples("nixpy lab list", "nixpy lab list --json"))
@json_option
def list_(as_json: bool) -> None:
    """List the user's Jupyter servers, also those that were not started by us."""
    found = list(_servers())
    if as_json:
        print_json("lab-list", {"servers": found})
        return
    for one in found:
        by = "nixpy" if one["ours"] else "other"
        write("\t".join((one["directory"], str(one["pid"]), by, one["url"])) + "\n")
    if not found:
        click.echo("no servers run")


@lab.command("open", cls=Command, epilog=examples("nixpy lab open"))
@project_option
def open_(directory: str | None) -> None:
    """Open the project's server in the browser."""
    _open(_needed(_the_project(directory)))


@lab.command(cls=Command, epilog=examples("nixpy lab logs", "nixpy lab logs --follow"))
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
@project_option
def logs(follow: bool, directory: str | None) -> None:
    """Print what the project's server has said, kernels included."""
    from nixpy.logs import log_path

    path = log_path(_state(), f"{_the_project(directory).root}#lab")
    assert path is not None
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError:
        raise ServerFailed("there is no log yet", next="`nixpy lab start` starts one.") from None
    with file:
        file.readline()  # whose it is
        while True:
            sys.stdout.buffer.write(file.read())
            sys.stdout.buffer.flush()
            if not follow:
                return
            time.sleep(0.3)


def _state() -> str:
    found = nixpy_directory("state", os.environ)
    if found is None:
        raise UsageError(
            "there is no place for what is known of servers: HOME is not set",
            next="Set HOME, or XDG_STATE_HOME.",
        )
    return found


def _the_project(directory: str | None) -> Project:
    from nixpy.project import current_directory, find_project

    return find_project(os.path.abspath(directory) if directory else current_directory(os.environ))


def _running(project: Project) -> Server | None:
    from nixpy.jupyter.lab import running

    return running(_state(), project.root)


def _needed(project: Project) -> Server:
    server = _running(project)
    if server is None:
        raise ServerFailed(
            "no server of this project runs", where=project.directory, next="`nixpy lab start`."
        )
    return server


def _open(server: Server) -> None:
    import webbrowser

    page = f"file://{server.opening}" if os.path.exists(server.opening) else server.url
    if not webbrowser.open(page):
        tell(f"no browser could be started; open {server.url}")


def _servers() -> Iterator[dict[str, Any]]:
    from nixpy.jupyter.paths import runtime_directory
    from nixpy.jupyter.servers import announced, is_alive, servers

    ours = {one.pid: one for _, one in servers(_state()) if is_alive(one)}
    for one in ours.values():
        yield {"directory": one.project, "pid": one.pid, "url": one.url, "ours": True}
    for other in announced(runtime_directory(os.environ)):
        if other.pid not in ours:
            yield {
                "directory": other.root,
                "pid": other.pid,
                "url": other.full_url,
                "ours": False,
            }


def _report(server: Server) -> dict[str, Any]:
    return {
        "project": server.project,
        "app": server.app,
        "pid": server.pid,
        "url": server.url,
        "port": server.port,
        "log": server.log,
    }
