from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.direnv import before_direnv, library_path, library_text, watches_after
from nixpy.process import Completed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEXTS = st.text(max_size=8)
ENVIRONMENTS = st.dictionaries(st.sampled_from("ABCD"), TEXTS)


class Direnv:
    """A runner whose every program prints the same."""

    def __init__(self, status: int, stdout: str) -> None:
        self.done = Completed(status, stdout, "")
        self.argv: Sequence[str] = ()

    def ask(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> Completed:
        del environ
        self.argv = argv
        return self.done


def asked(status: int, stdout: str) -> str | None:
    runner: Any = Direnv(status, stdout)
    return watches_after("/bin/direnv", ["/a", "/b c"], runner=runner, environ={})


def test_what_direnv_exports_is_taken_over() -> None:
    assert asked(0, "export DIRENV_WATCHES=$'eJw_-A==';") == "eJw_-A=="


def test_direnv_is_given_every_path() -> None:
    runner: Any = Direnv(0, "")
    watches_after("/bin/direnv", ["/a", "/b c"], runner=runner, environ={})
    assert runner.argv == ["/bin/direnv", "watch", "bash", "/a", "/b c"]


@pytest.mark.parametrize(
    ("status", "stdout"),
    [
        (1, "export DIRENV_WATCHES=$'eJw';"),
        (0, ""),
        (0, "export OTHER=$'eJw';"),
        (0, "export DIRENV_WATCHES=$'a\\'; rm -rf /;';"),
        (0, "export DIRENV_WATCHES=$'a b';"),
        (0, "export DIRENV_WATCHES=$'eJw'; export A=$'b';"),
    ],
)
def test_anything_else_is_not(status: int, stdout: str) -> None:
    assert asked(status, stdout) is None


def loaded(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """The environment after direnv has changed one into the other."""
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    difference = {
        "p": {name: before[name] for name in changed if name in before},
        "n": {name: after[name] for name in changed if name in after},
    }
    packed = zlib.compress(json.dumps(difference).encode())
    return {**after, "DIRENV_DIFF": base64.urlsafe_b64encode(packed).decode()}


@given(before=ENVIRONMENTS, after=ENVIRONMENTS)
def test_what_was_before_direnv_comes_back(before: dict[str, str], after: dict[str, str]) -> None:
    found = before_direnv(loaded(before, after))
    found.pop("DIRENV_DIFF", None)
    assert found == before


@pytest.mark.parametrize("difference", ["", "junk", "eJw=", "e30=", "eJyrrgUAAXUA-Q=="])
def test_where_direnv_says_nothing_it_is_as_it_is(difference: str) -> None:
    environ = {"A": "b", "DIRENV_DIFF": difference}
    assert before_direnv(environ) == environ


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/h"}, "/h/.config/direnv/lib/nixpy.sh"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/direnv/lib/nixpy.sh"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x", "DIRENV_CONFIG": "/d"}, "/d/lib/nixpy.sh"),
        ({}, None),
    ],
)
def test_the_library_lies_where_direnv_looks(environ: dict[str, str], path: str | None) -> None:
    assert library_path(environ) == path


def test_on_nixos_the_library_is_the_users_unless_the_system_has_it(tmp_path: Path) -> None:
    system = tmp_path / "etc/direnv/lib"
    system.mkdir(parents=True)
    (system / "zz-user.sh").touch()
    environ = {"HOME": "/h", "DIRENV_CONFIG": str(system.parent)}
    assert library_path(environ) == "/h/.config/direnv/lib/nixpy.sh"
    assert library_path({**environ, "XDG_CONFIG_HOME": "/x"}) == "/x/direnv/lib/nixpy.sh"
    assert library_path({**environ, "DIRENV_CONFIG_HOME": "/d"}) == "/d/lib/nixpy.sh"
    (system / "nixpy.sh").touch()
    assert library_path(environ) == str(system / "nixpy.sh")


def test_the_library_calls_the_command_that_it_is_given() -> None:
    text = library_text(["/opt/it's here/nixpy"], "1.2")
    assert "_nixpy_command=('/opt/it'\\''s here/nixpy')" in text
    assert "# nixpy-version: 1.2" in text
    assert "_nixpy_command=(nixpy)" not in text
