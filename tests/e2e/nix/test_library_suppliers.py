"""Where libraries come from besides a lookup, and what happens when they cannot be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ..test_freshness import is_warm
from ..test_processes import places, processes
from .conftest import copy_flake
from .native import (
    LIBRARY,
    library,
    manifest,
    needs_gcc,
    packed,
    wheel,
)
from .test_libraries import IMPORT, flake, interpreter, python, within

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Project, World
    from .conftest import Nix

pytestmark = [
    needs_gcc,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Where the flake that stands for nixpkgs has its libraries; there is one, of no use."""
    top = tmp_path / "nixpkgs/packages"
    library(top / "useless", "libuseless.so.1")
    return top


@pytest.fixture
def needed(tmp_path: Path) -> Path:
    """The library that a wheel was linked against."""
    return library(tmp_path / "built")


@pytest.fixture
def project(world: World, nix: Nix, tmp_path: Path, packages: Path, needed: Path) -> Project:
    """A project whose dependency needs a library that the pinned nixpkgs does not have."""
    copy_flake("libraries", packages.parent, world.environ)
    project = world.project()
    project.write("pyproject.toml", manifest([wheel(tmp_path, needed)]))
    flake(project, nix, packages.parent)
    return project


def use(project: Project, flags: str) -> None:
    project.write(".envrc", f"use nixpy {flags}\n")
    project.allow()


def pin(project: Project, nix: Nix, packages: Path) -> None:
    """Let the project pin what stands for nixpkgs as it is now."""
    copy_flake("libraries", packages.parent, project.world.environ)
    flake(project, nix, packages.parent)


def have(project: Project, nix: Nix, packages: Path) -> None:
    """Let the pinned nixpkgs have what the project's dependency needs."""
    library(packages / "portaudio")
    pin(project, nix, packages)


def links(environ: dict[str, str]) -> dict[str, str]:
    """What is in the farm, and where it leads to."""
    farm = environ["LD_LIBRARY_PATH"]
    return {name: os.readlink(f"{farm}/{name}") for name in os.listdir(farm)}


# The dev shell


def test_of_the_dev_shells_own_path_only_what_is_missing_counts(
    project: Project, nix: Nix, packages: Path, needed: Path, tmp_path: Path
) -> None:
    library(needed.parent, "libother.so.1")
    variables = f'LD_LIBRARY_PATH = "{needed.parent}:{tmp_path}/else:";'
    flake(project, nix, packages.parent, variables)
    entered = project.entered()
    assert links(entered.environ) == {LIBRARY: str(needed)}
    assert python(project, entered.environ, "-c", IMPORT) == "42"
    assert any("only what packages miss counts" in line for line in entered.said)
    explained = project.nixpy("explain").stdout
    assert f"supplied     {LIBRARY} (from the dev shell)\n" in explained
    assert "(library-scope shell)\n" in explained
    use(project, "--libraries off")
    assert project.entered().environ["LD_LIBRARY_PATH"] == f"{needed.parent}:{tmp_path}/else"


def test_what_nix_ld_would_find_supplies_too(
    project: Project, nix: Nix, packages: Path, needed: Path
) -> None:
    flake(project, nix, packages.parent, f'NIX_LD_LIBRARY_PATH = "{needed.parent}";')
    environ = project.entered().environ
    assert links(environ) == {LIBRARY: str(needed)}
    assert environ["NIX_LD_LIBRARY_PATH"] == str(needed.parent)


# Attributes


def test_the_libraries_of_an_attribute_that_is_named_can_be_opened_by_name(
    project: Project, packages: Path, nix: Nix
) -> None:
    library(packages / "demo", "libnixpydemo.so.1")
    project.write("pyproject.toml", manifest([]))
    pin(project, nix, packages)
    use(project, "--libraries demo")
    environ = project.entered().environ
    opened = "import ctypes; print(ctypes.CDLL('libnixpydemo.so.1').nixpy_answer())"
    assert python(project, environ, "-c", opened) == "42"
    assert list(links(environ)) == ["libnixpydemo.so.1"]
    use(project, "--libraries demo --library-scope python")
    environ = project.entered().environ
    assert "LD_LIBRARY_PATH" not in environ
    assert python(project, environ, "-c", opened) == "42"


def test_a_missing_library_that_nothing_supplies_is_told_once(project: Project) -> None:
    entered = project.entered()
    assert entered.status == 0
    assert "LD_LIBRARY_PATH" not in entered.changes
    said = "\n".join(entered.said)
    assert "the pinned nixpkgs has no portaudio" in said
    assert f"missing libraries: {LIBRARY}" in said
    assert is_warm(project)
    missing = project.nixpy("libs", "--missing", check=False)
    assert missing.returncode == 1
    assert LIBRARY in missing.stdout
    line = project.nixpy("libs", "--nix", check=False).stdout
    assert line == "LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ pkgs.portaudio ];\n"


def test_without_a_lock_file_nothing_is_realised(project: Project, needed: Path) -> None:
    for name in ("flake.nix", "flake.lock"):
        (project.path / name).unlink()
    entered = project.entered()
    assert entered.status == 0
    assert any("no flake.lock pins a nixpkgs" in line for line in entered.said)


def test_an_input_of_another_name_can_be_nixpkgs(
    project: Project, nix: Nix, packages: Path
) -> None:
    have(project, nix, packages)
    text = (project.path / "flake.nix").read_text()
    renamed = text.replace("inputs.nixpkgs", "inputs.packages").replace(", nixpkgs", ", packages")
    project.write("flake.nix", renamed)
    nix.run("flake", "lock", cwd=project.path)
    assert any("no input nixpkgs" in line for line in project.entered().said)
    use(project, "--nixpkgs packages")
    assert python(project, project.entered().environ, "-c", IMPORT) == "42"


def test_a_build_that_fails_leaves_what_was_there_and_is_tried_again(
    project: Project, nix: Nix, packages: Path
) -> None:
    have(project, nix, packages)
    before = project.entered().environ["LD_LIBRARY_PATH"]
    nixpkgs = packages.parent / "flake.nix"
    text = nixpkgs.read_text()
    nixpkgs.write_text(text.replace("mkdir -p $out;", "exit 7;"))
    nix.run("flake", "update", cwd=project.path)
    entered = project.entered()
    assert entered.status == 0
    assert entered.environ["LD_LIBRARY_PATH"] == before
    assert "portaudio could not be built" in entered.environ["NIXPY_STALE"]
    assert python(project, entered.environ, "-c", IMPORT) == "42"
    nixpkgs.write_text(text + "\n")
    nix.run("flake", "update", cwd=project.path)
    again = project.entered()
    assert "NIXPY_STALE" not in again.environ
    assert python(project, again.environ, "-c", IMPORT) == "42"


def test_what_is_supplied_survives_a_garbage_collection_and_is_warm(
    project: Project, nix: Nix, packages: Path
) -> None:
    have(project, nix, packages)
    environ = project.entered().environ
    nix.command("nix-collect-garbage", cwd=project.path)
    assert python(project, environ, "-c", IMPORT) == "42"
    assert is_warm(project)
    if shutil.which("strace"):
        empty = project.world.project("empty", envrc="")
        assert processes(project) == processes(empty)
        assert places(project) == places(empty)
    shutil.rmtree(environ["LD_LIBRARY_PATH"])
    project.nixpy("sync")
    assert python(project, project.entered().environ, "-c", IMPORT) == "42"


# Programs of the machine


TOOL = "int nixpy_answer(void); int main(void) { return nixpy_answer() != 42; }\n"


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program of a well-known name that needs a newer library than the pinned nixpkgs has."""
    script = tmp_path / "versions"
    script.write_text("DEMO_1 { }; DEMO_2 { global: nixpy_*; };\n")
    versions = f"-Wl,--version-script={script}"
    own = library(tmp_path / "own", LIBRARY, "int nixpy_answer(void) { return 42; }\n", versions)
    source = tmp_path / "tool.c"
    source.write_text(TOOL)
    (tmp_path / "tools").mkdir()
    path = tmp_path / "tools/nvim"
    arguments = ["gcc", "-o", str(path), str(source), str(own), f"-Wl,-rpath,{own.parent}"]
    subprocess.run(arguments, check=True, capture_output=True)
    return path


def test_where_programs_would_break_python_alone_finds_the_libraries(
    project: Project, nix: Nix, packages: Path, tool: Path, tmp_path: Path
) -> None:
    script = tmp_path / "old"
    script.write_text("DEMO_1 { global: nixpy_*; };\n")
    source = "int nixpy_answer(void) { return 42; }\n"
    library(packages / "portaudio", LIBRARY, source, f"-Wl,--version-script={script}")
    pin(project, nix, packages)
    path = f"{tool.parent}:{project.world.environ['PATH']}"
    entered = project.entered(PATH=path)
    assert "LD_LIBRARY_PATH" not in entered.environ
    (said,) = [line for line in entered.said if "for Python alone" in line]
    assert f"{tool} would not find symbol version DEMO_2" in said
    assert python(project, entered.environ, "-c", IMPORT) == "42"
    assert within(project, entered.environ, str(tool)) == ""
    use(project, "--library-scope shell")
    refused = project.entered(PATH=path)
    assert "would break programs" in refused.stderr
    assert 'library-scope = "python"' in refused.stderr
    assert "LD_LIBRARY_PATH" not in refused.environ


def test_a_library_that_is_too_old_for_a_wheel_is_told(
    project: Project, nix: Nix, packages: Path, tmp_path: Path
) -> None:
    source = "int nixpy_answer(void) { return 42; }\n"
    script = tmp_path / "new"
    script.write_text("DEMO_1 { }; DEMO_2 { global: nixpy_*; };\n")
    newer = library(tmp_path / "newer", LIBRARY, source, f"-Wl,--version-script={script}")
    script.write_text("DEMO_1 { global: nixpy_*; };\n")
    library(packages / "portaudio", LIBRARY, source, f"-Wl,--version-script={script}")
    pin(project, nix, packages)
    project.write("pyproject.toml", manifest([wheel(tmp_path, newer)]))
    said = "\n".join(project.entered().said)
    assert f"needs DEMO_2 of {LIBRARY}, which nixpkgs#portaudio does not have" in said


# CUDA


DRIVER = """\
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int nixpy_answer(void) { return 42; }
"""


def variants(tmp_path: Path) -> str:
    """A manifest with an extra for CUDA 12 and one for none, each with a wheel of its own."""
    wheels = {}
    for name in ("fast", "slow"):
        wheels[name] = packed(tmp_path, name, {f"{name}.py": b"\n"}).as_uri()
    return (
        '[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.10"\n'
        "[project.optional-dependencies]\n"
        f'cu124 = ["fast @ {wheels["fast"]}"]\ncpu = ["slow @ {wheels["slow"]}"]\n'
        '[tool.nixpy]\ncuda = { "12.8" = ["none"], "12.4" = ["cu124"], none = ["cpu"] }\n'
    )


def test_extras_follow_the_driver(world: World, tmp_path: Path) -> None:
    project = world.project("cuda")
    project.write("pyproject.toml", variants(tmp_path))
    installed = (
        "import importlib.util as u; print(*[n for n in ('fast', 'slow') if u.find_spec(n)])"
    )
    driver = tmp_path / "driver"
    driver.mkdir()
    variable = {"LD_LIBRARY_PATH": str(driver)}
    assert project.entered().status == 0
    assert project.python(installed) == "slow"
    library(driver, "libcuda.so.1", DRIVER)
    assert project.entered(**variable).synced
    assert project.python(installed) == "fast"
    assert not project.entered(**variable).synced


def test_the_drivers_libraries_are_found_by_their_sonames(world: World, tmp_path: Path) -> None:
    driver = tmp_path / "driver"
    needed = library(driver, "libcuda.so.1", DRIVER)
    library(driver, "libnvidia-ml.so.1")
    library(driver, "libstdc++.so.6")
    project = world.project("cuda")
    project.write("pyproject.toml", manifest([wheel(tmp_path, needed)]))
    # As where the driver's directory is in nobody's search path: the farm alone has it then.
    entered = project.entered(LD_LIBRARY_PATH=str(driver))
    farm = entered.environ["LD_LIBRARY_PATH"].split(":")[0]
    assert sorted(os.listdir(farm)) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    own = {**entered.environ, "LD_LIBRARY_PATH": farm}
    assert within(project, own, str(interpreter(project)), "-c", IMPORT) == "42\n"
    report = json.loads(project.nixpy("libs", "--json", LD_LIBRARY_PATH=str(driver)).stdout)
    (need,) = [one for one in report["needs"] if one["soname"] == "libcuda.so.1"]
    assert need["origin"] == "the CUDA driver"
    project.write(".envrc", "use nixpy --cuda off\n")
    project.allow()
    assert "LD_LIBRARY_PATH" not in project.entered(LD_LIBRARY_PATH=str(driver)).changes


def test_a_toolkit_that_a_wheel_brings_is_named(world: World, tmp_path: Path) -> None:
    project = world.project("cuda")
    files = {
        "nvidia/cuda_nvcc/bin/ptxas": b"",
        "nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc": b"",
    }
    found = packed(tmp_path, "nvidia_cuda_nvcc_cu12", files)
    project.write("pyproject.toml", manifest([found]))
    environ = project.entered().environ
    assert environ["CUDA_HOME"].endswith("site-packages/nvidia/cuda_nvcc")
    assert environ["CUDA_PATH"] == environ["CUDA_HOME"]
    assert "CUDA_HOME" not in project.entered(CUDA_PATH="/opt/cuda").changes
