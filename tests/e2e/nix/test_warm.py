"""What a warm entry of a project with a dev shell costs: nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ..test_freshness import is_warm
from ..test_processes import places, processes
from .conftest import copy_flake

if TYPE_CHECKING:
    from ..conftest import Project, World
    from .conftest import Nix

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture
def large(world: World, nix: Nix) -> Project:
    """A project with a dev shell of 150 functions and 100 variables, entered before."""
    project = world.project("large", envrc="use nixpy --flake .#large\n")
    project.write(".python-version", "3\n")
    copy_flake("shells", project.path, world.environ)
    changes = project.entered().changes
    assert sum(name.startswith("NIX_EXAMPLE_") for name in changes) == 100
    return project


def test_no_process_is_started_and_nothing_is_written(large: Project) -> None:
    empty = large.world.project("empty", envrc="")
    assert is_warm(large)
    assert processes(large) == processes(empty)
    assert places(large) == places(empty)


def test_a_touched_file_of_the_flake_starts_no_nix(large: Project) -> None:
    flake = large.path / "flake.nix"
    flake.touch()
    before = sorted((large.world.home / "state/nixpy").rglob("*"))
    assert large.entered().said == []
    assert sorted((large.world.home / "state/nixpy").rglob("*")) == before
    assert is_warm(large)
