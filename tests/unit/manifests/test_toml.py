import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.manifests.toml import Table, read_toml


def read(content: str | bytes, *, shown_as: str | None = None) -> Table:
    raw = content.encode() if isinstance(content, str) else content
    return read_toml("/p/pyproject.toml", raw, shown_as=shown_as)


def fault_of(content: str, ask: Callable[[Table], object]) -> str:
    with pytest.raises(ManifestError) as caught:
        ask(read(content))
    return str(caught.value)


def test_values_come_back_with_their_types() -> None:
    table = read(
        """
        s = "x"
        b = true
        i = 7
        l = ["a", "b"]
        t.inner = "y"
        e = { A = "1", B = "2" }
        mixed = ["a", { k = "v" }]
        nested = [[{ k = "1" }, { k = "2" }], []]
        [[many]]
        k = "1"
        [[many]]
        k = "2"
        """
    )
    assert table.string("s") == "x"
    assert table.boolean("b") is True
    assert table.integer("i") == 7
    assert table.strings("l") == ("a", "b")
    inner = table.table("t")
    assert inner is not None
    assert inner.string("inner") == "y"
    assert table.strings_by_key("e") == (("A", "1"), ("B", "2"))
    assert [one.string("k") for one in table.tables("many")] == ["1", "2"]
    text, entry = table.strings_and_tables("mixed")
    assert text == "a"
    assert isinstance(entry, Table)
    assert entry.string("k") == "v"
    assert [[one.string("k") for one in row] for row in table.arrays_of_tables("nested")] == [
        ["1", "2"],
        [],
    ]
    assert table.keys()[:3] == ("s", "b", "i")


def test_what_is_absent_is_none_or_nothing() -> None:
    table = read("")
    for value in (table.string("x"), table.boolean("x"), table.integer("x"), table.table("x")):
        assert value is None
    for values in (
        table.strings("x"),
        table.tables("x"),
        table.strings_by_key("x"),
        table.strings_and_tables("x"),
        table.arrays_of_tables("x"),
    ):
        assert values == ()
    assert "x" not in table


@pytest.mark.parametrize(
    ("content", "ask", "fault"),
    [
        ("a = 1", lambda t: t.string("a"), "pyproject.toml: a: expected a string, got an integer"),
        (
            "a = 1.5",
            lambda t: t.integer("a"),
            "pyproject.toml: a: expected an integer, got a float",
        ),
        (
            "a = true",
            lambda t: t.integer("a"),
            "pyproject.toml: a: expected an integer, got a boolean",
        ),
        (
            "a = 0",
            lambda t: t.boolean("a"),
            "pyproject.toml: a: expected a boolean, got an integer",
        ),
        (
            "a = 2020-01-01",
            lambda t: t.string("a"),
            "pyproject.toml: a: expected a string, got a date or time",
        ),
        (
            "a = 'x'",
            lambda t: t.strings("a"),
            "pyproject.toml: a: expected an array of strings, got a string",
        ),
        (
            "a = ['x', 1]",
            lambda t: t.strings("a"),
            "pyproject.toml: a[1]: expected a string, got an integer",
        ),
        ("a = []", lambda t: t.table("a"), "pyproject.toml: a: expected a table, got an array"),
        (
            "a = [{}, 'x']",
            lambda t: t.tables("a"),
            "pyproject.toml: a[1]: expected a table, got a string",
        ),
        (
            "a = [['x']]",
            lambda t: t.arrays_of_tables("a"),
            "pyproject.toml: a[0][0]: expected a table, got a string",
        ),
        (
            "a = ['x', 1]",
            lambda t: t.strings_and_tables("a"),
            "pyproject.toml: a[1]: expected a string or a table, got an integer",
        ),
        (
            "a = { b = { 'c d' = 1 } }",
            lambda t: t.table("a").strings_by_key("b"),
            'pyproject.toml: a.b."c d": expected a string, got an integer',
        ),
        (
            "a = ['ok', 'no']",
            lambda t: t.strings("a", check=lambda text: "bad" if text == "no" else None),
            "pyproject.toml: a[1]: bad",
        ),
    ],
)
def test_a_wrong_type_is_named_with_its_place(
    content: str, ask: Callable[[Table], object], fault: str
) -> None:
    assert fault_of(content, ask) == fault


def test_a_single_table_may_stand_for_an_array_of_one() -> None:
    table = read("a = { k = 'v' }\nb = [{ k = 'v' }]")
    assert [one.string("k") for one in table.tables("a", or_one=True)] == ["v"]
    assert [one.string("k") for one in table.tables("b", or_one=True)] == ["v"]
    assert fault_of("a = {}", lambda t: t.tables("a")).endswith("got a table")


def test_all_faults_are_collected_and_the_rest_is_read() -> None:
    faults: list[str] = []
    table = read("a = ['x', 1, 'y', 2]\nb = 1\n[t]\nc = 3").collecting(faults)
    assert table.strings("a") == ("x", "y")
    assert table.string("b") is None
    inner = table.table("t")
    assert inner is not None
    assert inner.string("c") is None
    assert faults == [
        "pyproject.toml: a[1]: expected a string, got an integer",
        "pyproject.toml: a[3]: expected a string, got an integer",
        "pyproject.toml: b: expected a string, got an integer",
        "pyproject.toml: t.c: expected a string, got an integer",
    ]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"x = \n", "pyproject.toml:1"),
        (b"a = 1\nb = 2\na = 3\n", "pyproject.toml:3"),
        (b"a = 1\n\nb = [\n", "pyproject.toml:3"),
        (b"a = 1\n# caf\xe9\n", "pyproject.toml:2"),
        (b"a = " + b"[" * 100_000, "pyproject.toml"),
        (b"a = " + b"1" * 5000, "pyproject.toml"),
        (b"a = 1\rb", "pyproject.toml:1"),
    ],
)
def test_malformed_content_is_an_error_with_the_line(content: bytes, where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(content)
    assert (caught.value.where or "").startswith(where)
    assert "\n" not in str(caught.value)


def test_a_file_is_shown_by_the_name_that_it_was_given() -> None:
    with pytest.raises(ManifestError, match=r"^\.\./lib/pyproject\.toml:1: "):
        read("=", shown_as="../lib/pyproject.toml")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read(b"\xef\xbb\xbfa = 'x'").string("a") == "x"


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x7f"))


@given(st.dictionaries(TEXT, TEXT))
def test_any_table_of_strings_survives_the_round_trip(entries: dict[str, str]) -> None:
    def spelled(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = [f"{spelled(key)} = {spelled(value)}" for key, value in entries.items()]
    assert read("\n".join(["[t]", *lines])).strings_by_key("t") == tuple(entries.items())


@given(st.binary())
def test_any_bytes_are_a_table_or_a_manifest_error(content: bytes) -> None:
    try:
        where: str | None = read(content).where
    except ManifestError as error:
        where = error.where
    assert where is not None
    assert where.startswith("pyproject.toml")
