"""``nixpy init`` where Nix is: templates with their flake, and projects from before nixpy."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nixpy.init.template import TEMPLATES

from ..conftest import Project
from ..test_init import NOTEBOOK, Old, cd, init, packages, run, torch_indexes
from .conftest import copy_flake, one_nix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..conftest import World
    from ..test_init import Inside
    from .conftest import Nix

__all__ = ["cd"]

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"


@pytest.fixture
def outside_git(world: World, nixpkgs: Path) -> Project:
    """An empty directory."""
    path = world.directory / "app"
    path.mkdir()
    return Project(path, world)


@pytest.fixture
def empty(outside_git: Project) -> Project:
    """An empty git tree."""
    outside_git.world.run("git", "init", "--quiet", cwd=outside_git.path)
    return outside_git


@pytest.fixture
def python() -> str:
    """The version of the interpreter that the stand-in has."""
    program = shutil.which("python3", path="/usr/bin") or "python3"
    done = subprocess.run([program, "-c", VERSION], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.network
@pytest.mark.parametrize("template", ["uv", "pip", "poetry"])
def test_the_example_of_a_template_runs_with_the_flakes_python(
    template: str, empty: Project, cd: Callable[[Project], Inside], python: str
) -> None:
    done = init(empty, "--template", template, "--yes", "--python", python)
    assert "done: git add --intent-to-add flake.nix" in done.stdout
    inside = cd(empty)
    example = "-m example" if template == "poetry" else "main.py"
    assert f"Python {python}" in inside.run(f"python {example}")
    # The flake's interpreter is a link to that of the machine.
    assert "home = /usr/bin\n" in (empty.path / ".venv/pyvenv.cfg").read_text()
    if template == "uv":
        assert inside.run("nix-uv") == "uv of Nix\n"


@pytest.mark.network
@one_nix
def test_the_notebook_of_the_template_jupyter_runs_with_the_flakes_python(
    outside_git: Project, cd: Callable[[Project], Inside], python: str
) -> None:
    init(outside_git, "--template", "jupyter", "--yes", "--python", python)
    inside = cd(outside_git)
    inside.run(NOTEBOOK)
    assert str(outside_git.path / ".venv") in (outside_git.path / "example.ipynb").read_text()
    assert "home = /usr/bin\n" in (outside_git.path / ".venv/pyvenv.cfg").read_text()
    assert inside.run("nix-uv") == "uv of Nix\n"


@one_nix
def test_the_template_ml_takes_the_extra_that_fits_with_the_flakes_python(
    outside_git: Project, cd: Callable[[Project], Inside], python: str, tmp_path: Path
) -> None:
    outside_git.world.environ["UV_INDEX"] = torch_indexes(tmp_path)
    init(outside_git, "--template", "ml", "--yes", "--python", python)
    inside = cd(outside_git)
    assert inside.run("python main.py") == "PyTorch 2.9.0+cpu on cpu\n"
    assert "home = /usr/bin\n" in (outside_git.path / ".venv/pyvenv.cfg").read_text()
    assert inside.run("nix-uv") == "uv of Nix\n"


def test_the_template_nix_only_needs_nothing_but_nix(
    outside_git: Project, cd: Callable[[Project], Inside], python: str
) -> None:
    init(outside_git, "--template", "nix-only", "--yes", "--python", python)
    assert f"Python {python}" in cd(outside_git).run("python main.py")
    assert not (outside_git.path / ".venv").exists()


def test_every_template_with_cuda_has_the_toolkit(empty: Project, python: str) -> None:
    for template in TEMPLATES:
        init(empty, template, "--template", template, "--yes", "--cuda", "--no-sync")
        flake = (empty.path / template / "flake.nix").read_text()
        assert "            pkgs.cudaPackages.cudatoolkit\n" in flake
    project = Project(empty.path / "nix-only", empty.world)
    (project.path / "flake.nix").write_text(flake.replace("313", python.replace(".", "")))
    entered = project.entered()
    assert run(project, entered, "nix-cudatoolkit") == "cudatoolkit of Nix\n"


@pytest.mark.network
def test_a_project_with_use_flake_and_uv_sync(
    empty: Project, nix: Nix, nixpkgs: Path, python: str
) -> None:
    pyproject = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.10"
dependencies = ["iniconfig==2.0.0"]
"""
    flake = f"""\
{{
  inputs.nixpkgs.url = "path:{nixpkgs}";
  outputs = {{ nixpkgs, ... }}: {{
    devShells = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: {{
      default = nixpkgs.legacyPackages.${{system}}.mkShell {{
        packages = [ nixpkgs.legacyPackages.${{system}}.python{python.replace(".", "")} ];
        GREETING = "hello";
      }};
    }});
  }};
}}
"""
    envrc = """\
if ! has nix_direnv_version || ! nix_direnv_version 3.0.6; then
  source_env_if_exists /nonexistent/nix-direnv/direnvrc
fi
watch_file flake.nix uv.lock
use flake .
uv sync --quiet
source .venv/bin/activate
export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export TOKEN=abc
"""
    del empty.world.environ["NIXPY_NIX_OPTIONS"]
    # As whoever says `use flake` has it; direnv does not switch flakes on by itself.
    empty.world.environ["NIX_CONFIG"] = "experimental-features = nix-command flakes"
    empty.write("flake.nix", flake)
    empty.world.run("git", "add", "--all", cwd=empty.path)
    nix.run("flake", "lock", cwd=empty.path)
    empty.world.run("git", "add", "--all", cwd=empty.path)
    old = Old(empty, envrc, pyproject_dot_toml=pyproject)
    empty.world.run("git", "add", "--all", cwd=empty.path)
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert old.line() == "use nixpy"
    for name in ("GREETING", "TOKEN"):
        assert after.environ[name] == before.environ[name]
    assert f"{empty.path}/lib" not in after.environ.get("LD_LIBRARY_PATH", "")


def test_a_project_with_use_nix(world: World, nix: Nix, tmp_path: Path) -> None:
    path = world.directory / "app"
    copy_flake("no-flake", path, world.environ)
    project = Project(path, world)
    project.write(".envrc", "use nix\nexport A=1\n")
    project.allow()
    before = project.entered()
    init(project, "--yes")
    after = project.entered()
    assert (after.status, after.said) == (0, []), after.stderr
    assert (path / ".envrc").read_text() == "use nixpy\nexport A=1\n"
    assert not (path / "flake.nix").exists()
    assert not (path / "pyproject.toml").exists()
    assert after.environ["GREETING"] == before.environ.get("GREETING", after.environ["GREETING"])
    assert json.loads(project.nixpy("explain", "--json").stdout)["manager"] == "none"
