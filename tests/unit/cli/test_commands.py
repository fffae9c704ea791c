from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.cli.commands import cli

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def nixpy(
    environ: Mapping[str, str], cwd: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path[:0] = {sys.path!r}; from nixpy.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_help_of_every_command_has_examples(
    name: str, environ: dict[str, str], tmp_path: Path
) -> None:
    done = nixpy(environ, tmp_path, name, "--help")
    assert done.returncode == 0
    assert "Examples:\n  " in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_program(
    shell: str, environ: dict[str, str], tmp_path: Path
) -> None:
    done = nixpy(environ, tmp_path, "completion", shell)
    assert done.returncode == 0
    assert "_NIXPY_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["list"], 0),
        (["gc", "--dry-run"], 0),
        (["setup", "--check"], 1),
        (["status"], 1),
        (["explain"], 1),
        (["export", "bash"], 1),
        (["export", "no-shell"], 2),
        (["export", "bash", "--pyhton", "3"], 2),
        (["deactivate", "bash"], 2),
        (["run"], 2),
        (["no-command"], 2),
        (["--version"], 0),
    ],
)
def test_the_exit_status_where_there_is_no_project(
    arguments: list[str], status: int, environ: dict[str, str], tmp_path: Path
) -> None:
    done = nixpy(environ, tmp_path, *arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["list", "gc", "setup", "status"])
def test_a_json_document_names_its_schema(
    command: str, environ: dict[str, str], tmp_path: Path
) -> None:
    done = nixpy(environ, tmp_path, command, "--json")
    assert json.loads(done.stdout)["schema"] == f"nixpy.{command}/1"
