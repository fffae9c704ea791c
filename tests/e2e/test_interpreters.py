"""Which Python a project gets, by the files that name one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import World

MINOR = "{}.{}".format(*sys.version_info[:2])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".tool-versions", f"nodejs 20\npython {MINOR} 2.7\n"),
        (".python-version", f"# pinned\n{MINOR}\n2.7.18\n"),
        (".python-version", f"cpython-{MINOR}\n"),
        (".python-version", f">={MINOR},<4,!={MINOR}.999\n"),
        (".python-version", "system\n"),
        ("mise.toml", f'[tools]\npython = ["{MINOR}", "2.7"]\n'),
    ],
)
def test_a_file_that_names_an_interpreter_is_enough(world: World, name: str, text: str) -> None:
    project = world.project()
    project.write(name, text)
    entered = project.entered()
    assert entered.synced, entered.stderr
    version = project.python("import sys; print('{}.{}'.format(*sys.version_info[:2]))")
    assert version == MINOR or "system" in text
    assert name in project.nixpy("explain").stdout
    assert not project.entered().said
    project.write(name, text + "# nothing else\n")
    assert not project.entered().said


def test_a_build_without_the_lock_is_not_what_there_is(world: World) -> None:
    project = world.project()
    project.write(".python-version", f"{MINOR}t\n")
    refused = project.nixpy("sync", check=False)
    assert refused.returncode == 3
    assert f"Python {MINOR}+freethreaded (.python-version)" in refused.stderr


def test_two_that_disagree_are_both_named(world: World) -> None:
    project = world.project()
    project.write(".tool-versions", f"python {MINOR}\n")
    project.write(
        "pyproject.toml", '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.99"\n'
    )
    refused = project.nixpy("sync", check=False)
    assert refused.returncode == 3
    assert f"Python {MINOR} (.tool-versions)" in refused.stderr
    assert "Python >=3.99 (pyproject.toml: project.requires-python)" in refused.stderr
