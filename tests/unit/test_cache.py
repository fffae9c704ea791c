"""Entries: the codec, their names, and who may write them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy import cache
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.inputs import Input

ANY = st.binary(max_size=30).map(lambda b: os.fsdecode(b.replace(b"\0", b"")))
INPUTS = st.builds(
    Input,
    st.sampled_from(["file", "directory", "program", "variable", "variables", "text"]),
    *(ANY, ANY, st.integers(-1, 2**63), ANY, st.booleans()),
)
OPERATIONS = st.one_of(
    st.builds(Set, ANY, ANY),
    st.builds(Unset, ANY),
    st.builds(Prepend, ANY, st.lists(ANY, max_size=3).map(tuple)),
)
ENTRIES = st.builds(
    cache.Entry,
    *(ANY, ANY, ANY, ANY, ANY),
    *(st.lists(ANY, max_size=3).map(tuple), st.lists(ANY, max_size=3).map(tuple)),
    *(ANY, ANY, st.integers(-1, 2**63), st.lists(INPUTS, max_size=4).map(tuple)),
    st.lists(OPERATIONS, max_size=4).map(lambda found: Environment(tuple(found))),
    st.lists(st.tuples(ANY, ANY), max_size=2).map(tuple),
)


@given(fields=st.lists(ANY, min_size=1, max_size=6))
def test_what_is_encoded_is_decoded(fields: list[str]) -> None:
    assert cache.decode(cache.encode(fields)) == tuple(fields)


@given(fields=st.lists(ANY, min_size=1, max_size=4), data=st.data())
def test_a_changed_byte_makes_it_a_miss(fields: list[str], data: st.DataObject) -> None:
    content = bytearray(cache.encode(fields))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    assert cache.decode(bytes(content)) is None


@given(content=st.binary(max_size=200))
def test_junk_is_a_miss(content: bytes) -> None:
    assert cache.decode(content) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=ENTRIES)
def test_an_entry_is_read_back_as_it_was_written(tmp_path: Path, entry: cache.Entry) -> None:
    tmp_path.chmod(0o700)
    cache.write_entry(str(tmp_path), entry)
    assert cache.read_entry(str(tmp_path)) == entry


ARGUMENTS = st.lists(ANY.filter(bool), max_size=4)


@given(one=ARGUMENTS, other=ARGUMENTS)
def test_different_arguments_never_share_a_slot(one: list[str], other: list[str]) -> None:
    if one != other and cache.slot(one) is not None:
        assert cache.slot(one) != cache.slot(other)
        assert "/" not in str(cache.slot(one))


def test_bash_computes_the_same_slot() -> None:
    library = (Path(__file__).parents[2] / "direnvrc").read_text()
    start = library.index('  for _nixpy_argument in "$@"; do')
    loop = library[start : library.index("done", start) + len("done")]
    script = f"f() {{ local _nixpy_slot=@ _nixpy_argument\n{loop}\n"
    script += "printf '%s\\0' \"$_nixpy_slot\"; }\n"
    lists = [
        [],
        [""],
        ["--extras", "a,b"],
        ["--env", "A=/x y%+%2F"],
        ["a/b", "%", "&", "*", "\\", "'", "new\nline"],
        ["--venv", "é/\udcff"],
    ]
    script += "\n".join(
        "f " + " ".join("'" + one.replace("'", "'\\''") + "'" for one in arguments)
        for arguments in lists
    )
    done = subprocess.run(["bash", "-c", os.fsencode(script)], capture_output=True, check=True)
    computed = [os.fsdecode(one) for one in done.stdout.split(b"\0")[:-1]]
    assert computed == [cache.slot(arguments) for arguments in lists]


def test_a_name_or_path_that_grows_too_long_has_no_entry() -> None:
    assert cache.slot(["x" * 300]) is None
    assert cache.entry_directory("/c", "/d" * 2000, []) is None
    assert cache.entry_directory("/c", "/d", []) == "/c/projects/d/@nixpy/1/@"


def test_what_is_written_is_the_users_own_alone_and_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    cache.write_private(str(path), b"one", mtime=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime_ns == 0
    before = path.open("rb")
    cache.write_private(str(path), b"two")
    with before:
        assert before.read() == b"one"
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        cache.write_private(str(path), b"x")
    assert os.listdir(tmp_path) == ["file"]


def test_directories_are_private_and_others_are_refused(tmp_path: Path) -> None:
    top = tmp_path / "cache/nixpy"
    cache.make_private_directory(str(top / "a/b"), str(top))
    for path in (top, top / "a", top / "a/b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (top / "a").chmod(0o770)
    assert not cache.is_private(str(top / "a"))
    with pytest.raises(PermissionError):
        cache.make_private_directory(str(top / "a/b"), str(top))
