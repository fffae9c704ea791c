from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nixpy.activation import RESTORE, activation, base_environment, deactivation
from nixpy.environment import Environment, Prepend, Set, Unset

if TYPE_CHECKING:
    from nixpy.environment import Operation

names = st.sampled_from(["PATH", "A", "B", "MANPATH", "VIRTUAL_ENV"])
values = st.binary(max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
path_values = st.lists(st.sampled_from(["", "/a", "/b", "/c", "/d d"]), max_size=5).map(":".join)
environs = st.dictionaries(names, values | path_values, max_size=5)
elements = st.lists(st.sampled_from(["", "/a", "/b", "/x"]), max_size=3).map(tuple)
operations = st.one_of(
    st.builds(Set, names, values),
    st.builds(Unset, names),
    st.builds(Prepend, names, elements, elements),
)
one_for_each_name = st.lists(operations, max_size=5, unique_by=lambda one: one.name)
environments = one_for_each_name.map(tuple).map(Environment)


def entered(environment: Environment, environ: dict[str, str]) -> dict[str, str]:
    return Environment(activation(environment, environ)).apply(environ)


def left(environ: dict[str, str]) -> dict[str, str]:
    return Environment(deactivation(environ)).apply(environ)


@given(environments, environs)
def test_leaving_restores_any_environment(
    environment: Environment, environ: dict[str, str]
) -> None:
    assert left(entered(environment, environ)) == environ


@given(environments, environs)
def test_entering_does_what_the_environment_says(
    environment: Environment, environ: dict[str, str]
) -> None:
    after = entered(environment, environ)
    del after[RESTORE]
    assert after == environment.apply(environ)


@given(environments, environs)
def test_entering_twice_is_entering_once(environment: Environment, environ: dict[str, str]) -> None:
    once = entered(environment, environ)
    assert entered(environment, once) == once


@given(environments, environments, environs)
def test_a_second_project_takes_the_place_of_the_first(
    first: Environment, second: Environment, environ: dict[str, str]
) -> None:
    both = entered(second, entered(first, environ))
    assert both == entered(second, environ)
    assert left(both) == environ


@given(environments, environs)
def test_the_base_is_what_was_there_before(
    environment: Environment, environ: dict[str, str]
) -> None:
    assert base_environment(entered(environment, environ)) == environ


@pytest.mark.parametrize(
    "operations",
    [
        (Set("PATH", "/set"), Prepend("PATH", ("/a",))),
        (Prepend("PATH", ("/a",)), Prepend("PATH", ("", "/b")), Set("PATH", "/set")),
    ],
)
def test_leaving_restores_what_was_both_set_and_prepended_to(
    operations: tuple[Operation, ...],
) -> None:
    environ = {"PATH": "/bin"}
    assert left(entered(Environment(operations), environ)) == environ


@given(environs)
def test_leaving_nothing_changes_nothing(environ: dict[str, str]) -> None:
    assert deactivation(environ) == ()


@given(st.sampled_from(["/user", "/b"]), path_values, st.booleans())
def test_what_the_user_added_to_path_since_stays(added: str, path: str, in_front: bool) -> None:
    assume(added not in path.split(":"))
    inside = entered(Environment((Prepend("PATH", ("/venv/bin",)),)), {"PATH": path})
    now = inside["PATH"]
    inside["PATH"] = f"{added}:{now}" if in_front else f"{now}:{added}"
    kept = [element for element in path.split(":") if element]
    expected = [added, *kept] if in_front else [*kept, added]
    assert left(inside)["PATH"] == ":".join(expected)


def test_a_path_that_the_user_removed_stays_removed() -> None:
    inside = entered(Environment((Prepend("PATH", ("/venv/bin",)),)), {"PATH": "/a:/b"})
    inside["PATH"] = "/venv/bin:/b"
    assert left(inside)["PATH"] == "/b"


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_record_that_is_damaged_is_taken_away_and_does_no_harm(text: str) -> None:
    environ = {"A": "a", RESTORE: text}
    assert RESTORE not in left(environ)


def test_where_uv_finds_its_environment_is_the_users_wish() -> None:
    environ = {"UV_PROJECT_ENVIRONMENT": "/mine"}
    assert base_environment(environ) == environ


def test_where_uv_finds_the_environment_in_force_is_not() -> None:
    environ = {"VIRTUAL_ENV": "/p/.venv", "NIXPY_PROJECT": "/p"}
    for named in ("/p/.venv", ".venv"):
        assert base_environment({**environ, "UV_PROJECT_ENVIRONMENT": named}) == environ
