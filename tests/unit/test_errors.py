from __future__ import annotations

import pytest

from nixpy import errors
from nixpy.errors import (
    DevShellFailed,
    ManifestError,
    NixpyError,
    OptionsError,
    SyncFailed,
    one_line,
    unreadable,
)


def test_an_error_says_what_happened_where_and_what_to_do() -> None:
    error = ManifestError("it is broken", where="a.toml:3", next="Mend it.")
    assert str(error) == "a.toml:3: it is broken\nMend it."
    assert one_line(error) == "a.toml:3: it is broken; Mend it."


def test_what_is_not_known_is_left_out() -> None:
    assert str(NixpyError("it is broken")) == "it is broken"
    assert one_line(NixpyError("it\n  is\nbroken")) == "it; is; broken"


def test_options_say_every_fault() -> None:
    error = OptionsError(("one", "two", "three"))
    assert str(error).splitlines() == ["one", "two", "three"]
    assert error.exit_code == 2


def test_every_error_has_its_exit_status() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    statuses = {one.__name__: one.exit_code for one in kinds if issubclass(one, NixpyError)}
    assert set(statuses) >= {"SyncFailed", "DevShellFailed", "ToolMissing", "UsageError"}
    twos = {"UsageError", "OptionsError"}
    threes = {"ToolMissing", "InterpreterNotFound"}
    for name, status in statuses.items():
        assert status == (2 if name in twos else 3 if name in threes else 1), name


def test_the_tree_in_the_documentation_is_that_of_the_code() -> None:
    text = errors.__doc__ or ""
    for name in errors.__all__:
        if name[0].isupper():
            assert name in text, name


@pytest.mark.parametrize("kind", [SyncFailed, DevShellFailed])
def test_a_failure_keeps_the_path_of_its_log(kind: type[SyncFailed | DevShellFailed]) -> None:
    assert kind("what", log="/logs/a").log == "/logs/a"


def test_what_cannot_be_read_is_named_with_the_reason() -> None:
    assert "Permission denied" in str(unreadable("/a", PermissionError(13, "Permission denied")))
