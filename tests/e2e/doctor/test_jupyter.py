"""Each fault of Jupyter's files and servers, its finding, and what mends it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixpy.jupyter.servers import server_directory

if TYPE_CHECKING:
    from .conftest import Patient


def kernels_of(patient: Patient) -> Path:
    return Path(patient.world.environ["XDG_DATA_HOME"]) / "jupyter/kernels"


def give_ipykernel(patient: Patient) -> None:
    (patient.site / "ipykernel_launcher.py").write_text("")


def test_a_kernel_leads_to_what_is_gone(patient: Patient) -> None:
    place = kernels_of(patient) / "old"

    def break_it() -> None:
        place.mkdir(parents=True)
        spec = {"argv": ["/nix/store/gone/bin/python"], "display_name": "Old", "language": "python"}
        (place / "kernel.json").write_text(json.dumps(spec))

    break_it()
    found = patient.examined()
    assert found.severity("jupyter.kernel-dead") == "warning"
    assert found.evidence("jupyter.kernel-dead") == (f"{place}: /nix/store/gone/bin/python is gone")
    patient.heals(found["jupyter.kernel-dead"])
    break_it()
    patient.project.nixpy("doctor", "--fix", "--yes")
    assert not place.exists()


def test_the_project_of_a_kernel_is_gone(patient: Patient) -> None:
    give_ipykernel(patient)
    other = patient.world.project("other")
    other.write("requirements.txt", "")
    other.nixpy("sync")
    site = next(other.path.glob(".venv/lib/python*/site-packages"))
    (site / "ipykernel_launcher.py").write_text("")
    other.nixpy("kernel", "install")
    assert "jupyter.kernel-dead" not in patient.examined().loud
    shutil.rmtree(other.path)
    found = patient.examined()
    assert f"the project {other.path} is gone" in found.evidence("jupyter.kernel-dead")
    patient.heals(found["jupyter.kernel-dead"])


def test_an_exact_sync_took_ipykernel_out(patient: Patient) -> None:
    give_ipykernel(patient)
    patient.project.nixpy("kernel", "install")
    assert "jupyter.kernel-stale" not in patient.examined().loud
    (patient.site / "ipykernel_launcher.py").unlink()
    found = patient.examined()
    assert found.severity("jupyter.kernel-stale") == "note"
    assert found.evidence("jupyter.kernel-stale") == (
        f"nixpy-project: {patient.prefix} has no ipykernel"
    )
    assert found["jupyter.kernel-stale"]["command"] == "nixpy kernel check nixpy-project"


@pytest.mark.parametrize("mend", ["command", "fix"])
def test_a_server_is_gone(patient: Patient, mend: str) -> None:
    told = {
        "project": str(patient.path),
        "app": "lab",
        "url": "",
        "log": "/the/log",
        "opening": "",
        "leader": 4194304,
        "leader_start": "1",
        "pid": 4194304,
        "pid_start": "1",
        "port": 1,
    }
    state = Path(patient.world.environ["XDG_STATE_HOME"]) / "nixpy"
    path = Path(server_directory(str(state), str(patient.path))) / "server.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    found = patient.examined()
    assert found.severity("jupyter.server-gone") == "note"
    assert found.evidence("jupyter.server-gone") == (
        f"{patient.path}: process 4194304 is gone; its log: /the/log"
    )
    if mend == "command":
        patient.heals(found["jupyter.server-gone"])
    else:
        patient.project.nixpy("doctor", "--fix", "--yes")
        assert "jupyter.server-gone" not in patient.examined().loud


def test_jupyter_lies_in_another_environment(patient: Patient) -> None:
    other = patient.world.home / "other/bin"
    other.mkdir(parents=True)
    (other / "jupyter").write_text("#!/bin/sh\n")
    (other / "jupyter").chmod(0o755)
    variables = {"PATH": f"{patient.world.environ['PATH']}:{other}"}
    assert "jupyter.elsewhere" not in patient.examined(**variables).loud
    give_ipykernel(patient)
    found = patient.examined(**variables)
    assert found.severity("jupyter.elsewhere") == "note"
    assert found.evidence("jupyter.elsewhere") == (
        f"{other}/jupyter runs in another environment than {patient.prefix}"
    )
    patient.heals(found["jupyter.elsewhere"], **variables)
