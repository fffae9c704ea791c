"""The doctor itself: where it works, what it prints, and what it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World
    from .conftest import Doctor, Patient

MODULE = '''
from nixpy.doctor.check import check
from nixpy.doctor.finding import Found, Severity

@check("demo.fails", title="a demonstration fails", severity=Severity.NOTE)
def fails(seen):
    """Divides.

    Symptom:
        None.

    Cause:
        None.

    Remedy:
        None.
    """
    yield Found("never seen")
    1 / 0

@check("demo.finds", title="a demonstration was found", severity=Severity.NOTE)
def finds(seen):
    """Finds something.

    Symptom:
        One.

    Cause:
        Two.

    Remedy:
        Three.
    """
    yield Found(f"index https://me:hunter2@example.org/ and {seen.environ['DEMO_TOKEN']}")
'''


def plugin(directory: Path, module: str) -> dict[str, str]:
    """Make a distribution with a plugin; return the variables that make it visible."""
    info = directory / "demo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nixpy.doctor]\ndemo = demo_checks\n")
    (directory / "demo_checks.py").write_text(module)
    return {"PYTHONPATH": str(directory), "DEMO_TOKEN": "opensesame"}


def test_it_works_where_there_is_no_project(bare_doctor: Doctor) -> None:
    found = bare_doctor.examine(bare_doctor.world.directory)
    assert found.document["project"] is None


def test_it_works_with_no_home_and_with_no_tools(bare_doctor: Doctor, programs: Path) -> None:
    directory = bare_doctor.world.directory
    (directory / "requirements.txt").write_text("")
    done = subprocess.run(
        [str(programs / "nixpy"), "doctor", "-v"],
        cwd=directory,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    assert "doctor.check-failed" not in done.stdout
    assert "nixpy.home-missing: " in done.stdout
    assert "direnv.missing: " in done.stdout


@pytest.mark.parametrize(
    "content",
    [b"[project", b"[tool.nixpy]\npyhton = '3'\n", b"\xff\xfe\x00", b"[project]\nname = 3\n"],
)
def test_it_works_in_a_broken_project(bare_doctor: Doctor, content: bytes) -> None:
    (bare_doctor.world.directory / "pyproject.toml").write_bytes(content)
    (bare_doctor.world.directory / ".envrc").write_text("use nixpy 'unclosed\n")
    bare_doctor.examine(bare_doctor.world.directory)


def test_it_works_where_the_directory_is_gone(bare_world: World) -> None:
    script = "mkdir gone && cd gone && rmdir ../gone && nixpy doctor"
    done = bare_world.run("bash", "-c", script, check=False)
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    assert "check-failed" not in done.stdout


@pytest.mark.parametrize(
    "name", [b"with blanks 'and' \"quotes\"", b"caf\xe9", b"two\nlines", b"a:b", b"-x", b"$(id)"]
)
@pytest.mark.parametrize("option", ["-v", "--json", "--report"])
def test_it_works_in_odd_places(doctor: Doctor, name: bytes, option: str) -> None:
    project = doctor.world.project(name)
    project.write("requirements.txt", "")
    project.nixpy("sync", check=False)
    done = project.nixpy("doctor", option, check=False)
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    assert "check-failed" not in done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/nowhere", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""},
        {"HOME": "relative", "XDG_CACHE_HOME": "relative", "XDG_CONFIG_HOME": "relative"},
        {
            "XDG_CACHE_HOME": "/dev/null",
            "XDG_STATE_HOME": "/dev/null",
            "XDG_DATA_HOME": "/dev/null",
        },
        {"SHELL": "/bin/\udcff", "PYTHONPATH": "\udcff:\udcfe", "NIXPY_STALE": "\udcff"},
        {"DIRENV_DIR": "-", "DIRENV_DIFF": "%", "DIRENV_WATCHES": "%", "NIXPY_RESTORE": "%"},
        {"NIXPY_PROJECT": "/nowhere", "VIRTUAL_ENV": "\udcff", "CONDA_PREFIX": "relative"},
        {"NIXPY_LOCK_TIMEOUT": "never", "NIXPY_EXTRAS": "//", "NIXPY_NO_SUCH": "1"},
        {"PWD": "/nowhere", "TMPDIR": "/dev/null", "LC_ALL": "nonsense", "COLUMNS": "1"},
        {"UV_CACHE_DIR": "/dev/null", "UV_PYTHON": "nonsense", "UV_INDEX_URL": "nonsense"},
    ],
)
def test_it_works_with_odd_variables(patient: Patient, variables: dict[str, str]) -> None:
    for arguments in ((), ("-v",), ("--report", "--deep")):
        said = patient.doctor.given(**variables).say(*arguments, directory=patient.path)
        assert "check-failed" not in said


@pytest.mark.parametrize(
    "damage",
    [
        "rm -rf .venv/lib",
        "rm -rf .venv/bin",
        "rm .venv/pyvenv.cfg",
        "echo > .venv/.nixpy/marker",
        "rm -rf .venv && touch .venv",
        "rm -rf .venv && ln -s .venv .venv",
        "rm -rf .venv && ln -s /nowhere .venv",
        "printf '\\377' > .venv/lib/python*/site-packages/alpha-1.0.dist-info/RECORD",
        "printf 'a\\0b,\"' > .venv/lib/python*/site-packages/alpha-1.0.dist-info/RECORD",
        "mkfifo .venv/bin/pipe; chmod 755 .venv/bin/pipe",
        "rm -rf wheels uv.lock pyproject.toml",
        "rm pyproject.toml; mkdir pyproject.toml",
        "rm -rf $XDG_CACHE_HOME/nixpy; touch $XDG_CACHE_HOME/nixpy",
        "rm -rf $XDG_STATE_HOME/nixpy; touch $XDG_STATE_HOME/nixpy",
        "rm -rf $XDG_CONFIG_HOME/direnv; touch $XDG_CONFIG_HOME/direnv",
        "rm ~/.bashrc; mkfifo ~/.bashrc",
        "echo '. ~/.bashrc' >> ~/.bashrc",
    ],
)
def test_it_works_where_anything_is_damaged(patient: Patient, damage: str) -> None:
    patient.world.run("bash", "-c", damage, cwd=patient.path)
    patient.doctor.examine(patient.path)
    patient.doctor.examine(patient.path, "--deep")


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    bare_doctor: Doctor, tmp_path: Path
) -> None:
    doctor = bare_doctor.given(**plugin(tmp_path / "plugin", MODULE))
    said = doctor.say()
    assert "demo.fails: ZeroDivisionError: division by zero" in said
    assert "doctor.check-failed" in said
    assert "demo.finds: a demonstration was found" in said
    assert doctor.world.nixpy("doctor", "--strict", check=False).returncode == 1


def test_a_plugin_that_cannot_be_loaded_is_a_finding(bare_doctor: Doctor, tmp_path: Path) -> None:
    doctor = bare_doctor.given(**plugin(tmp_path / "plugin", "import no_such_module\n"))
    found = doctor.examine(bare_doctor.world.directory)
    assert found.severity("doctor.plugin-broken") == "warning"
    assert "entry point demo: demo_checks: ModuleNotFoundError" in found.evidence(
        "doctor.plugin-broken"
    )
    shutil.rmtree(tmp_path / "plugin")
    assert "doctor.plugin-broken" not in doctor.examine(doctor.world.directory).loud


def test_explain_says_what_the_docstring_says(bare_doctor: Doctor, tmp_path: Path) -> None:
    doctor = bare_doctor.given(**plugin(tmp_path / "plugin", MODULE))
    said = doctor.say("explain", "demo.finds")
    assert "Symptom: One." in said
    assert "Cause: Two." in said
    assert "Remedy: Three." in said
    done = doctor.world.nixpy("doctor", "explain", "demo.find", check=False)
    assert done.returncode == 2
    assert "Did you mean demo.finds?" in done.stderr


def test_nothing_that_is_printed_holds_a_secret(bare_doctor: Doctor, tmp_path: Path) -> None:
    home = bare_doctor.world.environ["HOME"]
    doctor = bare_doctor.given(
        **plugin(tmp_path / "plugin", MODULE),
        UV_INDEX_URL="https://user:hunter2@index.example.org/simple",
        UV_PUBLISH_TOKEN="pypi-token-value",
        PIP_CERT=f"{home}/certificate.pem",
    )
    for option in ("--report", "--json", "-v"):
        said = doctor.say(option)
        assert "demo.finds" in said
        for secret in ("hunter2", "opensesame", "pypi-token-value"):
            assert secret not in said
    report = doctor.say("--report")
    assert "UV_INDEX_URL=https://***@index.example.org/simple\n" in report
    assert "UV_PUBLISH_TOKEN=***\n" in report
    assert "PIP_CERT=~/certificate.pem\n" in report
    assert home not in report


def test_only_and_skip_select_checks(bare_world: World) -> None:
    said = bare_world.nixpy("doctor", "-v", "--only", "doctor").stdout
    assert "doctor.plugin-broken" in said
    assert "direnv" not in said
    done = bare_world.nixpy("doctor", "--only", "no-such", check=False)
    assert done.returncode == 2
    assert "no check begins with 'no-such'" in done.stderr


def test_nothing_is_written(doctor: Doctor) -> None:
    project = doctor.world.project()
    project.write("requirements.txt", "")
    project.nixpy("sync")

    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for top in (doctor.world.home, doctor.world.directory):
            for path, directories, files in os.walk(top):
                for name in (*directories, *files):
                    status = os.lstat(f"{path}/{name}")
                    found[f"{path}/{name}"] = (status.st_mtime_ns, status.st_size)
        return found

    before = state()
    doctor.examine(project.path)
    project.nixpy("doctor", "-v", check=False)
    project.nixpy("doctor", "--report", "--deep", check=False)
    assert state() == before


def test_it_works_on_a_read_only_file_system(doctor: Doctor) -> None:
    project = doctor.world.project()
    project.write("requirements.txt", "")
    project.nixpy("sync")
    # A mount of its own, gone with the process: the same files, and nobody can write to them.
    script = "mount --rbind / / && mount -o remount,bind,ro / && ! touch x && exec nixpy doctor -v"
    if doctor.world.run("unshare", "--mount", "true", check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    done = doctor.world.run(
        "unshare", "--mount", "bash", "-c", script, cwd=project.path, check=False
    )
    assert "check-failed" not in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith("(-v says why)\n")
    assert done.returncode == 0


def test_it_needs_no_network(patient: Patient) -> None:
    if patient.world.run("unshare", "--net", "true", check=False).returncode:
        pytest.skip("no right to make a network namespace")
    argv = ("unshare", "--net", "nixpy", "doctor", "--deep")
    done = patient.world.run(*argv, cwd=patient.path)
    # What it says with a network.
    assert done.stdout == patient.doctor.say("--deep", directory=patient.path)
    assert done.stdout.startswith("nothing is wrong; ")


def terminal(patient: Patient, *arguments: str, columns: int = 100) -> pexpect.spawn[str]:
    """Start the doctor where a person sees it."""
    return pexpect.spawn(
        shutil.which("nixpy", path=patient.world.environ["PATH"]) or "nixpy",
        ["doctor", *arguments],
        env={**patient.world.environ, "TERM": "xterm-256color", "PWD": str(patient.path)},
        cwd=str(patient.path),
        encoding="utf-8",
        timeout=30,
        dimensions=(50, columns),
    )


def test_on_a_terminal_a_person_is_asked_about_each_fix(patient: Patient) -> None:
    patient.world.nixpy("setup", "--remove")
    (patient.prefix / "bin/python").unlink()
    with terminal(patient, "--fix") as process:
        process.expect("install nixpy's library for direnv as .*")
        process.sendline("n")
        process.expect("sync .*venv.*")
        process.sendline("y")
        process.expect(pexpect.EOF)
        assert "direnv.library-missing" in (process.before or "")
        assert "interpreter.dangling" not in (process.before or "")
    assert process.wait() == 1
    assert patient.examined().loud == ["direnv.library-missing"]


@pytest.mark.parametrize("columns", [40, 100])
def test_on_a_terminal_findings_are_coloured_and_wrapped(patient: Patient, columns: int) -> None:
    patient.project.write("requirements.txt", "[bold]\n" * 3)
    patient.project.write(".envrc", "use nixpy\nlayout python\n")
    process = terminal(patient, columns=columns)
    process.expect(pexpect.EOF)
    said = process.before or ""
    assert "\x1b[1;31mproblem" in said
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said).replace("\r\n", "\n")
    assert "direnv.envrc-not-allowed" in plain
    assert all(len(line) <= columns for line in plain.splitlines())
    process.close()


def test_where_nobody_looks_each_line_is_whole(patient: Patient) -> None:
    patient.project.write(".envrc", "use nixpy\nlayout python\n")
    said = patient.doctor.say("--only", "direnv", directory=patient.path)
    assert "\x1b" not in said
    assert f"           run: direnv allow {patient.path}/.envrc\n" in said
    assert said.splitlines()[0] == "direnv"
