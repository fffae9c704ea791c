"""A real micromamba, mamba or conda, wherever there is one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import CondaProject

PROGRAM = os.environ.get("NIXPY_TEST_MAMBA") or next(
    filter(None, map(shutil.which, ("micromamba", "mamba", "conda"))), None
)

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no micromamba, mamba or conda is installed, or NIXPY_TEST_MAMBA set"
)


@pytest.fixture
def conda(conda: CondaProject) -> CondaProject:
    """A project whose engine is the real program."""
    environ = conda.project.world.environ
    environ |= {"NIXPY_CONDA_ENGINE": "command", "MAMBA_EXE": str(PROGRAM)}
    environ["MAMBA_ROOT_PREFIX"] = str(conda.project.world.home / "mamba")
    return conda


def test_create_add_update_remove(conda: CondaProject) -> None:
    conda.channel.add("library", "1.0")
    conda.channel.add("tool", depends=["library"])
    conda.write("library")
    assert conda.project.entered().synced
    conda.channel.add("library", "2.0")
    conda.write("library >=2", "tool")
    conda.sync()
    assert conda.packages() == {"library": "2.0", "tool": "1.0"}
    conda.write("library =1", "tool")
    conda.sync()
    assert conda.packages() == {"library": "1.0", "tool": "1.0"}
    conda.write("library =1")
    conda.sync()
    assert conda.packages() == {"library": "1.0"}


def test_a_conflict_leaves_the_last_good_environment(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.sync()
    conda.write("tool", "absent-package")
    entered = conda.project.entered()
    assert "absent-package" in entered.stderr
    assert entered.environ["CONDA_PREFIX"] == str(conda.prefix)
    assert conda.packages() == {"tool": "1.0"}


def test_requirements_come_from_the_channels(conda: CondaProject) -> None:
    conda.channel.add("numpy", "2.0")
    conda.project.write("requirements.txt", "numpy>=2\n")
    conda.sync("--manager", "mamba", "--channels", conda.channel.url)
    assert "numpy" in conda.packages()
