"""Where nothing can be recorded, or recording dies, the shell is as direnv alone would have it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from .hooked import ONE_OF_SHELLS, SHELLS, HookedShell, PlainShell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..conftest import Project, World


@pytest.fixture
def mounted(world: World) -> Iterator[Callable[[str], None]]:
    """Mounts a file system of its own over the cache, and mounts it again with other options."""
    world.cache.mkdir(parents=True, exist_ok=True)
    is_mounted = False

    def mount(options: str) -> None:
        nonlocal is_mounted
        command = ["mount", "-t", "tmpfs", "-o", options, "nixpy-test", str(world.cache)]
        if is_mounted:
            command[1:3] = []
            command[2] = f"remount,{options}"
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        if not is_mounted:
            world.cache.chmod(0o700)
        is_mounted = True

    yield mount
    if is_mounted:
        subprocess.run(["umount", "-l", str(world.cache)], check=True)


def call_nixpy_by(shell: HookedShell, text: str) -> Path:
    """Have the hook call a program of ours, which notes each call; return the notes."""
    notes = shell.world.home / "nixpy-calls"
    notes.write_text("")
    program = shell.world.home / "noted-nixpy"
    program.write_text(f"#!/bin/sh\necho call >>{notes}\n{text}\n")
    program.chmod(0o755)
    words = {"fish": f"set -g _nixpy_command {program}"}
    shell.run(words.get(shell.kind, f"_nixpy_command=({program})"))
    return notes


def check_plain(plain: PlainShell, hooked: HookedShell, project: Project, rounds: int = 3) -> None:
    """Check that both shells come to the same, and that both load the project."""
    for _ in range(rounds):
        for shell in (plain, hooked):
            shell.cd(project.path)
        assert hooked.exported() == plain.exported()
        assert hooked.variable("A") == "1"
        for shell in (plain, hooked):
            shell.cd(project.world.directory)
        assert hooked.exported() == plain.exported()
        assert hooked.variable("A") is None


def in_the_way(world: World, project: Project) -> None:
    place = world.cache / f"hook/1{project.path}"
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.write_text("")


def others_can_write(world: World, project: Project) -> None:
    place = world.cache / f"hook/1{project.path}"
    place.mkdir(parents=True, mode=0o700)
    place.chmod(0o777)


@pytest.mark.parametrize(
    ("kind", "obstacle"),
    [("bash", in_the_way), ("fish", in_the_way), ("bash", others_can_write)],
)
def test_a_recorder_that_cannot_write_is_called_once(
    start_noted: Callable[..., HookedShell],
    world: World,
    kind: str,
    obstacle: Callable[[World, Project], None],
) -> None:
    project = world.project(envrc="export A=1\n")
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    obstacle(world, project)
    notes = call_nixpy_by(hooked, f'exec {shutil.which("nixpy", path=world.environ["PATH"])} "$@"')
    check_plain(plain, hooked, project)
    assert notes.read_text() == "call\n"


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_a_cache_that_becomes_read_only_is_one_that_is_not_written(
    start_noted: Callable[..., HookedShell], world: World, kind: str, mounted: Callable[[str], None]
) -> None:
    mounted("size=4m")
    known, unknown = (world.project(name, "export A=1\n") for name in ("known", "unknown"))
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    hooked.warm(known)
    mounted("ro")
    notes = call_nixpy_by(hooked, f'exec {shutil.which("nixpy", path=world.environ["PATH"])} "$@"')
    check_plain(plain, hooked, known)
    assert hooked.asked() == 0
    check_plain(plain, hooked, unknown)
    assert notes.read_text() == "call\n"
    hooked.asked()
    hooked.cd(known.path)
    hooked.cd(world.directory)
    assert hooked.asked() == 0


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_a_full_disk_leaves_what_was_known(
    start_noted: Callable[..., HookedShell], world: World, kind: str, mounted: Callable[[str], None]
) -> None:
    mounted("size=1m")
    known, unknown = (world.project(name, "export A=1\n") for name in ("known", "unknown"))
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    hooked.warm(known)
    with (world.cache / "filler").open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    check_plain(plain, hooked, unknown)
    hooked.asked()
    hooked.cd(known.path)
    assert hooked.variable("A") == "1"
    hooked.cd(world.directory)
    assert hooked.asked() == 0
    assert not list((world.cache / "hook").rglob("*.tmp"))


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_a_cache_that_cannot_be_made_is_an_error_that_says_so(
    world: World, kind: str, start_noted: Callable[..., HookedShell]
) -> None:
    project = world.project(envrc="export A=1\n")
    shutil.rmtree(world.cache, ignore_errors=True)
    world.cache.parent.mkdir(exist_ok=True)
    world.cache.write_text("")
    done = world.nixpy("hook", kind, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert str(world.cache) in done.stderr
    check_plain(start_noted(kind, hooked=False), start_noted(kind), project, 1)


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
@pytest.mark.parametrize("text", ["kill -9 $$", "echo noise; echo noise >&2; exit 3"])
def test_a_nixpy_that_fails_leaves_direnv_alone(
    start_noted: Callable[..., HookedShell], world: World, kind: str, text: str
) -> None:
    project = world.project(envrc="export A=1\n")
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    notes = call_nixpy_by(hooked, text)
    check_plain(plain, hooked, project)
    assert notes.read_text() == "call\n"
    assert "noise" not in hooked.cd(project.path)


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_a_nixpy_that_is_gone_leaves_direnv_alone(
    start_noted: Callable[..., HookedShell], world: World, kind: str
) -> None:
    project = world.project(envrc="export A=1\n")
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    call_nixpy_by(hooked, "exit 0")
    (world.home / "noted-nixpy").unlink()
    check_plain(plain, hooked, project)
    assert "noted-nixpy" not in hooked.cd(project.path)


def kill_and_enter(
    start_noted: Callable[..., HookedShell], world: World, kind: str, seed: int, rounds: int
) -> None:
    chance = random.Random(seed)
    project = world.project(envrc="export A=1\n")
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    real = shutil.which("nixpy", path=world.environ["PATH"])
    delay = world.home / "delay"
    notes = call_nixpy_by(hooked, f'exec timeout -s KILL "$(cat {delay})" {real} "$@"')
    for number in range(rounds):
        delay.write_text(f"{chance.uniform(0.02, 0.6):.3f}")
        value = f"{seed} {number}"
        project.write(".envrc", f"export A='{value}'\n")
        project.allow()
        for shell in (plain, hooked):
            if shell is hooked:
                hooked.forget()
            shell.cd(project.path)
        assert hooked.variable("A") == value
        assert hooked.exported() == plain.exported()
        for shell in (plain, hooked):
            shell.cd(world.directory)
        assert hooked.exported() == plain.exported()
    assert len(notes.read_text().split()) >= rounds
    delay.write_text("60")
    hooked.forget()
    hooked.warm(project)
    hooked.cd(project.path)
    assert hooked.variable("A") == value


def test_after_kills_at_any_instant_the_next_entry_is_correct(
    start_noted: Callable[..., HookedShell], world: World
) -> None:
    kill_and_enter(start_noted, world, "bash", seed=1, rounds=5)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 104))
@pytest.mark.parametrize("kind", SHELLS)
def test_after_a_hundred_kills_each_next_entry_is_correct(
    start_noted: Callable[..., HookedShell], world: World, kind: str, seed: int
) -> None:
    kill_and_enter(start_noted, world, kind, seed, rounds=30)


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_an_interrupt_while_direnv_loads_is_as_without_the_hook(
    start_noted: Callable[..., HookedShell], world: World, kind: str
) -> None:
    project = world.project(envrc="# nixpy: pure\nexport A=1\n[[ ! -e slow ]] || sleep 30\n")
    plain, hooked = start_noted(kind, hooked=False), start_noted(kind)
    hooked.warm(project)
    project.write("slow", "")
    project.write(".envrc", (project.path / ".envrc").read_text() + "\n")
    project.allow()
    for shell in (plain, hooked):
        shell.process.sendline(f"cd {project.path}")
        shell.process.expect_exact("loading")
        time.sleep(0.3)
        started = time.monotonic()
        shell.process.sendintr()
        shell.process.expect_exact("__nixpy_prompt__ ")
        assert time.monotonic() - started < 20
    (project.path / "slow").unlink()
    for shell in (plain, hooked):
        shell.run("true")
    assert hooked.exported() == plain.exported()


@pytest.mark.parametrize("kind", ONE_OF_SHELLS)
def test_an_interrupt_while_an_answer_is_recorded_loses_no_variable(
    start_noted: Callable[..., HookedShell], world: World, kind: str
) -> None:
    project = world.project(envrc="export A=1\n")
    hooked = start_noted(kind)
    notes = call_nixpy_by(hooked, "exec sleep 2")
    hooked.process.sendline(f"cd {project.path}")
    deadline = time.monotonic() + 30
    while not notes.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    hooked.process.sendintr()
    hooked.process.expect_exact("__nixpy_prompt__ ")
    hooked.run("true")
    assert hooked.variable("A") == "1"
    assert os.path.isdir(project.path)
