"""What happens when something fails: the last good environment, one line why, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .test_freshness import is_warm

if TYPE_CHECKING:
    from .conftest import Project, World

PROJECT = '[project]\nname = "demo"\nversion = "1"\n'

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


needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0,
    reason="a network of its own needs root and unshare",
)


@needs_namespaces
def test_on_a_machine_with_no_network_at_all_nothing_is_lost(world: World) -> None:
    project = world.project()
    project.write("pyproject.toml", PROJECT + 'dependencies = ["iniconfig==2.0.0"]\n')
    assert project.entered().synced
    lock = (project.path / "uv.lock").read_bytes()
    alone = ("unshare", "-n", "--")
    warm = world.run(*alone, "direnv", "export", "json", cwd=project.path)
    assert "NIXPY_STALE" not in warm.stdout
    assert "nixpy:" not in warm.stderr
    manifest = PROJECT + 'dependencies = ["iniconfig==2.0.0", "xmltodict==0.13.0"]\n'
    project.write("pyproject.toml", manifest)
    retries = {"UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    cold = world.run(*alone, "direnv", "export", "json", cwd=project.path, check=True, **retries)
    assert "NIXPY_STALE" in cold.stdout
    assert cold.stderr.count("nixpy:") == 1, cold.stderr
    assert (project.path / "uv.lock").read_bytes() == lock
    assert project.python("import iniconfig; print('there')") == "there"
    synced = world.run(*alone, "nixpy", "sync", cwd=project.path, check=False, **retries)
    assert synced.returncode == 1
    assert "Traceback" not in synced.stderr
    assert project.entered().synced
    assert project.python("import xmltodict; print('there')") == "there"


def test_an_index_that_does_not_answer_leaves_what_was_there_in_place(project: Project) -> None:
    """The same for every manifest: nothing is uninstalled before what is new is there."""
    before = sorted(path.name for path in (project.path / ".venv").rglob("*"))
    project.write("requirements.txt", "attrs==22.1.0\n")
    for _ in range(2):
        assert "NIXPY_STALE" in project.entered().environ
        assert sorted(path.name for path in (project.path / ".venv").rglob("*")) == before


FAILING_BACKEND = """
def build_wheel(*_, **__):
    raise SystemExit("this package cannot be built")
def build_editable(*_, **__):
    raise SystemExit("this package cannot be built")
"""


@pytest.mark.parametrize("manager", ["uv", "pip"])
def test_a_package_that_cannot_be_built_leaves_the_others_in_place(
    world: World, manager: str
) -> None:
    project = world.project()
    project.write("nixpy.toml", f'manager = "{manager}"\n')
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    assert project.entered().synced
    project.write(
        "broken/pyproject.toml",
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "broken"\nversion = "1"\n',
    )
    project.write("broken/backend.py", FAILING_BACKEND)
    project.write("requirements.txt", "iniconfig==2.0.0\n./broken\n")
    entered = project.entered()
    assert entered.status == 0
    assert len(entered.said) == 1
    log = Path(entered.said[0].rpartition(" ")[2])
    assert "this package cannot be built" in log.read_text()
    assert project.python("import iniconfig; print('there')") == "there"
    assert project.nixpy("status", check=False).returncode == 1
    project.write("broken/backend.py", "")
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    assert "NIXPY_STALE" not in project.entered().environ


def test_importing_a_module_is_no_change_by_hand(world: World) -> None:
    # A module that is no package makes Python write site-packages/__pycache__.
    project = world.project()
    write_package(project, "good")
    project.write("requirements.txt", "./packages/good\n")
    assert project.entered().synced
    assert project.python("import good; print('there')") == "there"
    assert project.nixpy("status", check=False).stdout.startswith("fresh")
    assert project.nixpy("sync").stderr == "nixpy: already in sync\n"


def test_a_first_sync_that_fails_is_mended_by_the_next(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    entered = project.entered(**DEAD_INDEX, UV_NO_CACHE="1")
    assert entered.status == 0
    assert "VIRTUAL_ENV" not in entered.changes
    assert not entered.synced
    check = entered.said[-1].rpartition(" ")[2]
    assert Path(check).is_file()
    entered = project.entered()
    assert entered.synced
    assert project.python("import iniconfig; print('there')") == "there"


def test_a_first_sync_that_was_killed_is_repaired_by_the_next(world: World) -> None:
    project = world.project()
    project.write(
        "slow/pyproject.toml",
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1"\n',
    )
    started = project.path / "started"
    project.write(
        "slow/backend.py",
        f"import time\ndef build_wheel(*_, **__):\n    open({str(started)!r}, 'w')\n"
        "    time.sleep(600)\n",
    )
    project.write("requirements.txt", "iniconfig==2.0.0\n./slow\n")
    sync = subprocess.Popen(
        ["nixpy", "sync"],
        cwd=project.path,
        env={**world.environ, "PWD": str(project.path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        executable=shutil.which("nixpy", path=world.environ["PATH"]),
    )
    try:
        for _ in range(600):
            if started.exists():
                break
            time.sleep(0.05)
        assert started.exists()
    finally:
        os.killpg(sync.pid, signal.SIGKILL)
        sync.wait()
    assert (project.path / ".venv/bin/python").exists()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    assert project.entered().synced
    assert project.python("import iniconfig; print('there')") == "there"
    assert is_warm(project)


def read_only(path: Path | str) -> str:
    return f"mount --bind {path} {path} && mount -o remount,ro,bind {path}"


@needs_mounts
def test_a_read_only_project_whose_manifest_changed_keeps_the_last_good_environment(
    project: Project,
) -> None:
    project.write("requirements.txt", "iniconfig==2.0.0\npluggy==1.5.0\n")
    project.write(".envrc", "use nixpy\n")
    project.allow()
    done = mounted(project, read_only(project.path), "direnv export bash")
    assert done.returncode == 0
    assert "NIXPY_STALE" in done.stdout
    assert done.stderr.count("nixpy:") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert project.entered().synced


@needs_mounts
@pytest.mark.parametrize("place", ["XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"])
def test_a_read_only_home_works_or_is_one_clear_line(world: World, place: str) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    directory = Path(world.environ[place])
    directory.mkdir(exist_ok=True)
    mount = f"unset DIRENV_DIR; {read_only(directory)}"
    done = mounted(project, mount, "nixpy export bash")
    assert f"VIRTUAL_ENV='{project.path}/.venv'" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) <= 3, lines
    assert all(line.startswith("nixpy: ") for line in lines)
    assert mounted(project, mount, "nixpy run -- python -c 'import iniconfig'").returncode == 0
    assert project.entered().environ["VIRTUAL_ENV"] == str(project.path / ".venv")


def test_a_package_cache_that_cannot_be_used_is_one_clear_line(project: Project) -> None:
    in_the_way = project.world.home / "file"
    in_the_way.write_text("")
    project.write("requirements.txt", "iniconfig==2.0.0\npluggy==1.5.0\n")
    project.write(".envrc", "use nixpy\n")
    project.allow()
    entered = project.entered(UV_CACHE_DIR=str(in_the_way / "cache"))
    assert entered.status == 0
    assert len(entered.said) == 1
    assert "file/cache" in entered.environ["NIXPY_STALE"]
    assert "Traceback" not in entered.stderr
    assert project.entered().synced


@pytest.mark.parametrize("home", ["", "relative/home", "/nowhere/at/all"])
def test_a_home_that_is_none_works_or_is_one_clear_line(world: World, home: str) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    unset = [argument for name in XDG for argument in ("-u", name)]
    if home.startswith("/") and os.geteuid() == 0:
        Path(world.home / "file").write_text("")
        home = str(world.home / "file" / "home")  # root could make any other
    for _ in range(2):
        done = world.run("env", *unset, f"HOME={home}", "nixpy", "export", "bash", cwd=project.path)
        assert f"export VIRTUAL_ENV='{project.path}/.venv'" in done.stdout
        assert "Traceback" not in done.stderr
        assert all(line.startswith("nixpy: ") for line in done.stderr.splitlines())
    assert not (project.path / "relative").exists()


XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def test_a_temporary_directory_that_is_gone_works_or_is_one_clear_line(project: Project) -> None:
    project.write("requirements.txt", "iniconfig==2.0.0\npluggy==1.5.0\n")
    project.write(".envrc", "use nixpy\n")
    project.allow()
    entered = project.entered(TMPDIR="/nowhere/at/all")
    assert entered.status == 0
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert len(entered.said) == 1
    assert "Traceback" not in entered.stderr


def test_without_uv_there_is_one_clear_line(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    broken = world.home / "broken"
    broken.mkdir()
    (broken / "uv").write_text("#!/bin/sh\necho cannot work >&2\nexit 4\n")
    (broken / "uv").chmod(0o755)
    done = project.nixpy("sync", check=False, PATH=f"{broken}:{world.environ['PATH']}")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "cannot work" in done.stderr


def test_a_working_directory_that_is_gone_is_one_clear_line(world: World) -> None:
    gone = world.directory / "gone"
    gone.mkdir()
    for command in ("sync", "export bash", "status", "explain", "run -- true", "list", "gc"):
        script = f"cd {gone} && rmdir ../gone && nixpy {command}; s=$?; mkdir {gone}; exit $s"
        done = world.run("sh", "-c", script, check=False)
        assert "Traceback" not in done.stderr, command
        assert len(done.stderr.splitlines()) <= 2


def test_a_closed_output_is_no_crash(project: Project) -> None:
    for redirect in (">&-", "2>&-", "<&-", ">&- 2>&-"):
        for command in ("export bash", "sync", "status"):
            script = f"nixpy {command} {redirect}"
            done = project.world.run("sh", "-c", script, cwd=project.path, check=False)
            assert "Traceback" not in done.stderr + done.stdout, script
