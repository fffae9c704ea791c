"""What activation sets is what real programs print."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from nixpy.environment import Environment, Prepend
from nixpy.managers.mamba.activation import (
    Activation,
    capture_activation,
    outer_environment,
    own_operations,
    read_activation,
    write_activation,
)
from nixpy.process import SystemRunner

from .recordings import PROGRAMS, recording

if TYPE_CHECKING:
    from pathlib import Path


def exported(text: str) -> dict[str, str]:
    pattern = r"^(?:export (\w+)=|set -gx (\w+) )(.*)$"
    found = re.findall(pattern, text, re.MULTILINE)
    return {one or other: shlex.split(value)[0] for one, other, value in found}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_conda_s_own_variables_are_what_real_programs_set(program: str, shell: str) -> None:
    theirs = exported(recording(program, f"activate-{shell}").stdout)
    ours = Environment(
        (*own_operations("/demo/env", "/demo/env"), Prepend("PATH", ("/demo/env/bin",)))
    ).apply({"PATH": "/demo/mamba-root/condabin:/usr/local/bin:/usr/bin:/bin"})
    assert theirs.pop("HELLO_VAR") == "x"
    assert ours == theirs


def captured(prefix: Path, environ: dict[str, str]) -> dict[str, str]:
    found = capture_activation(
        str(prefix),
        own=Environment(own_operations(str(prefix), "name")).apply({}),
        environ={"PATH": "/usr/bin:/bin", **environ},
        runner=SystemRunner(),
        heard=lambda _: None,
    )
    return found.environment.apply(environ)


def test_what_the_user_put_into_state_goes_before_what_packages_say(tmp_path: Path) -> None:
    for name, text in {
        "etc/conda/env_vars.d/a.json": json.dumps({"A": "package", "B": "package", "a-b": "no"}),
        "conda-meta/state": json.dumps({"env_vars": {"A": "user", "C": "***unset***"}}),
        "etc/conda/activate.d/a.sh": "export D=$A\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert captured(tmp_path, {"C": "here"}) == {"A": "user", "B": "package", "D": "user"}


def test_without_anything_there_is_nothing_to_capture(tmp_path: Path) -> None:
    assert captured(tmp_path, {"X": "y"}) == {"X": "y"}


def test_an_outer_environment_is_one_that_is_in_force(tmp_path: Path) -> None:
    prefix = str(tmp_path)
    assert outer_environment({"CONDA_PREFIX": "/base/", "CONDA_SHLVL": "1"}, prefix) == "/base"
    assert outer_environment({"CONDA_PREFIX": "/base", "CONDA_SHLVL": "0"}, prefix) == ""
    assert outer_environment({"CONDA_PREFIX": prefix, "CONDA_SHLVL": "1"}, prefix) == ""
    assert outer_environment({}, prefix) == ""


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    top = tmp_path / "cache"
    path = top / "x/record"
    one = Activation("1", Environment((Prepend("P", ("/a",), ("/b",)),)), (), ("said",))
    write_activation(str(path), str(top), one)
    assert read_activation(str(path)) == one
    path.write_bytes(path.read_bytes()[:-1])
    assert read_activation(str(path)) is None
    assert read_activation(str(tmp_path / "absent")) is None
