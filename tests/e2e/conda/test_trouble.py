"""Kills at random instants, crashes at exit, and lies about what was done."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import CondaProject

PACKAGES = 12


def fill(conda: CondaProject, version: str) -> None:
    for number in range(PACKAGES):
        files = {f"share/{number}/{n}.txt": f"{version} {n}\n" * 40 for n in range(60)}
        conda.channel.add(f"package{number}", version, files=files)


def check(conda: CondaProject, version: str) -> None:
    """Check every file of every package against the digest in its record."""
    packages = conda.packages()
    packages.pop("python", None)
    assert packages == {f"package{number}": version for number in range(PACKAGES)}
    for path in conda.prefix.glob("conda-meta/package*.json"):
        for entry in json.loads(path.read_text())["paths_data"]["paths"]:
            content = (conda.prefix / entry["_path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def sync_killed_after(conda: CondaProject, seconds: float) -> None:
    """Sync, and kill all of it at an instant."""
    project = conda.project
    process = subprocess.Popen(
        ["nixpy", "sync"],
        cwd=project.path,
        env={**project.world.environ, "PWD": str(project.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def sync_is_repaired(conda: CondaProject, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"package{number}" for number in range(PACKAGES)]
    fill(conda, "1.0")
    conda.write("python", *names)
    if seed % 2:
        conda.sync()
        fill(conda, "2.0")
        conda.write("python", *(f"{name} >=2" for name in names))
    sync_killed_after(conda, chance.uniform(0.02, 0.6))
    entered = conda.project.entered()
    assert "CONDA_PREFIX" in entered.changes, entered.stderr
    check(conda, "2.0" if seed % 2 else "1.0")
    assert conda.python("import json; print(1)") == "1"
    assert not conda.project.entered().said


@pytest.mark.parametrize("seed", range(4))
def test_a_sync_that_was_killed_is_repaired_by_the_next(conda: CondaProject, seed: int) -> None:
    sync_is_repaired(conda, seed)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(4, 54))
def test_fifty_syncs_that_were_killed_are_repaired(conda: CondaProject, seed: int) -> None:
    sync_is_repaired(conda, seed)


def test_a_full_disk_leaves_the_last_good_environment_and_says_so(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.project.entered()
    conda.channel.add("big", files={"share/big": "x" * 3_000_000})
    conda.write("tool", "big")
    # A limit on the size of files is what a full disk is to a program that writes.
    done = conda.project.world.run(
        "bash", "-c", "ulimit -f 1000; nixpy sync", cwd=conda.project.path, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    conda.sync()
    assert set(conda.packages()) == {"tool", "big"}
