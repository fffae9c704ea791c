from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import EnvironmentUnusable
from nixpy.managers.prefix import Prefix

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    """An environment that is there."""
    made = Prefix(str(tmp_path / "venv"), str(tmp_path))
    os.mkdir(made.path)
    (tmp_path / "venv/pyvenv.cfg").write_text("version = 3.12.1\n")
    (tmp_path / "venv/good").touch()
    return made


def test_making_anew_sets_aside_and_then_removes_the_previous(prefix: Prefix) -> None:
    with prefix.made_anew("uv"):
        assert prefix.has_previous
        assert os.listdir(prefix.path) == [".nixpy"]
        marker = prefix.read_marker()
        assert marker is not None
        assert marker.state == "syncing"
    assert not prefix.has_previous
    assert not os.path.exists(f"{prefix.path}/good")


def test_a_failure_puts_the_previous_back(prefix: Prefix) -> None:
    with pytest.raises(KeyboardInterrupt), prefix.made_anew("uv"):
        raise KeyboardInterrupt
    assert sorted(os.listdir(prefix.path)) == ["good", "pyvenv.cfg"]
    assert os.listdir(os.path.dirname(prefix.path)) == ["venv"]


def test_what_a_killed_sync_left_is_discarded_and_the_previous_kept(prefix: Prefix) -> None:
    aside = f"{prefix.path}.aside"
    os.rename(prefix.path, aside)
    os.makedirs(f"{prefix.path}/.nixpy")
    os.rename(aside, f"{prefix.path}/.nixpy/previous")
    os.makedirs(f"{prefix.path}/lib/half")
    with pytest.raises(ZeroDivisionError), prefix.made_anew("uv"):
        raise ZeroDivisionError
    assert not os.path.exists(f"{prefix.path}/lib")
    assert os.path.exists(f"{prefix.path}/good")


def test_only_an_environment_or_nothing_is_usable(tmp_path: Path, prefix: Prefix) -> None:
    prefix.check_usable()
    Prefix(str(tmp_path / "absent")).check_usable()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/precious").touch()
    for path in (tmp_path / "full", tmp_path / "a:b"):
        with pytest.raises(EnvironmentUnusable):
            Prefix(str(path)).check_usable()


@pytest.mark.parametrize("line", ["version = 3.12.1", "version_info = 3.12.1.final.0"])
def test_both_spellings_of_the_version_are_read(tmp_path: Path, line: str) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{line}\n")
    assert Prefix(str(tmp_path)).version() == "3.12.1"


@pytest.mark.parametrize(
    "left",
    [
        None,
        ".",
        ".nixpy",
        "lib",
    ],
)
def test_a_kill_between_renames_loses_nothing(prefix: Prefix, left: str | None) -> None:
    os.rename(prefix.path, prefix.path + ".nixpy-aside")
    if left:
        os.makedirs(f"{prefix.path}/{left}")
    prefix.repair_renames()
    where = f"{prefix.path}/.nixpy/previous" if left else prefix.path
    assert os.path.exists(f"{where}/good")
    assert not os.path.exists(prefix.path + ".nixpy-aside")
