"""Where all is well, nothing is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Patient


def test_a_healthy_project_fires_nothing(patient: Patient) -> None:
    found = patient.examined("--deep")
    assert found.loud == []
    assert found.status == 0
    assert found.document["worst"] == "ok"


def test_a_healthy_project_fires_nothing_inside_of_its_environment(patient: Patient) -> None:
    found = patient.examined_inside("--deep")
    assert found.loud == []


def test_what_is_well_is_said_in_one_line(patient: Patient) -> None:
    said = patient.doctor.say(directory=patient.path)
    assert said.startswith("nothing is wrong; ")
    assert said.count("\n") == 1


def test_a_first_import_is_no_change_by_hand(patient: Patient) -> None:
    assert patient.project.python("import alpha; print(alpha.version)") == "1.0"
    assert list(patient.site.glob("__pycache__/alpha.*.pyc"))
    assert patient.examined().loud == []
    assert patient.project.nixpy("status").stdout.startswith("fresh: ")
