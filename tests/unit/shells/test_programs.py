"""The other shells' quoting, as tables; tests/e2e/test_quoting.py asks the shells themselves."""

from __future__ import annotations

import pytest

from nixpy.environment import Prepend, Set, Unset
from nixpy.shells import elvish, fish, powershell, render, tcsh


@pytest.mark.parametrize(
    ("value", "word"), [("", "''"), ("$x !", "'$x !'"), ("it's \\n", "'it\\'s \\\\n'")]
)
def test_fish_escapes_two_characters(value: str, word: str) -> None:
    assert fish.quote(value) == word


@pytest.mark.parametrize(
    ("value", "word"), [("", '""'), ("é$x", '"é$x"'), ('\\"\n\udcff', '"\\\\\\"\\x0a\\xff"')]
)
def test_elvish_writes_bytes_in_hexadecimal(value: str, word: str) -> None:
    assert elvish.quote(value) == word


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "''"),
        ("a  b", "'a '' ''b'"),
        ("it's!", "'it'\\''s'\\!''"),
        ("a\\b", "'a'\\\\'b'"),
        ("{\t", "\"`set echo_style=both; echo '\\173\\011'`\""),
    ],
)
def test_tcsh_survives_being_split_into_words(value: str, word: str) -> None:
    assert tcsh.quote(value) == word


def test_tcsh_refuses_a_newline_and_says_where() -> None:
    with pytest.raises(ValueError, match=r"A: .*newline"):
        render("tcsh", [Set("A", "x\ny")], {})


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "''"),
        ("$x `n", "'$x `n'"),
        ("it's", "'it''s'"),
        ("\u2019\n", "(-join [char[]](8217,10))"),
        ("\U0001f600", "(-join [char[]](55357,56832))"),
    ],
)
def test_powershell_writes_what_is_not_ascii_as_utf_16(value: str, word: str) -> None:
    assert powershell.quote(value) == word


def test_powershell_sets_unsets_and_prepends() -> None:
    text = powershell.render([Set("A", "x"), Unset("B"), Prepend("PATH", ("/a",))], {})
    first, second, third = text.splitlines()
    assert first == "[Environment]::SetEnvironmentVariable('A', 'x')"
    assert second == "Remove-Item -LiteralPath Env:B -ErrorAction Ignore"
    assert "[string[]]@('/a')" in third
    assert "${Env:PATH}" in third
