"""What is released: a wheel and an sdist, installed as users do, up to a real ``cd``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixpy.version import __version__

from .conftest import Project, World

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]

NEEDED = (
    "nixpy/direnvrc",
    "nixpy/options.schema.json",
    "nixpy/schemas/status.schema.json",
    "nixpy/templates/uv/.envrc",
    "nixpy/managers/foreign/poetry.txt",
    "nixpy/py.typed",
)

SHARED = (
    "man/man1/nixpy.1",
    "bash-completion/completions/nixpy",
    "zsh/site-functions/_nixpy",
    "fish/vendor_completions.d/nixpy.fish",
)
"""What lies below ``share`` of a prefix, where man and the shells look."""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    """A directory with a wheel and an sdist of the tree as it is."""
    place = tmp_path_factory.mktemp("released")
    tree = place / "tree"
    kept = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, tree, ignore=kept, symlinks=True)
    environ = {
        **{name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ},
        "HOME": str(place),
        "UV_CACHE_DIR": str(place / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    argv = [str(programs / "uv"), "build", "--quiet", "--out-dir", str(place / "dist")]
    subprocess.run(argv, cwd=tree, env=environ, check=True, capture_output=True)
    return place / "dist"


def by_pip(world: World, wheel: Path) -> Path:
    """Install a wheel as pip does, into an empty virtual environment."""
    place = world.home / "own"
    world.run(sys.executable, "-m", "venv", str(place))
    certificates = world.environ.get("SSL_CERT_FILE")
    options = ["--cert", certificates] if certificates else []  # pip brings its own
    world.run(str(place / "bin/python"), "-m", "pip", "install", "--quiet", *options, str(wheel))
    return place / "bin"


def by_uv(world: World, wheel: Path) -> Path:
    """Install a wheel as a tool of uv's."""
    tools = {"UV_TOOL_DIR": str(world.home / "tools"), "UV_TOOL_BIN_DIR": str(world.home / "own")}
    world.environ.update(tools)
    world.run("uv", "tool", "install", "--quiet", str(wheel))
    return world.home / "own"


@pytest.mark.parametrize("install", [by_pip, by_uv])
def test_an_installed_wheel_serves_a_real_cd(
    bare_world: World, released: Path, install: Callable[[World, Path], Path]
) -> None:
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    (wheel,) = released.glob("*.whl")
    commands = install(bare_world, wheel)
    others = [one for one in bare_world.environ["PATH"].split(":") if one != str(ours(bare_world))]
    bare_world.environ["PATH"] = ":".join((str(commands), *others))
    assert bare_world.nixpy("--version").stdout.split()[-1] == __version__
    share = Path(os.path.realpath(commands / "nixpy")).parents[1] / "share"
    for name in SHARED:
        assert (share / name).read_text() == (ROOT / "share" / name).read_text()
    bare_world.setup()
    project = bare_world.directory / "new"
    bare_world.nixpy("init", str(project), "--template", "uv", "--no-nix", "--yes", "--no-sync")
    entered = Project(project, bare_world).entered()
    assert entered.status == 0, entered.stderr
    assert entered.environ["VIRTUAL_ENV"] == str(project / ".venv")
    assert "nixpy" not in Project(project, bare_world).nixpy("doctor", "--only", "nixpy").stdout


def test_man_and_the_shells_find_what_pip_installs(bare_world: World, released: Path) -> None:
    (wheel,) = released.glob("*.whl")
    commands = by_pip(bare_world, wheel)
    share = commands.parent / "share"
    bare_world.environ["PATH"] = f"{commands}:/usr/bin:/bin"
    bare_world.environ["XDG_DATA_DIRS"] = str(share)
    if shutil.which("man"):  # It looks beside the directories of PATH.
        found = bare_world.run("man", "--where", "nixpy").stdout.strip()
        assert found == str(share / "man/man1/nixpy.1")
    if shutil.which("fish"):
        said = bare_world.run("fish", "-c", "complete -C 'nixpy do'").stdout
        assert said.split()[0] == "doctor"


def ours(world: World) -> Path:
    """The directory of the nixpy under test."""
    return world.home / "bin"


def test_what_is_released_is_complete(released: Path) -> None:
    (wheel,) = released.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {*NEEDED, *(f"nixpy-{__version__}.data/data/share/{one}" for one in SHARED)} <= names
    (source,) = released.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"direnvrc", "README.md", "LICENSE", "CHANGELOG.md", "flake.nix"} <= inside
    assert {f"share/{one}" for one in SHARED} <= inside
    assert {f"src/{one}" for one in NEEDED if one != "nixpy/direnvrc"} <= inside
    assert not any(name.startswith((".venv", ".cache")) for name in inside)
