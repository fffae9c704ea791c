"""A doctor's patients: projects made once for each module, and copied for each test."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from ..test_json import schema

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World

LOUD = {"note", "warning", "problem"}


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


@pytest.fixture
def doctor(world: World) -> Doctor:
    """A doctor on a machine on which nixpy was set up."""
    return Doctor(world)


@pytest.fixture
def bare_doctor(bare_world: World) -> Doctor:
    """A doctor on a machine on which nothing was set up."""
    return Doctor(bare_world)
