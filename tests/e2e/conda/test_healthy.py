"""Where a conda environment is well, the doctor finds nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import CondaProject

LOUD = {"note", "warning", "problem"}


def test_a_healthy_conda_project_fires_nothing(conda: CondaProject) -> None:
    world = conda.project.world
    world.environ["PIP_REQUIRE_VIRTUALENV"] = "1"
    conda.channel.add("tool", files={"etc/conda/activate.d/tool.sh": "export TOOL=1\n"})
    conda.write("python", "tool", more="variables:\n  A: a b")
    assert conda.project.entered().synced
    for variables in ({}, conda.project.entered().environ):
        done = world.run(
            "env",
            *(f"{name}={value}" for name, value in variables.items()),
            *("nixpy", "doctor", "--json", "--deep"),
            cwd=conda.project.path,
            check=False,
        )
        findings = json.loads(done.stdout)["findings"]
        assert [one for one in findings if one["severity"] in LOUD] == []
