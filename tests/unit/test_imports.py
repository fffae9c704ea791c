"""What the paths that others wait for import: exactly this."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

OWN = {
    "nixpy",
    "nixpy.activation",
    "nixpy.cache",
    "nixpy.cli",
    "nixpy.cli.fast",
    "nixpy.directories",
    "nixpy.environment",
    "nixpy.errors",
    "nixpy.freshness",
    "nixpy.inputs",
    "nixpy.marker",
    "nixpy.project",
    "nixpy.values",
    "nixpy.version",
}
OF_PYTHON = {"__future__", "_blake2", "_operator"}

SHELLS = {"nixpy.shells", "nixpy.shells.bash", "nixpy.shells.names"}
BESIDES = {
    "export": {*SHELLS, "binascii"},
    "export to direnv": {*SHELLS, "nixpy.direnv", "nixpy.process", "nixpy.stamp"},
    "run": {"nixpy.process"},
    "sync": set[str](),
}
"""What each command needs that not all of them do."""

COMMANDS = {
    "export": ("export", "bash"),
    "export to direnv": ("export", "bash", "--direnv", shutil.which("direnv") or "direnv"),
    "run": ("run", "--", "true"),
    "sync": ("sync",),
}


OF_A_SHELLS_START = {
    "nixpy",
    "nixpy.cache",
    "nixpy.cli",
    "nixpy.directories",
    "nixpy.direnv",
    "nixpy.environment",
    "nixpy.errors",
    "nixpy.hook",
    "nixpy.hook.asked",
    "nixpy.hook.places",
    "nixpy.hook.script",
    "nixpy.inputs",
    "nixpy.process",
    "nixpy.project",
    "nixpy.setup",
    "nixpy.shells",
    "nixpy.shells.bash",
    "nixpy.shells.fish",
    "nixpy.shells.names",
    "nixpy.shells.zsh",
    "nixpy.values",
    "nixpy.version",
}


def imported(*command: str, cwd: Path, environ: dict[str, str]) -> set[str]:
    """The modules that an isolated Python imports until it ends or becomes another program."""
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", *command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {row[-1].strip() for row in rows} - {"imported package"}


@pytest.fixture
def project(tmp_path: Path, environ: dict[str, str]) -> Path:
    """A project that is in sync, with an input touched since."""
    project = tmp_path / "project"
    project.mkdir()
    (project / ".envrc").write_text("use nixpy\n")
    manifest = project / "requirements.txt"
    manifest.write_text("")
    environ["PWD"] = str(project)
    subprocess.run(["nixpy", "sync"], cwd=project, env=environ, check=True, capture_output=True)
    os.utime(manifest, ns=(0, 1_000_000_000_000_000_000))
    return project


@pytest.mark.parametrize("command", COMMANDS)
def test_a_revalidation_imports_no_more_than_it_may(
    command: str, project: Path, environ: dict[str, str], programs: Path
) -> None:
    start = imported("-c", "pass", cwd=project, environ=environ)
    if shutil.which(COMMANDS[command][-1]) is None and command == "export to direnv":
        pytest.skip("direnv is not installed")
    arguments = (str(programs / "nixpy"), *COMMANDS[command])
    added = imported(*arguments, cwd=project, environ=environ) - start
    assert added == (OWN | OF_PYTHON | BESIDES[command]) - start


@pytest.mark.skipif(shutil.which("direnv") is None, reason="direnv is not installed")
def test_a_shells_start_imports_no_more_than_it_may(
    tmp_path: Path, environ: dict[str, str], programs: Path
) -> None:
    start = imported("-c", "pass", cwd=tmp_path, environ=environ)
    added = imported(str(programs / "nixpy"), "hook", "bash", cwd=tmp_path, environ=environ) - start
    assert added == (OF_A_SHELLS_START | OF_PYTHON) - start


def test_what_is_imported_is_seen(project: Path, environ: dict[str, str], programs: Path) -> None:
    """An option that only the full command line knows loads what that is made with."""
    loaded = imported(str(programs / "nixpy"), "sync", "--help", cwd=project, environ=environ)
    assert {"click", "typing", "re"} <= loaded
