"""Each fault of shared libraries, made for real, its finding, and what mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ..nix.native import (
    LIBRARY,
    compiled,
    library,
    manifest,
    needs_gcc,
    packed,
    wheel,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Patient

pytestmark = needs_gcc

KEPT = "-Wl,--no-as-needed"
ANSWER = "int nixpy_answer(void) { return 42; }\n"


def with_native(patient: Patient, needed: Path, flags: str = "") -> None:
    """Give a project a package with native code."""
    patient.project.write("pyproject.toml", manifest([wheel(patient.world.home, needed)]))
    patient.project.write(".envrc", f"use nixpy {flags}\n")
    patient.project.allow()
    assert patient.project.entered().status == 0


def versions(directory: Path, *names: str) -> Path:
    """Compile the library with symbol versions."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "versions"
    *empty, last = names
    script.write_text(
        " ".join([*(f"{one} {{ }};" for one in empty), f"{last} {{ global: nixpy_*; }};"])
    )
    path = library(directory, LIBRARY, ANSWER, f"-Wl,--version-script={script}")
    script.unlink()
    return path


def test_a_library_is_missing(patient: Patient) -> None:
    needed = library(patient.world.home / "built")
    with_native(patient, needed)
    found = patient.examined()
    assert found.severity("libraries.missing") == "problem"
    said = found.evidence("libraries.missing")
    assert said.startswith(f"{LIBRARY}, which lib/python3.")
    assert said.endswith("/native/_native.so needs; nixpkgs has it as portaudio")
    inside = patient.examined_inside(LD_LIBRARY_PATH=str(needed.parent))
    assert "libraries.missing" not in inside.loud


def test_a_shared_object_is_damaged(patient: Patient) -> None:
    needed = library(patient.world.home / "built")
    with_native(patient, needed)
    (module,) = patient.site.glob("native/_native.so")
    content = module.read_bytes()[:100]
    module.unlink()
    module.write_bytes(content)
    found = patient.examined("--only", "libraries.damaged")
    assert found.severity("libraries.damaged") == "problem"
    assert "native/_native.so" in found.evidence("libraries.damaged")
    patient.heals(found["libraries.damaged"])


def test_a_library_is_too_old(patient: Patient) -> None:
    newer = versions(patient.world.home / "newer", "DEMO_1", "DEMO_2")
    older = versions(patient.world.home / "older", "DEMO_1")
    with_native(patient, newer)
    variables = {"LD_LIBRARY_PATH": str(older.parent)}
    found = patient.examined_inside(**variables)
    assert found.severity("libraries.version-lacking") == "problem"
    assert f"needs DEMO_2 of {LIBRARY}, which {older} lacks" in found.evidence(
        "libraries.version-lacking"
    )
    variables = {"LD_LIBRARY_PATH": str(newer.parent)}
    assert "libraries.version-lacking" not in patient.examined_inside(**variables).loud


def with_tool(patient: Patient) -> tuple[Path, Path]:
    """A curl of the user's own, which needs a newer library than another directory has."""
    newer = versions(patient.world.home / "newer", "DEMO_1", "DEMO_2")
    older = versions(patient.world.home / "older", "DEMO_1")
    tool = patient.world.home / "bin/curl"
    source = patient.world.home / "tool.c"
    source.write_text("int nixpy_answer(void); int main(void) { return nixpy_answer() != 42; }\n")
    argv = ["gcc", "-o", str(tool), str(source), str(newer), f"-Wl,-rpath,{newer.parent}"]
    subprocess.run(argv, check=True, capture_output=True)
    return tool, older


def test_the_variable_breaks_a_program(patient: Patient) -> None:
    tool, older = with_tool(patient)
    found = patient.examined(LD_LIBRARY_PATH=str(older.parent))
    assert found.severity("libraries.path-breaks-programs") == "problem"
    said = found.evidence("libraries.path-breaks-programs")
    assert said.startswith(f"{tool}: ")
    assert "DEMO_2" in said
    check = f"{found['libraries.path-breaks-programs']['command']}; curl"
    patient.world.run("bash", "-c", check, LD_LIBRARY_PATH=str(older.parent))
    assert "libraries.path-breaks-programs" not in patient.examined().loud


@pytest.mark.parametrize(
    ("value", "identifier", "severity", "shown"),
    [
        ("/usr/lib::/bin", "path-empty-element", "warning", "LD_LIBRARY_PATH=/usr/lib::/bin"),
        (":/usr/lib", "path-empty-element", "warning", "LD_LIBRARY_PATH=:/usr/lib"),
        ("/usr/lib:/gone", "path-missing-directory", "note", "/gone"),
    ],
)
def test_an_element_of_the_variable_is_bad(
    patient: Patient, value: str, identifier: str, severity: str, shown: str
) -> None:
    identifier = f"libraries.{identifier}"
    found = patient.examined("--only", identifier, LD_LIBRARY_PATH=value)
    assert found.severity(identifier) == severity
    assert found.evidence(identifier) == shown
    command = f'{found[identifier]["command"]}; printf %s "${{LD_LIBRARY_PATH-unset}}"'
    after = patient.world.run("bash", "-c", command, LD_LIBRARY_PATH=value).stdout
    assert identifier not in patient.examined("--only", identifier, LD_LIBRARY_PATH=after).loud


def test_the_variable_leads_to_a_glibc(patient: Patient) -> None:
    directory = patient.world.home / "whole"
    directory.mkdir()
    libc = next(
        path
        for path in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/lib")
        if os.path.exists(f"{path}/libc.so.6")
    )
    shutil.copy(f"{libc}/libc.so.6", directory)
    found = patient.examined(LD_LIBRARY_PATH=f"{directory}:/usr/bin")
    assert found.severity("libraries.path-with-glibc") == "problem"
    assert found.evidence("libraries.path-with-glibc") == f"{directory}/libc.so.6"
    assert found["libraries.path-with-glibc"]["command"] == "export LD_LIBRARY_PATH=/usr/bin"
    assert "libraries.path-with-glibc" not in patient.examined(LD_LIBRARY_PATH="/usr/bin").loud


def test_the_launchers_variable_leaked(patient: Patient) -> None:
    variables = {"NIXPY_CALLERS_LIBRARY_PATH": "=/own", "LD_LIBRARY_PATH": "/farm:/own"}
    found = patient.examined("--only", "libraries.path-leaked", **variables)
    assert found.severity("libraries.path-leaked") == "warning"
    command = f"{found['libraries.path-leaked']['command']}; env"
    shell = patient.doctor.given(**variables).world
    after = shell.run("bash", "-c", command).stdout.splitlines()
    assert "LD_LIBRARY_PATH=/own" in after
    assert not any(line.startswith("NIXPY_CALLERS") for line in after)


def cuda_driver(patient: Patient, number: int = 12040) -> Path:
    source = f"int cuDriverGetVersion(int *version) {{ *version = {number}; return 0; }}\n"
    return library(patient.world.home / "driver", "libcuda.so.1", source + ANSWER)


def test_a_package_uses_cuda_and_there_is_no_driver(patient: Patient) -> None:
    brought = packed(patient.world.home, "nvidia_cuda_runtime_cu13", {"nvidia/none.txt": b""})
    patient.project.write("pyproject.toml", manifest([brought]))
    assert patient.project.entered().status == 0
    found = patient.examined()
    assert found.severity("libraries.cuda-no-driver") == "note"
    driver = cuda_driver(patient)
    found = patient.examined(LD_LIBRARY_PATH=str(driver.parent))
    assert "libraries.cuda-no-driver" not in found.loud


def test_packages_are_for_a_newer_cuda_than_the_drivers(patient: Patient) -> None:
    driver = cuda_driver(patient)
    brought = packed(patient.world.home, "nvidia_cuda_runtime_cu99", {"nvidia/x": b""}, "99.1")
    patient.project.write("pyproject.toml", manifest([brought]))
    variables = {"LD_LIBRARY_PATH": str(driver.parent)}
    assert patient.project.entered(**variables).status == 0
    found = patient.examined(**variables)
    assert found.severity("libraries.cuda-too-new") == "problem"
    assert "the driver runs CUDA 12.4" in found.evidence("libraries.cuda-too-new")
    cuda_driver(patient, 99010)
    assert "libraries.cuda-too-new" not in patient.examined(**variables).loud


def test_the_driver_cannot_be_opened(patient: Patient) -> None:
    driver = cuda_driver(patient)
    brought = packed(patient.world.home, "nvidia_cuda_runtime_cu12", {"nvidia/none.txt": b""})
    patient.project.write("pyproject.toml", manifest([brought]))
    variables = {"LD_LIBRARY_PATH": str(driver.parent)}
    entered = patient.project.entered(**variables)
    farm = entered.environ["LD_LIBRARY_PATH"].split(":")[0]
    assert "libraries.cuda-not-loaded" not in patient.examined(**variables).loud
    # In the environment a driver that this Python cannot load stands in front.
    broken = patient.world.home / "broken"
    broken.mkdir()
    (broken / "libcuda.so.1").write_text("none")
    inside = {**entered.environ, "LD_LIBRARY_PATH": f"{broken}:{farm}:{driver.parent}"}
    found = patient.doctor.given(**inside).examine(patient.path)
    assert found.severity("libraries.cuda-not-loaded") == "problem"
    assert "libcuda.so.1" in found.evidence("libraries.cuda-not-loaded")


# What nixpy has linked: here the driver, which no Nix is needed for.


def with_farm(patient: Patient, flags: str = "") -> dict[str, str]:
    """Give a project a package that needs the driver, and a farm that has it."""
    driver = cuda_driver(patient)
    with_native(patient, driver, flags)
    entered = patient.project.entered(LD_LIBRARY_PATH=str(driver.parent))
    assert entered.status == 0, entered.stderr
    assert list(patient.prefix.glob(".nixpy/libraries/*/libcuda.so.1"))
    return {"LD_LIBRARY_PATH": str(driver.parent)}


@pytest.mark.parametrize("scope", ["shell", "python", "rpath"])
def test_with_libraries_a_project_is_well(patient: Patient, scope: str) -> None:
    if scope == "rpath" and shutil.which("patchelf") is None:
        pytest.skip("patchelf is not installed")
    variables = with_farm(patient, f"--library-scope {scope}")
    assert patient.examined("--deep", **variables).loud == []
    assert patient.examined_inside("--deep", **variables).loud == []


def test_what_was_linked_is_gone(patient: Patient) -> None:
    variables = with_farm(patient)
    (farm,) = patient.prefix.glob(".nixpy/libraries/*")
    shutil.rmtree(farm)
    found = patient.examined(**variables)
    assert found.severity("libraries.farm-dangling") == "problem"
    assert found.evidence("libraries.farm-dangling") == f"{farm} is gone"
    patient.heals(found["libraries.farm-dangling"], **variables)
    library_path = patient.world.home / "driver/libcuda.so.1"
    content = library_path.read_bytes()
    library_path.unlink()
    found = patient.examined(**variables)
    assert "libcuda.so.1 leads to" in found.evidence("libraries.farm-dangling")
    library_path.write_bytes(content)
    assert "libraries.farm-dangling" not in patient.examined(**variables).loud


def test_the_launcher_does_not_start(patient: Patient) -> None:
    variables = with_farm(patient, "--library-scope python")
    (launcher,) = (
        path
        for path in patient.prefix.glob("bin/python*")
        if not path.is_symlink() and path.read_bytes().startswith(b"#!")
    )
    text = launcher.read_text()
    assert text.startswith("#!/")
    shell = text.split(" ", 1)[0].removeprefix("#!")
    launcher.write_text(text.replace(shell, "/gone/bash", 1))
    found = patient.examined("--only", "libraries.launcher-broken", **variables)
    assert found.severity("libraries.launcher-broken") == "problem"
    patient.heals(found["libraries.launcher-broken"], **variables)


@pytest.mark.skipif(shutil.which("patchelf") is None, reason="patchelf is not installed")
def test_files_were_patched(patient: Patient) -> None:
    variables = with_farm(patient, "--library-scope rpath")
    found = patient.examined("--only", "libraries.patched", **variables)
    assert found.severity("libraries.patched") == "ok"
    patient.project.write(".envrc", "use nixpy\n")
    patient.project.allow()
    found = patient.examined("--only", "libraries.patched", **variables)
    assert found.severity("libraries.patched") == "note"
    assert "native/_native.so" in found.evidence("libraries.patched")
    patient.heals(found["libraries.patched"], **variables)


def test_a_plugin_misses_a_library(patient: Patient) -> None:
    needed = library(patient.world.home / "built", "libdatabase.so.1")
    module = compiled(patient.world.home / "libplugin.so", "int nothing;\n", KEPT, str(needed))
    brought = packed(patient.world.home, "large", {"large/libplugin.so": module.read_bytes()})
    patient.project.write("pyproject.toml", manifest([brought]))
    said = "\n".join(patient.project.entered().said)
    assert "1 libraries that plugins alone need are missing: `nixpy libs --missing`" in said
    found = patient.examined()
    assert "libraries.missing" not in found.loud
    assert found.severity("libraries.missing-for-plugins") == "note"
    assert "libdatabase.so.1, which " in found.evidence("libraries.missing-for-plugins")
    inside = patient.examined_inside(LD_LIBRARY_PATH=str(needed.parent))
    assert "libraries.missing-for-plugins" not in inside.loud
