"""Many shells at once, kills, edits meanwhile, interruptions, daemons that do not answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pexpect
import pytest

from .conftest import copy_flake, newer_in_campaign
from .test_dev_shell import evaluations, use

if TYPE_CHECKING:
    from ..conftest import Project, World
    from .conftest import Nix

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def project(world: World, nix: Nix) -> Project:
    project = world.project()
    project.write(".python-version", "3\n")
    copy_flake("shells", project.path, world.environ)
    return project


def started(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["nixpy", *arguments],
        cwd=project.path,
        env={**project.world.environ, "PWD": str(project.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_build(project: Project) -> None:
    """Wait until Nix has evaluated the slow shell, and builds it."""
    deadline = time.monotonic() + 30
    logs = project.world.home / "state/nixpy/logs"
    while not any(b"building" in log.read_bytes() for log in logs.glob("*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@newer_in_campaign
def test_twenty_shells_evaluate_once(project: Project) -> None:
    with ThreadPoolExecutor(20) as pool:
        entered = list(pool.map(lambda _: project.entered(), range(20)))
    assert {one.status for one in entered} == {0}
    assert {one.environ.get("HOOKED") for one in entered} == {"yes"}
    assert {one.environ["VIRTUAL_ENV"] for one in entered} == {str(project.path / ".venv")}
    assert evaluations(project) == 1


def test_an_edit_while_nix_works_is_noticed_by_the_next_entry(project: Project) -> None:
    use(project, "--flake .#slow")
    with started(project, "sync", "--flake", ".#slow") as process:
        wait_for_build(project)
        project.write("data.txt", "goodbye\n")
        assert process.wait(30) == 0
    assert project.entered().environ["GREETING"] == "goodbye\n"
    assert project.entered().said == []


EDITING_NIX = """\
#!/bin/sh
case " $* " in
  *" print-dev-env "*) [ -e edited ] || { touch edited; echo goodbye > data.txt; } ;;
esac
exec %s "$@"
"""


def test_an_edit_between_two_calls_of_nix_is_evaluated_and_the_next_noticed(
    project: Project, nix: Nix
) -> None:
    program = project.world.home / "bin/nix"
    program.write_text(EDITING_NIX % (nix.commands / "nix"))
    program.chmod(0o755)
    project.world.environ["PATH"] = f"{program.parent}:{project.world.environ['PATH']}"
    assert project.entered().environ["GREETING"] == "goodbye\n"
    assert project.entered().said == []
    project.write("README.md", "changed\n")
    assert project.entered().said == []
    project.write("data.txt", "hello again\n")
    assert project.entered().environ["GREETING"] == "hello again\n"


@newer_in_campaign
@pytest.mark.parametrize("after", [0.05, 0.3, 0.6, 1.0])
def test_a_kill_leaves_what_the_next_entry_mends(project: Project, after: float) -> None:
    with started(project, "sync") as process:
        time.sleep(after)
        os.killpg(process.pid, signal.SIGKILL)
    entered = project.entered()
    assert entered.environ["HOOKED"] == "yes"
    assert entered.environ["VIRTUAL_ENV"]
    assert project.entered().said == []


def test_an_interruption_ends_nix_too(project: Project) -> None:
    with started(project, "sync", "--flake", ".#slow") as process:
        wait_for_build(project)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    left = subprocess.run(
        ["pgrep", "-f", f"nix.*{project.path}"], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""
    assert not list((project.world.home / "state/nixpy/roots").glob("*/[0-9]*"))


def test_after_a_second_of_silence_a_terminal_shows_what_nix_does(project: Project) -> None:
    shown = pexpect.spawn(
        "nixpy",
        ["sync", "--flake", ".#slow"],
        cwd=str(project.path),
        env={**project.world.environ, "PWD": str(project.path)},
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 400),
    )
    shown.expect("nixpy: building '[^']*slow-tool")
    shown.expect(pexpect.EOF)
    shown.close()
    assert shown.exitstatus == 0


def test_without_a_terminal_nothing_is_shown_of_it(project: Project) -> None:
    done = project.nixpy("sync", "--flake", ".#slow")
    assert [line for line in done.stderr.splitlines() if "synced" not in line] == []


def test_a_daemon_that_does_not_answer_is_named(project: Project) -> None:
    entered = project.entered(NIX_REMOTE="daemon")
    assert any("the Nix daemon does not answer" in line for line in entered.said)
    assert entered.environ["VIRTUAL_ENV"]
    assert project.entered().environ["HOOKED"] == "yes"


def test_an_old_nix_is_told_from_a_new_one(project: Project, nix: Nix) -> None:
    old = project.world.home / "bin/nix"
    old.write_text("#!/bin/sh\necho \"error: unrecognised flag '$1'\" >&2\nexit 1\n")
    old.chmod(0o755)
    path = f"{old.parent}:{project.world.environ['PATH']}"
    entered = project.entered(PATH=path)
    assert any("older than 2.4" in line for line in entered.said)


def test_a_flake_outside_of_git_is_evaluated(project: Project) -> None:
    shutil.rmtree(project.path / ".git")
    assert project.entered().environ["HOOKED"] == "yes"
    project.write("data.txt", "goodbye\n")
    assert project.entered().environ["GREETING"] == "goodbye\n"


def test_nixpy_works_on_in_the_loaded_shell(project: Project) -> None:
    """What direnv has loaded does not count as the environment to start from."""
    loaded = project.entered().environ
    inside = replace(project, world=replace(project.world, environ=loaded))
    assert inside.nixpy("status").stdout.startswith("fresh")
    project.write("data.txt", "goodbye\n")
    inside.nixpy("sync")
    assert evaluations(project) == 2
    entered = project.entered()
    assert entered.environ["GREETING"] == "goodbye\n"
    assert entered.environ["HOOKED"] == "yes"
    assert entered.environ["PATH"] == loaded["PATH"]
    assert entered.said == []


def test_manual_syncing_leaves_the_dev_shell_as_it_is(project: Project) -> None:
    project.entered()
    project.write("nixpy.toml", 'sync = "manual"\n')
    project.write("data.txt", "goodbye\n")
    entered = project.entered()
    assert entered.environ["GREETING"] == "hello\n"
    assert any("nixpy sync" in line for line in entered.said)
    project.nixpy("sync")
    assert project.entered().environ["GREETING"] == "goodbye\n"
