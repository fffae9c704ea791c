from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.nix.nixpkgs_input import find_input


def locks(**nodes: dict[str, Any]) -> dict[str, Any]:
    """The content of a lock file whose nodes have these inputs."""
    return {"root": "root", "nodes": {name: {"inputs": inputs} for name, inputs in nodes.items()}}


OWN = locks(root={"nixpkgs": "n"}, n={})
NESTED = locks(
    root={"a": "a", "b": "b"}, a={"c": "c"}, b={"nixpkgs": "n"}, c={"nixpkgs": "n2"}, n={}, n2={}
)
FOLLOWED = locks(root={"packages": "n", "a": "a"}, a={"nixpkgs": ["packages"]}, n={})
CIRCLE = locks(root={"a": "a"}, a={"a": "a", "nixpkgs": ["a", "nixpkgs"]})


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (OWN, None, ("nixpkgs",)),
        (OWN, "nixpkgs", ("nixpkgs",)),
        (OWN, "other", None),
        (NESTED, None, ("b", "nixpkgs")),
        (NESTED, "a/c/nixpkgs", ("a", "c", "nixpkgs")),
        (NESTED, "a/nixpkgs", None),
        (FOLLOWED, None, ("a", "nixpkgs")),
        (FOLLOWED, "packages", ("packages",)),
        (FOLLOWED, "a/nixpkgs", ("a", "nixpkgs")),
        (CIRCLE, "a/nixpkgs", None),
        (locks(root={}), None, None),
        ({"root": "root", "nodes": {"root": {}}}, None, None),
    ],
)
def test_the_nearest_nixpkgs_counts_unless_one_is_named(
    content: dict[str, Any], name: str | None, expected: tuple[str, ...] | None
) -> None:
    assert find_input(content, name) == expected


@pytest.mark.parametrize("content", [{}, {"nodes": {}}, {"nodes": 1, "root": "r"}, []])
def test_a_malformed_lock_file_is_an_error(content: Any) -> None:
    with pytest.raises(ValueError, match="malformed"):
        find_input(content, None)


NAMES = st.sampled_from(["a", "b", "nixpkgs", "root"])
LEADS = st.one_of(NAMES, st.lists(NAMES, max_size=3))


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, LEADS, max_size=3), max_size=4))
def test_any_lock_file_has_an_answer_or_is_malformed(nodes: dict[str, Any]) -> None:
    try:
        found = find_input(locks(**nodes), None)
    except ValueError:
        return
    assert found is None or found[-1] == "nixpkgs"
