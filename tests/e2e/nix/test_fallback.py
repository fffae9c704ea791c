"""Where the kernel does not tell what is read, every file that Nix sees counts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.freshness import revalidated
from nixpy.nix.reads import CannotWatch, Reads
from nixpy.project import Project as Directory
from nixpy.resolver import Resolution, Resolver

from .conftest import copy_flake

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Project, World
    from .conftest import Nix


@pytest.fixture
def project(world: World, nix: Nix) -> Project:
    project = world.project()
    copy_flake("shells", project.path, world.environ)
    return project


def resolved(project: Project) -> Resolution:
    return Resolver(environ=project.world.environ).resolve(Directory.at(str(project.path)), {})


def files(resolution: Resolution, project: Project) -> set[str]:
    below = f"{project.path}/"
    return {
        one.name.removeprefix(below)
        for one in resolution.inputs
        if one.kind == "file" and one.value and one.name.startswith(below)
    }


def no_inotify(*_: object) -> None:
    raise CannotWatch("no watch is left")


def too_much(*_: object) -> None:
    raise CannotWatch("more was read at once than its queue holds")


@pytest.mark.parametrize(
    ("name", "fails"),
    [("__init__", no_inotify), ("watch", no_inotify), ("take_in", too_much)],
)
def test_every_file_that_nix_sees_counts_and_explain_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, fails: object
) -> None:
    project.write("untracked.txt", "git does not know this one\n")
    with monkeypatch.context() as patch:
        patch.setattr(Reads, name, fails)
        resolution = resolved(project)
    assert resolution.error is None
    seen = files(resolution, project)
    assert {"flake.nix", "nix/shell.nix", "data.txt", "README.md", "hooks/exits.sh"} <= seen
    assert "untracked.txt" not in seen
    explained = json.loads(project.nixpy("explain", "--json").stdout)
    assert explained["dev_shell"]["inexact"]
    assert "could not be told" in project.nixpy("explain").stdout


def test_a_change_of_any_of_them_is_noticed_then(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reads, "watch", no_inotify)
    first = resolved(project)
    project.write("README.md", "changed\n")
    assert resolved(project).fingerprint != first.fingerprint


def test_where_it_does_only_what_was_read_counts(project: Project) -> None:
    seen = files(resolved(project), project)
    assert "data.txt" in seen
    assert not {"README.md", "hooks/exits.sh"} & seen


def test_what_was_never_evaluated_is_not_kept_as_if_it_were(project: Project) -> None:
    resolver = Resolver(environ=project.world.environ)
    directory = Directory.at(str(project.path))
    assert not resolver.resolve(directory, {}, sync="never").has_dev_shell
    assert resolver.read_entry(directory) is None
    assert resolver.resolve(directory, {}).has_dev_shell
    assert resolver.read_entry(directory) is not None


def test_without_nix_a_flake_is_named_once_and_then_all_is_warm(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(".python-version", "3\n")
    monkeypatch.setattr("nixpy.nix.command.PLACES", ())
    monkeypatch.setattr("nixpy.nix.kept.PLACES", (str(tmp_path / "bin/nix"),))
    said: list[str] = []
    environ = {**project.world.environ, "PATH": f"{project.world.home}/bin:{sys.base_prefix}/bin"}
    resolver = Resolver(environ=environ, report=said.append)
    directory = Directory.at(str(project.path))
    resolution = resolver.resolve(directory, {})
    assert resolution.error is None
    assert [line for line in said if "Nix is not installed" in line]
    entry = resolver.read_entry(directory)
    assert entry is not None
    assert revalidated(entry, str(project.path), environ) is entry
    said.clear()
    resolver.resolve(directory, {})
    assert said == []
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nix").touch(0o755)
    assert revalidated(entry, str(project.path), environ) is None


def test_without_nix_a_flake_that_is_asked_for_is_missed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(".python-version", "3\n")
    monkeypatch.setattr("nixpy.nix.command.PLACES", ())
    environ = {**project.world.environ, "PATH": f"{project.world.home}/bin:{sys.base_prefix}/bin"}
    resolution = Resolver(environ=environ).resolve(
        Directory.at(str(project.path)), {"flake": ".#python"}
    )
    assert resolution.stale is not None
    assert "Nix is not installed" in resolution.stale
    assert resolution.environment is not None
    assert "VIRTUAL_ENV" in resolution.environment.names
