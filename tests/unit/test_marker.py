from __future__ import annotations

import os
from pathlib import Path

import pytest

from nixpy.inputs import observe_program
from nixpy.marker import (
    Marker,
    is_synced_to,
    marker_mtime,
    marker_path,
    packages_mtime,
    read_marker,
    was_changed_by_hand,
    write_marker,
)


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    """A marker in a prefix that is synced to ``f``."""
    prefix = tmp_path / os.fsdecode(b"caf\xe9\n")
    (prefix / "lib/python3.12/site-packages").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin/python").symlink_to("/bin/sh")
    path = str(prefix)
    interpreter = observe_program(f"{path}/bin/python").value
    made = Marker("synced", "f", path, packages_mtime(path), "uv", interpreter, str(tmp_path))
    write_marker(made)
    return made


def test_a_marker_is_read_as_it_was_written(marker: Marker) -> None:
    assert read_marker(marker.prefix) == marker
    assert is_synced_to(marker.prefix, "f")
    assert not is_synced_to(marker.prefix, "g")
    assert marker_mtime(marker.prefix) > 0


def test_a_sync_that_did_not_end_is_none(marker: Marker) -> None:
    write_marker(marker._replace(state="syncing"))
    assert not is_synced_to(marker.prefix, "f")


def test_a_prefix_that_moved_is_not_synced(marker: Marker) -> None:
    os.rename(marker.prefix, marker.prefix + "moved")
    assert not is_synced_to(marker.prefix + "moved", "f")
    assert not is_synced_to(marker.prefix, "f")


@pytest.mark.parametrize("target", ["/bin/cat", "/nowhere/python"])
def test_another_or_no_interpreter_is_noticed(marker: Marker, target: str) -> None:
    python = Path(marker.prefix, "bin/python")
    python.unlink()
    python.symlink_to(target)
    assert not is_synced_to(marker.prefix, "f")


def test_a_damaged_or_missing_marker_is_none(marker: Marker) -> None:
    path = Path(marker_path(marker.prefix))
    path.write_bytes(path.read_bytes()[:-1])
    assert read_marker(marker.prefix) is None
    path.unlink()
    assert read_marker(marker.prefix) is None
    assert marker_mtime(marker.prefix) == -1


def test_what_was_installed_by_hand_is_noticed(marker: Marker) -> None:
    assert not was_changed_by_hand(marker.prefix)
    os.utime(f"{marker.prefix}/lib/python3.12/site-packages", ns=(1, 1))
    assert was_changed_by_hand(marker.prefix)


def test_a_prefix_without_marker_was_not_changed_by_hand(tmp_path: Path) -> None:
    assert not was_changed_by_hand(str(tmp_path))
    assert not was_changed_by_hand("")
