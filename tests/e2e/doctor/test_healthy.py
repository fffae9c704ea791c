"""Where all is well, nothing is found."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import MANIFEST, wheel_files

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


REQUIREMENTS = "--no-index\n--find-links wheels\nalpha\nbeta<2\n"

BACKEND = """
import pathlib, zipfile

FILES = {
    "_patient.pth": "/nowhere\\n",
    "patient-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: patient\\nVersion: 1\\n",
    "patient-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nTag: py3-none-any\\n"
    "Root-Is-Purelib: true\\n",
    "patient-1.dist-info/RECORD": "_patient.pth,,\\npatient-1.dist-info/METADATA,,\\n",
}

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "patient-1-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as wheel:
        for path, content in FILES.items():
            wheel.writestr(path, content)
    return name
"""

KINDS = {
    "requirements by uv": {"requirements.txt": REQUIREMENTS},
    "requirements by pip": {"requirements.txt": REQUIREMENTS + "--pre\n"},
    "an interpreter alone": {".python-version": "3\n"},
    "central": {"pyproject.toml": MANIFEST, "nixpy.toml": 'venv = "central"\n'},
    "another place": {"pyproject.toml": MANIFEST, "nixpy.toml": 'venv = "env"\n'},
    "locked": {"pyproject.toml": MANIFEST, "uv.lock": "", "nixpy.toml": 'lock = "locked"\n'},
    "a group": {
        "pyproject.toml": MANIFEST.replace('"beta<2"', "")
        + '[dependency-groups]\ndev = ["beta<2"]\nmore = ["alpha"]\n'
        + '[project.optional-dependencies]\nall = ["beta"]\n',
        "nixpy.toml": 'groups = ["more"]\nextras = ["all"]\n',
    },
    "with variables": {
        "pyproject.toml": MANIFEST,
        "nixpy.toml": 'env = { PYTHONPATH = "src", A = "b" }\npath = ["bin"]\n',
    },
    "an editable package": {
        "pyproject.toml": MANIFEST
        + '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_projects_of_all_kinds_fire_nothing(patient: Patient, kind: str) -> None:
    lock = (patient.path / "uv.lock").read_text()
    project = patient.world.project(f"a {kind}")
    shutil.copytree(patient.path / "wheels", project.path / "wheels")
    for name, text in KINDS[kind].items():
        project.write(name, text or lock)
    entered = project.entered()
    assert entered.status == 0
    assert entered.synced, entered.stderr
    for doctor in (patient.doctor, patient.doctor.given(**project.entered().environ)):
        found = doctor.examine(project.path, "--deep")
        assert found.loud == [], [found[one]["evidence"] for one in found.loud]


def test_a_member_of_a_workspace_fires_nothing(patient: Patient) -> None:
    workspace = patient.world.project("workspace")
    shutil.copytree(patient.path / "wheels", workspace.path / "wheels")
    workspace.write("pyproject.toml", MANIFEST + '[tool.uv.workspace]\nmembers = ["member"]\n')
    workspace.write(
        "member/pyproject.toml",
        '[project]\nname = "member"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["alpha"]\n',
    )
    workspace.write("member/.envrc", "use nixpy\n")
    member = patient.world.project("workspace/member")
    assert member.entered().synced
    for doctor in (patient.doctor, patient.doctor.given(**member.entered().environ)):
        for directory in (member.path, workspace.path):
            found = doctor.examine(directory, "--deep", "--skip", "direnv.stale-environment")
            assert found.loud == [], [found[one]["evidence"] for one in found.loud]


def test_300_distributions_are_looked_at_in_two_seconds(patient: Patient) -> None:
    project = patient.world.project("big")
    names = [f"many{number}" for number in range(300)]
    project.write("requirements.txt", "\n".join(names))
    patient.world.run("uv", "venv", "--quiet", cwd=project.path)
    site = next(project.path.glob(".venv/lib/python*/site-packages"))
    for name in names:
        for path, text in wheel_files(name, "1.0").items():
            (site / path).parent.mkdir(exist_ok=True)
            (site / path).write_text(text)
    project.nixpy("sync")
    started = time.monotonic()
    found = patient.doctor.examine(project.path)
    assert time.monotonic() - started < 2
    assert found.loud == []
