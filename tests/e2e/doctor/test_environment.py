"""Each fault of an environment, its finding, and what mends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nixpy.marker import read_marker

from .conftest import MANIFEST, write_wheel
from .test_direnv import after, script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Patient


def heals_in_the_shell(patient: Patient, finding: dict[str, str], **variables: str) -> None:
    """Run the command of a finding in the shell that it is about."""
    found = after(patient, finding["command"], **variables)
    assert finding["identifier"] not in found.loud, found[finding["identifier"]]


def test_the_environment_was_never_made(patient: Patient) -> None:
    shutil.rmtree(patient.prefix)
    found = patient.examined()
    assert found.severity("environment.unsynced") == "warning"
    assert found.evidence("environment.unsynced") == f"{patient.prefix} is not there"
    patient.heals(found["environment.unsynced"])


def test_the_environment_was_made_by_another_tool(patient: Patient) -> None:
    shutil.rmtree(patient.prefix / ".nixpy")
    found = patient.examined()
    assert found.evidence("environment.unsynced") == f"{patient.prefix} was not synced by nixpy"
    patient.heals(found["environment.unsynced"])


def test_a_sync_was_killed(patient: Patient) -> None:
    slow = script(patient.world.home / "slow/uv", "exec sleep 60")
    environ = {
        **patient.world.environ,
        "PATH": f"{slow.parent}:{patient.world.environ['PATH']}",
        "PWD": str(patient.path),
    }
    with subprocess.Popen(
        ["nixpy", "sync", "--force"], cwd=patient.path, env=environ, start_new_session=True
    ) as process:
        for _ in range(500):
            marker = read_marker(str(patient.prefix))
            if marker and marker.state == "syncing":
                break
            time.sleep(0.02)
        found = patient.examined()
        assert found.severity("environment.interrupted") == "skipped"
        assert found.severity("nixpy.lock-held") == "warning"
        os.killpg(process.pid, signal.SIGKILL)
    found = patient.examined()
    assert found.severity("environment.interrupted") == "problem"
    assert "a sync by uv is under way" in found.evidence("environment.interrupted")
    patient.heals(found["environment.interrupted"])
    assert patient.examined().loud == []


def test_something_changed_since_the_last_sync(patient: Patient) -> None:
    patient.project.write("pyproject.toml", MANIFEST.replace("beta<2", "beta"))
    found = patient.examined()
    assert found.severity("environment.outdated") == "warning"
    assert found.evidence("environment.outdated") == "file pyproject.toml changed"
    patient.heals(found["environment.outdated"])


def test_the_last_good_environment_is_in_force(patient: Patient) -> None:
    patient.project.write("pyproject.toml", MANIFEST.replace("beta<2", "no-such-thing"))
    environ = patient.project.entered().environ
    found = patient.examined(**environ)
    assert found.severity("environment.stale") == "warning"
    assert "no-such-thing" in found.evidence("environment.stale")
    patient.project.write("pyproject.toml", MANIFEST)
    assert "environment.stale" not in patient.examined_inside().loud


def test_a_package_was_removed_by_hand(patient: Patient) -> None:
    patient.world.run(
        "uv", "pip", "uninstall", "--python", str(patient.prefix), "beta", cwd=patient.path
    )
    found = patient.examined()
    assert found.severity("environment.packages-differ") == "problem"
    assert found.evidence("environment.packages-differ") == "beta 1.0 is not installed"
    assert found.severity("environment.changed-by-hand") == "note"
    assert str(patient.site) in found.evidence("environment.changed-by-hand")
    assert found.severity("environment.dependencies-unmet") == "warning"
    assert "`alpha` requires `beta>=1`" in found.evidence("environment.dependencies-unmet")
    patient.heals(found["environment.dependencies-unmet"])
    assert patient.examined().loud == []


def test_another_version_and_another_package_were_installed_by_hand(patient: Patient) -> None:
    wheel = write_wheel(patient.path / "wheels", "gamma", "1.0")
    install = ("uv", "pip", "install", "--python", str(patient.prefix), "--offline")
    patient.world.run(*install, str(wheel), cwd=patient.path)
    found = patient.examined()
    assert found.severity("environment.packages-differ") == "note"
    assert "gamma 1.0 is installed, and nothing asks for it" in found.evidence(
        "environment.packages-differ"
    )
    assert found.status == 0
    patient.world.run(*install, "beta==2.0", cwd=patient.path)
    found = patient.examined()
    assert found.severity("environment.packages-differ") == "problem"
    assert "beta 2.0 is installed, and 1.0 is asked for" in found.evidence(
        "environment.packages-differ"
    )
    patient.heals(found["environment.packages-differ"])
    patient.heals(found["environment.changed-by-hand"])
    assert patient.examined().loud == []


def test_a_requirement_was_removed_by_hand(patient: Patient) -> None:
    for name in ("pyproject.toml", "uv.lock"):
        (patient.path / name).unlink()
    patient.project.write(
        "requirements.txt",
        "--no-index\n--find-links wheels\nalpha\nbeta<2\nx; python_version<'3'\n",
    )
    patient.project.nixpy("sync")
    assert patient.examined().loud == []
    patient.world.run("uv", "pip", "uninstall", "--python", str(patient.prefix), "alpha")
    found = patient.examined()
    assert found.evidence("environment.packages-differ") == "alpha any version is not installed"
    patient.heals(found["environment.packages-differ"])


def test_a_file_of_a_package_is_gone(patient: Patient) -> None:
    (patient.site / "alpha.py").unlink()
    found = patient.examined()
    assert found.severity("environment.record-damaged") == "problem"
    evidence = found.evidence("environment.record-damaged")
    assert evidence == f"alpha 1.0: {(patient.site / 'alpha.py').relative_to(patient.path)} is gone"
    assert found["environment.record-damaged"]["fix"] == "install alpha again"
    patient.heals(found["environment.record-damaged"])
    assert patient.project.python("import alpha; print(alpha.version)") == "1.0"
    assert patient.examined().loud == []


def edit(path: Path) -> None:
    path.write_text("version = '1.0'; edited = 1\n")


def edit_to_the_same_size(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"V")


@pytest.mark.parametrize(
    ("change", "arguments", "what"),
    [
        (edit, (), "has 28 bytes, and had 16"),
        (edit_to_the_same_size, ("--deep",), "has another content than when it was installed"),
    ],
)
def test_a_file_of_a_package_was_edited(
    patient: Patient, change: Callable[[Path], None], arguments: tuple[str, ...], what: str
) -> None:
    # What was restored for this test has no links to uv's cache any more.
    shutil.rmtree(patient.prefix)
    patient.project.nixpy("sync")
    change(patient.site / "alpha.py")
    found = patient.examined(*arguments)
    assert found.severity("environment.record-damaged") == "warning"
    evidence = found.evidence("environment.record-damaged")
    assert what in evidence
    # Edited in place, it is edited in uv's cache too.
    assert "uv's cache shares files of alpha" in evidence
    patient.doctor.run_remedy(found["environment.record-damaged"], patient.path)
    assert (patient.site / "alpha.py").read_text() == "version = '1.0'\n"
    assert patient.examined("--deep").loud == []


def test_a_reinstallation_that_fails_leaves_what_was_there(patient: Patient) -> None:
    (patient.site / "alpha.py").unlink()
    shutil.rmtree(patient.path / "wheels")
    shutil.rmtree(patient.world.environ["UV_CACHE_DIR"], ignore_errors=True)
    done = patient.project.nixpy("doctor", "--fix", "--yes", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (patient.site / "alpha-1.0.dist-info/RECORD").exists()
    assert not (patient.prefix / ".nixpy/damaged").exists()


def test_two_environments_are_in_force(patient: Patient) -> None:
    found = patient.examined_inside(VIRTUAL_ENV="/other")
    assert found.severity("environment.two-in-force") == "warning"
    assert found["environment.two-in-force"]["evidence"] == [
        "VIRTUAL_ENV=/other",
        f"the project's environment is {patient.prefix}",
    ]
    found = patient.examined(CONDA_PREFIX="/opt/conda")
    assert "CONDA_PREFIX=/opt/conda" in found.evidence("environment.two-in-force")
    assert patient.examined().loud == []


def test_pythonpath_goes_before_what_is_installed(patient: Patient) -> None:
    gone = f"{patient.world.directory}/gone"
    variables = {"PYTHONPATH": f"{patient.world.directory}:{gone}:"}
    found = patient.examined(**variables)
    assert found.severity("environment.pythonpath") == "warning"
    evidence = found["environment.pythonpath"]["evidence"]
    assert evidence[1:] == [
        str(patient.world.directory),
        f"{gone} is not there",
        "an empty element, which means the working directory",
    ]
    heals_in_the_shell(patient, found["environment.pythonpath"], **variables)
    patient.project.write("nixpy.toml", 'env = { PYTHONPATH = "/nowhere" }\n')
    assert "environment.pythonpath" not in patient.examined().loud


def test_pythonhome_is_set_after_loading(patient: Patient) -> None:
    # Any other one would keep nixpy itself from starting.
    environ = {**patient.project.entered().environ, "PYTHONHOME": sys.base_prefix}
    found = patient.examined(**environ)
    assert found.severity("environment.pythonhome") == "problem"
    assert found.evidence("environment.pythonhome") == f"PYTHONHOME={environ['PYTHONHOME']}"
    heals_in_the_shell(patient, found["environment.pythonhome"], **environ)
    outside = {"PYTHONHOME": environ["PYTHONHOME"]}
    assert "environment.pythonhome" not in patient.examined(**outside).loud


def test_pythonstartup_names_a_file_that_is_gone(patient: Patient) -> None:
    variables = {"PYTHONSTARTUP": "/nowhere/startup.py"}
    found = patient.examined(**variables)
    assert found.evidence("environment.pythonstartup") == "PYTHONSTARTUP=/nowhere/startup.py"
    heals_in_the_shell(patient, found["environment.pythonstartup"], **variables)


def test_the_user_site_leaks_in(patient: Patient) -> None:
    user = patient.world.home / ".local/lib" / patient.site.parent.name / "site-packages"
    user.mkdir(parents=True)
    assert patient.examined().loud == []
    configuration = patient.prefix / "pyvenv.cfg"
    text = configuration.read_text()
    configuration.write_text(
        text.replace("include-system-site-packages = false", "include-system-site-packages = true")
    )
    found = patient.examined()
    assert found.severity("environment.user-site") == "warning"
    assert f"{user} is on sys.path" in found.evidence("environment.user-site")
    heals_in_the_shell(patient, found["environment.user-site"])
    patient.project.write("nixpy.toml", 'env = { PYTHONNOUSERSITE = "1" }\n')
    assert "environment.user-site" not in patient.examined().loud


def test_a_pth_file_runs_code(patient: Patient) -> None:
    (patient.site / "path.pth").write_text("/nowhere\n# import os\n")
    assert "environment.pth-code" not in patient.examined().loud
    (patient.site / "strange.pth").write_text("import os; os.environ['STRANGE'] = '1'\n")
    found = patient.examined()
    assert found.severity("environment.pth-code") == "warning"
    assert "strange.pth: import os; os.environ['STRANGE'] = '1'" in found.evidence(
        "environment.pth-code"
    )
    patient.heals(found["environment.pth-code"])


def test_pip_installs_elsewhere(patient: Patient) -> None:
    script(patient.world.home / "bin/pip", "exit 0")
    del patient.world.environ["PIP_REQUIRE_VIRTUALENV"]
    found = patient.examined()
    assert found.severity("environment.pip-elsewhere") == "note"
    assert f"`pip` is {patient.world.home}/bin/pip" in found.evidence("environment.pip-elsewhere")
    heals_in_the_shell(patient, found["environment.pip-elsewhere"])
    patient.project.write("nixpy.toml", 'env = { PIP_REQUIRE_VIRTUALENV = "1" }\n')
    assert "environment.pip-elsewhere" not in patient.examined().loud


def test_a_pip_that_refuses_by_itself_is_well(patient: Patient) -> None:
    del patient.world.environ["PIP_REQUIRE_VIRTUALENV"]
    base = patient.world.home / "base"
    (base / "lib/python3.99").mkdir(parents=True)
    (base / "lib/python3.99/EXTERNALLY-MANAGED").touch()
    pip = script(patient.world.home / "bin/pip", "")
    pip.write_text(f"#!{base}/bin/python3\n")
    assert "environment.pip-elsewhere" not in patient.examined().loud


@pytest.mark.parametrize(
    ("name", "value"),
    [("UV_PYTHON", "/usr/bin/python3"), ("UV_SYSTEM_PYTHON", "1"), ("UV_PROJECT", "/nowhere")],
)
def test_uv_works_elsewhere(patient: Patient, name: str, value: str) -> None:
    found = patient.examined(**{name: value})
    assert found.severity("environment.uv-elsewhere") == "warning"
    assert f"{name}={value}" in found.evidence("environment.uv-elsewhere")
    heals_in_the_shell(patient, found["environment.uv-elsewhere"], **{name: value})


@pytest.mark.parametrize("value", ["1", "0", "315532799", "yesterday"])
def test_source_date_epoch_is_before_zip_files(patient: Patient, value: str) -> None:
    found = patient.examined(SOURCE_DATE_EPOCH=value)
    assert f"SOURCE_DATE_EPOCH={value}" in found.evidence("environment.source-date-epoch")
    heals_in_the_shell(patient, found["environment.source-date-epoch"], SOURCE_DATE_EPOCH=value)
    assert patient.examined(SOURCE_DATE_EPOCH="315532800").loud == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_variable_names_certificates_that_are_gone(patient: Patient, name: str) -> None:
    found = patient.examined(**{name: "/no-cert-file.crt"})
    assert found.severity("environment.certificates") == "problem"
    assert f"{name}=/no-cert-file.crt is not there" in found.evidence("environment.certificates")
    heals_in_the_shell(patient, found["environment.certificates"], **{name: "/no-cert-file.crt"})


def hidden(patient: Patient, what: str, arguments: str = "") -> str:
    """Run the doctor where something of the system is not there."""
    if patient.world.run("unshare", "--mount", "true", check=False).returncode:
        pytest.skip("no right to make a mount namespace")
    command = f"{what} && exec nixpy doctor -v {arguments}"
    done = patient.world.run(
        "unshare", "--mount", "bash", "-c", command, cwd=patient.path, check=False
    )
    assert "Traceback" not in done.stderr
    return done.stdout


def test_openssl_finds_no_certificates(patient: Patient) -> None:
    patient.world.environ.pop("SSL_CERT_FILE", None)
    empty = patient.world.home / "empty"
    empty.mkdir()
    hide = f"mount --bind {empty} /usr/lib/ssl && mount --bind {empty} /etc/ssl"
    said = hidden(patient, hide, "--only environment.certificates")
    assert "warning  environment.certificates" in said
    assert "SSL_CERT_FILE is not set" in said
    assert "environment.certificates" not in patient.examined().loud


def test_find_library_finds_nothing(patient: Patient) -> None:
    hide = " && ".join(
        f"mount --bind /bin/false {path}"
        for name in ("ldconfig", "gcc", "cc", "ld", "objdump")
        if (path := shutil.which(name, path="/sbin:/usr/sbin:/usr/bin"))
    )
    said = hidden(patient, hide, "--only environment.find-library")
    assert "note     environment.find-library" in said
    assert "find_library('c') is None" in said
    assert "environment.find-library" not in patient.examined().loud


def test_the_locale_is_not_there(patient: Patient) -> None:
    found = patient.examined(LC_ALL="xx_YY.UTF-8")
    assert found.severity("environment.locale") == "warning"
    assert "LC_ALL=xx_YY.UTF-8" in found.evidence("environment.locale")
    heals_in_the_shell(patient, found["environment.locale"], LC_ALL="xx_YY.UTF-8")


@pytest.mark.parametrize("name", ["TMPDIR", "TMP"])
def test_the_directory_for_temporary_files_is_gone(patient: Patient, name: str) -> None:
    found = patient.examined(**{name: "/tmp/nix-shell.gone"})
    assert found.severity("environment.tmpdir-gone") == "problem"
    assert f"{name}=/tmp/nix-shell.gone is no directory" in found.evidence(
        "environment.tmpdir-gone"
    )
    heals_in_the_shell(patient, found["environment.tmpdir-gone"], **{name: "/tmp/nix-shell.gone"})
