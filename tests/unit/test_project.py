from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nixpy.project import MANIFEST_NAMES, Project, current_directory, envrc_arguments, find_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", None),
        ("# use nixpy\n", None),
        ("use nix\n", None),
        ("use nixpyx\n", None),
        ("echo use nixpy\n", None),
        ("use nixpy", ()),
        ("use_nixpy\n", ()),
        ("  use   nixpy  \n", ()),
        ("use nixpy --python 3.12\n", ("--python", "3.12")),
        ("use nixpy --env 'A=b c'\n", ("--env", "A=b c")),
        ("use nixpy --python 3.12 # the newest\n", ("--python", "3.12")),
        ("use nixpy # don't\n", ()),
        ("use nixpy --flake .#ci\n", ("--flake", ".#ci")),
        ("use nixpy --flake .#ci # that of the server's\n", ("--flake", ".#ci")),
        ("use nixpy --env 'A= #b' --env B=\\#c\n", ("--env", "A= #b", "--env", "B=#c")),
        ("use nixpy --python 3.11\nuse nixpy --python 3.12\n", ("--python", "3.12")),
        ("use nixpy --python $VERSION\n", ()),
        ("use nixpy --python `cat version`\n", ()),
        ("use nixpy --env 'unfinished\n", ()),
        ("export A=1\nuse nixpy --exact\nexport B=2\n", ("--exact",)),
    ],
)
def test_the_arguments_of_an_envrc(
    text: str, arguments: tuple[str, ...] | None, tmp_path: Path
) -> None:
    (tmp_path / ".envrc").write_text(text)
    assert envrc_arguments(str(tmp_path)) == arguments


def test_an_envrc_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".envrc")
    assert envrc_arguments(str(tmp_path)) is None


def test_no_envrc_has_no_arguments(tmp_path: Path) -> None:
    assert envrc_arguments(str(tmp_path)) is None


@pytest.mark.parametrize("name", MANIFEST_NAMES)
def test_the_nearest_directory_with_a_manifest_is_the_project(name: str, tmp_path: Path) -> None:
    below = tmp_path / "project/a/b"
    below.mkdir(parents=True)
    (tmp_path / "project" / name).touch()
    (tmp_path / "pyproject.toml").touch()
    assert find_project(str(below)).directory == str(tmp_path / "project")


def test_an_envrc_further_up_goes_before_a_manifest(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "pyproject.toml").touch()
    (tmp_path / ".envrc").write_text("use nixpy --exact\n")
    assert find_project(str(below)) == Project.at(str(tmp_path), ("--exact",))


def test_without_anything_the_start_itself_is_the_project(tmp_path: Path) -> None:
    assert find_project(str(tmp_path)) == Project.at(str(tmp_path))


def test_a_project_is_named_as_the_caller_names_it(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    (real / "pyproject.toml").touch()
    assert find_project(str(link))[:2] == (str(link), os.path.realpath(real))


def test_a_pwd_that_lies_does_not_count(tmp_path: Path) -> None:
    here = os.getcwd()
    assert current_directory({"PWD": str(tmp_path)}) == here
    assert current_directory({"PWD": "."}) == here
    assert current_directory({}) == here
    (tmp_path / "link").symlink_to(here)
    assert current_directory({"PWD": str(tmp_path / "link")}) == str(tmp_path / "link")
