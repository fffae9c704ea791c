"""What makes an environment stale, and what does not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Project, World

DATA = Path(__file__).parent / "data"

REQUIREMENTS_A = "# aaaa\n"
REQUIREMENTS_B = "# bbbb\n"


@pytest.fixture
def project(world: World) -> Project:
    """A synced project of requirements files, with inputs of every kind."""
    project = world.project()
    project.write("requirements.txt", "-r more.txt\n-c limits.txt\n" + REQUIREMENTS_A)
    project.write("more.txt", REQUIREMENTS_A)
    project.write("limits.txt", REQUIREMENTS_A)
    project.write(".python-version", "3\n")
    project.write("nixpy.toml", 'watch = ["data/*.txt"]\nflake = false\n')
    project.write("data/one.txt", REQUIREMENTS_A)
    project.write("uv.toml", REQUIREMENTS_A)
    project.write("flake.nix", "{ outputs = _: { }; }\n")
    project.write("flake.lock", "{}\n")
    assert project.entered().synced
    assert project.entered().said == []
    return project


def is_warm(project: Project, **variables: str) -> bool:
    """Whether the stamp alone answers: nixpy's command is taken away."""
    library = Path(project.world.environ["XDG_CONFIG_HOME"]) / "direnv/lib/nixpy.sh"
    text = library.read_text()
    broken = "\n".join(
        "_nixpy_command=(false)" if line.startswith("_nixpy_command=") else line
        for line in text.splitlines()
    )
    stat = library.stat()
    library.write_text(broken + "\n")
    try:
        changes = project.entered(**variables).changes
        return "NIXPY_PROJECT" in changes
    finally:
        library.write_text(text)
        os.utime(library, ns=(stat.st_atime_ns, stat.st_mtime_ns))


FILES = (
    "requirements.txt",
    "more.txt",
    "limits.txt",
    "nixpy.toml",
    "data/one.txt",
    "uv.toml",
    "flake.nix",
    "flake.lock",
    ".python-version",
)


def test_a_second_entry_is_warm(project: Project) -> None:
    assert is_warm(project)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_noticed(project: Project, name: str) -> None:
    path = project.path / name
    path.write_text(path.read_text() + "# more\n")
    assert not is_warm(project)
    assert project.entered().status == 0
    assert is_warm(project)


@pytest.mark.parametrize("name", FILES)
def test_a_file_replaced_by_an_older_one_of_the_same_size_is_noticed(
    project: Project, name: str
) -> None:
    path = project.path / name
    older = project.path / "older"
    text = path.read_text()
    older.write_text(text.replace("aaaa", "bbbb") if "aaaa" in text else text[::-1])
    os.utime(older, (1_000_000_000, 1_000_000_000))
    shutil.copy2(older, path)  # cp -p
    assert not is_warm(project)


@pytest.mark.parametrize("name", FILES)
def test_a_file_moved_in_from_the_past_is_noticed(project: Project, name: str) -> None:
    path = project.path / name
    older = project.path / "older"
    older.write_bytes(path.read_bytes())
    os.utime(older, (1_000_000_000, 1_000_000_000))
    older.rename(path)
    assert not is_warm(project)
    entered = project.entered()
    assert not entered.synced
    assert is_warm(project)


@pytest.mark.parametrize("name", ["nixpy.toml", "data/one.txt", "uv.toml", "flake.nix"])
def test_a_deleted_file_is_noticed(project: Project, name: str) -> None:
    (project.path / name).unlink()
    assert not is_warm(project)
    assert project.entered().status == 0


@pytest.mark.parametrize(
    "name",
    [
        "pyproject.toml",
        "uv.lock",
        "pylock.toml",
        "environment.yml",
        "poetry.lock",
        "data/two.txt",
        "shell.nix",
        "setup.py",
    ],
)
def test_a_created_file_is_noticed(project: Project, name: str) -> None:
    project.write(name, "")
    assert not is_warm(project)


def test_a_file_that_nothing_rests_on_is_not_noticed(project: Project) -> None:
    project.write("source.py", "print()\n")
    assert is_warm(project)


@pytest.mark.parametrize("name", FILES)
def test_a_touched_file_is_not_synced_again(project: Project, name: str) -> None:
    marker = project.marker()
    (project.path / name).touch()
    assert not is_warm(project)
    entered = project.entered()
    assert entered.said == []
    assert project.marker() == marker
    assert is_warm(project)


def test_a_file_rewritten_with_equal_content_is_not_synced_again(project: Project) -> None:
    marker = project.marker()
    path = project.path / "requirements.txt"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert project.entered().said == []
    assert project.marker() == marker


@pytest.mark.parametrize(
    "variables",
    [{"UV_INDEX_STRATEGY": "first-index"}, {"PIP_NO_INPUT": "1"}, {"NIXPY_EXACT": "true"}],
)
def test_a_variable_that_appears_is_noticed(project: Project, variables: dict[str, str]) -> None:
    entered = project.entered(**variables)
    assert entered.synced or "NIXPY_STALE" in entered.environ


def test_a_variable_that_changes_is_noticed(project: Project) -> None:
    assert project.entered(UV_CONCURRENT_BUILDS="1").synced
    assert project.entered(UV_CONCURRENT_BUILDS="1").said == []
    assert project.entered(UV_CONCURRENT_BUILDS="2").synced


def remove_environment(project: Project) -> None:
    shutil.rmtree(project.path / ".venv")


def break_interpreter(project: Project) -> None:
    for name in ("python", "python3"):
        link = project.path / ".venv/bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to("/nix/store/gone/bin/python3")


def remove_interpreter(project: Project) -> None:
    for path in (project.path / ".venv/bin").glob("python*"):
        path.unlink()


@pytest.mark.parametrize("damage", [remove_environment, break_interpreter, remove_interpreter])
def test_a_broken_environment_is_made_again(
    project: Project, damage: Callable[[Project], None]
) -> None:
    project.write("more.txt", "iniconfig==2.0.0\n")
    assert project.entered().synced
    damage(project)
    assert not is_warm(project)
    assert project.entered().synced
    assert project.python("import iniconfig; print('there')") == "there"
    assert is_warm(project)


def test_a_package_removed_by_hand_comes_back_with_a_sync(project: Project) -> None:
    project.write("more.txt", "iniconfig==2.0.0\n")
    assert project.entered().synced
    project.world.run("uv", "pip", "uninstall", "iniconfig", "--python", ".venv", cwd=project.path)
    status = project.nixpy("status", check=False)
    assert status.returncode == 1
    assert "by hand" in status.stdout
    project.nixpy("sync")
    assert project.python("import iniconfig; print('there')") == "there"
    assert project.nixpy("status").stdout.startswith("fresh")


def test_an_input_behind_a_link_is_held_to_its_target(world: World) -> None:
    # As in a Nix store, all files of which have the same modification time.
    project = world.project()
    store = world.directory / "store"
    for name, text in (("a", REQUIREMENTS_A), ("b", REQUIREMENTS_B)):
        path = store / name / "requirements.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        os.utime(path, (1, 1))
    link = project.path / "requirements.txt"
    link.symlink_to(store / "a" / "requirements.txt")
    project.entered()
    assert is_warm(project)
    link.unlink()
    link.symlink_to(store / "b" / "requirements.txt")
    assert not is_warm(project)


def test_an_edit_within_one_tick_of_the_clock_is_noticed(world: World) -> None:
    project = world.project()
    path = project.write("requirements.txt", REQUIREMENTS_A)
    for round_ in range(20):
        path.write_text(f"# {round_:04}\n")
        first = path.stat().st_mtime_ns
        project.nixpy("export", "bash", "--direnv", shutil.which("direnv") or "")
        path.write_text(f"# {round_ + 5000:04}\n")
        os.utime(path, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns))
        if path.stat().st_mtime_ns != first:
            assert not is_warm(project)


def test_an_edit_during_the_sync_leaves_the_entry_stale(world: World) -> None:
    project = world.project()
    package = project.path / "slow"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1"\n'
    )
    edited = project.path / "requirements.txt"
    # The build itself edits the manifest that it is installed from.
    (package / "backend.py").write_text(
        f"EDITED = {str(edited)!r}\n" + (DATA / "editing_backend.py").read_text()
    )
    project.write("requirements.txt", "./slow\n")
    project.nixpy("sync")
    assert "requirements.txt" in project.nixpy("status", check=False).stdout
    assert project.entered().synced
    assert project.python("import iniconfig, slow; print('both')") == "both"
    assert project.entered().said == []
