"""Each fault of direnv's set-up, its finding, and what mends it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Diagnosis, Doctor, Patient


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def path_without(patient: Patient, *names: str) -> str:
    """Make a directory with links to all programs but some; return it as PATH."""
    directory = patient.world.home / "few"
    directory.mkdir()
    for place in reversed(patient.world.environ["PATH"].split(":")):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = directory / program.name
            link.unlink(missing_ok=True)
            if program.name not in names:
                link.symlink_to(program)
    return str(directory)


def after(patient: Patient, command: str, **variables: str) -> Diagnosis:
    """Examine the project in the very shell in which a command was run."""
    doctor = patient.doctor.given(**variables)
    directory = patient.world.home / "programs"
    nixpy = shutil.which("nixpy", path=patient.world.environ["PATH"])
    script(directory / "nixpy", f'{command}\nexec {nixpy} "$@"')
    doctor = doctor.given(PATH=f"{directory}:{doctor.world.environ['PATH']}")
    return doctor.examine(patient.path)


def test_direnv_missing(patient: Patient) -> None:
    found = patient.examined(PATH=path_without(patient, "direnv"))
    assert found.severity("direnv.missing") == "problem"
    assert "PATH=" in found.evidence("direnv.missing")
    # The remedy is to install it.
    assert "direnv.missing" not in patient.examined().loud


@pytest.mark.parametrize(("version", "fires"), [("2.31.9", True), ("2.32.0", False)])
def test_direnv_too_old(patient: Patient, version: str, fires: bool) -> None:
    real = shutil.which("direnv")
    script(
        patient.world.home / "bin/direnv",
        f'[ "$1" != version ] && exec {real} "$@"\necho {version}',
    )
    found = patient.examined()
    assert ("direnv.too-old" in found.loud) is fires
    if fires:
        assert f"is direnv {version}, and 2.32 is needed" in found.evidence("direnv.too-old")


def test_the_bash_of_direnv_is_too_old(patient: Patient) -> None:
    bash = script(
        patient.world.home / "old/bash", "echo 'GNU bash, version 3.2.57(1)-release (x86_64)'"
    )
    configuration = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv/direnv.toml"
    configuration.write_text(f'[global]\nbash_path = "{bash}"\n')
    found = patient.examined()
    assert found.evidence("direnv.bash-too-old") == f"{bash} is bash 3.2, and 4.4 is needed"
    configuration.unlink()
    assert "direnv.bash-too-old" not in patient.examined().loud


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", "elvish"])
def test_the_hook_is_missing(patient: Patient, shell: str) -> None:
    (patient.world.home / ".bashrc").write_text("# eval direnv hook bash\nalias ll='ls -l'\n")
    (Path(patient.world.environ["XDG_CONFIG_HOME"]) / "fish").mkdir()
    variables = {"SHELL": f"/usr/bin/{shell}"}
    found = patient.examined(**variables)
    assert found.severity("direnv.hook-missing") == "problem"
    assert f"SHELL=/usr/bin/{shell}" in found.evidence("direnv.hook-missing")
    patient.heals(found["direnv.hook-missing"], **variables)


def test_the_hook_is_found_in_what_a_startup_file_sources(patient: Patient) -> None:
    home = patient.world.home
    (home / ".bashrc").write_text('[ -f ~/.bash.d/tools ] && . "$HOME/.bash.d/tools"\n')
    (home / ".bash.d").mkdir()
    (home / ".bash.d/tools").write_text("plugins=(git direnv)\n")
    assert "direnv.hook-missing" not in patient.examined().loud


def test_the_hook_is_missing_in_another_shell(patient: Patient) -> None:
    (patient.world.home / ".zshrc").write_text("alias ll='ls -l'\n")
    found = patient.examined()
    assert found.severity("direnv.hook-missing-elsewhere") == "note"
    assert found.evidence("direnv.hook-missing-elsewhere") == "zsh: no startup file names direnv"
    patient.heals(found["direnv.hook-missing-elsewhere"])


def test_the_library_is_missing(patient: Patient) -> None:
    patient.world.nixpy("setup", "--remove")
    found = patient.examined()
    assert found.severity("direnv.library-missing") == "problem"
    assert "direnv/lib/nixpy.sh is not there" in found.evidence("direnv.library-missing")
    assert found.status == 1
    patient.heals(found["direnv.library-missing"])


def test_the_library_is_under_another_name(patient: Patient) -> None:
    library = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv/lib/nixpy.sh"
    library.rename(library.with_name("of-another-package.sh"))
    assert patient.examined().loud == []


def test_the_library_is_of_another_version(patient: Patient) -> None:
    library = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv/lib/nixpy.sh"
    text = library.read_text().replace("# nixpy-version: ", "# nixpy-version: 0.0.")
    library.write_text(text)
    found = patient.examined()
    assert found.severity("direnv.library-outdated") == "warning"
    assert "is of nixpy 0.0." in found.evidence("direnv.library-outdated")
    patient.heals(found["direnv.library-outdated"])
    library.write_text(library.read_text() + "# mine\n")
    found = patient.examined()
    assert "was changed since" in found.evidence("direnv.library-outdated")
    patient.heals(found["direnv.library-outdated"])


def test_the_library_calls_a_nixpy_that_is_gone(patient: Patient) -> None:
    home = patient.world.home
    shutil.copytree(home / "bin", home / "other", symlinks=True)
    variables = {"PATH": f"{home}/other:{patient.world.environ['PATH']}"}
    patient.doctor.given(**variables).world.nixpy("setup")
    shutil.rmtree(home / "other")
    found = patient.examined()
    assert found.severity("direnv.library-command-gone") == "problem"
    assert f"calls {home}/other/nixpy" in found.evidence("direnv.library-command-gone")
    patient.heals(found["direnv.library-command-gone"])


def test_fix_installs_the_library_when_told_and_not_before(patient: Patient) -> None:
    library = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv/lib/nixpy.sh"
    library.unlink()
    done = patient.project.nixpy("doctor", "--fix", check=False)
    assert done.returncode == 2
    assert "Say `nixpy doctor --fix --yes`" in done.stderr
    assert not library.exists()
    done = patient.project.nixpy("doctor", "--fix", "--yes")
    assert f"install nixpy's library for direnv as {library}" in done.stderr
    assert library.exists()
    assert "direnv.library-missing" not in done.stdout
    found = patient.doctor.examine(patient.path, "--fix", "--yes")
    assert found.document["fixed"] == []


def test_a_fix_that_cannot_be_applied_says_so(patient: Patient) -> None:
    library = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv/lib/nixpy.sh"
    shutil.rmtree(library.parent)
    library.parent.write_text("a file")
    done = patient.project.nixpy("doctor", "--fix", "--yes", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert "direnv.library-missing" in done.stdout


@pytest.mark.parametrize("content", [None, "export A=1\n"])
def test_no_envrc_says_use_nixpy(patient: Patient, content: str | None) -> None:
    envrc = patient.path / ".envrc"
    envrc.unlink()
    if content:
        envrc.write_text(content)
    found = patient.examined()
    assert found.severity("direnv.envrc-missing") == "note"
    assert str(envrc) in found.evidence("direnv.envrc-missing")
    patient.heals(found["direnv.envrc-missing"])


def test_the_envrc_is_not_allowed(patient: Patient) -> None:
    envrc = patient.path / ".envrc"
    envrc.write_text("use nixpy\nexport A=1\n")
    found = patient.examined()
    assert found.severity("direnv.envrc-not-allowed") == "problem"
    assert f"{envrc} is not allowed" in found.evidence("direnv.envrc-not-allowed")
    assert found["direnv.envrc-not-allowed"]["fix"] is None
    patient.heals(found["direnv.envrc-not-allowed"])
    patient.world.run("direnv", "deny", cwd=patient.path)
    found = patient.examined()
    assert found.severity("direnv.envrc-not-allowed") == "problem"
    patient.heals(found["direnv.envrc-not-allowed"])


def test_the_envrc_does_twice_what_nixpy_does(patient: Patient) -> None:
    patient.project.write(".envrc", "layout  python3\nuse nixpy\n")
    patient.project.allow()
    found = patient.examined()
    assert found.severity("direnv.double-layout") == "warning"
    assert found.evidence("direnv.double-layout").endswith(".envrc:1: layout python3")
    assert found.status == 0
    assert patient.project.nixpy("doctor", "--strict", check=False).returncode == 1
    # The remedy is to remove the line, and to allow the rest.
    patient.project.write(".envrc", "use nixpy\n")
    patient.project.allow()
    assert patient.examined().loud == []


@pytest.mark.parametrize("value", ["20", "soon", "100ms", "0.5s"])
def test_the_timeout_of_direnv_is_too_short_or_none(patient: Patient, value: str) -> None:
    found = patient.examined(DIRENV_WARN_TIMEOUT=value)
    assert f"DIRENV_WARN_TIMEOUT={value}" in found.evidence("direnv.warn-timeout")
    command = found["direnv.warn-timeout"]["command"]
    healed = after(patient, command, DIRENV_WARN_TIMEOUT=value)
    assert "direnv.warn-timeout" not in healed.loud


@pytest.mark.parametrize("value", ["20s", "1m", "1m30s", "0"])
def test_a_timeout_that_is_a_duration_is_well(patient: Patient, value: str) -> None:
    assert patient.examined(DIRENV_WARN_TIMEOUT=value).loud == []


def test_a_variable_is_too_big_for_any_program_to_start(patient: Patient) -> None:
    patient.project.write("nixpy.toml", f'env = {{ BIG = "{"x" * 131_072}" }}\n')
    found = patient.examined()
    assert found.severity("direnv.environment-too-big") == "problem"
    assert found.evidence("direnv.environment-too-big").startswith("BIG has 131077 bytes")
    # It is so: no program starts.
    assert "rgument list too long" in patient.project.nixpy("run", "--", "ls", check=False).stderr
    patient.project.write("nixpy.toml", f'env = {{ BIG = "{"x" * 120_000}" }}\n')
    assert patient.examined().severity("direnv.environment-too-big") == "warning"
    (patient.path / "nixpy.toml").unlink()
    assert patient.examined().loud == []


def test_the_environment_of_another_directory_is_in_force(patient: Patient, doctor: Doctor) -> None:
    elsewhere = patient.world.directory / "elsewhere"
    elsewhere.mkdir()
    inside = doctor.given(**patient.project.entered().environ)
    found = inside.examine(elsewhere)
    assert found.severity("direnv.stale-environment") == "warning"
    assert f"DIRENV_DIR=-{patient.path}; this is {elsewhere}" in found.evidence(
        "direnv.stale-environment"
    )
    command = found["direnv.stale-environment"]["command"]
    line = f"{command}; nixpy doctor -v --only direnv.stale"
    said = inside.world.run("bash", "-c", line, cwd=elsewhere).stdout
    assert "ok       direnv.stale-environment" in said
    (patient.path / "below").mkdir()
    assert "direnv.stale-environment" not in inside.examine(patient.path / "below").loud
