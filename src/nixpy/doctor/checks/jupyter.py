"""Checks of Jupyter: kernelspecs, the server in the background, and which Jupyter is meant."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity
from nixpy.jupyter.ipykernel import has_ipykernel
from nixpy.jupyter.kernelspecs import kernelspecs, remove
from nixpy.jupyter.servers import is_alive, servers, write_server
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination
    from nixpy.jupyter.kernelspecs import Kernelspec


def _kernelspecs(seen: Examination) -> list[Kernelspec]:
    try:
        prefix = seen.prefix.path
    except Absent:
        prefix = ""
    found = kernelspecs(seen.environ, prefix, seen.platform)
    if not found:
        raise Absent("there are no kernelspecs on Jupyter's paths")
    return found


@check(
    "jupyter.kernel-dead",
    title="a kernel that notebooks offer cannot start",
    severity=Severity.WARNING,
)
def kernel_dead(seen: Examination) -> Iterator[Found]:
    """Reads every kernelspec on Jupyter's paths.

    Symptom:
        A kernel is offered, and choosing it ends in "Kernel died" or "Error Starting Kernel".

    Cause:
        A kernelspec holds paths, and they lead to what is gone: an environment that was removed, a
        store path that was collected, a project that has moved.

    Remedy:
        Remove it; `nixpy kernel prune` shows each first, and asks. Where the project has moved to,
        run `nixpy kernel install`.
    """
    found = _kernelspecs(seen)
    dead = [one for one in found if one.state == "dead"]
    if not dead:
        yield Found(f"{len(found)} kernelspecs", severity=Severity.OK)
    for one in dead:

        def take_out(one: Kernelspec = one) -> None:
            remove(one)

        yield Found(
            f"{one.directory}: {'; '.join(one.problems)}",
            command="nixpy kernel prune --yes",
            fix=Fix(f"remove the kernelspec {one.directory}", take_out),
        )


@check(
    "jupyter.kernel-stale",
    title="the project's kernel lacks something in the environment",
    severity=Severity.NOTE,
)
def kernel_stale(seen: Examination) -> Iterator[Found]:
    """Looks at the environment behind the project's kernelspecs.

    Symptom:
        The kernel takes longer to start than usual: it syncs, or installs ipykernel, first. Without
        a network it may not start.

    Cause:
        The environment or its interpreter is gone, or ipykernel is: it was installed beside what
        the lock file pins, and an exact sync takes such packages out.

    Remedy:
        Starting the kernel mends it, and so does the command. For good: make ipykernel a dependency
        of the project, `uv add --dev ipykernel`.
    """
    root = seen.project.root
    for one in _kernelspecs(seen):
        if one.state == "stale" and os.path.realpath(one.project) == root:
            yield Found(
                f"{one.name}: {'; '.join(one.problems)}",
                command=f"nixpy kernel check {shlex.quote(one.name)}",
            )


@check(
    "jupyter.server-gone",
    title="a server that nixpy started has ended by itself",
    severity=Severity.NOTE,
)
def server_gone(seen: Examination) -> Iterator[Found]:
    """Compares what is known of servers with the processes that run.

    Symptom:
        A browser's tab has lost its server; `nixpy lab status` says that it has ended.

    Cause:
        It was killed, ran out of memory, or the machine was restarted.

    Remedy:
        `nixpy lab start` starts it anew, `nixpy lab stop` forgets it. The log says how it ended.
    """
    for directory, one in servers(seen.state):
        if is_alive(one):
            continue

        def forget(directory: str = directory) -> None:
            write_server(directory, None)

        place = shlex.quote(one.project)
        yield Found(
            f"{one.project}: process {one.pid} is gone; its log: {one.log}",
            command=f"nixpy lab stop --project {place}" if os.path.isdir(one.project) else "",
            fix=Fix(f"forget the server of {one.project}", forget),
        )


@check(
    "jupyter.elsewhere",
    title="the jupyter on PATH is not the project's, and does not know its kernel",
    severity=Severity.NOTE,
)
def elsewhere(seen: Examination) -> Iterator[Found]:
    """Looks where `jupyter` lies, in an environment that has ipykernel.

    Symptom:
        A notebook cannot import what the project has installed.

    Cause:
        A Jupyter offers the kernel of the environment that it runs in itself, and those that were
        registered. This one runs in another environment, and the project's was not registered.

    Remedy:
        Register it, or add jupyterlab to the project, or use `nixpy lab start`.
    """
    prefix = seen.prefix.path
    if not has_ipykernel(prefix):
        raise Absent("the environment has no ipykernel")
    program = find_program("jupyter", seen.inside.get("PATH", ""))
    if program is None:
        raise Absent("jupyter is not on PATH")
    if program.startswith(prefix + "/"):
        yield Found(program, severity=Severity.OK)
        return
    root = seen.project.root
    for one in kernelspecs(seen.environ, prefix, seen.platform):
        if one.kind == "per-notebook" or (
            one.kind == "project" and os.path.realpath(one.project) == root
        ):
            return
    yield Found(
        f"{program} runs in another environment than {prefix}", command="nixpy kernel install"
    )
