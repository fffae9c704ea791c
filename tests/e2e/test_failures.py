"""What happens when something fails: the last good environment, one line why, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .test_freshness import is_warm

if TYPE_CHECKING:
    from .conftest import Project, World

DEAD_INDEX = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("unshare") is None
    or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="mounting needs root and unshare",
)


def mounted(project: Project, mount: str, then: str) -> subprocess.CompletedProcess[str]:
    """Run a line of sh in the project with a mount that nobody else sees."""
    script = f"{mount}\ncd {project.path}\n{then}\n"
    return project.world.run("unshare", "-m", "sh", "-c", script, cwd=project.path, check=False)


@pytest.fixture
def project(world: World) -> Project:
    """A synced project whose index is out of reach from now on."""
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    assert project.entered().synced
    project.write(
        ".envrc", "".join(f"export {k}={v}\n" for k, v in DEAD_INDEX.items()) + "use nixpy\n"
    )
    project.allow()
    project.entered()  # everything is in the package cache
    assert is_warm(project)
    return project


def test_without_network_a_warm_entry_notices_nothing(project: Project) -> None:
    entered = project.entered()
    assert entered.said == []
    assert "NIXPY_STALE" not in entered.environ


def test_without_network_a_changed_manifest_leaves_the_last_good_environment(
    project: Project,
) -> None:
    project.write("requirements.txt", "attrs==22.1.0\n")
    entered = project.entered()
    assert entered.status == 0
    assert len(entered.said) == 1
    assert "the last good environment stays in force" in entered.said[0]
    log = entered.said[0].rpartition(" ")[2]
    assert "127.0.0.1:9" in Path(log).read_text()
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert "NIXPY_STALE" in entered.environ
    assert project.python("import iniconfig; print('there')") == "there"
    synced = project.nixpy("sync", check=False, **DEAD_INDEX)
    assert synced.returncode == 1
    assert project.nixpy("export", "bash", "--strict", check=False, **DEAD_INDEX).returncode == 1
    done = project.nixpy("run", "--", "python", "-c", "import iniconfig", check=True, **DEAD_INDEX)
    assert "the last good environment stays in force" in done.stderr


def test_back_on_the_network_the_next_entry_syncs(project: Project) -> None:
    project.write("requirements.txt", "attrs==22.2.0\n")
    assert "NIXPY_STALE" in project.entered().environ
    project.write(".envrc", "use nixpy\n")
    project.allow()
    entered = project.entered()
    assert entered.synced
    assert "NIXPY_STALE" not in entered.environ
    assert project.python("import attrs; print('there')") == "there"


def test_a_changed_interpreter_that_cannot_be_had_keeps_the_old_environment(
    project: Project,
) -> None:
    project.write(".python-version", "9.9\n")
    entered = project.entered()
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert "no interpreter is Python 9.9" in entered.environ["NIXPY_STALE"]
    assert project.python("import iniconfig; print('there')") == "there"


def test_making_it_anew_that_fails_puts_the_old_environment_back(project: Project) -> None:
    marker = project.path / ".venv/.nixpy/marker"
    content = marker.read_bytes()
    (project.path / ".venv/mine").write_text("kept")
    project.write("nixpy.toml", 'manager = "pip"\n')  # there is no pip in it: made anew
    entered = project.entered(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert "NIXPY_STALE" in entered.environ, entered.stderr
    assert project.python("import iniconfig; print('there')") == "there"
    assert (project.path / ".venv/mine").read_text() == "kept"
    assert marker.read_bytes() == content
    assert not (project.path / ".venv/.nixpy/previous").exists()


def test_another_interpreter_is_swapped_in(world: World) -> None:
    beside = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3.1[0-9]"))
    found = {one.name.removeprefix("python"): one.parent for one in beside}
    if len(found) < 2:
        pytest.skip("only one Python of 3.10 or later is installed beside the tests' own")
    path = ":".join([world.environ["PATH"], *map(str, found.values())])
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    for minor in found:
        project.write(".python-version", f"{minor}\n")
        assert project.entered(PATH=path).synced
        assert project.python(version) == minor
        assert project.python("import iniconfig; print('there')") == "there"


@needs_mounts
def test_a_read_only_project_is_entered_warm_and_cold(project: Project) -> None:
    mount = f"mount --bind {project.path} {project.path} && mount -o remount,ro,bind {project.path}"
    done = mounted(project, mount, "direnv export bash")
    assert done.returncode == 0
    assert "VIRTUAL_ENV" in done.stdout
    assert "nixpy:" not in done.stderr
    shutil.rmtree(project.world.cache)
    done = mounted(project, mount, "direnv export bash")
    assert "VIRTUAL_ENV" in done.stdout
    assert "Traceback" not in done.stderr


@needs_mounts
def test_a_read_only_project_without_an_environment_is_one_clear_line(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    mount = f"mount --bind {project.path} {project.path} && mount -o remount,ro,bind {project.path}"
    done = mounted(project, mount, "nixpy sync")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert 'venv = "central"' in done.stderr
    assert mounted(project, mount, "nixpy sync --venv central").returncode == 0


@needs_mounts
@pytest.mark.parametrize("place", ["XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_a_full_disk_does_not_stand_in_the_way_of_a_warm_entry(world: World, place: str) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    directory = world.environ[place]
    Path(directory).mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size=64k tmpfs {directory}"
    fill = f"cat /dev/zero > {directory}/filler 2>/dev/null"
    done = mounted(project, f"{mount}; {fill}", "direnv export bash; direnv export bash")
    assert done.stdout.count("export VIRTUAL_ENV=") == 2, done.stderr
    assert "Traceback" not in done.stderr
    done = mounted(
        project, mount, f"direnv export bash >/dev/null 2>&1; {fill}; direnv export bash"
    )
    assert "export VIRTUAL_ENV=" in done.stdout
    assert "nixpy:" not in done.stderr


@needs_mounts
def test_a_full_disk_under_the_project_keeps_the_last_good_environment(project: Project) -> None:
    # The environment itself lies on the small disk, as good as full.
    environment = project.path / ".venv"
    mount = (
        f"cp -a {environment} /tmp/kept-$$ && mount -t tmpfs -o size=24m tmpfs {environment} && "
        f"cp -a /tmp/kept-$$/. {environment}/ && rm -rf /tmp/kept-$$ && "
        f"cat /dev/zero > {environment}/filler 2>/dev/null; true"
    )
    (project.path / "requirements.txt").write_text("iniconfig==2.0.0\npluggy==1.5.0\n")
    project.write(".envrc", "use nixpy\n")
    project.allow()
    done = mounted(project, mount, "direnv export bash; .venv/bin/python -c 'import iniconfig'")
    assert done.returncode == 0, done.stderr
    assert "NIXPY_STALE" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", [("HOME",), ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")])
def test_without_home_it_works(world: World, missing: tuple[str, ...]) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    unset = [argument for name in missing for argument in ("-u", name)]
    for _ in range(2):
        done = world.run("env", *unset, "nixpy", "export", "bash", cwd=project.path)
        assert f"export VIRTUAL_ENV='{project.path}/.venv'" in done.stdout
        assert "Traceback" not in done.stderr
    assert done.stderr == ""


def test_a_cache_that_cannot_be_written_is_one_clear_line(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    shutil.rmtree(world.cache, ignore_errors=True)
    world.cache.parent.mkdir(exist_ok=True)
    world.cache.write_text("a file in the way\n")
    for _ in range(2):
        entered = project.entered()
        assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
        assert "Traceback" not in entered.stderr
    assert any("cannot keep the entry" in line for line in entered.said)
