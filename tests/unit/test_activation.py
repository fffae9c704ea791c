"""Entering and leaving, and the laws of environments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nixpy.activation import RESTORE, activation, base_environment, deactivation
from nixpy.environment import Environment, Operation, Prepend, Set, Unset, prepended

NAMES = st.sampled_from(["PATH", "A", "B", "VIRTUAL_ENV", "LD_LIBRARY_PATH"])
VALUES = st.text(alphabet="ab:/ \n'\udcff", max_size=8)
ELEMENTS = st.lists(st.text(alphabet="xy/", min_size=1, max_size=3), min_size=1, max_size=3)
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Set, NAMES, VALUES),
    st.builds(Unset, NAMES),
    st.builds(Prepend, NAMES, ELEMENTS.map(tuple)),
)
ENVIRONMENTS = st.lists(OPERATIONS, max_size=5, unique_by=lambda one: one.name).map(
    lambda found: Environment(tuple(found))
)
ENVIRONS = st.dictionaries(NAMES, VALUES, max_size=5)


def entered(environment: Environment, environ: dict[str, str]) -> dict[str, str]:
    return Environment(activation(environment, environ)).apply(environ)


def left(environ: dict[str, str]) -> dict[str, str]:
    return Environment(deactivation(environ)).apply(environ)


@given(environment=ENVIRONMENTS, environ=ENVIRONS)
def test_entering_has_the_effect_of_the_environment(
    environment: Environment, environ: dict[str, str]
) -> None:
    result = entered(environment, environ)
    result.pop(RESTORE)
    assert result == environment.apply(environ)


@given(environment=ENVIRONMENTS, environ=ENVIRONS)
def test_leaving_gives_back_what_was(environment: Environment, environ: dict[str, str]) -> None:
    assert left(entered(environment, environ)) == environ
    assert base_environment(entered(environment, environ)) == environ


@given(environment=ENVIRONMENTS, environ=ENVIRONS)
def test_entering_twice_is_entering_once(environment: Environment, environ: dict[str, str]) -> None:
    once = entered(environment, environ)
    assert entered(environment, once) == once


@given(first=ENVIRONMENTS, second=ENVIRONMENTS, environ=ENVIRONS)
def test_entering_another_leaves_nothing_of_the_first(
    first: Environment, second: Environment, environ: dict[str, str]
) -> None:
    assert entered(second, entered(first, environ)) == entered(second, environ)


def test_what_the_user_put_on_path_since_stays() -> None:
    environment = Environment((Prepend("PATH", ("/venv/bin",)),))
    inside = entered(environment, {"PATH": "/usr/bin:/bin"})
    inside["PATH"] = f"/mine:{inside['PATH']}:/last"
    assert left(inside) == {"PATH": "/mine:/usr/bin:/bin:/last"}


@given(text=st.text(max_size=20))
def test_a_damaged_record_is_none(text: str) -> None:
    environ = {RESTORE: text, "PATH": "/bin"}
    assert RESTORE not in left(environ)


@given(elements=ELEMENTS, value=VALUES)
def test_no_path_like_variable_has_an_empty_element(elements: list[str], value: str) -> None:
    result = prepended(elements, value).split(":")
    assert "" not in result
    assert result[: len(set(elements))] == list(dict.fromkeys(elements))
    assert [one for one in result if one not in elements] == [
        one for one in value.split(":") if one and one not in elements
    ]


def test_an_owned_variable_is_dropped_and_a_users_own_is_kept() -> None:
    ours = {"NIXPY_PROJECT": "/p", "VIRTUAL_ENV": "/p/env", "UV_PROJECT_ENVIRONMENT": "env"}
    assert "UV_PROJECT_ENVIRONMENT" not in base_environment(ours)
    users = {**ours, "UV_PROJECT_ENVIRONMENT": "other"}
    assert base_environment(users) == users
