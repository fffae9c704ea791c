"""Each fault of nixpy's hook, its finding, and what mends it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Patient

LINES = {
    "bash": 'eval "$(nixpy hook bash)"\n',
    "zsh": 'eval "$(nixpy hook zsh)"\n',
    "fish": "nixpy hook fish | source\n",
}


def startup_file(patient: Patient, shell: str) -> Path:
    if shell == "fish":
        path = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "fish/config.fish"
        path.parent.mkdir()
        return path
    return patient.world.home / f".{shell}rc"


@pytest.mark.parametrize("shell", LINES)
def test_the_hook_of_nixpy_alone_is_a_hook_of_direnv(patient: Patient, shell: str) -> None:
    (patient.world.home / ".bashrc").unlink()
    path = startup_file(patient, shell)
    path.write_text(LINES[shell])
    found = patient.examined(SHELL=f"/usr/bin/{shell}")
    assert found.loud == []
    assert found.evidence("direnv.hook-missing") == f"{path}:1: {LINES[shell].strip()}"
    path.write_text("nixpy setup\n# nixpy hook\n")
    assert "direnv.hook-missing" in patient.examined(SHELL=f"/usr/bin/{shell}").loud


@pytest.mark.parametrize("shell", LINES)
def test_the_hook_of_nixpy_counts_in_another_shell(patient: Patient, shell: str) -> None:
    startup_file(patient, shell).write_text(LINES[shell])
    assert patient.examined(SHELL="/usr/bin/tcsh").severity("direnv.hook-missing") == "problem"
    assert "direnv.hook-missing-elsewhere" not in patient.examined().loud


@pytest.mark.parametrize("shell", LINES)
def test_the_line_calls_a_nixpy_that_is_gone(patient: Patient, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home = patient.world.home
    path = startup_file(patient, shell)
    path.write_text("# mine\n")
    place = home / "it is another"
    shutil.copytree(home / "bin", place, symlinks=True)
    (home / "bin/nixpy").rename(home / "nixpy")
    patient.world.run(str(place / "nixpy"), "setup", "--hook", shell, "--yes")
    (home / "nixpy").rename(home / "bin/nixpy")
    assert "hook.command-gone" not in patient.examined().loud
    shutil.rmtree(place)
    found = patient.examined()
    assert found.severity("hook.command-gone") == "warning"
    assert found.evidence("hook.command-gone") == (
        f"{path}:2 calls {place}/nixpy, which is not there or cannot be executed"
    )
    broken = path.read_text()
    patient.heals(found["hook.command-gone"])
    assert path.read_text() != broken
    path.write_text(broken)
    fixed = patient.examined("--fix", "--yes")
    assert fixed.document["fixed"]
    assert "hook.command-gone" not in patient.examined().loud


def test_a_line_of_the_users_own_is_left_to_them(patient: Patient) -> None:
    bashrc = patient.world.home / ".bashrc"
    bashrc.write_text('eval "$(/nowhere/bin/nixpy hook bash)"\n')
    found = patient.examined()
    assert "calls /nowhere/bin/nixpy" in found.evidence("hook.command-gone")
    assert found["hook.command-gone"]["fix"] is None
    assert not found["hook.command-gone"]["command"]
    # The remedy is to change the line.
    bashrc.write_text(LINES["bash"])
    assert patient.examined().loud == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("direnvrc", "uname -a\n"),
        ("lib/own.sh", "watch_file() { :; }\n"),
        ("direnv.toml", "[global]\nload_dotenv = true\n"),
    ],
)
def test_configuration_of_direnv_makes_the_hook_ask(patient: Patient, name: str, text: str) -> None:
    configuration = Path(patient.world.environ["XDG_CONFIG_HOME"]) / "direnv"
    (configuration / name).write_text(text)
    assert "hook.always-asked" not in patient.examined().loud
    (patient.world.home / ".bashrc").write_text(LINES["bash"])
    found = patient.examined()
    assert found.severity("hook.always-asked") == "note"
    assert str(configuration / name) in found.evidence("hook.always-asked")
    # The remedy is to say that it is always the same, or to take it out.
    if name == "direnv.toml":
        (configuration / name).unlink()
    else:
        (configuration / name).write_text(f"# nixpy: pure\n{text}")
    assert patient.examined().loud == []
