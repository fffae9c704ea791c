"""Where a project with a dev shell is well, the doctor finds nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .conftest import copy_flake

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Nix

LOUD = {"note", "warning", "problem"}

OF_NIX = ("nix.", "libraries.")
"""What the tests' own Nix is like is for other tests to say."""


def test_a_healthy_project_with_a_dev_shell_fires_nothing(world: World, nix: Nix) -> None:
    world.environ["PIP_REQUIRE_VIRTUALENV"] = "1"
    project = world.project("flake", envrc="use nixpy --flake .#large\n")
    project.write(".python-version", "3\n")
    copy_flake("shells", project.path, world.environ)
    assert project.entered().synced
    for variables in ({}, project.entered().environ):
        done = world.run(
            "env",
            *(f"{name}={value}" for name, value in variables.items()),
            *("nixpy", "doctor", "--json", "--deep"),
            cwd=project.path,
            check=False,
        )
        findings = json.loads(done.stdout)["findings"]
        loud = [one for one in findings if one["severity"] in LOUD]
        assert [one for one in loud if not one["identifier"].startswith(OF_NIX)] == []
