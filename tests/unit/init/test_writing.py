from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import EnvironmentUnusable
from nixpy.init.planning import Kind, Proposed
from nixpy.init.writing import BACKUP, back_up, write

if TYPE_CHECKING:
    from pathlib import Path


def proposed(before: str | None, content: str = "new\n", path: str = "a") -> Proposed:
    return Proposed(path, content, "why", Kind.NEW if before is None else Kind.DIFFERS, before)


def test_a_new_file_is_written_with_its_directory_and_nothing_else(tmp_path: Path) -> None:
    write(str(tmp_path / "new"), proposed(None, path="b/a"))
    assert [one.name for one in (tmp_path / "new").rglob("*")] == ["b", "a"]
    assert (tmp_path / "new/b/a").read_text() == "new\n"


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine\n")
    with pytest.raises(EnvironmentUnusable, match="left as it is"):
        write(str(tmp_path), proposed(None))
    assert (tmp_path / "a").read_text() == "mine\n"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine, edited\n")
    with pytest.raises(EnvironmentUnusable, match="left as it is"):
        write(str(tmp_path), proposed("mine\n"))
    assert (tmp_path / "a").read_text() == "mine, edited\n"


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine\n")
    (tmp_path / "a").chmod(0o640)
    write(str(tmp_path), proposed("mine\n"))
    assert (tmp_path / "a").read_text() == "new\n"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_a_link_leads_to_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("mine\n")
    (tmp_path / "a").symlink_to("shared")
    write(str(tmp_path), proposed("mine\n"))
    assert (tmp_path / "shared").read_text() == "mine\n"
    assert (tmp_path / "a").read_text() == "new\n"


def test_copies_are_numbered_and_never_overwritten(tmp_path: Path) -> None:
    texts = ["one\n", "two\n", "one\n", "three\udc80\n"]
    made = [os.path.basename(back_up(str(tmp_path), text)) for text in texts]
    assert made == [BACKUP, f"{BACKUP}.1", BACKUP, f"{BACKUP}.2"]
    assert (tmp_path / f"{BACKUP}.2").read_bytes() == b"three\x80\n"


def test_a_file_in_the_place_of_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine\n")
    with pytest.raises(EnvironmentUnusable):
        write(str(tmp_path), proposed(None, path="b/a"))
