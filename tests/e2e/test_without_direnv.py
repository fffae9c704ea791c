"""Entering and leaving without direnv, running commands, and a step of GitHub Actions."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project, World

ENTER = {
    "bash": 'eval "$(nixpy export bash)"',
    "zsh": 'eval "$(nixpy export zsh)"',
    "fish": "nixpy export fish | source",
    "tcsh": "eval `nixpy export tcsh`",
    "elvish": "eval (nixpy export elvish | slurp)",
}
LEAVE = {kind: line.replace("export", "deactivate") for kind, line in ENTER.items()}
START = {
    "bash": ["--norc"],
    "zsh": ["-f"],
    "fish": ["--no-config"],
    "tcsh": ["-f"],
    "elvish": ["-norc"],
}


@pytest.fixture
def project(bare_world: World) -> Project:
    from .conftest import Project

    path = bare_world.directory / "project"
    path.mkdir()
    project = Project(path, bare_world)
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    return project


def environments(world: World, kind: str, *lines: str) -> list[dict[str, str]]:
    """Run lines in a shell; return the environment at each line ``SHOW``."""
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is not installed")
    files = [world.home / f"seen-{number}" for number in range(lines.count("SHOW"))]
    seen = iter(files)
    env = "e:env" if kind == "elvish" else "env"
    script = "\n".join(f"{env} -0 > {next(seen)}" if line == "SHOW" else line for line in lines)
    done = world.run(kind, *START[kind], "-c", script)
    assert done.stdout == ""
    found = []
    for file in files:
        pairs = (line.partition("=") for line in file.read_text().split("\0") if line)
        hidden = {"_", "SHLVL", "PWD", "OLDPWD"}
        found.append({name: value for name, _, value in pairs if name not in hidden})
    return found


@pytest.mark.parametrize("kind", sorted(ENTER))
def test_a_shell_enters_and_leaves(project: Project, kind: str) -> None:
    before, inside, after = environments(
        project.world, kind, f"cd {project.path}", "SHOW", ENTER[kind], "SHOW", LEAVE[kind], "SHOW"
    )
    assert inside["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert inside["PATH"] == f"{project.path}/.venv/bin:{before['PATH']}"
    assert after == before


@pytest.mark.parametrize("kind", ["bash", "fish"])
def test_entering_another_project_leaves_the_first(project: Project, kind: str) -> None:
    from .conftest import Project

    other = Project(project.world.directory / "other", project.world)
    other.write("requirements.txt", "")
    project.write("nixpy.toml", 'env = { FIRST = "1" }\n')
    before, first, again, second, after = environments(
        project.world,
        kind,
        f"cd {project.path}",
        "SHOW",
        ENTER[kind],
        "SHOW",
        ENTER[kind],
        "SHOW",
        f"cd {other.path}",
        ENTER[kind],
        "SHOW",
        LEAVE[kind],
        "SHOW",
    )
    assert first["FIRST"] == "1"
    assert again == first
    assert "FIRST" not in second
    assert second["PATH"] == f"{other.path}/.venv/bin:{before['PATH']}"
    assert after == before


def test_run_gives_the_environment_and_the_exit_status_of_the_command(project: Project) -> None:
    code = "import sys, iniconfig; print(sys.prefix); sys.exit(7)"
    for _ in range(2):
        done = project.nixpy("run", "--", "python", "-c", code, check=False)
        assert done.stdout.strip() == str(project.path / ".venv")
        assert done.returncode == 7
    missing = project.nixpy("run", "--", "no-such-program", check=False)
    assert missing.returncode == 127
    assert missing.stderr == "nixpy: no-such-program: not found on the environment's PATH\n"


def test_run_works_from_a_subdirectory(project: Project) -> None:
    below = project.path / "src" / "deep"
    below.mkdir(parents=True)
    done = project.world.nixpy("run", "python", "-c", "import sys; print(sys.prefix)", cwd=below)
    assert done.stdout.strip() == str(project.path / ".venv")


def test_shell_starts_the_users_shell_in_the_environment(project: Project) -> None:
    script = project.world.home / "shell"
    script.write_text("#!/bin/sh\necho $VIRTUAL_ENV\n")
    script.chmod(0o755)
    done = project.nixpy("shell", SHELL=str(script))
    assert done.stdout.strip() == str(project.path / ".venv")


def test_a_step_of_github_actions_hands_the_environment_to_the_next(project: Project) -> None:
    env, path = project.world.home / "github-env", project.world.home / "github-path"
    done = project.nixpy("export", "github", GITHUB_ENV=str(env), GITHUB_PATH=str(path))
    assert done.stdout == ""
    assert path.read_text() == f"{project.path}/.venv/bin\n"
    assert "VIRTUAL_ENV<<" in env.read_text()
    missing = project.nixpy("export", "github", check=False)
    assert missing.returncode == 2
    assert "GITHUB_ENV is not set" in missing.stderr


def test_json_gives_the_difference(project: Project) -> None:
    changes = json.loads(project.nixpy("export", "json").stdout)
    assert changes["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert changes["PATH"].startswith(f"{project.path}/.venv/bin:")


def test_deactivate_without_an_environment_says_so(project: Project) -> None:
    done = project.nixpy("deactivate", "bash", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no environment was entered" in done.stderr
