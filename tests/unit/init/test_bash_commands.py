from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.init.bash_commands import chunks, literal


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", []),
        ("\n", [1]),
        ("a\nb\n", [1, 1]),
        ("a\nb", [1, 1]),
        ("a \\\n  b\nc\n", [2, 1]),
        ("if a; then\n  b\nfi\nc\n", [3, 1]),
        ("f() {\n  a\n}\nb\n", [3, 1]),
        ("f()\n{\n  a\n}\nb\n", [4, 1]),
        ("function f {\n  a\n}\n", [3]),
        ("for x in a b; do\n  c\ndone\nd\n", [3, 1]),
        ("case $a in\n  x) b ;;\n  (y) c ;;\nesac\nd\n", [4, 1]),
        ("a &&\n  b\nc\n", [2, 1]),
        ("a ||\n\n  b\nc\n", [3, 1]),
        ("cat <<E\nif\nE\nb\n", [3, 1]),
        ("cat <<-'E'\n\tif\n\tE\nb\n", [3, 1]),
        ("cat <<< 'a'\nb\n", [1, 1]),
        ("a='x\ny'\nb\n", [2, 1]),
        ('a="$(b "c\n")"\nd\n', [2, 1]),
        ("a=(1\n2)\nb\n", [2, 1]),
        ("# it's\nb\n", [1, 1]),
        ("[[ a && (b || c) ]] && d\ne\n", [1, 1]),
        ("(a\nb)\nc\n", [2, 1]),
        ("a 2>&1 &>/dev/null\nb\n", [1, 1]),
    ],
)
def test_lines_that_belong_together_are_one_chunk(text: str, counts: list[int]) -> None:
    assert [len(chunk.lines) for chunk in chunks(text)] == counts


@pytest.mark.parametrize(
    "text", ["if a\nb\n", "a='b\nc\n", "fi\n", ")\n", "cat <<E\na\n", "a &&\n"]
)
def test_what_is_not_closed_is_known(text: str) -> None:
    assert not all(chunk.is_complete for chunk in chunks(text))


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("use flake . # comment\n", [("use", "flake", ".")]),
        ("a; b & c | d\n", [("a",), ("b",), ("c",), ("d",)]),
        ("if ! has x; then a b; fi\n", [("has", "x"), ("a", "b")]),
        ("A=1 b >/dev/null 2> x <y\n", [("A=1", "b")]),
        ("> x\n", []),
        ("case a in x) use nix ;; esac\n", [("case", "a", "in"), ("use", "nix")]),
        ("f() { a; }\n", [("a",)]),
    ],
)
def test_the_simple_commands_of_a_chunk(text: str, commands: list[tuple[str, ...]]) -> None:
    (chunk,) = chunks(text)
    assert list(chunk.commands) == commands


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a", "a"),
        ("'a b'", "a b"),
        ('"a"b', "ab"),
        ("a\\ b", "a b"),
        ("./a", "a"),
        ("$PWD/.venv", ".venv"),
        ('"${PWD}/.venv"', ".venv"),
        ('"$(pwd)"/.venv', ".venv"),
        ("$(expand_path ../a)", "../a"),
        (".#ci", ".#ci"),
        ("a~", "a~"),
        ("$HOME", None),
        ("`b`", None),
        ("$PWDX", None),
        ("~/a", None),
        ("a*", None),
        ("'$a'", "$a"),
    ],
)
def test_a_word_is_known_unless_only_a_shell_could_say(word: str, value: str | None) -> None:
    assert literal(word) == value


@given(st.text(alphabet="ab \n;&|(){}[]<>'\"`$\\#=!fi", max_size=60))
def test_chunks_are_all_of_the_lines_whatever_they_say(text: str) -> None:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    found = list(chunks(text))
    assert [line for chunk in found for line in chunk.lines] == lines
    assert [chunk.first for chunk in found] == [
        sum(len(one.lines) for one in found[:at]) for at in range(len(found))
    ]
