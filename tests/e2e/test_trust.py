"""Nothing of a repository is sourced, and nothing that somebody else could have written."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .test_freshness import is_warm

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Project, World

POISON = "export POISONED=1\n_nixpy_hit() { export POISONED=1; }\n"


@pytest.fixture
def project(world: World) -> Project:
    project = world.project()
    project.write("requirements.txt", "")
    project.entered()
    assert is_warm(project)
    return project


def entry(project: Project) -> Path:
    return Path(f"{project.world.cache}/projects{project.path}/@nixpy/3/@")


def check_refused(project: Project) -> None:
    for _ in range(2):
        entered = project.entered()
        assert "POISONED" not in entered.environ
        assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv"), entered.stderr


def test_nothing_that_a_repository_ships_is_sourced(world: World) -> None:
    project = world.project("shipped")
    project.write("requirements.txt", "")
    below = f"nixpy/projects{project.path}/@nixpy/3/@"
    for folder in (
        ".direnv",
        f".cache/{below}",
        "@nixpy/3/@",
        ".nixpy",
        ".venv/.nixpy",
        below,
        "lib",
    ):
        for name in ("stamp", "entry", "nixpy.sh", "marker", "direnvrc", "refs/0"):
            path = project.write(f"{folder}/{name}", POISON)
            os.utime(path, (0, 0))
    shutil.rmtree(project.path / ".venv/.nixpy")
    (project.path / ".venv").rmdir()
    entered = project.entered()
    assert "POISONED" not in entered.environ
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")


def test_a_marker_that_a_repository_ships_is_not_believed(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    project.write(".venv/.nixpy/marker", POISON)
    project.write(".venv/pyvenv.cfg", "home = /nowhere\n")
    assert project.entered().synced
    assert project.python("import iniconfig; print('there')") == "there"


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write(POISON)


def replace(path: Path) -> None:
    path.unlink()
    path.write_text(POISON)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def let_the_group_write(path: Path) -> None:
    append(path)
    path.chmod(0o660)


def give_away(path: Path) -> None:
    replace(path)
    os.utime(path, (0, 0))
    os.chown(path, 65534, 65534)


def fill_with_junk(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


DAMAGES = [append, replace, truncate, let_the_group_write, give_away, fill_with_junk]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["stamp", "entry"])
def test_what_somebody_else_could_have_written_is_not_evaluated(
    project: Project, name: str, damage: Callable[[Path], None]
) -> None:
    if damage is give_away and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    damage(entry(project) / name)
    if name == "stamp":
        assert not is_warm(project)
    check_refused(project)
    assert is_warm(project)


def test_a_stamp_cut_off_anywhere_defines_nothing(project: Project) -> None:
    stamp = entry(project) / "stamp"
    content = stamp.read_bytes()
    for length in range(0, len(content) - 2, 37):
        stamp.write_bytes(content[:length])
        os.utime(stamp, (0, 0))  # as damage by a disk would leave it
        entered = project.entered()
        assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
        assert "syntax error" not in entered.stderr
    assert is_warm(project)


def test_an_entry_in_a_directory_that_others_can_write_is_not_used(project: Project) -> None:
    directory = entry(project)
    (directory / "stamp").unlink()
    directory.chmod(0o777)
    entered = project.entered()
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert "others can write" in " ".join(entered.said)
    assert not (directory / "stamp").exists()


def test_everything_that_is_kept_is_the_users_own_alone(project: Project) -> None:
    for path in [project.world.cache, *project.world.cache.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_stdout_holds_exports_alone(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    shown = [project.nixpy("export", "json") for _ in range(2)]
    assert json.loads(shown[0].stdout)["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert json.loads(shown[1].stdout).keys() == json.loads(shown[0].stdout).keys()
    assert "synced" in shown[0].stderr
    assert shown[1].stderr == ""


def test_credentials_of_an_index_are_never_shown(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    variables = {
        "UV_DEFAULT_INDEX": "http://user:secret-word@127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
    }
    entered = project.entered(**variables)
    assert "VIRTUAL_ENV" not in entered.changes
    synced = project.nixpy("sync", check=False, **variables)
    explained = project.nixpy("explain", check=False, **variables)
    assert synced.returncode == 1
    for text in (entered.stderr, synced.stderr, synced.stdout, explained.stdout):
        assert "secret-word" not in text


def test_credentials_of_an_index_are_not_kept_and_a_change_of_them_changes_nothing(
    world: World,
) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    index = "http://{}@127.0.0.1:9/simple"
    variables = {"UV_DEFAULT_INDEX": index.format("user:secret-word"), "UV_INDEX_A_PASSWORD": "b"}
    project.entered(**variables)
    kept = [path for path in world.cache.rglob("*") if path.is_file()]
    assert not any(b"secret-word" in path.read_bytes() for path in kept)
    assert is_warm(project, **variables)
    other = {"UV_DEFAULT_INDEX": index.format("user:other"), "UV_INDEX_A_PASSWORD": "c"}
    assert is_warm(project, **other)
    elsewhere = {**variables, "UV_DEFAULT_INDEX": "http://user:secret-word@127.0.0.2:9/simple"}
    assert not is_warm(project, **elsewhere)
