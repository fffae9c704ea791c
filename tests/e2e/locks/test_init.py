"""``nixpy init`` in projects of Poetry and Pipenv, which direnv loads as their wikis say."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from ..conftest import Project
from ..test_init import Old, packages

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Tools

pytestmark = pytest.mark.network

LAYOUT_POETRY = """\
layout_poetry() {
  PYPROJECT_TOML="${PYPROJECT_TOML:-pyproject.toml}"
  if [[ ! -f "$PYPROJECT_TOML" ]]; then
    log_status "No pyproject.toml. Executing \\`poetry init\\` to create it."
    poetry init
  fi

  if [[ -d ".venv" ]]; then
    VIRTUAL_ENV="$(pwd)/.venv"
  else
    VIRTUAL_ENV=$(poetry env info --path 2>/dev/null ; true)
  fi

  if [[ -z $VIRTUAL_ENV || ! -d $VIRTUAL_ENV ]]; then
    log_status "No virtual environment exists. Executing \\`poetry install\\` to create one."
    poetry install --no-root
    VIRTUAL_ENV=$(poetry env info --path)
  fi

  PATH_add "$VIRTUAL_ENV/bin"
  export POETRY_ACTIVE=1  # or VENV_ACTIVE=1
  export VIRTUAL_ENV
}

layout poetry
export STAGE=dev
"""

POETRY = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.10"
dependencies = ["iniconfig==2.0.0"]

[tool.poetry]
package-mode = false

[tool.poetry.group.dev.dependencies]
six = "1.16.0"

[[tool.poetry.source]]
name = "here"
url = "@index@"
"""

PIPFILE = """\
[[source]]
url = "@index@"
verify_ssl = true
name = "here"

[packages]
iniconfig = "==2.0.0"
"""


@pytest.fixture
def project(world: World) -> Project:
    """An empty directory."""
    path = world.directory / "app"
    path.mkdir()
    return Project(path, world)


def on_path(world: World, tools: Tools, name: str) -> None:
    """Put a tool on PATH."""
    program = world.home / "bin" / name
    python = tools.python(name)
    program.write_text(f'#!/bin/sh\nexec {python} -m {name} "$@"\n')
    program.chmod(0o755)
    if "SSL_CERT_FILE" in os.environ:
        for variable in ("PIP_CERT", "REQUESTS_CA_BUNDLE"):
            world.environ[variable] = os.environ["SSL_CERT_FILE"]


def test_a_project_with_the_layout_of_direnvs_wiki_for_poetry(
    project: Project, tools: Tools, index: str
) -> None:
    on_path(project.world, tools, "poetry")
    project.write("pyproject.toml", POETRY.replace("@index@", index))
    project.world.run("poetry", "lock", cwd=project.path)
    project.world.run("poetry", "install", "--no-root", cwd=project.path)
    old = Old(project, LAYOUT_POETRY)
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert {"iniconfig 2.0.0", "six 1.16.0"} <= packages(after, old.world)
    assert (project.path / ".envrc").read_text() == "use nixpy\nexport STAGE=dev\n"


def test_a_project_with_layout_pipenv(project: Project, tools: Tools, index: str) -> None:
    on_path(project.world, tools, "pipenv")
    project.write("Pipfile", PIPFILE.replace("@index@", index))
    python = shutil.which(f"python3.{sys.version_info[1]}", path=project.world.environ["PATH"])
    project.world.environ["PIPENV_DEFAULT_PYTHON_VERSION"] = python or sys.executable
    project.world.run("pipenv", "lock", cwd=project.path)
    project.world.run("pipenv", "sync", cwd=project.path)
    old = Old(project, "# the environment\nlayout pipenv\ndotenv_if_exists\n")
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    text = (project.path / ".envrc").read_text()
    assert text == "# the environment\nuse nixpy\ndotenv_if_exists\n"
