from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.cache import Entry
from nixpy.environment import Environment, Prepend, Set
from nixpy.freshness import changed_inputs, revalidated, watched_paths
from nixpy.inputs import Input, observe_file, observe_variable
from nixpy.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = st.lists(
    st.builds(
        Input,
        kind=st.just("file"),
        name=st.sampled_from(["/a", "/b", "/c"]),
        value=st.sampled_from(["", "1", "2"]),
        mtime=st.integers(0, 3),
    ),
    unique_by=lambda one: one.name,
).map(tuple)


def entry(root: Path, *inputs: Input, operations: tuple[Set | Prepend, ...] = ()) -> Entry:
    environment = Environment(operations)
    return Entry(
        __version__,
        str(root),
        "f",
        "none",
        "r",
        (),
        (),
        "",
        "",
        -1,
        inputs,
        environment,
        (("", "w"),),
    )


@given(before=INPUTS, after=INPUTS)
def test_what_differs_is_paired_whatever_the_times(
    before: tuple[Input, ...], after: tuple[Input, ...]
) -> None:
    old, new = ({one.name: one.value for one in some} for some in (before, after))
    expected = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    pairs = changed_inputs(before, after)
    assert {(a or b).name for a, b in pairs if a or b} == expected  # type: ignore[union-attr]
    for a, b in pairs:
        assert a is None or a in before
        assert b is None or b in after


def test_a_touched_file_holds_with_its_new_time_and_direnv_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("same")
    old = entry(tmp_path, observe_file(str(file))[0])
    assert revalidated(old, str(tmp_path), {}) is old
    os.utime(file, ns=(1, 1))
    new = revalidated(old, str(tmp_path), {})
    assert new is not None
    assert new.inputs[0].mtime == 1
    assert new.watches == ()


def test_other_content_another_root_and_another_version_do_not_hold(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("same")
    old = entry(tmp_path, observe_file(str(file))[0])
    assert revalidated(old, "/elsewhere", {}) is None
    assert revalidated(old._replace(version="0"), str(tmp_path), {}) is None
    file.write_text("other")
    assert revalidated(old, str(tmp_path), {}) is None
    file.unlink()
    file.mkdir()
    assert revalidated(old, str(tmp_path), {}) is None


def test_what_the_entry_itself_has_set_is_not_the_users(tmp_path: Path) -> None:
    ours = (Set("UV_NO_SYNC", "1"), Set("NIXPY_PROJECT", str(tmp_path)))
    old = entry(tmp_path, observe_variable("UV_NO_SYNC", {}), operations=ours)
    inside = {"UV_NO_SYNC": "1", "NIXPY_PROJECT": str(tmp_path)}
    assert revalidated(old, str(tmp_path), inside) is old
    assert revalidated(old, str(tmp_path), {**inside, "UV_NO_SYNC": "2"}) is None
    assert revalidated(old, str(tmp_path), {**inside, "NIXPY_PROJECT": "/other"}) is None


@pytest.mark.parametrize(
    ("one", "is_watched"),
    [
        (Input("file", "/p/a", "digest"), True),
        (Input("file", "/p/absent", ""), True),
        (Input("file", "/elsewhere", "digest"), True),
        (Input("file", "/elsewhere/absent", ""), False),
        (Input("directory", "/p/d", "digest"), True),
        (Input("program", "/usr/bin/uv", "identity"), False),
        (Input("variable", "HOME", "=/h"), False),
        (Input("root", "/state/root", "/nix/store/a"), False),
        (Input("file", "/p/\udcff", "digest"), False),
    ],
)
def test_direnv_watches_what_can_change_at_a_prompt(one: Input, is_watched: bool) -> None:
    assert (one.name in watched_paths((one,), "", "/p")) is is_watched


def test_direnv_watches_the_marker() -> None:
    assert watched_paths((), "/p/.venv", "/p") == ("/p/.venv/.nixpy/marker",)
