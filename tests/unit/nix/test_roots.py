from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.nix.roots import new_roots, other_roots, owner_of, remove_roots, roots_directory

if TYPE_CHECKING:
    from pathlib import Path


def test_each_evaluation_has_roots_of_its_own(tmp_path: Path) -> None:
    directory = roots_directory(str(tmp_path), "/home/me/a", "key")
    first, second = new_roots(directory, "/home/me/a"), new_roots(directory, "/home/me/a")
    assert first != second
    assert list(other_roots(directory, second)) == [first]


def test_projects_and_keys_are_told_apart() -> None:
    places = {roots_directory("/s", root, key) for root in ("/a", "/b") for key in ("", "k", "l")}
    assert len(places) == 6


def test_the_project_that_they_are_for_is_known(tmp_path: Path) -> None:
    directory = roots_directory(str(tmp_path), "/home/me/\udcff", "key")
    new_roots(directory, "/home/me/\udcff")
    assert owner_of(directory) == "/home/me/\udcff"
    assert owner_of(str(tmp_path / "absent")) is None


def test_a_number_is_not_given_twice(tmp_path: Path) -> None:
    directory = str(tmp_path / "roots")
    first = new_roots(directory, "/a")
    second = new_roots(directory, "/a")
    remove_roots(first)
    assert new_roots(directory, "/a") not in {first, second}


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    remove_roots(str(tmp_path / "absent"))
    assert list(other_roots(str(tmp_path / "absent"), "")) == []
