"""Kills at any instant, and many shells at once: the next entry always ends correct."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project, World

OLD = ("attrs==23.1.0", "iniconfig==1.1.1", "packaging==23.0", "pluggy==1.0.0")
NEW = ("attrs==24.2.0", "iniconfig==2.0.0", "packaging==24.1", "click==8.1.7")

INSPECT = """
import base64, hashlib, importlib.metadata as metadata, json, sys
found, damaged = {}, []
for one in metadata.distributions():
    found[one.metadata["Name"].lower()] = one.version
    for file in one.files or ():
        path = one.locate_file(file)
        try:
            content = open(path, "rb").read()
        except OSError as error:
            damaged.append(str(error)); continue
        if file.hash:
            digest = hashlib.new(file.hash.mode, content).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                damaged.append(str(path))
print(json.dumps([found, damaged, sys.prefix]))
"""


def write_requirements(project: Project, kind: str, wanted: tuple[str, ...]) -> None:
    """Ask for packages, in a requirements file or as a uv project."""
    if kind != "project":
        project.write("requirements.txt", "\n".join(wanted) + "\n")
        return
    project.write(
        "pyproject.toml",
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.10"\n'
        f"dependencies = {json.dumps(list(wanted))}\n",
    )


def check_correct(project: Project, wanted: tuple[str, ...]) -> None:
    """Check that the environment holds exactly what was asked for, every file of it intact."""
    found, damaged, prefix = json.loads(project.python(INSPECT))
    assert prefix == str(project.path / ".venv")
    assert damaged == []
    asked = dict(one.split("==") for one in wanted)
    assert {name: version for name, version in found.items() if name in asked} == asked


def enter_and_kill(project: Project, victim: str, delay: float) -> None:
    """Enter the project, and after ``delay`` seconds kill what runs by then."""
    entering = subprocess.Popen(
        ["direnv", "export", "bash"],
        cwd=project.path,
        env={**project.world.environ, "PWD": str(project.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(delay)
    if victim == "all":
        os.killpg(entering.pid, signal.SIGKILL)
    else:
        subprocess.run(
            ["pkill", "-KILL", "-s", str(entering.pid), "-f", victim], check=False, timeout=10
        )
    entering.wait(timeout=60)


def kill_and_enter(project: Project, kind: str, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    for round_ in range(rounds):
        wanted = (OLD, NEW)[round_ % 2]
        write_requirements(project, kind, wanted)
        victim = chance.choice(["all", "nixpy", "uv (sync|pip|venv)"])
        enter_and_kill(project, victim, chance.uniform(0.01, 0.35))
        entered = project.entered()
        assert entered.environ.get("VIRTUAL_ENV") == str(project.path / ".venv"), entered.stderr
        assert "NIXPY_STALE" not in entered.environ, entered.stderr
        check_correct(project, wanted)
    assert project.entered().said == []


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["project", "requirements"])
def test_after_a_kill_the_next_entry_is_correct(world: World, kind: str, seed: int) -> None:
    project = world.project()
    kill_and_enter(project, kind, seed, rounds=5)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("kind", ["project", "requirements"])
def test_after_hundreds_of_kills_each_next_entry_is_correct(
    world: World, kind: str, seed: int
) -> None:
    kill_and_enter(world.project(), kind, seed, rounds=10)


DYING_UV = """\
#!/bin/sh
case $1 in
  sync | pip) rm -r .venv/lib/python*/site-packages/attrs-*.dist-info/*; kill -KILL $$ ;;
  *) exec %s "$@" ;;
esac
"""


@pytest.mark.parametrize("kind", ["project", "requirements"])
def test_a_uv_that_is_killed_while_it_removes_a_package_leaves_nothing(
    world: World, kind: str
) -> None:
    project = world.project()
    write_requirements(project, kind, OLD)
    project.entered()
    write_requirements(project, kind, NEW)
    uv = world.home / "bin/uv"
    real = uv.readlink()
    uv.unlink()
    uv.write_text(DYING_UV % real)
    uv.chmod(0o755)
    assert "was ended by signal 9" in project.entered().environ["NIXPY_STALE"]
    uv.unlink()
    uv.symlink_to(real)
    assert project.entered().synced
    check_correct(project, NEW)
    assert project.entered().said == []


def test_twenty_shells_entering_a_cold_project_sync_it_once(world: World) -> None:
    project = world.project()
    write_requirements(project, "project", NEW)
    entering = [
        subprocess.Popen(
            ["direnv", "export", "json"],
            cwd=project.path,
            env={**world.environ, "PWD": str(project.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    results = [one.communicate(timeout=120) for one in entering]
    assert sum("nixpy: synced" in stderr for _, stderr in results) == 1
    for stdout, stderr in results:
        changes = json.loads(stdout)
        assert changes["VIRTUAL_ENV"] == str(project.path / ".venv"), stderr
        assert changes["PATH"].startswith(f"{project.path}/.venv/bin:")
        assert "NIXPY_STALE" not in changes
    check_correct(project, NEW)
    assert project.entered().said == []


def test_whoever_waits_says_for_whom_and_gives_up_in_the_end(world: World) -> None:
    project = world.project()
    write_requirements(project, "project", OLD)
    assert project.entered().synced
    write_requirements(project, "project", NEW)
    lock = world.cache / f"projects{project.path}/.venv/@nixpy/lock"
    holder = subprocess.Popen(
        ["flock", str(lock), "sh", "-c", "echo held; exec sleep 60"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        entered = project.entered(NIXPY_LOCK_TIMEOUT="0.5")
        assert any("waiting for" in line for line in entered.said)
        assert "too long" in entered.environ["NIXPY_STALE"]
        assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    finally:
        # The lock is held by what flock started, too.
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    assert project.entered().synced
