"""What is merged equals what ``nix develop`` itself makes of the same environment."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nixpy.difference import CERTIFICATES, PATH_LIKE, is_left_out
from nixpy.shells import bash

from .conftest import FEATURES, copy_flake, newer_in_campaign

if TYPE_CHECKING:
    from ..conftest import Project, World
    from .conftest import Nix

ELSEWHERE = {*CERTIFICATES, "NIX_GCROOT", "SOURCE_DATE_EPOCH"}
"""NIX_GCROOT is the command's own; the others have rules, and tests, of their own."""

NAMES = st.sampled_from(
    ["EXAMPLE", "Q_1", "CC", "PKG_CONFIG_PATH", "XDG_DATA_DIRS", "LD_LIBRARY_PATH", "buildInputs"]
)
TEXTS = st.text(
    # Nix 2.8 itself cannot write other control characters.
    st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t"),
    min_size=1,
    max_size=20,
)
SHELLS = ("/a/b", "/a/c", "/x y/z", "/nix/store/a/lib")
OWN = ("/own/b", "/own/c", "/usr/bin")


@st.composite
def variables(draw: st.DrawFn, elements: tuple[str, ...]) -> dict[str, str]:
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    paths = st.lists(st.sampled_from(elements), min_size=1).map(":".join)
    return {name: draw(paths if name in PATH_LIKE else TEXTS) for name in names}


@pytest.fixture
def project(world: World, nix: Nix) -> Project:
    project = world.project(envrc="use nixpy --flake .#variables\n")
    copy_flake("shells", project.path, world.environ)
    return project


def developed(project: Project, nix: Nix, before: dict[str, str]) -> dict[str, str]:
    """The environment that ``nix develop`` runs a command in."""
    argv = [
        str(nix.commands / "nix"),
        *FEATURES,
        "develop",
        ".#variables",
        "--command",
        "env",
        "-0",
    ]
    done = subprocess.run(
        argv,
        cwd=project.path,
        env={**before, "PWD": str(project.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pairs = (os.fsdecode(one).partition("=") for one in done.stdout.split(b"\0") if one)
    return {name: value for name, _, value in pairs}


def elements(value: str) -> list[str]:
    return list(dict.fromkeys(one for one in value.split(":") if one))


SLOW = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@newer_in_campaign
@settings(SLOW, max_examples=3)
@given(data=st.data())
def test_the_merged_environment_is_that_of_nix_develop(
    project: Project, nix: Nix, data: st.DataObject
) -> None:
    check_merged(project, nix, data)


@pytest.mark.campaign
@settings(SLOW, max_examples=30)
@given(data=st.data())
def test_many_merged_environments_are_those_of_nix_develop(
    project: Project, nix: Nix, data: st.DataObject
) -> None:
    check_merged(project, nix, data)


def check_merged(project: Project, nix: Nix, data: st.DataObject) -> None:
    shell, before = data.draw(variables(SHELLS)), data.draw(variables(OWN))
    hook = data.draw(variables(SHELLS))
    exports = "".join(f"export {name}={bash.quote(value)}\n" for name, value in hook.items())
    project.write("variables.json", json.dumps({**shell, "shellHook": exports}))
    before = {**nix.environ, **before}
    expected = developed(project, nix, before)
    got = project.entered(**before).environ
    for name in {*expected, *got}:
        if is_left_out(name) or name in ELSEWHERE:
            continue
        if name in PATH_LIKE:
            # nix develop replaces what it does not know to be path-like; merged, it goes in front.
            merged = elements(f"{expected.get(name, '')}:{before.get(name, '')}")
            assert elements(got.get(name, "")) == merged, name
            assert "" not in got.get(name, "x").split(":")
        else:
            assert got.get(name) == expected.get(name), name
