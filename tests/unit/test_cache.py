from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nixpy import cache
from nixpy.cache import Entry, decode, encode, slot
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRENVRC = Path(__file__).parents[2] / "direnvrc"

any_text = st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
"""What a path or a variable can hold, as Python sees it: also bytes that are not UTF-8."""

times = st.integers(min_value=-1, max_value=2**63)
texts = st.lists(any_text, max_size=3).map(tuple)
inputs = st.builds(
    Input,
    st.sampled_from(["file", "directory", "program", "variable", "variables", "text"]),
    any_text,
    any_text,
    times,
    any_text,
    st.booleans(),
)
operations = st.one_of(
    st.builds(Set, any_text, any_text),
    st.builds(Unset, any_text),
    st.builds(Prepend, any_text, texts, texts),
)
entries = st.builds(
    Entry,
    version=any_text,
    root=any_text,
    fingerprint=any_text,
    manager=any_text,
    reason=any_text,
    rests_on=texts,
    passed_over=texts,
    prefix=any_text,
    synced=any_text,
    marker_mtime=times,
    inputs=st.lists(inputs, max_size=4).map(tuple),
    operations=st.lists(operations, max_size=4).map(tuple).map(Environment),
    watches=st.lists(st.tuples(any_text, any_text), max_size=3).map(tuple),
)
arguments = st.lists(st.text(alphabet="ab/%+@=25Fé \n'$*?[\\", max_size=8), max_size=4)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A private directory for an entry."""
    path = tmp_path_factory.mktemp("entry")
    path.chmod(0o700)
    return str(path)


@given(st.lists(any_text, min_size=1))
def test_decoding_undoes_encoding(fields: list[str]) -> None:
    assert decode(encode(fields)) == tuple(fields)


@given(st.lists(any_text, min_size=1, max_size=5), st.data())
def test_any_damaged_byte_is_noticed(fields: list[str], data: st.DataObject) -> None:
    content = bytearray(encode(fields))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(content)) is None


@given(st.lists(any_text, min_size=1, max_size=5), st.data())
def test_an_end_that_is_missing_is_noticed(fields: list[str], data: st.DataObject) -> None:
    content = encode(fields)
    assert decode(content[: data.draw(st.integers(0, len(content) - 1))]) is None


@given(st.binary())
def test_any_bytes_decode_to_nothing_or_to_what_encodes_to_them(content: bytes) -> None:
    fields = decode(content)
    assert fields is None or encode(fields) == content


@given(entry=entries)
def test_an_entry_is_read_as_it_was_written(directory: str, entry: Entry) -> None:
    cache.write_entry(directory, entry)
    assert cache.read_entry(directory) == entry


@given(fields=st.lists(any_text, min_size=1, max_size=30))
@example(fields=["too few"])
def test_an_intact_file_that_is_no_entry_is_none_or_an_entry(
    directory: str, fields: list[str]
) -> None:
    cache.write_private(f"{directory}/entry", encode(fields))
    found = cache.read_entry(directory)
    assert found is None or isinstance(found, Entry)


def test_an_entry_that_is_missing_is_none(tmp_path: Path) -> None:
    assert cache.read_entry(str(tmp_path)) is None
    assert cache.read_entry(str(tmp_path / "nowhere")) is None


def example_entry() -> Entry:
    return Entry("1", "/p", "f", "uv", "r", (), (), "", "", -1, (), Environment())


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_an_entry_that_others_can_write_is_not_read(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(0o700)
    cache.write_entry(str(tmp_path), example_entry())
    assert cache.read_entry(str(tmp_path)) == example_entry()
    (tmp_path / "entry").chmod(mode)
    assert cache.read_entry(str(tmp_path)) is None


def test_an_entry_in_a_directory_that_others_can_write_is_not_read(tmp_path: Path) -> None:
    cache.write_entry(str(tmp_path), example_entry())
    tmp_path.chmod(0o770)
    assert cache.read_entry(str(tmp_path)) is None


def test_a_record_is_read_as_it_was_written_in_directories_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "top" / "below" / "record"
    cache.write_record(str(path), str(tmp_path / "top"), ["a", "", "b"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert cache.read_record(str(path), list) == ["a", "", "b"]


@pytest.mark.parametrize("count", ["x", "0", "2", "3", "4"])
def test_a_record_with_fields_that_do_not_parse_is_none(tmp_path: Path, count: str) -> None:
    def parse(fields: Iterator[str]) -> tuple[str, ...]:
        return Unset(*cache.read_strings(fields)).name, next(fields)

    path = str(tmp_path / "record")
    cache.write_private(path, encode(["1", "name", "end"]))
    assert cache.read_record(path, parse) == ("name", "end")
    cache.write_private(path, encode([count, "name", "end"]))
    assert cache.read_record(path, parse) is None


@given(arguments, arguments)
def test_different_arguments_have_different_slots(one: list[str], other: list[str]) -> None:
    assert (slot(one) == slot(other)) == (one == other)


@given(arguments)
def test_a_slot_is_one_name_in_a_directory(words: list[str]) -> None:
    name = slot(words)
    assert name is not None
    assert "/" not in name
    assert name not in {"", ".", ".."}


def test_a_slot_that_grows_too_long_for_a_name_is_none() -> None:
    assert slot(["a" * 197]) == "@%+" + "a" * 197
    assert slot(["a" * 198]) is None
    assert slot(["é" * 99]) is None
    assert cache.entry_directory("/c", "/p", ["a" * 198]) is None


def test_an_entry_directory_that_grows_too_long_for_a_path_is_none() -> None:
    assert cache.entry_directory("/c", "/p", []) == f"/c/projects/p/@nixpy/{cache.SCHEMA}/@"
    assert cache.entry_directory("/c", "/p" * 1800, []) is None


BASH = r"""
set -euo pipefail
source "$1"
direnv=false
while IFS= read -r -d '' count; do
  words=()
  for ((i = 0; i < count; i++)); do IFS= read -r -d '' word; words+=("$word"); done
  _nixpy_warm ${words[@]+"${words[@]}"} || :
done
"""


def test_bash_computes_the_same_slots(tmp_path: Path) -> None:
    """Each call of the warm path looks for a stamp; it is there, and says by which name."""
    signs = [
        "",
        "a",
        "/",
        "%",
        "%2F",
        "%25",
        "%+",
        "é",
        "\n",
        "'",
        '"',
        "$(x)",
        "*",
        "\\",
        " ",
        "&",
    ]
    calls: list[list[str]] = [[], *([a] for a in signs), *([a + b] for a in signs for b in signs)]
    calls += [[a, b] for a in signs for b in signs]
    calls += [["--python", "3.12", "--requirements=a/b%c.txt", ""], ["/%" * 20, "~", "[a]", "?"]]
    calls = [list(words) for words in dict.fromkeys(map(tuple, calls))]
    project = tmp_path / "project"
    project.mkdir()
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    for number, words in enumerate(calls):
        path = cache.entry_directory(f"{tmp_path}/nixpy", str(project), words)
        assert path is not None
        Path(path).mkdir(parents=True)
        stamp = Path(path, "stamp")
        stamp.write_text(f"_nixpy_hit() {{ printf '%s ' {number}; }}\n")
        os.utime(stamp, (0, 0))
    fed = b"".join(
        b"%d\0" % len(words) + b"".join(word.encode() + b"\0" for word in words) for words in calls
    )
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", str(DIRENVRC)],
        cwd=project,
        env=environ,
        input=fed,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.split() == [b"%d" % number for number in range(len(calls))]


def test_the_schema_is_the_one_that_direnvrc_has() -> None:
    assert f"/@nixpy/{cache.SCHEMA}/" in DIRENVRC.read_text()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o700, True),
        (0o600, True),
        (0o755, True),
        (0o720, False),
        (0o702, False),
        (0o777, False),
        (0o1777, False),
    ],
)
def test_private_is_what_nobody_else_can_write(tmp_path: Path, mode: int, expected: bool) -> None:
    tmp_path.chmod(mode)
    assert cache.is_private(str(tmp_path)) is expected


def test_what_is_not_there_is_not_private(tmp_path: Path) -> None:
    assert not cache.is_private(str(tmp_path / "nothing"))


@pytest.mark.skipif(os.geteuid() == 0, reason="everything belongs to root")
def test_what_belongs_to_somebody_else_is_not_private() -> None:
    assert not cache.is_private("/")


def test_a_link_is_not_private_whatever_it_leads_to(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux gives every link the mode 0777")
    tmp_path.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not cache.is_private(str(link))


def test_a_private_file_is_0600_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        f"import os, sys; sys.path[:0] = {sys.path!r}; os.umask(0)\n"
        f"from nixpy.cache import write_private; write_private({str(path)!r}, b'x', mtime=7)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.stat().st_mtime_ns == 7
    assert path.read_bytes() == b"x"


def test_a_private_file_is_replaced_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    cache.write_private(str(path), b"old")
    with path.open("rb") as reader:
        cache.write_private(str(path), b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing_behind_and_the_old_in_place(tmp_path: Path) -> None:
    path = tmp_path / "place"
    (path / "occupied").mkdir(parents=True)
    with pytest.raises(OSError, match=r"place"):
        cache.write_private(str(path), b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert (path / "occupied").is_dir()


def test_a_temporary_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("safe")
    Path(f"{path}.{os.getpid()}.tmp").symlink_to(victim)
    with pytest.raises(OSError, match=r"file"):
        cache.write_private(str(path), b"new")
    assert victim.read_text() == "safe"


def test_all_directories_that_are_made_are_0700(tmp_path: Path) -> None:
    top = tmp_path / "x" / "top"
    deep = top / "a" / "b"
    cache.make_private_directory(str(deep), str(top))
    for path in (tmp_path / "x", top, top / "a", deep):
        assert path.stat().st_mode & 0o7777 == 0o700
    cache.make_private_directory(str(deep), str(top))


@pytest.mark.parametrize("open_one", ["", "a", "a/b"])
def test_a_directory_that_others_can_write_is_refused(tmp_path: Path, open_one: str) -> None:
    top = tmp_path / "top"
    cache.make_private_directory(str(top / "a/b"), str(top))
    (top / open_one).chmod(0o770)
    with pytest.raises(PermissionError, match="others can write"):
        cache.make_private_directory(str(top / "a/b"), str(top))


def test_a_directory_above_the_top_may_be_anything(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    cache.make_private_directory(str(tmp_path / "top/a"), str(tmp_path / "top"))
    assert cache.is_private(str(tmp_path / "top/a"))


def test_a_link_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux gives every link the mode 0777")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "top").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        cache.make_private_directory(str(tmp_path / "top"), str(tmp_path / "top"))
