from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.inputs import (
    ABSENT,
    Input,
    ObservedFiles,
    digest,
    fingerprint,
    is_text,
    observe,
    observe_directory,
    observe_file,
    observe_program,
    observe_variable,
    observe_variables,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

names = st.text(alphabet="abc/.", min_size=1, max_size=6)
observations = st.builds(
    Input,
    st.sampled_from(["file", "directory", "variable", "text"]),
    names.map(lambda name: "/p/" + name),
    st.text(max_size=4),
)


def everything(directory: Path, environ: dict[str, str]) -> tuple[Input, ...]:
    base = str(directory)
    return (
        observe_file(f"{base}/file")[0],
        observe_file(f"{base}/absent")[0],
        observe_directory(f"{base}/listing")[0],
        observe_directory(f"{base}/no-listing")[0],
        observe_program(f"{base}/program"),
        observe_variable("VALUE", environ),
        observe_variable("UNSET", environ),
        *observe_variables("GROUP_", environ),
        Input("text", "fact", "x"),
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with something of each kind."""
    (tmp_path / "file").write_text("content")
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "listing").mkdir()
    (tmp_path / "listing/member").touch()
    return tmp_path


ENVIRON = {"VALUE": "v", "GROUP_A": "a", "GROUP_B": ""}


def test_observing_again_is_the_same(tree: Path) -> None:
    for one in everything(tree, ENVIRON):
        assert observe(one, ENVIRON) == one


def test_whether_it_syncs_is_kept(tree: Path) -> None:
    for one in everything(tree, ENVIRON):
        assert not observe(one._replace(syncs=False), ENVIRON).syncs


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "content": (lambda tree: (tree / "file").write_text("contenT"), {"file"}),
    "emptied": (lambda tree: (tree / "file").write_text(""), {"file"}),
    "gone": (lambda tree: (tree / "file").unlink(), {"file"}),
    "appeared": (lambda tree: (tree / "absent").write_text("x"), {"absent"}),
    "appeared empty": (lambda tree: (tree / "absent").touch(), {"absent"}),
    "name added": (lambda tree: (tree / "listing/new").touch(), {"listing"}),
    "name renamed": (
        lambda tree: (tree / "listing/member").rename(tree / "listing/renamed"),
        {"listing"},
    ),
    "listing appeared": (lambda tree: (tree / "no-listing").mkdir(), {"no-listing"}),
    "program grew": (lambda tree: (tree / "program").write_text("#!/bin/sh\ntrue\n"), {"program"}),
    "program gone": (lambda tree: (tree / "program").unlink(), {"program"}),
    "nothing": (lambda _: None, set()),
    "touched": (lambda tree: os.utime(tree / "file", ns=(1, 1)), set()),
}


@pytest.mark.parametrize(("change", "changed"), CHANGES.values(), ids=CHANGES)
def test_each_change_is_seen_and_no_other(
    tree: Path, change: Callable[[Path], object], changed: set[str]
) -> None:
    before = everything(tree, ENVIRON)
    change(tree)
    seen = {os.path.basename(one.name) for one in before if not observe(one, ENVIRON).is_same(one)}
    assert seen == changed


def test_a_touch_changes_the_time_alone(tree: Path) -> None:
    one = observe_file(str(tree / "file"))[0]
    os.utime(tree / "file", ns=(1, 1))
    again = observe(one, {})
    assert again.is_same(one)
    assert again != one
    assert again.mtime == 1


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        ({**ENVIRON, "VALUE": "w"}, {"VALUE"}),
        ({**ENVIRON, "VALUE": ""}, {"VALUE"}),
        ({**ENVIRON, "UNSET": ""}, {"UNSET"}),
        ({**ENVIRON, "GROUP_C": ""}, {"GROUP_"}),
        ({"VALUE": "v", "GROUP_A": "a"}, {"GROUP_", "GROUP_B"}),
        ({**ENVIRON, "GROUP_A": "b"}, {"GROUP_A"}),
        ({**ENVIRON, "OTHER": "b"}, set()),
    ],
    ids=lambda value: repr(sorted(value)),
)
def test_each_change_of_a_variable_is_seen(
    tree: Path, environ: dict[str, str], changed: set[str]
) -> None:
    before = everything(tree, ENVIRON)
    assert {one.name for one in before if not observe(one, environ).is_same(one)} == changed


def test_a_file_below_a_file_is_absent(tree: Path) -> None:
    assert observe_file(str(tree / "file/below"))[0].value == ABSENT


def test_a_file_that_cannot_be_read_is_an_error_and_yet_an_input(tree: Path) -> None:
    files = ObservedFiles()
    with pytest.raises(ManifestError, match="cannot be read"):
        files.read(str(tree / "listing"))
    assert [one.name for one in files.inputs] == [str(tree / "listing")]


def test_a_path_is_read_once(tree: Path) -> None:
    files = ObservedFiles()
    path = str(tree / "file")
    assert files.read(path) == b"content"
    (tree / "file").write_text("later")
    assert files.read(path) == b"content"
    assert files.names(str(tree / "listing")) == ("member",)
    (tree / "listing/new").touch()
    assert files.names(str(tree / "listing")) == ("member",)
    assert [one.kind for one in files.inputs] == ["file", "directory"]


def test_a_link_is_known_by_its_target(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "file")
    assert observe_file(str(tree / "link"))[0].target == os.path.realpath(tree / "file")


@given(st.lists(observations, max_size=6), st.randoms(use_true_random=False))
def test_the_fingerprint_does_not_depend_on_order_or_times(
    inputs: list[Input], random: Random
) -> None:
    shuffled = [one._replace(mtime=random.randrange(99)) for one in (*inputs, *inputs[:1])]
    random.shuffle(shuffled)
    assert fingerprint(shuffled, "/p") == fingerprint(inputs, "/p")


@given(st.lists(observations, max_size=6))
def test_the_fingerprint_does_not_depend_on_the_place_of_the_root(inputs: list[Input]) -> None:
    moved = [one._replace(name="/else/where" + one.name[2:]) for one in inputs]
    assert fingerprint(moved, "/else/where") == fingerprint(inputs, "/p")
    assert fingerprint(moved, "/else/where/") == fingerprint(inputs, "/p")


@given(st.lists(observations, max_size=4), st.lists(observations, max_size=4))
def test_the_fingerprint_tells_different_inputs_apart(one: list[Input], other: list[Input]) -> None:
    same = {i[:3] for i in one} == {i[:3] for i in other}
    assert (fingerprint(one, "/p") == fingerprint(other, "/p")) == same


@given(st.lists(st.binary(), max_size=4), st.lists(st.binary(), max_size=4))
def test_a_digest_knows_where_its_parts_end(one: list[bytes], other: list[bytes]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.binary())
def test_text_is_what_is_utf_8(path: bytes) -> None:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        assert not is_text(os.fsdecode(path))
    else:
        assert is_text(os.fsdecode(path))


def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    with pytest.raises(ManifestError, match="no regular file"):
        observe_file(str(tmp_path / "pyproject.toml"))


def test_a_directory_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no regular file"):
        observe_file(str(tmp_path))


def test_a_file_that_says_it_is_empty_is_read() -> None:
    if not os.path.exists("/proc/self/status"):
        pytest.skip("there is no /proc")
    _, content = observe_file("/proc/self/status")
    assert content is not None
    assert content.startswith(b"Name:")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("UV_INDEX_URL", "https://user:word@host/simple", "https://\x1a@host/simple"),
        ("UV_INDEX_URL", "https://word@host:1/a@b", "https://\x1a@host:1/a@b"),
        ("UV_INDEX_URL", "https://host/a@b", "https://host/a@b"),
        ("CONDA_CHANNELS", "https://host/t/word/c,b", "https://host/t/\x1a/c,b"),
        ("CONDA_CHANNELS", "https://a:b@h/x,https://c@i", "https://\x1a@h/x,https://\x1a@i"),
        ("CONDA_CHANNELS", "https://host/t/", "https://host/t/"),
        ("UV_INDEX_OWN_PASSWORD", "word", "\x1a"),
        ("UV_PYTHON", "cpython@3.12", "cpython@3.12"),
    ],
)
def test_secrets_of_variables_are_not_kept(name: str, value: str, kept: str) -> None:
    assert observe_variable(name, {name: value}).value == "=" + kept


@given(st.text(st.sampled_from("ab:/@t,?# "), max_size=30))
def test_a_value_without_a_secret_is_kept_as_it_is(text: str) -> None:
    kept = without_secrets(text)
    assert without_secrets(kept) == kept
    assert (kept == text) or ("@" in text or "/t/" in text)
