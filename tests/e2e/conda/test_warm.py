"""A warm conda project costs what a warm virtual environment costs: nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ..test_freshness import is_warm
from ..test_processes import places, processes

if TYPE_CHECKING:
    from .conftest import CondaProject

SCRIPT = "export TOOL_HOME=$CONDA_PREFIX/tool\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_warm_entry_starts_and_writes_no_more_than_an_empty_envrc(conda: CondaProject) -> None:
    conda.channel.add("tool", files={"etc/conda/activate.d/tool.sh": SCRIPT})
    conda.write("python", "tool", more="variables:\n  A: a b")
    conda.project.entered()
    assert is_warm(conda.project)
    empty = conda.project.world.project("empty", envrc="")
    assert processes(conda.project) == processes(empty)
    assert places(conda.project) == places(empty)


def test_what_is_not_conda_s_does_not_sync(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.project.write("pyproject.toml", '[project]\nname = "a"\nversion = "1"\n')
    conda.project.entered()
    conda.project.write("pyproject.toml", '[project]\nname = "a"\nversion = "2"\n')
    assert not conda.project.entered().synced
    assert conda.project.entered(CONDA_DEFAULT_ENV="other").synced is False
    assert is_warm(conda.project) or conda.project.entered().synced is False


def test_packages_installed_by_hand_are_left_and_noticed(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.project.entered()
    (conda.prefix / "conda-meta/mine.txt").write_text("")
    assert conda.project.nixpy("status", check=False).stdout.startswith("changed")
    assert not conda.project.entered().synced
