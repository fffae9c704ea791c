from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.inputs import Input, observe_file, observe_root, observe_variable
from nixpy.nix.dev_shell import (
    DevShell,
    Interpreter,
    is_fresh,
    key_of,
    read_dev_shell,
    write_dev_shell,
)
from nixpy.nix.source import Source
from nixpy.options import Options
from nixpy.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

BYTES = st.binary(max_size=9).map(lambda value: os.fsdecode(value.replace(b"\0", b"")))
TEXTS = BYTES | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
KINDS = st.sampled_from(["file", "root", "variable"])
OPERATIONS = (
    st.builds(Set, TEXTS, TEXTS)
    | st.builds(Unset, TEXTS)
    | st.builds(Prepend, TEXTS, st.lists(TEXTS, max_size=3).map(tuple))
)
SHELLS = st.builds(
    DevShell,
    version=st.just(__version__),
    reference=TEXTS,
    roots=TEXTS,
    environment=st.lists(OPERATIONS, max_size=4).map(lambda found: Environment(tuple(found))),
    interpreter=st.none() | st.builds(Interpreter, TEXTS, TEXTS, TEXTS),
    inputs=st.lists(
        st.builds(Input, KINDS, TEXTS, TEXTS, st.integers(-1)),
        max_size=3,
    ).map(tuple),
    notices=st.lists(TEXTS, max_size=2).map(tuple),
    inexact=TEXTS,
    overlaps=st.lists(TEXTS, max_size=2).map(tuple),
)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("cache")
    top.chmod(0o700)
    return top


@given(dev_shell=SHELLS)
def test_a_record_is_read_as_it_was_written(top: Path, dev_shell: DevShell) -> None:
    path = f"{top}/projects/a/record"
    write_dev_shell(path, str(top), dev_shell)
    assert read_dev_shell(path) == dev_shell


@given(dev_shell=SHELLS, data=st.data())
def test_a_damaged_record_is_none(top: Path, dev_shell: DevShell, data: st.DataObject) -> None:
    path = top / "projects/a/damaged"
    write_dev_shell(str(path), str(top), dev_shell)
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        damaged = content[:place]
    else:
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path.write_bytes(damaged)
    assert read_dev_shell(str(path)) is None


def test_a_record_that_others_can_write_to_is_none(top: Path) -> None:
    path = top / "projects/a/open"
    write_dev_shell(str(path), str(top), DevShell(__version__, ".", "", Environment(), None, ()))
    path.chmod(0o666)
    assert read_dev_shell(str(path)) is None


def test_it_is_fresh_while_everything_is_as_it_was(tmp_path: Path) -> None:
    file, target, root = tmp_path / "flake.nix", tmp_path / "store", tmp_path / "root"
    file.write_text("{ }")
    target.mkdir()
    root.symlink_to(target)
    environ = {"NIX_PATH": "nixpkgs=/a"}
    inputs = (
        observe_file(str(file))[0],
        observe_root(str(root)),
        observe_variable("NIX_PATH", environ),
    )
    dev_shell = DevShell(__version__, ".", "", Environment(), None, inputs)
    assert is_fresh(dev_shell, environ)
    assert not is_fresh(dev_shell._replace(version="0"), environ)
    assert not is_fresh(dev_shell, {})
    target.rmdir()
    assert not is_fresh(dev_shell, environ)
    target.mkdir()
    file.write_text("{ } # changed")
    assert not is_fresh(dev_shell, environ)


def test_whatever_changes_the_evaluation_is_another_record() -> None:
    source = Source(".", is_flake=True, is_asked_for=False)
    keys = {
        key_of(source, Options()),
        key_of(source._replace(reference=".#other"), Options()),
        key_of(source, Options(nix_options=("--impure",))),
        key_of(source, Options(shell_exclude=("--impure",))),
        key_of(source, Options(shell_hook="skip")),
    }
    assert len(keys) == 5
    assert key_of(source, Options(extras=("a",))) in keys
