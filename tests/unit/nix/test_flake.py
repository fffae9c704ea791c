from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from nixpy.nix.flake import Tree, local_trees, source_path

if TYPE_CHECKING:
    from pathlib import Path

HASH = "sha256-cEAqOegssT4i7A2iIzl4xHDiLqi1tzROHqa3qRcQEBc="
SOURCE = "/nix/store/j3hp77r1liy7693sn6id3c26p0aviv2r-source"
"""As Nix 2.8 printed both for one flake."""


def test_a_hash_says_where_a_tree_lies_in_the_store() -> None:
    assert source_path(HASH, "/nix/store") == SOURCE


def test_another_store_has_it_elsewhere() -> None:
    other = source_path(HASH, "/other/store")
    assert other is not None
    assert other.startswith("/other/store/")
    assert os.path.basename(other) != os.path.basename(SOURCE)


@pytest.mark.parametrize("nar_hash", ["", "sha256-", "sha1-aaaa", "sha256-####", "sha256-AAAA"])
def test_what_is_no_such_hash_has_no_place(nar_hash: str) -> None:
    assert source_path(nar_hash, "/nix/store") is None


def metadata(path: str, locked: dict[str, Any], **nodes: dict[str, Any]) -> dict[str, Any]:
    locks = {name: {"locked": node} for name, node in nodes.items()}
    return {"path": path, "locked": locked, "resolved": locked, "locks": {"nodes": locks}}


def test_the_copy_of_a_git_tree_is_known_with_its_origin(tmp_path: Path) -> None:
    found = metadata(str(tmp_path), {"type": "git", "url": "file:///home/me/a%20project"})
    assert local_trees(found) == (Tree(str(tmp_path), "/home/me/a project"),)


def test_a_tree_that_was_not_copied_is_read_in_place(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    found = metadata(absent, {"type": "path", "path": str(tmp_path)})
    assert local_trees(found) == (Tree(str(tmp_path), str(tmp_path)),)


def test_a_flake_in_a_subdirectory_is_of_the_whole_tree(tmp_path: Path) -> None:
    locked = {"type": "git", "url": "file:///home/me/a", "dir": "nix"}
    assert local_trees(metadata(str(tmp_path), locked))[0].subdirectory == "nix"


def test_local_inputs_are_trees_and_remote_ones_are_not(tmp_path: Path) -> None:
    store = tmp_path / "store"
    copy = store / os.path.basename(source_path(HASH, str(store)) or "")
    own = store / "own-source"
    for path in (copy, own):
        path.mkdir(parents=True)
    found = metadata(
        str(own),
        {"type": "git", "url": "file:///home/me/a"},
        part={"type": "path", "path": "/home/me/part", "narHash": HASH},
        relative={"type": "path", "path": "./sub", "narHash": HASH},
        remote={"type": "github", "owner": "a", "repo": "b", "narHash": HASH},
        elsewhere={"type": "git", "url": "https://host/a", "narHash": HASH},
    )
    assert local_trees(found) == (
        Tree(str(own), "/home/me/a"),
        Tree(str(copy), "/home/me/part"),
    )


def test_a_remote_flake_has_no_local_tree(tmp_path: Path) -> None:
    assert local_trees(metadata(str(tmp_path), {"type": "github", "owner": "a"})) == ()


def test_a_path_of_the_copy_leads_to_its_original() -> None:
    tree = Tree("/s/a-source", "/home/me/a")
    assert tree.original("/s/a-source/nix/shell.nix") == "/home/me/a/nix/shell.nix"
    assert tree.original("/s/a-source") == "/home/me/a"
