from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.environment import Prepend, Set, Unset
from nixpy.shells import bash, zsh

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "''"),
        ("plain", "'plain'"),
        ("it's", "'it'\\''s'"),
        ("$HOME `x` \\ !", "'$HOME `x` \\ !'"),
        ("é", "'é'"),
        ("a\nb\t'\\", "$'a\\nb\\t\\'\\\\'"),
        ("\x01\x7f\udcff1", "$'\\x01\\x7f\\xff1'"),
    ],
)
def test_a_value_is_quoted_in_the_plainest_way_that_is_exact(value: str, word: str) -> None:
    assert bash.quote(value) == word


def test_setting_is_one_export_and_unsetting_one_unset() -> None:
    assert bash.render([Set("A", "x y"), Unset("B")], {}) == "export A='x y'\nunset -v B\n"
    assert zsh.render([Set("A", "it's"), Unset("B")], {}) == "export A=$'it\\'s'\nunset B\n"


def test_what_is_rendered_does_not_depend_on_the_environment_at_hand() -> None:
    operations = [Prepend("PATH", ("/a", "/b"))]
    assert bash.render(operations, {}) == bash.render(operations, {"PATH": "/b::/c"})


@pytest.mark.parametrize("shell", [bash, zsh])
def test_prepending_starts_no_process(shell: ModuleType) -> None:
    text = shell.render([Prepend("PATH", ("/a", "/b:/c")), Prepend("MANPATH", ())], {})
    assert not any(sign in text for sign in ("$(", "`", "|", "<", "&"))


def test_rendering_bash_imports_nothing_heavy() -> None:
    code = "import sys; sys.path[:0] = {!r}; import nixpy.shells.bash; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code.format(sys.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"argparse", "dataclasses", "inspect", "json", "pathlib", "shlex", "subprocess"}
    assert not heavy & set(result.stdout.split())
