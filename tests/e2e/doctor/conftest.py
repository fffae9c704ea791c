"""A doctor's patients: projects made once for each module, and copied for each test."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from ..conftest import Project, World
from ..test_json import schema

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """\
[project]
name = "patient"
version = "1"
requires-python = ">=3.10"
dependencies = ["alpha", "beta<2"]

[tool.uv]
find-links = ["wheels"]
no-index = true
"""

LOUD = {"note", "warning", "problem"}


def wheel_files(name: str, version: str, requires: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the files of a wheel with one module; its RECORD is right."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rows.append(f"{path},sha256={digest.rstrip('=')},{len(text.encode())}\n")
    files[f"{info}/RECORD"] = "".join((*rows, f"{info}/RECORD,,\n"))
    return files


def write_wheel(
    directory: Path, name: str, version: str, *, requires: tuple[str, ...] = ()
) -> Path:
    """Make a wheel of these files."""
    directory.mkdir(exist_ok=True)
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in wheel_files(name, version, requires).items():
            archive.writestr(path, text)
    return wheel


@dataclass(frozen=True)
class Diagnosis:
    """What `nixpy doctor --json` said."""

    status: int
    document: dict[str, Any]

    def __getitem__(self, identifier: str) -> dict[str, Any]:
        """The loudest finding of a check."""
        findings: list[dict[str, Any]] = self.document["findings"]
        found = [one for one in findings if one["identifier"] == identifier]
        assert found, f"{identifier}: no such check was run"
        loud = [one for one in found if one["severity"] in LOUD]
        return (loud or found)[0]

    @property
    def loud(self) -> list[str]:
        """The identifiers of all that is not well."""
        return [one["identifier"] for one in self.document["findings"] if one["severity"] in LOUD]

    def severity(self, identifier: str) -> str:
        severity: str = self[identifier]["severity"]
        return severity

    def evidence(self, identifier: str) -> str:
        return "\n".join(self[identifier]["evidence"])


@dataclass
class Doctor:
    """Examines directories of a world."""

    world: World

    def given(self, **variables: str) -> Doctor:
        """The doctor in a shell with other variables; an empty one is not set."""
        environ = {**self.world.environ, **variables}
        environ = {name: value for name, value in environ.items() if value}
        return Doctor(replace(self.world, environ=environ))

    def examine(self, directory: Path, *arguments: str) -> Diagnosis:
        """Run `nixpy doctor --json`; what it prints is as its schema says."""
        done = self.world.nixpy("doctor", "--json", *arguments, cwd=directory, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode in {0, 1}, done.stderr
        document = json.loads(done.stdout)
        jsonschema.validate(document, schema("doctor"), jsonschema.Draft202012Validator)
        found = Diagnosis(done.returncode, document)
        assert "doctor.check-failed" not in found.loud, found.evidence("doctor.check-failed")
        return found

    def say(self, *arguments: str, directory: Path | None = None) -> str:
        """Run `nixpy doctor` and return what it printed."""
        done = self.world.nixpy("doctor", *arguments, cwd=directory, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode in {0, 1}, done.stderr
        return done.stdout

    def run_remedy(self, finding: dict[str, Any], directory: Path) -> None:
        """Run the command that a finding prints, as a user would: in a shell, in the directory."""
        assert finding["command"]
        self.world.run("bash", "-c", finding["command"], cwd=directory)


@dataclass
class Patient:
    """A project that is well, to be made ill."""

    project: Project
    doctor: Doctor

    @property
    def path(self) -> Path:
        return self.project.path

    @property
    def world(self) -> World:
        return self.doctor.world

    @property
    def prefix(self) -> Path:
        return self.path / ".venv"

    @property
    def site(self) -> Path:
        return next(self.prefix.glob("lib/python*/site-packages"))

    def examined(self, *arguments: str, **variables: str) -> Diagnosis:
        """Examine the project from outside of its environment."""
        return self.doctor.given(**variables).examine(self.path, *arguments)

    def examined_inside(self, *arguments: str, **variables: str) -> Diagnosis:
        """Examine the project from a shell that direnv has loaded it into."""
        entered = self.project.entered()
        assert entered.status == 0, entered.stderr
        return self.doctor.given(**{**entered.environ, **variables}).examine(self.path, *arguments)

    def heals(self, finding: dict[str, Any], **variables: str) -> None:
        """Run the command that a finding prints; the check then finds nothing any more."""
        doctor = self.doctor.given(**variables)
        doctor.run_remedy(finding, self.path)
        after = doctor.examine(self.path)
        assert finding["identifier"] not in after.loud, after[finding["identifier"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of a module's tests have their machine, one after the other."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture
def home(place: Path) -> Path:
    """An empty HOME."""
    shutil.rmtree(place)
    (place / "home").mkdir(parents=True)
    return place / "home"


@pytest.fixture
def bare_world(environ: dict[str, str], home: Path, place: Path) -> World:
    """A machine on which nothing was set up."""
    (place / "work").mkdir()
    return World(environ, home, place / "work")


@pytest.fixture
def patient(bare_world: World, place: Path) -> Patient:
    """A project that is well: made once for each module, then restored as it was."""
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    bare_world.environ["SHELL"] = "/bin/bash"
    # The machine's pip may be one that would install anywhere, of which there is a finding.
    bare_world.environ["PIP_REQUIRE_VIRTUALENV"] = "1"
    # What was made before is restored with its times: to the nanosecond, stamps rest on them.
    saved = place.with_name(place.name + "-saved")
    if saved.exists():
        for name in ("home", "work"):
            shutil.rmtree(place / name)
            shutil.copytree(saved / name, place / name, symlinks=True)
        project = Project(place / "work/project", bare_world)
        return Patient(project, Doctor(bare_world))
    bare_world.setup()
    (bare_world.home / ".bashrc").write_text('eval "$(direnv hook bash)"\n')
    project = bare_world.project()
    write_wheel(project.path / "wheels", "alpha", "1.0", requires=("beta>=1",))
    write_wheel(project.path / "wheels", "beta", "1.0")
    write_wheel(project.path / "wheels", "beta", "2.0")
    project.write("pyproject.toml", MANIFEST)
    assert project.entered().synced
    assert project.entered().said == []
    shutil.copytree(place, saved, symlinks=True)
    return Patient(project, Doctor(bare_world))


@pytest.fixture
def doctor(world: World) -> Doctor:
    """A doctor on a machine on which nixpy was set up."""
    return Doctor(world)


@pytest.fixture
def bare_doctor(bare_world: World) -> Doctor:
    """A doctor on a machine on which nothing was set up."""
    return Doctor(bare_world)
