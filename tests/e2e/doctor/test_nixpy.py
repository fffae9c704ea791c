"""Each fault of nixpy's own files, its finding, and what mends it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.lock import lock_path

from .conftest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Patient

TAKE = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def entry_of(patient: Patient) -> Path:
    return next(patient.world.cache.glob("projects/**/@nixpy/*/*/entry"))


def test_there_is_no_home(patient: Patient) -> None:
    found = patient.examined(HOME="", XDG_CACHE_HOME="")
    assert found.severity("nixpy.home-missing") == "warning"
    assert "HOME=" in found["nixpy.home-missing"]["evidence"]
    assert "nixpy.home-missing" not in patient.examined(XDG_CACHE_HOME="").loud


def test_there_are_several_nixpy(patient: Patient) -> None:
    other = patient.world.home / "other"
    other.mkdir()
    (other / "nixpy").write_text("#!/bin/sh\n")
    (other / "nixpy").chmod(0o755)
    variables = {"PATH": f"{patient.world.environ['PATH']}:{other}"}
    found = patient.examined(**variables)
    assert found.severity("nixpy.several") == "note"
    assert f"{other}/nixpy" in found["nixpy.several"]["evidence"]
    shutil.rmtree(other)
    assert "nixpy.several" not in patient.examined(**variables).loud


def test_others_can_write_to_the_cache(patient: Patient) -> None:
    directory = entry_of(patient).parent
    for loosen in (directory, directory / "entry"):
        loosen.chmod(0o777)
    found = patient.examined()
    assert found.severity("nixpy.cache-not-private") == "warning"
    assert f"{directory} has mode 0777" in found["nixpy.cache-not-private"]["evidence"]
    patient.heals(found["nixpy.cache-not-private"])
    directory.chmod(0o775)
    patient.project.nixpy("doctor", "--fix", "--yes")
    assert directory.stat().st_mode & 0o777 == 0o755
    assert patient.examined().loud == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_the_cache_belongs_to_somebody_else(patient: Patient) -> None:
    entry = entry_of(patient)
    os.chown(entry, 12345, -1)
    found = patient.examined()
    assert found.evidence("nixpy.cache-not-private") == f"{entry} belongs to user 12345"
    # There is no sudo on every machine, and root needs none.
    command = found["nixpy.cache-not-private"]["command"]
    assert command.startswith("sudo ")
    patient.heals({**found["nixpy.cache-not-private"], "command": command.removeprefix("sudo ")})


@pytest.mark.parametrize("content", [b"", b"nixpy-entry\x002\x00", b"x" * 1000])
def test_an_entry_is_damaged(patient: Patient, content: bytes) -> None:
    entry = entry_of(patient)
    entry.write_bytes(content)
    found = patient.examined()
    assert found.severity("nixpy.entry-damaged") == "note"
    assert found.evidence("nixpy.entry-damaged") == str(entry)
    patient.heals(found["nixpy.entry-damaged"])
    entry.write_bytes(content)
    entry.chmod(0o600)
    patient.project.nixpy("doctor", "--fix", "--yes")
    assert not entry.exists()


def test_a_project_is_gone(patient: Patient) -> None:
    gone = patient.world.project("gone")
    gone.write("requirements.txt", "")
    gone.nixpy("sync")
    shutil.rmtree(gone.path)
    found = patient.examined()
    assert found.severity("nixpy.leftovers") == "note"
    assert f"{gone.path} is gone" in found.evidence("nixpy.leftovers")
    patient.heals(found["nixpy.leftovers"])
    assert entry_of(patient).exists()


def test_the_stamp_is_missing(patient: Patient) -> None:
    inside = patient.project.entered().environ
    (entry_of(patient).parent / "stamp").unlink()
    found = patient.examined(**inside)
    assert found.severity("nixpy.stamp-missing") == "note"
    assert found.evidence("nixpy.stamp-missing").endswith("/stamp is not there")
    patient.heals(found["nixpy.stamp-missing"], **inside)


def test_somebody_holds_the_lock(patient: Patient) -> None:
    path = lock_path(str(patient.world.cache), str(patient.prefix))
    with subprocess.Popen(
        [sys.executable, "-c", TAKE, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        found = patient.examined()
        assert found.severity("nixpy.lock-held") == "warning"
        assert f"{path} is held since" in found.evidence("nixpy.lock-held")
        assert f"process {process.pid}: " in found.evidence("nixpy.lock-held")
        assert found["nixpy.lock-held"]["command"] == f"kill {process.pid}"
        patient.doctor.run_remedy(found["nixpy.lock-held"], patient.path)
        process.wait(10)
    assert patient.examined().loud == []


def test_the_last_sync_failed(patient: Patient) -> None:
    patient.project.write("pyproject.toml", MANIFEST.replace("beta<2", "no-such-thing"))
    assert patient.project.nixpy("sync", check=False).returncode == 1
    found = patient.examined()
    assert found.severity("nixpy.last-sync-failed") == "problem"
    assert "no-such-thing" in found.evidence("nixpy.last-sync-failed")
    assert "the whole log: " in found.evidence("nixpy.last-sync-failed")
    patient.project.write("pyproject.toml", MANIFEST.replace("beta<2", "beta"))
    patient.heals(found["nixpy.last-sync-failed"])


@pytest.mark.parametrize(("size", "severity"), [("30m", "problem"), ("300m", "warning")])
def test_the_disk_is_full(patient: Patient, size: str, severity: str) -> None:
    if patient.world.run("unshare", "--mount", "true", check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    full = patient.world.home / "full"
    full.mkdir()
    command = f"mount -t tmpfs -o size={size} none {full} && exec nixpy doctor --json"
    doctor = patient.doctor.given(XDG_CACHE_HOME=f"{full}/cache")
    done = doctor.world.run(
        "unshare", "--mount", "bash", "-c", command, cwd=patient.path, check=False
    )
    findings = json.loads(done.stdout)["findings"]
    found = [one for one in findings if one["identifier"] == "nixpy.disk-full"]
    assert found[0]["severity"] == severity
    assert f"{full} (nixpy's cache) has " in found[0]["evidence"][0]
    assert "nixpy.disk-full" not in patient.examined().loud


def test_a_lock_that_nobody_holds_is_none(patient: Patient) -> None:
    path = lock_path(str(patient.world.cache), str(patient.prefix))
    assert os.path.exists(path)
    assert "nixpy.lock-held" not in patient.examined().loud
