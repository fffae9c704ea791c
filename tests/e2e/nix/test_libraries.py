"""Wheels that load: what they miss comes from the nixpkgs that the project pins."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from .conftest import copy_flake, newer_in_campaign
from .native import LIBRARY, library, manifest, needs_gcc, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..conftest import Project, World
    from .conftest import Nix

pytestmark = [
    needs_gcc,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

IMPORT = "import native; print(native.answer)"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Where the flake that stands for nixpkgs has its libraries."""
    return tmp_path / "nixpkgs/packages"


@pytest.fixture
def project(world: World, nix: Nix, tmp_path: Path, packages: Path) -> Project:
    """A project whose one dependency needs a library that the pinned nixpkgs has."""
    needed = library(packages / "portaudio")
    copy_flake("libraries", packages.parent, world.environ)
    project = world.project()
    project.write("pyproject.toml", manifest([wheel(tmp_path, needed)]))
    flake(project, nix, packages.parent)
    return project


def flake(project: Project, nix: Nix, nixpkgs: Path, variables: str = "") -> None:
    """Give a project a flake with a dev shell, and a lock file."""
    texts = {"nixpkgs": str(nixpkgs), "variables": f"\n{variables}"}  # not in the comment
    tree = copy_flake("with-libraries", project.path, project.world.environ, **texts)
    (project.path / "flake.lock").unlink(missing_ok=True)
    nix.run("flake", "lock", cwd=project.path)
    tree.commit()


def interpreter(project: Project) -> Path:
    """The Python of a project's environment."""
    return project.path / ".venv/bin/python"


def within(project: Project, environ: Mapping[str, str], *argv: str) -> str:
    """Run a program in the project, with further variables."""
    world = replace(project.world, environ={**project.world.environ, **environ})
    return world.run(*argv, cwd=project.path).stdout


def python(project: Project, environ: dict[str, str], *arguments: str) -> str:
    """Run the Python of a project in an environment, outside of the project."""
    own = {name: environ[name] for name in ("LD_LIBRARY_PATH",) if name in environ}
    return within(project, own, str(interpreter(project)), *arguments).strip()


def test_an_import_that_fails_succeeds_with_no_setting_at_all(project: Project) -> None:
    project.nixpy("sync", "--libraries", "off")
    failed = project.world.run(str(interpreter(project)), "-c", IMPORT, check=False)
    assert LIBRARY in failed.stderr
    entered = project.entered()
    assert entered.status == 0, entered.stderr
    farm = entered.environ["LD_LIBRARY_PATH"]
    assert os.listdir(farm) == [LIBRARY]
    assert "/store/" in os.path.realpath(f"{farm}/{LIBRARY}")
    assert python(project, entered.environ, "-c", IMPORT) == "42"
    assert not project.entered().said
    assert json.loads(project.nixpy("libs", "--json").stdout)["scope"] == "shell"


def test_nothing_missing_exports_nothing(project: Project, packages: Path) -> None:
    project.write("pyproject.toml", '[project]\nname = "app"\nversion = "0"\ndependencies = []\n')
    assert "LD_LIBRARY_PATH" not in project.entered().changes
    assert project.nixpy("libs", "--missing").stdout == ""


CHILDREN = """\
import multiprocessing, os, subprocess, sys
import native

def child(_):
    import native
    return native.answer, os.environ.get("LD_LIBRARY_PATH")

if __name__ == "__main__":
    own = os.environ.get("LD_LIBRARY_PATH")
    seen = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
    mine = [line.partition("=")[2] for line in seen if line.startswith("LD_LIBRARY_PATH=")]
    assert mine == ([] if own is None else [own]), mine
    assert not any("NIXPY" in line for line in seen), seen
    argv = [sys.executable, "-c", "import native; print(native.answer)"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "42\\n"
    for method in ("spawn", "forkserver", "fork"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(child, [0]) == [(42, own)], method
    print(own, sys.prefix, sys.executable, sep="|", end="")
"""


@pytest.mark.parametrize("callers", [None, "", "/nowhere:/else"])
def test_in_the_scope_python_the_environments_interpreter_alone_finds_them(
    project: Project, callers: str | None
) -> None:
    project.write(".envrc", "use nixpy --library-scope python\n")
    project.allow()
    variables = {} if callers is None else {"LD_LIBRARY_PATH": callers}
    entered = project.entered(**variables)
    assert "LD_LIBRARY_PATH" not in entered.changes
    program = project.write("children.py", CHILDREN)
    for name in ("python", "python3"):
        path = project.path / ".venv/bin" / name
        done = within(project, variables, str(path), str(program))
        assert done.split("|") == [str(callers), str(project.path / ".venv"), str(path)]
    assert not project.entered(**variables).said


def test_in_the_scope_python_installing_and_making_environments_work(
    project: Project, tmp_path: Path, packages: Path
) -> None:
    project.write(".envrc", "use nixpy --library-scope python\n")
    project.allow()
    environ = project.entered().environ
    other = wheel(tmp_path, packages / "portaudio" / LIBRARY, "another")
    within(project, environ, "uv", "pip", "install", "--no-deps", str(other))
    assert python(project, environ, "-c", "import another; print(another.answer)") == "42"
    inner = tmp_path / "inner"
    python(project, environ, "-m", "venv", "--without-pip", str(inner))
    said = project.world.run(str(inner / "bin/python"), "-c", "import sys; print(sys.prefix)")
    assert said.stdout.strip() == str(inner)
    assert within(project, environ, "uv", "run", "python", "-c", IMPORT) == "42\n"
    script = "#!" + str(interpreter(project)) + "\n" + IMPORT + "\n"
    console = project.write("console", script)
    console.chmod(0o755)
    assert project.world.run(str(console)).stdout == "42\n"


def test_a_synced_scope_python_is_warm_and_undone_by_another_scope(project: Project) -> None:
    project.nixpy("sync")
    before = os.readlink(interpreter(project))
    project.write(".envrc", "use nixpy --library-scope python\n")
    project.allow()
    assert project.entered().status == 0
    assert not interpreter(project).is_symlink()
    assert "already in sync" in project.nixpy("sync", "--library-scope", "python").stderr
    project.write(".envrc", "use nixpy\n")
    project.allow()
    environ = project.entered().environ
    assert os.readlink(interpreter(project)) == before
    assert python(project, environ, "-c", IMPORT) == "42"


def test_the_scope_rpath_patches_files_and_gives_them_back(project: Project) -> None:
    project.nixpy("sync", "--libraries", "off")
    (module,) = project.path.glob(".venv/lib/python*/site-packages/native/_native.so")
    cached = [path for path in in_cache(project) if path.samefile(module)]
    assert cached, "uv links files from its cache"
    content = module.read_bytes()
    project.write(".envrc", "use nixpy --library-scope rpath\n")
    project.allow()
    entered = project.entered()
    assert "LD_LIBRARY_PATH" not in entered.changes
    assert python(project, {}, "-c", IMPORT) == "42"
    assert module.read_bytes() != content
    assert [path.read_bytes() for path in cached] == [content] * len(cached)
    assert "already in sync" in project.nixpy("sync", "--library-scope", "rpath").stderr
    assert str(module) in project.nixpy("libs", "--restore").stdout
    assert module.read_bytes() == content
    assert all(path.samefile(module) for path in cached)
    project.nixpy("sync", "--library-scope", "rpath")
    assert python(project, {}, "-c", IMPORT) == "42"


@newer_in_campaign
@pytest.mark.network
@pytest.mark.parametrize("scope", ["shell", "python"])
def test_a_kernel_finds_them(project: Project, scope: str, tmp_path: Path) -> None:
    """The kernel is started by a server that knows nothing of the project's variables."""
    pytest.importorskip("jupyter_client")
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    project.write(".envrc", f"use nixpy --library-scope {scope}\n")
    project.allow()
    assert project.entered().status == 0
    name = json.loads(project.nixpy("kernel", "install", "--json").stdout)["name"]
    kernels = Path(project.world.environ["XDG_DATA_HOME"]) / "jupyter/kernels"
    specs = KernelSpecManager(kernel_dirs=[str(kernels)], ensure_native_kernel=False)
    file = str(tmp_path / "connection.json")
    manager = KernelManager(kernel_name=name, kernel_spec_manager=specs, connection_file=file)
    manager.start_kernel(cwd=str(tmp_path), env=project.world.environ)
    client = manager.blocking_client()
    client.start_channels()
    said: list[str] = []
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(
            "import os, native; print(native.answer, os.environ.get('LD_LIBRARY_PATH'))",
            output_hook=lambda message: said.append(message["content"].get("text", "")),
            timeout=60,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        client.context.destroy(linger=0)
    answer, farm = "".join(said).split()
    assert answer == "42"
    assert (farm != "None") == (scope == "shell")


def in_cache(project: Project) -> list[Path]:
    """The extension modules that uv keeps."""
    return list(Path(project.world.environ["UV_CACHE_DIR"]).rglob("_native.so"))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
def test_a_change_of_scope_that_is_killed_is_mended_by_the_next(
    project: Project, seed: int
) -> None:
    """Twenty kills each, at random instants, between the three scopes."""
    random = Random(seed)
    project.nixpy("sync")
    (module,) = project.path.glob(".venv/lib/python*/site-packages/native/_native.so")
    cached = [path for path in in_cache(project) if path.samefile(module)]
    content = module.read_bytes()
    for _ in range(20):
        scope = random.choice(["shell", "python", "rpath"])
        environ = {**project.world.environ, "NIXPY_LIBRARY_SCOPE": scope, "PWD": str(project.path)}
        killed = subprocess.Popen(
            ["nixpy", "sync", "--force"],
            cwd=project.path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(random.uniform(0, 0.8))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        scope = random.choice(["shell", "python", "rpath"])
        done = within(
            project,
            {"NIXPY_LIBRARY_SCOPE": scope},
            *("nixpy", "run", "--", "python", "-c", IMPORT),
        )
        assert done == "42\n", scope
        assert all(path.read_bytes() == content for path in cached)
    project.nixpy("libs", "--restore")
    assert module.read_bytes() == content
    assert module.samefile(cached[0])
    assert interpreter(project).is_symlink()
