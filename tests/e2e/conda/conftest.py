"""Conda projects on a channel of their own, with py-rattler as the engine."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nixpy.manifests.conda_platform import conda_platform

from .channel import Channel

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from ..conftest import Project, World

SUBDIR = conda_platform("linux" if os.uname().sysname == "Linux" else "darwin", {})


@dataclass
class CondaProject:
    """A project with a conda manifest."""

    project: Project
    channel: Channel

    @property
    def prefix(self) -> Path:
        return self.project.path / ".conda"

    def write(
        self,
        *dependencies: str,
        channels: Sequence[str] | None = None,
        pip: Sequence[str] = (),
        more: str = "",
    ) -> None:
        """Write ``environment.yml``."""
        lines = ["name: demo", "channels:"]
        lines += [f"  - {one}" for one in channels or [self.channel.url]]
        lines += ["dependencies:", *(f"  - {json.dumps(one)}" for one in dependencies)]
        if pip:
            lines += ["  - pip:", *(f"    - {json.dumps(one)}" for one in pip)]
        self.project.write("environment.yml", "\n".join((*lines, more, "")))

    def packages(self) -> dict[str, str]:
        """What conda-meta says is there: versions by name."""
        found = {}
        for path in sorted(self.prefix.glob("conda-meta/*.json")):
            record = json.loads(path.read_text())
            found[record["name"]] = record["version"]
        return found

    def python(self, code: str) -> str:
        """Run code in the environment, by its own interpreter."""
        python = str(self.prefix / "bin/python")
        return self.project.world.run(python, "-I", "-c", code).stdout.strip()

    def sync(
        self, *flags: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``nixpy sync``."""
        return self.project.nixpy("sync", *flags, check=check, **variables)


@pytest.fixture(scope="session")
def packaged_python(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """The interpreter at hand, as a package in a channel of its own."""
    channel = Channel(tmp_path_factory.mktemp("python-channel"), SUBDIR)
    channel.add_python()
    return channel


@pytest.fixture
def channel(tmp_path: Path, packaged_python: Channel) -> Channel:
    """A channel that has ``python``, to which tests add what they need."""
    made = Channel(tmp_path / "channel", SUBDIR)
    made.link(packaged_python)
    return made


@pytest.fixture
def conda(world: World, channel: Channel) -> CondaProject:
    """A project that is to have a conda environment."""
    return CondaProject(world.project(), channel)


@pytest.fixture(autouse=True)
def no_command(world: World) -> None:
    """See to it that no mamba of the machine's is found."""
    for name in ("mamba", "micromamba", "conda"):
        found = shutil.which(name, path=world.environ["PATH"])
        if found:
            world.environ["NIXPY_CONDA_ENGINE"] = "rattler"
