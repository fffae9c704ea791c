"""GitHub's runner, as far as it goes on this machine: the ``run:`` steps of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import World

SHELLS = {"": ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
"""What the runner starts on Linux ("Workflow syntax for GitHub Actions", ``shell``)."""


class Runner:
    """Runs the steps of each job in one directory; steps that use an action are skipped."""

    def __init__(self, world: World, workspace: Path) -> None:
        self.world = world
        self.workspace = workspace
        self.ran: list[str] = []

    def run(self, workflow: dict[Any, Any]) -> None:
        """Run every job, one after the other, each with variables of its own."""
        for job in workflow["jobs"].values():
            self._job({**workflow.get("env", {}), **job.get("env", {})}, job["steps"])

    def _job(self, variables: dict[str, Any], steps: list[dict[str, Any]]) -> None:
        environ = {name: str(value) for name, value in variables.items()}
        path = self.world.environ["PATH"]
        for number, step in enumerate(steps):
            if "run" not in step:
                assert "uses" in step, step
                continue
            files = {
                name: self.world.home / f"{name.lower()}-{number}"
                for name in ("GITHUB_ENV", "GITHUB_PATH")
            }
            for file in files.values():
                file.touch()
            own = {name: str(value) for name, value in step.get("env", {}).items()}
            script = self.world.home / "step.sh"
            script.write_text(step["run"])
            done = self.world.run(
                *SHELLS[step.get("shell", "")],
                str(script),
                cwd=self.workspace / step.get("working-directory", "."),
                check=False,
                **{**environ, **own, "PATH": path, "CI": "true", "GITHUB_ACTIONS": "true"},
                **{name: str(file) for name, file in files.items()},
            )
            if done.returncode:
                pytest.fail(f"{step['run']}\n{done.stdout}{done.stderr}")
            self.ran.append(step["run"])
            environ |= variables_of(files["GITHUB_ENV"].read_text())
            for directory in files["GITHUB_PATH"].read_text().splitlines():
                path = f"{directory}:{path}"


def variables_of(text: str) -> dict[str, str]:
    """Return what a file of ``GITHUB_ENV`` sets ("Workflow commands": multiline strings)."""
    found = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if "<<" in line:
            name, _, delimiter = line.partition("<<")
            value = []
            for one in lines:
                if one == delimiter:
                    break
                value.append(one)
            found[name] = "\n".join(value)
        elif "=" in line:
            name, _, rest = line.partition("=")
            found[name] = rest
        else:
            assert not line, f"{line!r} is no assignment"
    return found
