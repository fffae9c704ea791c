"""A warm `use nixpy` starts no process more than an empty `.envrc`, and writes nothing."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from .test_freshness import is_warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Project, World

CREATIONS = "?execve,?execveat,?clone,?clone3,?vfork,?fork"
WRITES = (
    "?open,?openat,?openat2,?creat,?mkdir,?mkdirat,?mknod,?mknodat,?link,?linkat,?symlink,"
    "?symlinkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?truncate,?utime,?utimes,"
    "?utimensat,?chmod,?fchmodat"
)
"""The question mark: not every architecture has them all."""

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def calls(project: Project, which: str) -> Iterator[str]:
    """The completed system calls of loading a project, by all processes."""
    log = project.world.home / "strace"
    project.world.run(
        *("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={which}"),
        *("direnv", "export", "bash"),
        cwd=project.path,
    )
    begun: dict[str, str] = {}
    for line in log.read_text(errors="replace").splitlines():
        process, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            begun[process] = call.removesuffix("<unfinished ...>")
        elif call.startswith(("---", "+++", "???")):
            continue  # a signal, an exit, a thread that ended in between
        elif call.startswith("<..."):
            yield begun.pop(process, "") + re.sub(r"^<\.\.\. \w+ resumed>", "", call)
        else:
            yield call
    yield from begun.values()


def processes(project: Project) -> tuple[int, int]:
    """How many programs are executed, and how many processes created (Go's threads apart)."""
    made = list(calls(project, CREATIONS))
    executed = sum(call.startswith("execve") and call.endswith("= 0") for call in made)
    created = sum(not call.startswith("execve") and "CLONE_THREAD" not in call for call in made)
    return executed, created


def written(project: Project) -> list[str]:
    """Paths below the test's own directories that loading the project writes to."""
    own = str(project.world.home.parent)
    reading = re.compile(r"^open(at)?\(.*O_RDONLY(?!.*O_CREAT)")
    found = []
    for call in calls(project, WRITES):
        path = re.search(r'"((?:[^"\\]|\\.)*)"', call)
        is_own = path is not None and (path[1].startswith(own) or not path[1].startswith("/"))
        if is_own and not reading.match(call) and "= -1" not in call:
            found.append(call)
    return found


def places(project: Project) -> list[str]:
    """What is written, wherever the project lies."""
    return [call.replace(str(project.path), "") for call in written(project)]


def warm(project: Project) -> Project:
    project.entered()
    assert is_warm(project)
    return project


def plain(world: World) -> Project:
    project = world.project()
    project.write("pyproject.toml", '[project]\nname = "demo"\nversion = "1"\n')
    return warm(project)


def with_options(world: World) -> Project:
    project = world.project(envrc="use nixpy --exact --env 'A=/b c%' --path tools/x\n")
    project.write("requirements.txt", "")
    return warm(project)


def with_many_inputs(world: World) -> Project:
    project = world.project()
    project.write("requirements.txt", "")
    project.write("nixpy.toml", 'watch = ["data/**/*.txt"]\n')
    for number in range(40):
        project.write(f"data/{number % 4}/{number}.txt", f"{number}\n")
    return warm(project)


@pytest.mark.parametrize("make", [plain, with_options, with_many_inputs])
def test_a_warm_entry_starts_no_process_more_than_an_empty_envrc(
    world: World, make: object
) -> None:
    assert callable(make)
    empty = world.project("empty", envrc="")
    project = make(world)
    assert processes(project) == processes(empty)


@pytest.mark.parametrize("make", [plain, with_options, with_many_inputs])
def test_a_warm_entry_writes_nothing_more_than_an_empty_envrc(world: World, make: object) -> None:
    assert callable(make)
    empty = world.project("empty", envrc="")
    project = make(world)

    assert places(project) == places(empty)


def test_a_chain_by_source_up_starts_and_writes_no_more_than_an_empty_one(world: World) -> None:
    def chain(name: str, line: str) -> Project:
        outer = world.project(name, envrc=f"{line}\n")
        inner = world.project(f"{name}/inner", envrc=f"source_up\n{line}\n")
        for one in (outer, inner):
            one.write("requirements.txt", "")
        return inner

    empty, project = chain("empty", ":"), chain("project", "use nixpy")
    for _ in range(2):
        entered = project.entered()
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    outer = project.path.parent / ".venv/bin"
    assert entered.environ["PATH"].startswith(f"{project.path}/.venv/bin:{outer}:")
    assert processes(project) == processes(empty)
    assert places(project) == places(empty)


def test_the_counting_itself_sees_a_process(world: World) -> None:
    empty = world.project("empty", envrc="")
    busy = world.project("busy", envrc="/bin/true\n")
    (executed, created), (more_executed, more_created) = processes(empty), processes(busy)
    assert more_executed == executed + 1
    assert more_created == created + 1
    writing = world.project("writing", envrc="echo > here\n")
    assert len(written(writing)) == len(written(empty)) + 1
