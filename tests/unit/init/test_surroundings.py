from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.init.surroundings import Present, look_around, old_environments
from nixpy.process import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path


def look(path: Path, environ: dict[str, str]) -> Present:
    return look_around(str(path), files=DiskFiles(), environ=environ, runner=SystemRunner())


def distribution(environment: Path, name: str, version: str, **files: str) -> None:
    """Make an environment, and a distribution in it."""
    (environment / "lib/python3.12/site-packages").mkdir(parents=True, exist_ok=True)
    (environment / "pyvenv.cfg").touch()
    info = environment / f"lib/python3.12/site-packages/{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nx")
    for one, text in files.items():
        (info / one.replace("_json", ".json")).write_text(text)


def test_a_directory_that_is_not_there_is_new(tmp_path: Path, environ: dict[str, str]) -> None:
    present = look(tmp_path / "none", environ)
    assert present.is_new
    assert (present.manifests, present.in_git) == ((), False)


@pytest.mark.parametrize(
    ("names", "is_new"),
    [
        ((".git", ".envrc", ".gitignore", "README.md", "LICENSE"), True),
        (("app.py",), False),
        (("src",), False),
    ],
)
def test_what_every_repository_has_makes_no_project(
    names: tuple[str, ...], is_new: bool, tmp_path: Path, environ: dict[str, str]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for name in names:
        (place / name).touch()
    assert look(place, environ).is_new == is_new


def test_a_pyproject_that_only_configures_tools_is_no_manifest(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    assert look(tmp_path, environ).manifests == ()
    text = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "environment.yml").write_text("channels: []\nname: 'demo' # ours\n")
    present = look(tmp_path, environ)
    assert present.manifests == ("pyproject.toml", "environment.yml")
    assert (present.requires_python, present.conda_name) == (">=3.11", "demo")
    assert present.texts["pyproject.toml"] == text


def test_what_cannot_be_read_is_an_error(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ManifestError, match="pyproject"):
        look(tmp_path, environ)


def test_packages_of_old_environments_are_pinned_but_tools_and_checkouts(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    old = tmp_path / ".direnv/python-3.12.1"
    distribution(old, "Flask_Thing", "3.1")
    distribution(old, "pip", "25.0")
    distribution(old, "app", "1.0", direct_url_json="{}")
    distribution(tmp_path / "venv", "six", "1.16.0")
    (tmp_path / "env/lib").mkdir(parents=True)
    assert old_environments(str(tmp_path)) == {
        ".direnv/python-3.12.1": {"flask-thing": "flask-thing==3.1"},
        "venv": {"six": "six==1.16.0"},
    }
    assert look(tmp_path, environ).installed == ("flask-thing==3.1", "six==1.16.0")
    (tmp_path / "requirements.txt").touch()
    assert look(tmp_path, environ).installed == ()


def test_a_git_tree_is_known_also_from_below(tmp_path: Path, environ: dict[str, str]) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    below = tmp_path / "tree/below"
    below.mkdir(parents=True)
    assert not look(below, environ).in_git
    SystemRunner().capture([git, "init", "--quiet"], cwd=str(tmp_path / "tree"), environ=environ)
    assert look(below, environ).in_git


def test_the_newest_python_on_path_and_nix_that_is_not_wanted(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3.11", "python3.12", "nix"):
        (programs / name).symlink_to(sys.executable)
    environ["PATH"] = str(programs)
    present = look(tmp_path, environ)
    assert (present.python, present.has_nix) == ("3.12", True)
    environ["NIXPY_FLAKE"] = "false"
    assert not look(tmp_path, environ).has_nix
