"""The formats that are data: json, nushell, dotenv, github."""

from __future__ import annotations

import json

import pytest

from nixpy.environment import Operation, Prepend, Set, Unset
from nixpy.shells import github, render

ENVIRON = {"PATH": "/usr/bin::/bin", "OLD": "x", "SAME": "s"}
OPERATIONS: list[Operation] = [
    Set("NEW", "a\nb"),
    Set("SAME", "s"),
    Unset("OLD"),
    Unset("NEVER"),
    Prepend("PATH", ("/a",)),
    Prepend("MANPATH", ("/m", "/n")),
]


def test_json_holds_what_changes_and_null_for_what_goes() -> None:
    assert json.loads(render("json", OPERATIONS, ENVIRON)) == {
        "NEW": "a\nb",
        "OLD": None,
        "PATH": "/a:/usr/bin:/bin",
        "MANPATH": "/m:/n",
    }


def test_json_writes_a_byte_that_is_no_text_as_a_lone_surrogate() -> None:
    assert render("json", [Set("A", "\udcff")], {}) == '{"A": "\\udcff"}\n'


def test_nushell_gets_path_as_a_list() -> None:
    record = json.loads(render("nushell", OPERATIONS, ENVIRON))
    assert record["PATH"] == ["/a", "/usr/bin", "/bin"]
    assert record["MANPATH"] == "/m:/n"
    assert record["OLD"] is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", '""'),
        ("x y", '"x y"'),
        ("it's", '"it\'s"'),
        ("a\nb", '"a\nb"'),
        ("$A", "'$A'"),
        ('say "x"', '"say \\"x\\""'),
        ("\\n", '"\\\\n"'),
        ("$a\\n", "'$a\\n'"),
        ("$a\\", '"\\$a\\\\"'),
        ("it's $5", '"it\'s \\$5"'),
        ("'`\\\"$", '"\'\\`\\\\\\"\\$"'),
    ],
)
def test_dotenv_quotes_so_that_most_readers_agree(value: str, word: str) -> None:
    assert render("dotenv", [Set("A", value)], {}) == f"A={word}\n"


def test_dotenv_says_in_a_comment_what_it_cannot_unset() -> None:
    assert render("dotenv", [Unset("OLD")], ENVIRON) == "# OLD is unset\n"


def parsed(text: str) -> dict[str, str]:
    """Read GITHUB_ENV's format as the runner does on Linux: lines end at a line feed alone."""
    lines = iter(text.split("\n")[:-1])
    result = {}
    for line in lines:
        name, delimiter = line.split("<<", 1)
        value = []
        while (each := next(lines)) != delimiter:
            value.append(each)
        result[name] = "\n".join(value)
    return result


@pytest.mark.parametrize(
    "value", ["", "x", "a\nb", "\n", "a\n\n", "EOF", "EOF\nEOF_\nx", "A<<B", "\r\n", "é"]
)
def test_github_reads_back_any_text(value: str) -> None:
    assert parsed(github.render([Set("A", value), Set("B", "x")], {})) == {"A": value, "B": "x"}


def test_github_empties_what_it_cannot_unset_and_leaves_path_to_its_own_file() -> None:
    assert parsed(github.render(OPERATIONS, ENVIRON)) == {
        "NEW": "a\nb",
        "SAME": "s",
        "OLD": "",
        "MANPATH": "/m:/n",
    }


def test_github_path_ends_with_what_is_first() -> None:
    operations = [Prepend("PATH", ("/a", "", "/b", "/c")), Prepend("PATH", ("/d", "/b"))]
    path = ["/usr/bin"]
    for line in github.path_lines(operations).splitlines():
        path.insert(0, line)
    assert path == ["/d", "/b", "/a", "/c", "/usr/bin"]


@pytest.mark.parametrize("element", ["a\nb", "a\rb"])
def test_github_path_cannot_hold_a_line_break(element: str) -> None:
    with pytest.raises(ValueError, match="PATH"):
        github.path_lines([Prepend("PATH", (element,))])
