"""Each fault of Nix, of flakes and of dev shells, its finding, and what mends it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixpy.doctor.examination import Examination
from nixpy.doctor.finding import Severity
from nixpy.doctor.run import diagnose

from ..nix.conftest import OLDER, Nix, Tree, copy_flake, nix, one_nix
from .conftest import Doctor, Patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.finding import Finding

    from ..conftest import World

__all__ = ["nix"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@dataclass
class WithShell(Patient):
    """A project with a dev shell, which is well."""

    nix: Nix
    tree: Tree

    def of_nix(self, *arguments: str, **variables: str) -> list[str]:
        """What is found of Nix in the project."""
        found = self.examined(*arguments, "--only", "nix.", **variables)
        return found.loud

    @property
    def roots(self) -> Path:
        return next((self.world.home / "state/nixpy/roots").glob("*/[0-9]*"))


@pytest.fixture
def shelled(world: World, nix: Nix) -> WithShell:
    """A project with the flake of ``tests/flakes/with-input``, locked and loaded."""
    del world.environ["NIX_PATH"]  # of an empty variable a doctor's patient knows nothing
    project = world.project()
    project.write(".python-version", "3\n")
    part = copy_flake("part", world.directory / "nixpkgs", world.environ).path
    shutil.rmtree(part / ".git")
    tree = copy_flake("with-input", project.path, world.environ, part=str(part))
    nix.run("flake", "lock", cwd=project.path)
    tree.commit()
    entered = project.entered()
    assert entered.environ["GREETING"] == "hello from the part", entered.stderr
    return WithShell(project, Doctor(world), nix, tree)


def inside(
    directory: Path, environ: dict[str, str], root: Path, *, platform: str = "linux"
) -> dict[str, Finding]:
    """What is found of Nix on a machine whose own files lie below ``root``."""
    seen = Examination(environ=environ, directory=str(directory), root=str(root), platform=platform)
    findings = diagnose(seen, only=("nix.",))
    order = sorted(findings, key=lambda one: one.severity.rank)
    return {one.identifier: one for one in order}


def severity(found: dict[str, Finding], identifier: str) -> str:
    assert "doctor.check-failed" not in found, found["doctor.check-failed"]
    return found[identifier].severity.value


def test_a_healthy_dev_shell_fires_nothing(shelled: WithShell) -> None:
    found = shelled.examined("--deep")
    assert found.loud == [], [found[one]["evidence"] for one in found.loud]
    version = ".".join(map(str, shelled.nix.version))
    assert f"{shelled.nix.commands}/nix, version {version}." in found.evidence("nix.missing")
    assert found.severity("nix.lock-outdated") == "ok"
    assert shelled.examined_inside().loud == []
    before = {path: path.stat().st_mtime_ns for path in shelled.path.rglob("*")}
    shelled.examined()
    assert {path: path.stat().st_mtime_ns for path in shelled.path.rglob("*")} == before


# Nix itself


@pytest.fixture
def without_nix(bare_world: World) -> World:
    """A machine on whose PATH there is nixpy and no Nix."""
    (bare_world.directory / "flake.nix").write_text("{ outputs = _: { }; }")
    (bare_world.directory / "requirements.txt").write_text("")
    bare_world.environ["PATH"] = bare_world.environ["PATH"].partition(":")[0]
    return bare_world


def test_nix_is_missing(without_nix: World) -> None:
    directory, environ, home = without_nix.directory, without_nix.environ, without_nix.home
    found = inside(directory, environ, home)
    assert severity(found, "nix.missing") == "warning"
    assert found["nix.missing"].evidence[0] == "the project has a dev shell: flake.nix"
    assert severity(found, "nix.does-not-run") == "skipped"
    (directory / "nixpy.toml").write_text('flake = ".#other"\n')
    assert severity(inside(directory, environ, home), "nix.missing") == "problem"
    (directory / "nixpy.toml").write_text("flake = false\n")
    assert severity(inside(directory, environ, home), "nix.missing") == "skipped"
    (directory / "nixpy.toml").unlink()
    # Installed where a distribution puts it.
    (home / "usr/bin").mkdir(parents=True)
    (home / "usr/bin/nix").symlink_to(OLDER / "nix")
    assert severity(inside(directory, environ, home), "nix.missing") == "ok"


@one_nix
def test_nix_is_not_on_path(without_nix: World, nix: Nix) -> None:
    without_nix.environ["PATH"] = f"{without_nix.home}/bin"
    profile = without_nix.home / ".nix-profile/bin"
    profile.mkdir(parents=True)
    (profile / "nix").symlink_to(nix.commands / "nix")
    found = inside(without_nix.directory, without_nix.environ, without_nix.home)
    assert severity(found, "nix.not-on-path") == "note"
    assert severity(found, "nix.missing") == "ok"
    assert f"{profile}/nix is there" in found["nix.not-on-path"].evidence
    path = subprocess.run(
        ["/bin/sh", "-c", f'{found["nix.not-on-path"].command}; printf %s "$PATH"'],
        env=without_nix.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    environ = {**without_nix.environ, "PATH": path}
    after = inside(without_nix.directory, environ, without_nix.home)
    assert severity(after, "nix.not-on-path") == "ok"


@one_nix
@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("nix (Nix) 2.3.16", "problem"),
        ("nix (Nix) 2.4", "ok"),
        ("nix (Lix, like Nix) 2.91.1", "ok"),
        ("nix (Determinate Nix 3.6.5) 2.29.0", "ok"),
    ],
)
def test_nix_is_too_old(without_nix: World, nix: Nix, version: str, fault: str) -> None:
    without_nix.environ["PATH"] = f"{without_nix.home}/bin"
    program = without_nix.home / "bin/nix"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    found = inside(without_nix.directory, without_nix.environ, without_nix.home)
    assert severity(found, "nix.too-old") == fault
    if fault == "problem":
        assert found["nix.too-old"].evidence == (f"{program} is Nix 2.3.16, and 2.4 is needed",)
        program.unlink()
        program.symlink_to(nix.commands / "nix")
        after = inside(without_nix.directory, without_nix.environ, without_nix.home)
        assert severity(after, "nix.too-old") == "ok"


def test_a_line_of_the_configuration_is_none(shelled: WithShell) -> None:
    path = Path(shelled.world.environ["NIX_CONF_DIR"]) / "nix.conf"
    text = path.read_text()
    path.write_text(f"{text}experimental-features nix-command flakes # missing: =\n")
    found = shelled.examined()
    assert found.severity("nix.does-not-run") == "problem"
    line = text.count("\n") + 1
    assert f"{path}:{line}: experimental-features nix-command" in found.evidence("nix.does-not-run")
    path.write_text(f"{text}include /no/such/file\nsandbox = perhaps\n")
    assert shelled.examined().severity("nix.does-not-run") == "problem"
    path.write_text(text)
    assert shelled.of_nix() == []
    found = shelled.examined(NIX_CONFIG="cores")
    assert "NIX_CONFIG" in found.evidence("nix.does-not-run")


def test_a_setting_is_misspelt(shelled: WithShell) -> None:
    path = Path(shelled.world.environ["NIX_CONF_DIR"]) / "nix.conf"
    text = path.read_text()
    path.write_text(f"{text}experimental-feature = flakes\n")
    found = shelled.examined()
    assert found.severity("nix.setting-unknown") == "note"
    assert found["nix.setting-unknown"]["evidence"] == [
        "warning: unknown setting 'experimental-feature'"
    ]
    path.write_text(f"{text}experimental-features = flake\n")
    assert "'flake'" in shelled.examined().evidence("nix.setting-unknown")
    path.write_text(f"{text}experimental-features = flakes\n")
    assert shelled.of_nix() == []


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def serving(command: str, shelled: WithShell, path: Path) -> Iterator[None]:
    """Run a command that starts a daemon, until that is no longer needed."""
    with subprocess.Popen(
        ["bash", "-c", f"{command} wait"],
        cwd=shelled.path,
        env={**shelled.world.environ, "NIX_REMOTE": ""},
        start_new_session=True,
    ) as process:
        try:
            wait_for(path)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_daemon_does_not_answer(shelled: WithShell) -> None:
    path = Path(shelled.world.environ["NIX_STATE_DIR"]) / "daemon-socket/socket"
    found = shelled.examined(NIX_REMOTE="daemon")
    assert found.severity("nix.daemon-unreachable") == "problem"
    assert found["nix.daemon-unreachable"]["evidence"] == [
        f"{path}: No such file or directory",
        "NIX_REMOTE=daemon",
    ]
    assert found.severity("nix.daemon-differs") == "skipped"
    command = found["nix.daemon-unreachable"]["command"]
    if "systemctl" in command:
        pytest.skip("the remedy would start the machine's own daemon")
    # There is no sudo on every machine, and this store is our own; nor is there each name of Nix.
    program = shelled.world.home / "nix-daemon"
    program.symlink_to(shelled.nix.commands / "nix")
    command = command.removeprefix("sudo ").replace(
        f"{shelled.nix.commands}/nix-daemon", str(program)
    )
    with serving(command, shelled, path):
        found = shelled.examined(NIX_REMOTE="daemon")
        version = ".".join(map(str, shelled.nix.version))
        assert f"{path} answers, version {version}." in found.evidence("nix.daemon-unreachable")
        assert not {"nix.daemon-unreachable", "nix.daemon-differs"} & set(found.loud)
        # Another Nix on PATH than the one that serves.
        other = shelled.world.home / "other/nix"
        other.parent.mkdir()
        other.write_text("#!/bin/sh\necho 'nix (Nix) 2.99.1'\n")
        other.chmod(0o755)
        variables = {"PATH": f"{other.parent}:{shelled.world.environ['PATH']}"}
        found = shelled.examined(NIX_REMOTE=f"unix://{path}", **variables)
        assert found.severity("nix.daemon-differs") == "note"
        assert found.evidence("nix.daemon-differs").startswith(f"{other} is 2.99.1; the daemon")
    found = shelled.examined(NIX_REMOTE=f"unix://{path}")
    assert "Connection refused" in found.evidence("nix.daemon-unreachable")
    assert found["nix.daemon-unreachable"]["command"] == "unset NIX_REMOTE"


@one_nix
def test_there_is_no_room_for_the_store(shelled: WithShell) -> None:
    world = shelled.world
    if world.run("unshare", "--mount", "true", check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    store = world.environ["NIX_STORE_DIR"]
    command = f"mount -t tmpfs -o size=30m none {store} && exec nixpy doctor --json"
    done = world.run("unshare", "--mount", "bash", "-c", command, cwd=shelled.path, check=False)
    found = {one["identifier"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["nix.store-full"]["severity"] == "problem"
    assert found["nix.store-full"]["evidence"] == [f"{store} has 31 MB left"]
    shelled.heals(found["nix.store-full"])


@one_nix
def test_the_store_lies_on_a_network_file_system(shelled: WithShell, tmp_path: Path) -> None:
    store = Path(shelled.world.environ["NIX_STORE_DIR"])
    (tmp_path / "proc/self").mkdir(parents=True)
    mountinfo = tmp_path / "proc/self/mountinfo"
    lines = "22 28 0:20 / / rw - ext4 /dev/sda1 rw\n30 22 0:40 / {} rw - nfs4 server:/nix rw\n"
    environ = {**shelled.world.environ}
    mountinfo.write_text(lines.format(f"/{store.parent.relative_to(tmp_path)}"))
    found = inside(shelled.path, environ, tmp_path)
    assert severity(found, "nix.store-on-network") == "warning"
    assert found["nix.store-on-network"].evidence[0].endswith("which is nfs4")
    mountinfo.write_text(lines.format("/elsewhere"))
    assert severity(inside(shelled.path, environ, tmp_path), "nix.store-on-network") == "ok"


def test_the_search_path_has_no_nixpkgs(world: World, nix: Nix) -> None:
    project = world.project()
    project.write(".python-version", "3\n")
    tree = copy_flake("no-flake", project.path, world.environ)
    shell = project.path / "shell.nix"
    shell.write_text(shell.read_text().replace("import ./nix/shell.nix", "import <nixpkgs>"))
    patient = WithShell(project, Doctor(world), nix, tree)
    gone = f"nixpkgs={project.path}/gone"
    assert project.entered(NIX_PATH=gone).environ.get("GREETING") is None
    found = patient.examined(NIX_PATH=gone)
    assert found.severity("nix.search-path") == "problem"
    assert found["nix.search-path"]["evidence"] == [
        "shell.nix looks up <nixpkgs>",
        f"NIX_PATH={gone}",
        f"{gone} leads nowhere",
    ]
    assert found.severity("nix.evaluation-failed") == "problem"
    good = f"nixpkgs={project.path}/nix/shell.nix"
    assert project.entered(NIX_PATH=good).environ["GREETING"] == "hello\n"
    assert patient.of_nix(NIX_PATH=good) == []
    # No channel of this user's, nor of root's.
    del world.environ["NIX_PATH"]
    found = patient.doctor.examine(project.path)
    assert found.severity("nix.search-path") == "warning"
    (world.home / ".nix-defexpr/channels/nixpkgs").mkdir(parents=True)
    assert "nix.search-path" not in patient.doctor.examine(project.path).loud


# NixOS


LOADER = {
    "x86_64": "lib64/ld-linux-x86-64.so.2",
    "aarch64": "lib/ld-linux-aarch64.so.1",
}.get(os.uname().machine, "")


def linked(root: Path, target: str) -> None:
    """Have the loader of other distributions be what NixOS makes of it."""
    loader = root / LOADER
    loader.parent.mkdir(parents=True, exist_ok=True)
    loader.unlink(missing_ok=True)
    loader.symlink_to(target)


@pytest.mark.skipif(not LOADER, reason="no name of this machine's loader is known here")
def test_nixos_runs_no_programs_of_others(patient: Patient, tmp_path: Path) -> None:
    environ = patient.world.environ
    python = os.path.realpath(patient.prefix / "bin/python")
    found = inside(patient.path, environ, tmp_path)
    assert severity(found, "nix.no-loader") == "problem"
    assert found["nix.no-loader"].evidence == (f"{python} wants /{LOADER}, which is not there",)
    stub = (
        "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-stub-ld-x86_64-unknown-linux-musl/bin/stub-ld"
    )
    linked(tmp_path, stub)
    found = inside(patient.path, environ, tmp_path)
    assert severity(found, "nix.no-loader") == "problem"
    assert f"{python} wants /{LOADER}, which is NixOS' stub ({stub})" in (
        found["nix.no-loader"].evidence
    )
    assert severity(found, "nix.nix-ld-incomplete") == "skipped"
    # A program that a wheel brings is found too, and is less.
    shutil.copy("/bin/true", patient.prefix / "bin/brought")
    seen = Examination(environ=environ, directory=str(patient.path), root=str(tmp_path))
    both = diagnose(seen, only=("nix.no-loader",))
    assert [one.severity for one in both] == [Severity.PROBLEM, Severity.WARNING]
    assert both[1].evidence[0].startswith(f"{patient.prefix}/bin/brought wants")
    # What `programs.nix-ld.enable = true` makes.
    linked(tmp_path, "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nix-ld-2.0.4/libexec/nix-ld")
    system = tmp_path / "run/current-system/sw/share/nix-ld/lib"
    system.mkdir(parents=True)
    (system / "ld.so").touch()
    found = inside(patient.path, environ, tmp_path)
    assert severity(found, "nix.no-loader") == "ok"
    assert severity(found, "nix.nix-ld-incomplete") == "ok"
    assert severity(inside(patient.path, environ, Path("/")), "nix.no-loader") == "ok"


@pytest.mark.skipif(not LOADER, reason="no name of this machine's loader is known here")
def test_nix_ld_is_told_of_what_is_gone(patient: Patient, tmp_path: Path) -> None:
    linked(tmp_path, "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nix-ld-2.0.4/libexec/nix-ld")
    environ = patient.world.environ
    found = inside(patient.path, environ, tmp_path)
    assert severity(found, "nix.nix-ld-incomplete") == "problem"
    assert found["nix.nix-ld-incomplete"].evidence[0] == "NIX_LD is not set"
    assert found["nix.nix-ld-incomplete"].command == ""
    system = tmp_path / "run/current-system/sw/share/nix-ld/lib"
    system.mkdir(parents=True)
    (system / "ld.so").touch()
    gone = {**environ, "NIX_LD": "/nix/store/gone/ld.so"}
    found = inside(patient.path, gone, tmp_path)
    assert found["nix.nix-ld-incomplete"].evidence[0] == "NIX_LD=/nix/store/gone/ld.so"
    assert found["nix.nix-ld-incomplete"].command == "unset NIX_LD"
    assert severity(inside(patient.path, environ, tmp_path), "nix.nix-ld-incomplete") == "ok"
    within = "/run/current-system/sw/share/nix-ld/lib"
    listed = {**environ, "NIX_LD_LIBRARY_PATH": f"{within}:/nix/store/gone/lib"}
    found = inside(patient.path, listed, tmp_path)
    assert severity(found, "nix.nix-ld-incomplete") == "warning"
    assert found["nix.nix-ld-incomplete"].evidence == (
        "NIX_LD_LIBRARY_PATH names /nix/store/gone/lib, which is not there",
    )
    listed["NIX_LD_LIBRARY_PATH"] = within
    assert severity(inside(patient.path, listed, tmp_path), "nix.nix-ld-incomplete") == "ok"


# The flake and its lock file


@pytest.mark.parametrize("name", ["flake.nix", "flake.lock", "nix/shell.nix", "nix/setup.sh"])
@one_nix
def test_git_does_not_track_a_file_of_the_flake(shelled: WithShell, name: str) -> None:
    shelled.tree.git("rm", "--quiet", "--cached", name)
    found = shelled.examined()
    # What is kept of it holds; the next evaluation fails.
    assert found.severity("nix.flake-untracked") == "warning"
    assert found["nix.flake-untracked"]["evidence"][0].startswith(name)
    shelled.project.write("flake.nix", (shelled.path / "flake.nix").read_text() + "\n")
    assert shelled.project.entered().said
    found = shelled.examined()
    if name != "flake.lock":
        assert found.severity("nix.flake-untracked") == "problem"
        assert found.severity("nix.evaluation-failed") == "problem"
    shelled.heals(found["nix.flake-untracked"])
    shelled.project.entered()
    assert shelled.of_nix() == []


@one_nix
def test_what_git_ignores_is_meant_but_for_the_flake_itself(shelled: WithShell) -> None:
    shelled.project.write(".gitignore", "own.txt\nflake.*\n")
    text = (shelled.path / "flake.nix").read_text()
    shelled.project.write("own.txt", "")
    shelled.project.write(
        "flake.nix", text.replace("shell.mkShell", "let a = ./own.txt; in shell.mkShell")
    )
    assert "nix.flake-untracked" not in shelled.of_nix()
    shelled.tree.git("rm", "--quiet", "--cached", "--force", "flake.nix")
    found = shelled.examined()
    assert found["nix.flake-untracked"]["evidence"] == ["flake.nix"]
    assert " --force " in found["nix.flake-untracked"]["command"]
    shelled.heals(found["nix.flake-untracked"])


def test_there_is_no_lock_file(shelled: WithShell) -> None:
    (shelled.path / "flake.lock").unlink()
    shelled.project.entered()
    found = shelled.examined()
    assert found.severity("nix.lock-missing") == "warning"
    assert found.evidence("nix.lock-missing") == (
        f"{shelled.path}/flake.lock is not there; flake.nix asks for part"
    )
    assert found.severity("nix.lock-outdated") == "skipped"
    shelled.heals(found["nix.lock-missing"])
    shelled.project.entered()
    assert shelled.of_nix() == []


@one_nix
def test_a_lock_file_has_the_marks_of_a_merge(shelled: WithShell) -> None:
    path = shelled.path / "flake.lock"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    found = shelled.examined()
    assert found.severity("nix.lock-malformed") == "problem"
    assert f"{path}: " in found.evidence("nix.lock-malformed")
    shelled.heals(found["nix.lock-malformed"])
    shelled.project.entered()
    assert shelled.of_nix() == []


@pytest.mark.parametrize("edit", ["another input", "another address"])
def test_the_lock_file_is_outdated(shelled: WithShell, edit: str) -> None:
    text = (shelled.path / "flake.nix").read_text()
    other = shelled.world.directory / "other"
    shutil.copytree(shelled.world.directory / "nixpkgs", other)
    if edit == "another input":
        added = f'inputs.more.url = "path:{other}";'
        text = text.replace("outputs", f"{added}\n  outputs").replace("{ self, ", "{ self, more, ")
        said = "more is not in flake.lock"
    else:
        text = text.replace(f"{shelled.world.directory}/nixpkgs", str(other))
        said = f"part is path:{other} in flake.nix, and path:{shelled.world.directory}/nixpkgs"
    shelled.project.write("flake.nix", text)
    found = shelled.examined()
    assert found.severity("nix.lock-outdated") == "warning"
    assert found.evidence("nix.lock-outdated").startswith(said)
    before = (shelled.path / "flake.lock").read_bytes()
    assert shelled.examined("--deep").severity("nix.lock-outdated") == "warning"
    assert (shelled.path / "flake.lock").read_bytes() == before
    shelled.heals(found["nix.lock-outdated"])
    shelled.project.entered()
    assert shelled.of_nix("--deep") == []


def test_only_nix_sees_that_the_lock_file_is_outdated(shelled: WithShell) -> None:
    text = (shelled.path / "flake.nix").read_text()
    other = copy_flake("part", shelled.world.directory / "other", shelled.world.environ).path
    address = f"path:{shelled.world.directory}/nixpkgs"
    shelled.project.write("flake.nix", text.replace(address, f"git+file://{other}"))
    assert "nix.lock-outdated" not in shelled.examined().loud
    found = shelled.examined("--deep")
    assert found.severity("nix.lock-outdated") == "warning"
    assert "requires lock file changes" in found.evidence("nix.lock-outdated")
    shelled.project.write("flake.nix", text)
    assert shelled.examined("--deep").severity("nix.lock-outdated") == "ok"


def test_the_lock_file_is_old(shelled: WithShell) -> None:
    flake = shelled.path / "flake.nix"
    flake.write_text(
        flake.read_text()
        .replace("part.url", "nixpkgs.url")
        .replace("part }", "nixpkgs }")
        .replace("part.greeting", "nixpkgs.greeting")
    )
    nixpkgs = shelled.world.directory / "nixpkgs"
    for path in (*nixpkgs.rglob("*"), nixpkgs):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    shelled.nix.run("flake", "lock", cwd=shelled.path)
    shelled.tree.commit()
    shelled.project.entered()
    found = shelled.examined()
    assert found.loud == ["nix.lock-old"]
    assert found.severity("nix.lock-old") == "note"
    assert found.evidence("nix.lock-old").startswith("nixpkgs is of 2020-09-13, ")
    for path in nixpkgs.rglob("*"):
        os.utime(path)
    shelled.heals(found["nix.lock-old"])


@one_nix
def test_nix_copies_a_lot(shelled: WithShell) -> None:
    data = shelled.path / "data"
    data.mkdir()
    with open(data / "large.bin", "wb") as file:
        file.truncate(300_000_000)  # a hole: it takes no room
    assert "nix.flake-big" not in shelled.examined().loud
    shelled.tree.git("add", "--intent-to-add", "data/large.bin")
    found = shelled.examined()
    assert found.severity("nix.flake-big") == "warning"
    assert f"{shelled.path}: 300 MB in " in found.evidence("nix.flake-big")
    assert "data: 300 MB" in found["nix.flake-big"]["evidence"]
    assert found["nix.flake-big"]["command"] == ""
    # The whole directory is copied where there is no git.
    shutil.rmtree(shelled.path / ".git")
    found = shelled.examined()
    assert found.severity("nix.flake-big") == "warning"
    shelled.heals(found["nix.flake-big"])
    shelled.project.nixpy("sync")
    assert shelled.project.entered().environ["GREETING"] == "hello from the part"
    assert shelled.of_nix() == []
    shelled.project.write("nixpy.toml", 'flake = "path:."\n')
    assert shelled.examined().severity("nix.flake-big") == "warning"


# What was kept


def test_the_last_evaluation_failed(shelled: WithShell) -> None:
    flake = shelled.path / "flake.nix"
    text = flake.read_text()
    flake.write_text(text.replace("part.greeting", "part.nothing"))
    assert shelled.project.entered().said
    found = shelled.examined()
    assert found.severity("nix.evaluation-failed") == "problem"
    assert "attribute 'nothing' missing" in found.evidence("nix.evaluation-failed")
    assert "the whole log: " in found.evidence("nix.evaluation-failed")
    assert found.severity("nix.dev-shell-stale") == "skipped"
    flake.write_text(text)
    shelled.heals(found["nix.evaluation-failed"])
    assert shelled.of_nix() == []


@one_nix
def test_the_dev_shell_is_stale(shelled: WithShell) -> None:
    shelled.project.write("nix/setup.sh", (shelled.path / "nix/setup.sh").read_text() + "\n")
    found = shelled.examined(NIXPKGS_ALLOW_UNFREE="1")
    assert found.severity("nix.dev-shell-stale") == "note"
    assert found["nix.dev-shell-stale"]["evidence"] == [
        "nix/setup.sh changed",
        "the variable NIXPKGS_ALLOW_UNFREE is new",
    ]
    shelled.project.write("nixpy.toml", 'sync = "manual"\n')
    found = shelled.examined()
    assert found.severity("nix.dev-shell-stale") == "warning"
    assert found.evidence("nix.dev-shell-stale") == "nix/setup.sh changed"
    shelled.heals(found["nix.dev-shell-stale"])


@pytest.mark.parametrize("way", ["the link was removed", "liveness was ignored"])
def test_what_the_dev_shell_consists_of_was_collected(shelled: WithShell, way: str) -> None:
    link = shelled.roots / "shell"
    target = os.path.realpath(link)
    if way == "the link was removed":
        for path in shelled.roots.iterdir():
            path.unlink()
        shelled.nix.command("nix-store", "--gc", cwd=shelled.path)
        evidence = f"{link} is not there"
    else:
        shelled.nix.command("nix-store", "--delete", "--ignore-liveness", target, cwd=shelled.path)
        evidence = f"{link} leads to {target}, which is gone"
    assert not os.path.exists(target)
    found = shelled.examined()
    assert found.severity("nix.root-collected") == "warning"
    assert found.evidence("nix.root-collected") == evidence
    assert found.severity("nix.root-unregistered") == "skipped"
    assert "nix.dev-shell-stale" not in found.loud
    shelled.heals(found["nix.root-collected"])
    assert shelled.of_nix() == []


def test_nix_does_not_know_the_roots(shelled: WithShell) -> None:
    auto = Path(shelled.world.environ["NIX_STATE_DIR"]) / "gcroots/auto"
    for entry in auto.iterdir():
        entry.unlink()
    found = shelled.examined()
    assert found.severity("nix.root-unregistered") == "warning"
    assert (
        f"{shelled.roots}/shell-1-link is not in {auto}"
        in (found["nix.root-unregistered"]["evidence"])
    )
    shelled.heals(found["nix.root-unregistered"])
    shelled.nix.command("nix-store", "--gc", cwd=shelled.path)
    assert shelled.of_nix() == []
    assert os.path.exists(shelled.roots / "shell")


@one_nix
def test_roots_of_a_project_that_is_gone(shelled: WithShell) -> None:
    gone = shelled.world.project("gone")
    copy_flake("shells", gone.path, shelled.world.environ)
    gone.write(".python-version", "3\n")
    gone.entered()
    shutil.rmtree(gone.path)
    found = shelled.examined()
    assert found.severity("nix.roots-orphaned") == "note"
    assert f"{gone.path} is gone" in found.evidence("nix.roots-orphaned")
    shelled.heals(found["nix.roots-orphaned"])
    assert shelled.examined().loud == []
