"""Input that nobody here wrote: well-known projects, as they stand in their source archives."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import tomli

from .test_freshness import is_warm

if TYPE_CHECKING:
    from .conftest import Project, World

pytestmark = [pytest.mark.network, pytest.mark.campaign]


class Real(NamedTuple):
    """A project, what its source archive holds, and what nixpy is to make of it."""

    name: str
    version: str
    package: str
    rule: int
    """Of DESIGN.md, section 5; ``uv sync`` writes a uv.lock, and from then on it is 2."""
    root: str = "src"
    envrc: str = "use nixpy\n"


PROJECTS = (
    Real("attrs", "26.1.0", "attr", 2),
    Real("iniconfig", "2.3.1", "iniconfig", 2),
    Real("flask", "3.1.3", "flask", 2),
    Real("packaging", "26.3", "packaging", 6),
    Real("tomlkit", "0.15.2", "tomlkit", 6, root=""),
    Real("rich", "15.0.0", "rich", 6, root=""),
    Real("dep-logic", "0.7.2", "dep_logic", 6),
    Real("pytest-randomly", "5.1.0", "pytest_randomly", 6),
    Real("python-dotenv", "1.2.4", "dotenv", 6),
    Real(
        "requests", "2.34.2", "requests", 1, envrc="use nixpy --requirements requirements-dev.txt\n"
    ),
)


@pytest.mark.parametrize("real", PROJECTS, ids=lambda real: real.name)
def test_a_real_project_is_entered(real: Real, world: World, package_cache: Path) -> None:
    archive = source_archive(real, world, package_cache / "sources")
    project = world.project(real.name, real.envrc)
    unpack(archive, project)
    assert decided_by(project) == real.rule
    lock = project.path / "uv.lock"
    published = lock.read_bytes() if lock.exists() else None

    entered = project.entered()

    assert entered.synced, entered.stderr
    assert published is None or lock.read_bytes() == published
    place = project.python(f"import {real.package}; print({real.package}.__file__)")
    assert Path(place).is_relative_to(project.path / real.root)
    assert ".venv" not in Path(place).relative_to(project.path).parts
    assert is_warm(project)
    assert project.entered().said == []


def source_archive(real: Real, world: World, directory: Path) -> Path:
    """Return the source archive of a project, as the registry has it, downloaded once."""
    archive = directory / f"{real.name}-{real.version}.tar.gz"
    if not archive.exists():
        directory.mkdir(exist_ok=True)
        partial = archive.with_name(f"{archive.name}.{os.getpid()}")
        urllib.request.urlretrieve(url_of_source_archive(real, world), partial)
        partial.replace(archive)
    return archive


def url_of_source_archive(real: Real, world: World) -> str:
    """Ask uv, which builds nothing for that: lock files name source archives too."""
    wanted = world.directory / f"{real.name}.in"
    wanted.write_text(f"{real.name}=={real.version}\n")
    compiled = world.run(
        "uv", "pip", "compile", "-q", "--no-deps", "--format", "pylock.toml",
        "--python", sys.executable, str(wanted),
    )  # fmt: skip
    url: str = tomli.loads(compiled.stdout)["packages"][0]["sdist"]["url"]
    return url


def unpack(archive: Path, project: Project) -> None:
    """Unpack a source archive into a project, without the directory that all of it is in."""
    with tarfile.open(archive) as opened:
        opened.extractall(project.world.directory / "unpacked", filter="data")
    (unpacked,) = (project.world.directory / "unpacked").iterdir()
    for path in unpacked.iterdir():
        path.rename(project.path / path.name)


def decided_by(project: Project) -> int:
    """Return the number of the rule that decided."""
    said = json.loads(project.nixpy("explain", "--json").stdout)
    rule: int = said["rule"]
    return rule
