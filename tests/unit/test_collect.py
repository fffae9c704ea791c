"""What is collected when a project is gone, and what stays."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from nixpy import cache
from nixpy.collect import collect, entries
from nixpy.environment import Environment
from nixpy.hook.answers import Answers, write_place
from nixpy.hook.places import answers_place, hook_directory
from nixpy.hook.script import prepare
from nixpy.inputs import observe_root
from nixpy.jupyter.servers import Server, server_directory, write_server
from nixpy.logs import log_path, open_log
from nixpy.managers.foreign.exporter import exporter_key
from nixpy.marker import Marker, write_marker
from nixpy.nix.roots import new_roots, roots_directory


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def make(tmp_path: Path, name: str) -> Path:
    """Make a project with an entry, a log, gc roots and a central environment."""
    project = tmp_path / name
    project.mkdir()
    top = str(tmp_path / "cache/nixpy")
    directory = cache.entry_directory(top, str(project), ())
    assert directory is not None
    cache.make_private_directory(directory, top)
    empty = Environment()
    state = str(tmp_path / "state/nixpy")
    with open_log(log_path(state, str(project)), str(project)):
        pass
    roots = new_roots(roots_directory(state, str(project), "key"), str(project))
    root = observe_root(f"{roots}/shell")
    entry = cache.Entry("1", str(project), "f", "uv", "r", (), (), "", "", -1, (root,), empty)
    cache.write_entry(directory, entry)
    central = tmp_path / f"data/nixpy/environments/{name}"
    write_marker(Marker("synced", "f", str(central), -1, "uv", "", str(project)))
    return project


def files(tmp_path: Path, name: str) -> list[str]:
    """Everything of nixpy's that is there and about a project."""
    found = []
    for path in sorted(tmp_path.rglob("*")):
        inside = path.is_file() and name.encode() in path.read_bytes()
        if inside or (f"/{name}/" in str(path) and path.is_file()):
            found.append(str(path.relative_to(tmp_path)))
    return found


def test_nothing_of_a_project_that_is_there_is_removed(
    tmp_path: Path, places: dict[str, str]
) -> None:
    make(tmp_path, "alive")
    before = files(tmp_path, "alive")
    assert collect(places) == []
    assert files(tmp_path, "alive") == before


def test_all_of_one_that_is_gone_is_removed_and_nothing_else(
    tmp_path: Path, places: dict[str, str]
) -> None:
    make(tmp_path, "alive")
    shutil.rmtree(make(tmp_path, "omega"))
    before = files(tmp_path, "alive")
    removed = collect(places)
    assert len(removed) == 4
    assert all("gone" in one.why for one in removed)
    assert files(tmp_path, "omega") == []
    assert files(tmp_path, "alive") == before
    assert collect(places) == []


def test_a_dry_run_says_the_same_and_removes_nothing(
    tmp_path: Path, places: dict[str, str]
) -> None:
    shutil.rmtree(make(tmp_path, "omega"))
    before = files(tmp_path, "omega")
    said = collect(places, dry_run=True)
    assert files(tmp_path, "omega") == before
    assert said == collect(places)


def test_entries_are_listed_by_their_directory(tmp_path: Path, places: dict[str, str]) -> None:
    projects = {str(make(tmp_path, name)) for name in ("one", "two")}
    assert {directory for directory, _, _ in entries(places)} == projects


def test_entries_of_another_version_are_removed(tmp_path: Path, places: dict[str, str]) -> None:
    project = make(tmp_path, "alive")
    old = tmp_path / f"cache/nixpy/projects{project}/@nixpy/0"
    old.mkdir()
    assert [one.path for one in collect(places)] == [str(old)]
    assert not old.exists()


def test_a_cache_that_others_can_write_to_is_left_alone(
    tmp_path: Path, places: dict[str, str]
) -> None:
    shutil.rmtree(make(tmp_path, "omega"))
    os.chmod(tmp_path / "cache/nixpy", 0o777)
    assert not [one for one in collect(places) if "/cache/" in one.path]
    assert list(entries(places)) == []


def test_roots_that_no_entry_rests_on_are_removed(tmp_path: Path, places: dict[str, str]) -> None:
    project = make(tmp_path, "alive")
    old = roots_directory(str(tmp_path / "state/nixpy"), str(project), "an attribute of old")
    new_roots(old, str(project))
    assert [one.path for one in collect(places)] == [old]
    assert not os.path.exists(old)


def test_where_there_is_nothing_nothing_is_collected(places: dict[str, str]) -> None:
    assert collect(places) == []
    assert list(entries(places)) == []


def test_exports_and_exporters_of_long_ago_are_removed(
    tmp_path: Path, places: dict[str, str]
) -> None:
    pinned = exporter_key("pdm", (), "")
    kept: list[Path] = []
    gone: list[Path] = []
    for name, age, stays in (
        ("exports/pylock.new.toml", 0, True),
        ("exports/pylock.old.toml", 100, False),
        (f"exporters/{pinned}", 100, True),
        ("exporters/pdm-of-old", 100, False),
        ("exporters/pdm-of-today", 0, True),
    ):
        path = tmp_path / "cache/nixpy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("exporters"):
            path.mkdir()
        else:
            path.write_text("")
        then = time.time() - age * 86_400
        os.utime(path, (then, then))
        (kept if stays else gone).append(path)
    removed = {one.path for one in collect(places)}
    assert removed == {str(path) for path in gone}
    assert all(path.exists() for path in kept)


def test_a_server_that_has_ended_goes_with_its_project(
    tmp_path: Path, places: dict[str, str]
) -> None:
    state = str(tmp_path / "state/nixpy")
    found = {}
    for name, is_there in (("gone", False), ("stays", True)):
        project = tmp_path / name
        if is_there:
            project.mkdir()
        nobody = 2**22 + 1
        found[name] = server_directory(state, str(project))
        os.makedirs(found[name], 0o700)
        server = Server(str(project), "lab", nobody, "1", nobody, "1", "", 1, "", "")
        write_server(found[name], server)
    removed = collect(places)
    assert [(one.path, one.why) for one in removed] == [(found["gone"], f"{tmp_path}/gone is gone")]
    assert not os.path.exists(found["gone"])
    assert os.path.exists(found["stays"])


def remember(tmp_path: Path, directory: Path) -> Path:
    """Keep something for the hook about a directory."""
    top = str(tmp_path / "cache/nixpy")
    place = answers_place(hook_directory(top), str(directory))
    write_place(place, top, Answers(always=f"of {directory.name}"), lambda _: "", "bash")
    return Path(place.path)


def test_what_the_hook_keeps_goes_with_the_envrc(tmp_path: Path, places: dict[str, str]) -> None:
    kept = {}
    for name in ("alive", "gone", "bare", "linked", "bare/alive"):
        project = tmp_path / name
        project.mkdir()
        (project / ".envrc").touch()
        kept[name] = remember(tmp_path, project)
    prepare(hook_directory(str(tmp_path / "cache/nixpy")), str(tmp_path / "cache/nixpy"))
    assert collect(places) == []
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "bare/.envrc").unlink()
    (tmp_path / "linked/.envrc").unlink()
    (tmp_path / "linked/.envrc").symlink_to(tmp_path / "not there")
    said = collect(places, dry_run=True)
    assert all(place.is_dir() for place in kept.values())
    assert collect(places) == said
    root = hook_directory(str(tmp_path / "cache/nixpy"))
    references = {name: answers_place(root, f"{tmp_path}/{name}").references for name in kept}
    of_nothing = "of a directory that nothing is kept for"
    assert {one.path: one.why for one in said} == {
        str(kept["bare"]): f"{tmp_path}/bare has no .envrc any more",
        str(kept["gone"]): f"{tmp_path}/gone is gone",
        references["bare"]: of_nothing,
        references["gone"]: of_nothing,
    }
    left = {name for name, path in references.items() if os.path.isdir(path)}
    assert left == {"alive", "bare/alive", "linked"}
    assert {name for name, place in kept.items() if place.is_dir()} == {
        "alive",
        "bare/alive",
        "linked",
    }
    assert not kept["gone"].parent.exists()
    assert sorted(os.listdir(f"{root}/@exact")) == ["1", "2"]
    assert collect(places) == []


def test_what_the_hook_of_another_version_kept_is_removed(
    tmp_path: Path, places: dict[str, str]
) -> None:
    project = tmp_path / "alive"
    project.mkdir()
    (project / ".envrc").touch()
    place = remember(tmp_path, project)
    old = tmp_path / "cache/nixpy/hook/0"
    shutil.copytree(hook_directory(str(tmp_path / "cache/nixpy")), old)
    assert [(one.path, one.why) for one in collect(places)] == [
        (str(old), "of another version of nixpy")
    ]
    assert not old.exists()
    assert place.is_dir()


def test_a_directory_that_only_the_hook_knows_is_not_listed(
    tmp_path: Path, places: dict[str, str]
) -> None:
    project = tmp_path / "alive"
    project.mkdir()
    (project / ".envrc").touch()
    remember(tmp_path, project)
    assert list(entries(places)) == []
