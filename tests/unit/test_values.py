"""Our named tuples behave as those of :mod:`typing` do."""

from __future__ import annotations

import pickle
from typing import Any
from typing import NamedTuple as Reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.inputs import Input
from nixpy.values import NamedTuple


class Ours(NamedTuple):
    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    def doubled(self) -> int:
        return 2 * self.a


class Theirs(Reference):
    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    def doubled(self) -> int:
        return 2 * self.a


ARGUMENTS = st.tuples(
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(), max_size=3),
)


def made(kind: type[Any], positional: list[int], named: dict[str, int]) -> tuple[Any, ...] | None:
    try:
        return tuple(kind(*positional, **named))
    except TypeError:
        return None


@given(ARGUMENTS)
def test_they_are_made_alike(arguments: tuple[list[int], dict[str, int]]) -> None:
    assert made(Ours, *arguments) == made(Theirs, *arguments)


def test_fields_methods_and_copies() -> None:
    one, other = Ours(1, c=(2,)), Theirs(1, c=(2,))
    assert (one.a, one.b, one.c, one.doubled()) == (other.a, other.b, other.c, other.doubled())
    assert one._asdict() == other._asdict()
    assert tuple(one._replace(a=5)) == tuple(other._replace(a=5))
    assert repr(one) == repr(other).replace("Theirs", "Ours")
    assert one == tuple(other)
    assert hash(one) == hash(other)
    assert one[:2] == (1, "b")
    with pytest.raises(AttributeError):
        one.a = 2  # type: ignore[misc]


def test_they_match_by_position_and_by_name() -> None:
    match Ours(1, "x"):
        case Ours(a, b=b):
            assert (a, b) == (1, "x")
        case _:
            pytest.fail("no match")


def test_they_can_be_pickled() -> None:
    one = Input("file", "/a", "digest", 3, "/b", syncs=False)
    assert pickle.loads(pickle.dumps(one)) == one
