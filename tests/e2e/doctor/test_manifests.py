"""Each fault of what a project declares, its finding, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import MANIFEST

if TYPE_CHECKING:
    from .conftest import Patient


def test_an_option_is_misspelt(patient: Patient) -> None:
    patient.project.write("pyproject.toml", f"{MANIFEST}\n[tool.nixpy]\npyhton = '3'\n")
    found = patient.examined()
    assert found.severity("manifests.options-wrong") == "problem"
    assert "pyproject.toml: tool.nixpy.pyhton" in found.evidence("manifests.options-wrong")
    assert "did you mean python?" in found.evidence("manifests.options-wrong")
    assert "manifests.malformed" not in found.loud
    patient.project.write("pyproject.toml", MANIFEST)
    assert patient.examined().loud == []


def test_a_flag_in_the_envrc_is_misspelt(patient: Patient) -> None:
    patient.project.write(".envrc", "use nixpy --extars a\n")
    patient.project.allow()
    found = patient.examined()
    assert found.severity("manifests.options-wrong") == "problem"
    assert "--extars" in found.evidence("manifests.options-wrong")


def test_a_manifest_is_malformed(patient: Patient) -> None:
    patient.project.write("pyproject.toml", "<<<<<<< HEAD\n" + MANIFEST)
    found = patient.examined()
    assert found.severity("manifests.malformed") == "problem"
    assert "pyproject.toml" in found.evidence("manifests.malformed")
    assert found.status == 1
    patient.project.write("pyproject.toml", MANIFEST)
    assert patient.examined().loud == []


def test_nothing_is_declared(patient: Patient) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        (patient.path / name).unlink()
    patient.project.write("requirements-dev.txt", "")
    found = patient.examined()
    assert found.severity("manifests.nothing") == "problem"
    assert "requirements-dev.txt" in found.evidence("manifests.nothing")
    patient.project.write("nixpy.toml", 'requirements = ["requirements-dev.txt"]\n')
    assert "manifests.nothing" not in patient.examined().loud


def test_a_manager_has_nothing_to_work_with(patient: Patient) -> None:
    patient.project.write("nixpy.toml", 'manager = "uv"\nrequirements = ["none.txt"]\n')
    found = patient.examined()
    assert found.severity("manifests.undecided") == "problem"
    assert "no such file" in found.evidence("manifests.undecided")
    (patient.path / "nixpy.toml").unlink()
    assert patient.examined().loud == []


def test_another_manifest_is_passed_over_and_disagrees(patient: Patient) -> None:
    path = patient.project.write("requirements.txt", "beta==1.0\n")
    found = patient.examined()
    assert found.severity("manifests.passed-over") == "note"
    assert "passed over: requirements.txt" in found.evidence("manifests.passed-over")
    assert "used: uv.lock, pyproject.toml" in found.evidence("manifests.passed-over")
    assert "manifests.disagree" not in found.loud
    path.write_text("beta==2.0\ngamma\nalpha; python_version<'3'\n")
    found = patient.examined()
    assert found.severity("manifests.disagree") == "warning"
    assert found["manifests.disagree"]["evidence"] == [
        "requirements.txt:1: beta==2.0, and 1.0 is installed",
        "requirements.txt:2: gamma, which is not installed",
    ]
    path.unlink()
    assert patient.examined().loud == []


def test_requirements_files_are_not_used(patient: Patient) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        (patient.path / name).unlink()
    patient.project.write("requirements.txt", "-r more-requirements.txt\n")
    patient.project.write("more-requirements.txt", "")
    patient.project.write("requirements-dev.txt", "")
    found = patient.examined()
    assert found.evidence("manifests.requirements-not-used") == "requirements-dev.txt"
    files = '["requirements.txt", "requirements-dev.txt"]'
    patient.project.write("nixpy.toml", f"requirements = {files}\n")
    assert "manifests.requirements-not-used" not in patient.examined().loud


@pytest.mark.parametrize("dependency", ["beta>=2", "no-such-distribution"])
def test_the_lock_is_outdated(patient: Patient, dependency: str) -> None:
    changed = MANIFEST.replace("beta<2", dependency)
    patient.project.write("pyproject.toml", changed)
    found = patient.examined()
    assert found.severity("manifests.lock-outdated") == "warning"
    assert f"{patient.path}/uv.lock" in found.evidence("manifests.lock-outdated")
    if dependency == "beta>=2":
        patient.heals(found["manifests.lock-outdated"])
    patient.project.write("nixpy.toml", 'lock = "locked"\n')
    patient.project.write("pyproject.toml", changed.replace("alpha", "alpha>=1"))
    assert patient.examined().severity("manifests.lock-outdated") == "problem"


def test_a_merge_left_its_marks_in_the_lock(patient: Patient) -> None:
    lock = patient.path / "uv.lock"
    text = lock.read_text()
    lock.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n")
    found = patient.examined()
    assert found.severity("manifests.lock-outdated") == "problem"
    assert "Failed to parse `uv.lock`" in found.evidence("manifests.lock-outdated")
    lock.write_text(text)
    assert patient.examined().loud == []


def test_dependencies_that_only_a_build_tells_are_not_judged(patient: Patient) -> None:
    dynamic = MANIFEST.replace('dependencies = ["alpha", "beta<2"]', 'dynamic = ["dependencies"]')
    table = '[build-system]\nrequires = ["no-such-backend"]\nbuild-backend = "none"\n'
    patient.project.write("pyproject.toml", dynamic + table)
    found = patient.examined()
    assert found.severity("manifests.lock-outdated") == "skipped"
    assert "uv cannot tell" in found.evidence("manifests.lock-outdated")


def test_what_counts_all_the_same_is_not_passed_over(patient: Patient) -> None:
    patient.project.write("setup.py", "")
    patient.project.write(".python-version", "3\n")
    assert "manifests.passed-over" not in patient.examined().loud


def test_pip_is_configured_and_uv_installs(patient: Patient) -> None:
    variables = {"PIP_TRUSTED_HOST": "index.example.org"}
    found = patient.examined(**variables)
    assert found.severity("manifests.pip-settings-ignored") == "warning"
    assert "trusted-host (variable PIP_TRUSTED_HOST)" in found.evidence(
        "manifests.pip-settings-ignored"
    )
    table = 'allow-insecure-host = ["index.example.org"]\n'
    patient.project.write("pyproject.toml", MANIFEST + table)
    assert "manifests.pip-settings-ignored" not in patient.examined(**variables).loud


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ('conda-engine = "rattler"', "it is for conda environments"),
        ('channels = ["conda-forge"]', "it is for conda environments"),
        ('exporter = ["poetry==2.1.3"]', "no lock file of Poetry, PDM or Pipenv is used"),
        ('shell-hook = "skip"', "no dev shell is merged here"),
    ],
)
def test_an_option_has_no_effect(patient: Patient, option: str, why: str) -> None:
    patient.project.write("nixpy.toml", option + "\n")
    found = patient.examined()
    assert found.severity("manifests.option-without-effect") == "warning"
    assert found.evidence("manifests.option-without-effect").endswith(f": {why}")
    assert option.split(maxsplit=1)[0] in found.evidence("manifests.option-without-effect")
    patient.project.write("nixpy.toml", "")
    assert "manifests.option-without-effect" not in patient.examined().loud
