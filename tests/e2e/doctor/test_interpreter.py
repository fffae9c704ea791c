"""Each fault of an interpreter, its finding, and what mends it."""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING

import pytest

from nixpy.doctor.checks.interpreter import managed_cannot_run
from nixpy.doctor.examination import Examination

from .conftest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Patient


def test_the_interpreter_is_gone(patient: Patient) -> None:
    python = patient.prefix / "bin/python"
    python.unlink()
    python.symlink_to("/nix/store/00000000000000000000000000000000-python3/bin/python3")
    found = patient.examined()
    assert found.severity("interpreter.dangling") == "problem"
    assert f"{python} -> /nix/store/0000" in found.evidence("interpreter.dangling")
    assert found["interpreter.dangling"]["cause"].startswith("Nix collected")
    patient.heals(found["interpreter.dangling"])
    assert patient.project.python("import alpha; print(alpha.version)") == "1.0"


def test_a_removed_interpreter_is_mended_by_fix(patient: Patient) -> None:
    python = patient.prefix / "bin/python"
    python.unlink()
    assert patient.examined().evidence("interpreter.dangling") == f"{python} is not there"
    done = patient.project.nixpy("doctor", "--fix", "--yes")
    assert f"sync {patient.prefix}" in done.stderr
    assert patient.examined().loud == []


def test_the_interpreter_is_for_another_machine(patient: Patient) -> None:
    python = patient.prefix / "bin/python"
    content = bytearray(python.resolve().read_bytes())
    other = 183 if platform.machine() == "x86_64" else 62
    content[18:20] = other.to_bytes(2, "little")
    python.unlink()
    python.write_bytes(content)
    python.chmod(0o755)
    found = patient.examined()
    assert found.severity("interpreter.wrong-architecture") == "problem"
    assert f"this is {platform.machine()}" in found.evidence("interpreter.wrong-architecture")
    assert "cannot be started" in found.evidence("interpreter.wrong-architecture")
    assert "interpreter.does-not-run" not in found.loud
    shutil.rmtree(patient.prefix)
    patient.heals(found["interpreter.wrong-architecture"])


def test_the_interpreter_does_not_start(patient: Patient) -> None:
    python = patient.prefix / "bin/python"
    python.unlink()
    python.write_text(
        "#!/bin/sh\necho 'libpython3.so: cannot open shared object file' >&2\nexit 127\n"
    )
    python.chmod(0o755)
    found = patient.examined()
    assert found.severity("interpreter.does-not-run") == "problem"
    assert "status 127: libpython3.so: cannot open" in found.evidence("interpreter.does-not-run")
    patient.heals(found["interpreter.does-not-run"])


def test_a_python_of_uv_cannot_run_on_nixos(patient: Patient, tmp_path: Path) -> None:
    """There is no NixOS to test on: its file is, and a Python that does not start."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/NIXOS").touch()
    managed = patient.world.home / "data/uv/python/cpython-3.12/bin/python3"
    managed.parent.mkdir(parents=True)
    managed.write_text("#!/nowhere/ld-linux.so\n")
    managed.chmod(0o755)
    python = patient.prefix / "bin/python"
    link = os.readlink(python)
    python.unlink()
    python.symlink_to(managed)

    def found() -> list[str]:
        seen = Examination(
            environ=patient.world.environ, directory=str(patient.path), root=str(tmp_path)
        )
        return [line for one in managed_cannot_run(seen) for line in one.evidence]

    assert f"{python} leads to {managed}" in found()
    python.unlink()
    python.symlink_to(link)
    assert found() == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", MANIFEST.replace(">=3.10", ">=3.99"), "requires-python is >=3.99"),
        (".python-version", "3.99\n", ".python-version asks for 3.99"),
    ],
)
def test_the_version_is_not_what_is_asked_for(
    patient: Patient, name: str, text: str, said: str
) -> None:
    patient.project.write(name, text)
    found = patient.examined()
    assert found.severity("interpreter.version-unfit") == "problem"
    assert said in found.evidence("interpreter.version-unfit")
    assert f"{patient.prefix} has Python 3." in found.evidence("interpreter.version-unfit")
    # There is no such Python: what is asked for is what has to change.
    patient.project.write("pyproject.toml", MANIFEST)
    (patient.path / ".python-version").unlink(missing_ok=True)
    patient.heals(found["interpreter.version-unfit"])


def test_the_base_was_replaced_by_another_version(patient: Patient) -> None:
    base = patient.world.home / "base/bin/python3"
    base.parent.mkdir(parents=True)
    shutil.copy2((patient.prefix / "bin/python").resolve(), base)
    patient.project.write("nixpy.toml", f'python = "{base}"\n')
    patient.project.nixpy("sync")
    base.write_text("#!/bin/sh\necho 3.99.1\n")
    found = patient.examined()
    assert found.severity("interpreter.replaced") == "problem"
    assert f"{base} is Python 3.99.1 now" in found.evidence("interpreter.replaced")
    patient.project.write("nixpy.toml", "")
    patient.heals(found["interpreter.replaced"])


def test_the_project_was_moved(patient: Patient) -> None:
    script = patient.prefix / "bin/tool"
    script.write_text(f"#!{patient.prefix}/bin/python\nimport alpha\n")
    script.chmod(0o755)
    own = patient.prefix / "bin/own"
    own.write_text(f"#!{(patient.prefix / 'bin/python').resolve()}\n")
    own.chmod(0o755)
    assert "interpreter.moved" not in patient.examined().loud
    moved = patient.path.with_name("moved")
    patient.path.rename(moved)
    found = patient.doctor.examine(moved)
    assert found.severity("interpreter.moved") == "problem"
    assert found["interpreter.moved"]["evidence"] == [
        f"{moved}/.venv was made at {patient.prefix}",
        f"{moved}/.venv/bin/tool calls {patient.prefix}/bin/python",
    ]
    patient.doctor.run_remedy(found["interpreter.moved"], moved)
    assert "interpreter.moved" not in patient.doctor.examine(moved).loud


@pytest.mark.parametrize("directory", [".pyenv/shims", "other/bin"])
def test_another_python_is_in_front(patient: Patient, directory: str) -> None:
    shims = patient.world.home / directory
    shims.mkdir(parents=True)
    (shims / "python").symlink_to(shutil.which("true") or "/bin/true")
    environ = patient.project.entered().environ
    found = patient.examined(**{**environ, "PATH": f"{shims}:{environ['PATH']}"})
    assert found.severity("interpreter.shadowed") == "problem"
    evidence = found.evidence("interpreter.shadowed")
    assert f"`python` is {shims}/python" in evidence
    assert f"{shims} is element 1 of PATH, {patient.prefix}/bin is element 2" in evidence
    assert ("which is pyenv's" in evidence) is (directory == ".pyenv/shims")
    # The remedy is another order on PATH.
    assert patient.examined(**{**environ, "PATH": f"{environ['PATH']}:{shims}"}).loud == []


@pytest.mark.parametrize(
    "line",
    [
        "alias python=python3.9",
        "alias ll='ls'; alias python3='/usr/bin/python3'",
        'python() { command python3 "$@"; }',
        'function pip { python -m pip "$@"; }',
    ],
)
def test_an_alias_goes_before_the_interpreter(patient: Patient, line: str) -> None:
    startup = patient.world.home / ".bashrc"
    before = startup.read_text()
    startup.write_text(before + line + "\n")
    found = patient.examined()
    assert found.severity("interpreter.alias") == "warning"
    assert found.evidence("interpreter.alias") == f"{startup}:2: {line}"
    startup.write_text(before + "alias pythons=1 ipython=2 # alias python=3\n")
    assert patient.examined().loud == []


def test_an_exported_function_goes_before_the_interpreter(patient: Patient) -> None:
    found = patient.examined(**{"BASH_FUNC_python%%": "() { :; }"})
    assert "the function BASH_FUNC_python%%" in found.evidence("interpreter.alias")
