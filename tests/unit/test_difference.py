from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.difference import LEFT_OUT, PATH_LIKE, difference, is_left_out
from nixpy.environment import Prepend, Set, Unset

NAMES = st.sampled_from(["A", "B", "CC", "PATH", "XDG_DATA_DIRS", "LD_LIBRARY_PATH"])
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=8)
ENVIRONMENTS = st.dictionaries(NAMES, VALUES | st.sampled_from(["/a:/b", "/b::/c", ":", "/a"]))


def elements(value: str) -> list[str]:
    return list(dict.fromkeys(one for one in value.split(":") if one))


@given(before=ENVIRONMENTS, after=ENVIRONMENTS)
def test_it_makes_of_the_one_what_the_other_is(
    before: dict[str, str], after: dict[str, str]
) -> None:
    made = difference(before, after).apply(before)
    for name in {*before, *after}:
        if name in PATH_LIKE:
            assert set(elements(after.get(name, ""))) <= set(elements(made.get(name, "")))
        else:
            assert made.get(name) == after.get(name)


@given(before=ENVIRONMENTS, after=ENVIRONMENTS)
def test_no_path_gets_an_empty_element(before: dict[str, str], after: dict[str, str]) -> None:
    for operation in difference(before, after).operations:
        if isinstance(operation, Prepend):
            assert operation.elements
            assert "" not in operation.elements


@given(value=st.lists(st.sampled_from(["/a", "/b", "/c"]), unique=True).map(":".join))
def test_what_is_put_in_front_is_kept_in_its_order(value: str) -> None:
    own = "/own/a:/own/b"
    after = f"{value}:{own}" if value else own
    operations = difference({"PATH": own}, {"PATH": after}).operations
    assert operations == ((Prepend("PATH", tuple(value.split(":"))),) if value else ())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("/own", "/new:/own", ("/new",)),
        ("/own", "/own:/new", ("/new",)),
        ("/own", "/a:/own:/b", ("/a", "/b")),
        ("/own:/usr/bin", "/new:/usr/bin:/own:/usr/bin", ("/new", "/usr/bin")),
        ("/own", "/own:/own", ()),
        ("/own", "/other", ("/other",)),
        ("", "/new", ("/new",)),
        ("/own", "", ()),
    ],
)
def test_the_new_elements_are_told_from_the_callers(
    before: str, after: str, expected: tuple[str, ...]
) -> None:
    operations = difference({"PATH": before}, {"PATH": after}).operations
    assert operations == ((Prepend("PATH", expected),) if expected else ())


def test_a_variable_that_is_gone_is_unset() -> None:
    assert difference({"A": "1"}, {}).operations == (Unset("A"),)


@pytest.mark.parametrize(
    "name",
    [
        *("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "HOME", "SHELL", "out", "outputs", "builder"),
        *("stdenv", "buildPhase", "phases", "shellHook", "SHLVL", "_", "PWD", "UV_PYTHON", "PS1"),
        *("VIRTUAL_ENV", "_OLD_VIRTUAL_PATH", "NIXPY_PROJECT", "DIRENV_DIFF", "PYTHONHOME"),
    ],
)
def test_what_a_person_does_not_need_is_left_out(name: str) -> None:
    assert is_left_out(name)
    assert difference({}, {name: "value"}).operations == ()


@pytest.mark.parametrize("name", ["CC", "TZDIR", "TERMINFO_DIRS", "NIX_CFLAGS_COMPILE", "EDITOR"])
def test_what_a_person_needs_is_kept(name: str) -> None:
    assert not is_left_out(name)


def test_the_last_pattern_that_matches_decides() -> None:
    assert is_left_out("CC", ["C*"])
    assert not is_left_out("CC", ["C*", "!CC"])
    assert is_left_out("CC", ["!CC", "C*"])
    assert not is_left_out("stdenv", ["!stdenv"])


def test_every_pattern_matches_something_of_its_own() -> None:
    assert len(set(LEFT_OUT)) == len(LEFT_OUT)


def test_store_paths_in_pythonpath_are_dropped() -> None:
    after = {"PYTHONPATH": "/nix/store/a-numpy/lib:/src:/own"}
    found = difference({"PYTHONPATH": "/own"}, after).operations
    assert found == (Prepend("PYTHONPATH", ("/src",)),)
    elsewhere = difference({}, {"PYTHONPATH": "/s/a/lib"}, store="/s").operations
    assert elsewhere == ()


def test_the_time_of_a_source_is_one_that_a_zip_file_can_hold() -> None:
    assert difference({}, {"SOURCE_DATE_EPOCH": "1"}).operations == (
        Set("SOURCE_DATE_EPOCH", "315532800"),
    )
    late = difference({}, {"SOURCE_DATE_EPOCH": "1700000000"}).operations
    assert late == (Set("SOURCE_DATE_EPOCH", "1700000000"),)


def test_the_callers_certificates_stay() -> None:
    ours, theirs = {"SSL_CERT_FILE": "/ours"}, {"SSL_CERT_FILE": "/nix/store/c/ca.crt"}
    assert difference(ours, theirs).operations == ()
    assert difference({}, theirs).operations == (Set("SSL_CERT_FILE", "/nix/store/c/ca.crt"),)
    assert difference({}, {"NIX_SSL_CERT_FILE": "/no-cert-file.crt"}).operations == ()


def test_what_no_shell_can_export_is_passed_over() -> None:
    assert difference({}, {"BASH_FUNC_f%%": "() { :; }", "a-b": "c"}).operations == ()
