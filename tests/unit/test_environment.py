from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nixpy.environment import Environment, Prepend, Set, Unset, prepended

names = st.sampled_from(["PATH", "A", "B"])
values = st.lists(st.sampled_from(["", "/a", "/b", "x y"]), max_size=5).map(":".join)
elements = st.lists(st.sampled_from(["", "/a", "/b", "/c"]), max_size=4).map(tuple)
operations = st.one_of(
    st.builds(Set, names, values),
    st.builds(Unset, names),
    st.builds(Prepend, names, elements, elements),
)
environments = st.lists(operations, max_size=5).map(tuple).map(Environment)
environs = st.dictionaries(st.sampled_from(["PATH", "A", "B", "C"]), values)


@given(environments, environments, environs)
def test_operations_apply_in_their_order(
    one: Environment, other: Environment, environ: dict[str, str]
) -> None:
    both = Environment((*one.operations, *other.operations))
    assert both.apply(environ) == other.apply(one.apply(environ))


@given(environments, environs)
def test_applying_twice_is_applying_once(environment: Environment, environ: dict[str, str]) -> None:
    last = {operation.name: operation for operation in environment.operations}
    once = Environment(tuple(last.values()))
    assert once.apply(once.apply(environ)) == once.apply(environ)


@given(environments, environs)
def test_what_is_applied_to_stays_as_it_was_and_other_variables_too(
    environment: Environment, environ: dict[str, str]
) -> None:
    before = dict(environ)
    after = environment.apply(environ)
    assert environ == before
    untouched = set(environ) - set(environment.names)
    assert {name: after[name] for name in untouched} == {name: environ[name] for name in untouched}
    assert set(after) <= set(environ) | set(environment.names)


@given(environments)
def test_names_are_each_there_once(environment: Environment) -> None:
    assert set(environment.names) == {one.name for one in environment.operations}
    assert len(set(environment.names)) == len(environment.names)


@given(elements, values)
def test_no_element_is_empty(front: tuple[str, ...], value: str) -> None:
    result = prepended(front, value)
    assert result == "" or all(result.split(":"))


@given(elements, values)
def test_elements_come_first_and_none_of_the_others_is_lost(
    front: tuple[str, ...], value: str
) -> None:
    wanted = list(dict.fromkeys(one for one in front if one))
    result = [one for one in prepended(front, value).split(":") if one]
    assert result[: len(wanted)] == wanted
    others = [one for one in value.split(":") if one and one not in wanted]
    assert result[len(wanted) :] == others


@given(elements, values)
def test_prepending_twice_is_prepending_once(front: tuple[str, ...], value: str) -> None:
    once = prepended(front, value)
    assert prepended(front, once) == once


def test_an_element_that_is_there_moves_to_the_front() -> None:
    assert prepended(("/b",), "/a:/b::/c:/b") == "/b:/a:/c"
    assert Environment((Prepend("P", ("/b",)), Unset("Q"), Set("R", "r"))).apply({"Q": "q"}) == {
        "P": "/b",
        "R": "r",
    }
