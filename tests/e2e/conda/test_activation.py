"""Activation: captured once, exact in every shell, and never evaluating what is data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..conftest import Shell
    from .conftest import CondaProject

SCRIPT = """\
export TOOL_HOME="$CONDA_PREFIX/tool"
export PATH="$CONDA_PREFIX/tool/bin:$PATH"
export MANPATH="$CONDA_PREFIX/man:${MANPATH:-}"
unset UNWANTED
printf run >> "$CONDA_PREFIX/runs"
"""


def tool(conda: CondaProject, script: str = SCRIPT, **files: str) -> None:
    conda.channel.add("tool", files={"etc/conda/activate.d/tool.sh": script, **files})
    conda.write("tool")


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_every_shell_gets_what_activation_changes_and_loses_it_again(
    conda: CondaProject, shell_of: Callable[[str], Shell], kind: str
) -> None:
    tool(conda)
    conda.project.world.environ |= {"UNWANTED": "here", "MANPATH": "/own/man"}
    shell = shell_of(kind)
    before = shell.environment()
    shell.cd(conda.project.path)
    inside = shell.environment()
    prefix = str(conda.prefix)
    assert inside["CONDA_PREFIX"] == inside["CONDA_DEFAULT_ENV"] == prefix
    assert inside["CONDA_SHLVL"] == "1"
    assert inside["TOOL_HOME"] == f"{prefix}/tool"
    assert inside["PATH"].split(":")[:2] == [f"{prefix}/tool/bin", f"{prefix}/bin"]
    assert inside["MANPATH"] == f"{prefix}/man:/own/man"
    assert "UNWANTED" not in inside
    shell.cd(conda.project.path.parent)
    after = shell.environment()
    for name in ("PATH", "MANPATH", "UNWANTED", "CONDA_PREFIX", "TOOL_HOME", "CONDA_SHLVL"):
        assert after.get(name) == before.get(name)
    shell.cd(conda.project.path)
    assert shell.variable("TOOL_HOME") == f"{prefix}/tool"
    assert (conda.prefix / "runs").read_text() == "run"


def test_values_are_never_evaluated(conda: CondaProject, tmp_path: Path) -> None:
    evil = f'$(touch {tmp_path}/evil) `touch {tmp_path}/evil` "; touch {tmp_path}/evil; "\''
    conda.channel.add("tool", files={"etc/conda/env_vars.d/tool.json": json.dumps({"X": evil})})
    conda.write("tool", more=f"variables:\n  Y: {json.dumps(evil)}\n  FLAG: on")
    conda.project.entered()
    entered = conda.project.entered()
    assert entered.environ["X"] == entered.environ["Y"] == evil
    assert entered.environ["FLAG"] == "on"
    assert not (tmp_path / "evil").exists()
    state = json.loads((conda.prefix / "conda-meta/state").read_text())
    assert state == {"env_vars": {"Y": evil, "FLAG": "on"}}


def test_a_variable_that_is_no_longer_in_the_manifest_goes_and_the_user_s_own_stays(
    conda: CondaProject,
) -> None:
    conda.channel.add("tool")
    conda.write("tool", more="variables:\n  OLD: old")
    conda.sync()
    state = conda.prefix / "conda-meta/state"
    state.write_text(json.dumps({"env_vars": {"OLD": "old", "MINE": "mine"}}))
    assert conda.project.entered().environ["MINE"] == "mine"
    conda.write("tool")
    environ = conda.project.entered().environ
    assert environ["MINE"] == "mine"
    assert "OLD" not in environ


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("export A=1\nhello() { :; }\n", "defines functions"),
        ("export A=1\nstty -echo 2>/dev/null || :\n", "terminal"),
        ("export A=1\nexit 3\n", "exits 3"),
        ("export A=1\nexec fish\n", "replaces fish"),
        ("export A=1\nfalse\nreturn 1\n", ""),
        ("export A=1\nread -r answer\nset -eu\nfalse\n", "exits 1"),
    ],
)
def test_scripts_that_do_more_are_named(conda: CondaProject, script: str, said: str) -> None:
    tool(conda, script)
    entered = conda.project.entered()
    assert entered.environ["A"] == "1"
    named = [line for line in entered.said if "activate.d/tool.sh" in line]
    assert (said in named[0]) if said else not named


def test_an_edited_script_is_captured_again(conda: CondaProject) -> None:
    tool(conda)
    conda.project.entered()
    (conda.prefix / "etc/conda/activate.d/mine.sh").write_text("export MINE=1\n")
    entered = conda.project.entered()
    assert entered.environ["MINE"] == "1"
    assert not entered.synced
    assert not conda.project.entered().said


def base(directory: Path) -> Path:
    """A conda base with scripts and variables, as it is in force after `conda activate`."""
    prefix = directory / "base"
    for name, text in {
        "bin/python": "#!/bin/sh\necho base\n",
        "etc/conda/deactivate.d/base.sh": "unset BASE_HOME\n",
        "etc/conda/env_vars.d/base.json": '{"BASE_VARIABLE": "1"}',
        "conda-meta/history": "",
    }.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (prefix / "bin/python").chmod(0o755)
    return prefix


def test_a_base_in_force_does_not_leak(conda: CondaProject, tmp_path: Path) -> None:
    prefix = base(tmp_path)
    path = conda.project.world.environ["PATH"]
    conda.project.world.environ |= {
        "CONDA_PREFIX": str(prefix),
        "CONDA_DEFAULT_ENV": "base",
        "CONDA_PROMPT_MODIFIER": "(base) ",
        "CONDA_SHLVL": "1",
        "BASE_HOME": str(prefix),
        "BASE_VARIABLE": "1",
        "PATH": f"{prefix}/bin:{path}",
    }
    tool(conda)
    for _ in range(2):
        entered = conda.project.entered()
        assert f"{prefix}/bin" not in entered.environ["PATH"].split(":")
        assert entered.environ["CONDA_PREFIX"] == str(conda.prefix)
        assert entered.environ["CONDA_SHLVL"] == "1"
        assert "BASE_HOME" not in entered.environ
        assert "BASE_VARIABLE" not in entered.environ
    assert not entered.said
    # In a shell that has it loaded, all is as it was.
    conda.project.world.environ |= entered.environ
    assert conda.project.nixpy("status").stdout.startswith("fresh")
    assert not conda.project.nixpy("run", "--", "true").stderr


def test_it_is_entered_and_left_without_direnv_too(conda: CondaProject, tmp_path: Path) -> None:
    prefix = base(tmp_path)
    tool(conda)
    conda.sync()
    path = f"{prefix}/bin:{conda.project.world.environ['PATH']}"
    program = (
        'eval "$(nixpy export bash)"; echo "$TOOL_HOME|$CONDA_PREFIX|$PATH"; '
        'eval "$(nixpy deactivate bash)"; echo "$TOOL_HOME|$CONDA_PREFIX|$PATH"'
    )
    done = conda.project.world.run(
        "bash",
        "-c",
        program,
        cwd=conda.project.path,
        PATH=path,
        CONDA_PREFIX=str(prefix),
        CONDA_SHLVL="1",
    )
    inside, outside = done.stdout.splitlines()
    assert inside.startswith(f"{conda.prefix}/tool|{conda.prefix}|{conda.prefix}/tool/bin:")
    assert f"{prefix}/bin" not in inside
    assert outside == f"|{prefix}|{path}"
