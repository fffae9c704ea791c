"""Asking drivers that answer, hang, crash, or are none; there is no GPU here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nixpy.libraries.cuda.driver import (
    Driver,
    _read_smi,
    cuda_version,
    detect,
    extras_for,
    kept_driver,
)
from nixpy.libraries.cuda.places import LIBCUDA, driver_inputs, places_of

from .stubs import (
    CRASHES,
    HANGS,
    NEEDS_DXCORE,
    Machine,
    Recorder,
    answers,
    for_32_bits,
    library,
    linker_cache,
    needs_gcc,
    of_another_machine,
    script,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"), needs_gcc]

PROC = """\
NVRM version: NVIDIA UNIX {}  {}  Release Build  (builder@host)  Tue Jan  7 17:35:12 PST 2025
GCC version:  gcc version 123.2.0 (Debian 123.2.0-1)
"""
SMI = """\
Wed Nov 18 21:53:38 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.54.14              Driver Version: 550.54.14      CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
"""
NEWER_SMI = (
    "| NVIDIA-SMI 610.57.04              KMD Version: 610.57.04     CUDA UMD Version: 13.3     |\n"
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def asked(machine: Machine, timeout: float = 30.0, **environ: str) -> Driver | None:
    return detect(
        {**machine.environ, **environ},
        runner=Recorder(),
        places=machine.places,
        timeout=timeout,
    )


# Where a driver is


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"}),
        ("aarch64", {"/usr/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu/tegra"}),
        ("riscv64", {"/usr/lib64"}),
    ],
)
def test_directories_are_those_of_the_machine(machine: str, expected: set[str]) -> None:
    places = places_of("Linux", machine)
    assert expected <= set(places.then)
    assert places.first == ("/run/opengl-driver/lib", "/usr/lib/wsl/lib")


def test_there_is_no_cuda_on_a_mac() -> None:
    places = places_of("Darwin", "arm64")
    assert driver_inputs({"LD_LIBRARY_PATH": ""}, places) == ()
    assert detect({"PATH": ""}, runner=Recorder(), places=places) is None


def test_a_machine_without_a_driver_starts_nothing(machine: Machine) -> None:
    runner = Recorder()
    assert detect({"PATH": str(machine.bin)}, runner=runner, places=machine.places) is None
    assert not runner.started


def test_a_driver_that_is_installed_later_is_noticed(machine: Machine) -> None:
    before = driver_inputs(machine.environ, machine.places)
    assert [one.value for one in before] == [""] * 4
    for directory in (machine.nixos, machine.wsl, machine.distribution):
        library(directory / LIBCUDA)
        after = driver_inputs(machine.environ, machine.places)
        assert [one.name for one in after] == [one.name for one in before]
        assert after != before
        before = after
    machine.version.write_text(PROC.format("x86_64 Kernel Module", "550.54.14"))
    assert driver_inputs(machine.environ, machine.places) != before


def test_a_driver_that_is_replaced_is_noticed(machine: Machine) -> None:
    real = library(machine.nixos.parent / "1/libcuda.so.550.54.14")
    machine.nixos.mkdir(parents=True)
    (machine.nixos / LIBCUDA).symlink_to(real)
    before = driver_inputs(machine.environ, machine.places)
    (machine.nixos.parent / "1").rename(machine.nixos.parent / "2")
    (machine.nixos / LIBCUDA).unlink()
    (machine.nixos / LIBCUDA).symlink_to(machine.nixos.parent / "2/libcuda.so.550.54.14")
    assert driver_inputs(machine.environ, machine.places) != before


def test_the_callers_directories_count_by_the_drivers_in_them(machine: Machine) -> None:
    without = driver_inputs(machine.environ, machine.places)
    machine.elsewhere.mkdir(parents=True)
    environ = {**machine.environ, "LD_LIBRARY_PATH": f"relative:;{machine.elsewhere}/;/nowhere"}
    assert driver_inputs(environ, machine.places) == without
    path = library(machine.elsewhere / LIBCUDA)
    more = driver_inputs(environ, machine.places)
    assert {one.name for one in more} - {one.name for one in without} == {str(path)}
    driver = asked(machine, LD_LIBRARY_PATH=environ["LD_LIBRARY_PATH"])
    assert driver
    assert driver.library == str(path)


def test_links_to_the_machines_driver_are_no_place_of_their_own(
    machine: Machine, tmp_path: Path
) -> None:
    path = library(machine.distribution / LIBCUDA)
    links = tmp_path / "links"
    links.mkdir()
    (links / LIBCUDA).symlink_to(path)
    within = {**machine.environ, "LD_LIBRARY_PATH": str(links)}
    outside = driver_inputs(machine.environ, machine.places)
    assert driver_inputs(within, machine.places) == outside
    driver = asked(machine, LD_LIBRARY_PATH=str(links))
    assert driver
    assert driver.library == str(path)


def test_the_linkers_cache_leads_to_a_driver(machine: Machine) -> None:
    path = library(machine.elsewhere / LIBCUDA)
    linker_cache(machine.cache, path, machine.elsewhere / "libother.so.1")
    assert str(path) in {one.name for one in driver_inputs(machine.environ, machine.places)}
    driver = asked(machine)
    assert driver
    assert driver.library == str(path)


def test_what_cannot_be_read_is_an_input_too(machine: Machine) -> None:
    machine.version.mkdir()
    assert driver_inputs(machine.environ, machine.places)[-1].value == "unreadable"
    assert asked(machine) is None


# What it says


def test_a_library_says_the_highest_cuda(machine: Machine) -> None:
    path = library(machine.nixos / LIBCUDA, body=answers(13050))
    assert asked(machine) == Driver(str(path), "", (13, 5), "libcuda")


@pytest.mark.parametrize("module", ["x86_64 Kernel Module", "Open Kernel Module for x86_64"])
def test_the_kernels_part_says_the_version(machine: Machine, module: str) -> None:
    library(machine.nixos / LIBCUDA)
    machine.version.write_text(PROC.format(module, "550.54.14"))
    driver = asked(machine)
    assert driver
    assert driver.version == "550.54.14"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("libcuda.so.550.54.14", "550.54.14"),
        ("libcuda.so.580.95", "580.95"),
        ("libcuda.so.1.1", ""),
    ],
)
def test_the_real_name_says_the_version(machine: Machine, name: str, version: str) -> None:
    path = library(machine.distribution / name)
    (machine.distribution / LIBCUDA).symlink_to(path.name)
    driver = asked(machine)
    assert driver
    assert (driver.library, driver.version) == (str(machine.distribution / LIBCUDA), version)


@pytest.mark.parametrize(
    "first",
    ["crashes", "fails", "lacks", "damaged", "other machine", "32 bits", "empty", "zero"],
)
def test_what_does_not_answer_is_passed_over(machine: Machine, first: str) -> None:
    path = machine.nixos / LIBCUDA
    if first == "lacks":
        library(path, name="cuDeviceGet")
    else:
        bodies = {"crashes": CRASHES, "fails": answers(12040, 34), "zero": answers(0)}
        library(path, body=bodies.get(first, ""))
    if first == "damaged":
        path.write_bytes(path.read_bytes()[:80])
    elif first == "other machine":
        of_another_machine(path)
    elif first == "32 bits":
        for_32_bits(path)
    elif first == "empty":
        path.write_bytes(b"")
    second = library(machine.distribution / LIBCUDA, body=answers(11080))
    assert asked(machine) == Driver(str(second), "", (11, 8), "libcuda")


def test_a_library_of_another_machine_is_not_even_loaded(machine: Machine) -> None:
    for_32_bits(machine.nixos / LIBCUDA)
    of_another_machine(library(machine.wsl / LIBCUDA))
    runner = Recorder()
    assert detect({"PATH": ""}, runner=runner, places=machine.places) is None
    assert not runner.started


def test_a_library_that_hangs_is_left_after_a_while(machine: Machine) -> None:
    library(machine.nixos / LIBCUDA, body=HANGS)
    assert asked(machine, timeout=0.3) is None


def test_wsls_library_finds_the_one_beside_it(machine: Machine) -> None:
    path = library(machine.wsl / LIBCUDA, "-ldl", body=NEEDS_DXCORE)
    assert asked(machine) is None
    library(machine.wsl / "libdxcore.so", name="DXCore")
    assert asked(machine) == Driver(str(path), "", (12, 4), "libcuda")


def test_the_callers_environment_is_handed_on_as_it_is(machine: Machine) -> None:
    library(machine.nixos / LIBCUDA, body=CRASHES)
    seen = machine.bin / "seen"
    script(machine.bin / "nvidia-smi", f"env > {seen}")
    environ = {
        **machine.environ,
        "LD_LIBRARY_PATH": "/nowhere",
        "CUDA_VISIBLE_DEVICES": "1",
        "LC_ALL": "C.UTF-8",
    }
    runner = Recorder()
    assert detect(environ, runner=runner, places=machine.places) is None
    assert runner.environs == [environ, environ]
    lines = set(seen.read_text().splitlines())
    assert {f"{name}={value}" for name, value in environ.items()} <= lines


def test_an_interpreter_that_cannot_be_started_is_no_error(machine: Machine) -> None:
    library(machine.nixos / LIBCUDA)
    nowhere = str(machine.bin / "python")
    assert (
        detect(machine.environ, runner=Recorder(), places=machine.places, interpreter=nowhere)
        is None
    )


def test_an_interpreter_may_be_a_script(machine: Machine) -> None:
    path = library(machine.nixos / LIBCUDA)
    wrapper = script(machine.bin / "python", f'exec {sys.executable} "$@"')
    assert detect(
        machine.environ, runner=Recorder(), places=machine.places, interpreter=str(wrapper)
    ) == Driver(str(path), "", (12, 4), "libcuda")


# The second source


@pytest.mark.parametrize("where", ["PATH", "WSL"])
def test_nvidia_smi_is_the_second_source(machine: Machine, where: str) -> None:
    directory = machine.bin if where == "PATH" else machine.wsl
    script(directory / "nvidia-smi", f"cat <<'END'\n{SMI}END")
    assert asked(machine) == Driver("", "550.54.14", (12, 4), "nvidia-smi")


def test_nvidia_smi_answers_for_a_library_that_crashes(machine: Machine) -> None:
    path = library(machine.nixos / LIBCUDA, body=CRASHES)
    script(machine.bin / "nvidia-smi", f"cat <<'END'\n{NEWER_SMI}END")
    assert asked(machine) == Driver(str(path), "610.57.04", (13, 3), "nvidia-smi")


@pytest.mark.parametrize(
    "text",
    [
        "echo 'NVIDIA-SMI has failed because it could not communicate with the driver.'; exit 9",
        "echo 'Driver Version: 550.54.14   CUDA Version: N/A'",
        "kill -SEGV $$",
        "exec sleep 60",
    ],
)
def test_a_failing_nvidia_smi_is_no_driver(machine: Machine, text: str) -> None:
    script(machine.bin / "nvidia-smi", text)
    assert asked(machine, timeout=0.5) is None


def test_what_was_said_in_time_counts(machine: Machine) -> None:
    script(machine.bin / "nvidia-smi", f"cat <<'END'\n{SMI}END\nsleep 4 &")
    driver = asked(machine, timeout=2.0)
    assert driver
    assert driver.cuda == (12, 4)


def test_nobody_waits_for_what_was_left(machine: Machine) -> None:
    script(machine.bin / "nvidia-smi", "exec sleep 60")
    runner = Recorder()
    assert detect(machine.environ, runner=runner, places=machine.places, timeout=0.3) is None
    # The one who gave up was not the runner, which would wait for the end of what it started.
    done = runner.capture(runner.started[0], cwd="/", environ=machine.environ, timeout=60.0)
    assert (done.status, done.stdout) == (124, "")


numbers = st.integers(0, 999)


@given(
    st.tuples(st.integers(100, 9999), numbers, numbers),
    st.tuples(numbers, numbers),
    st.sampled_from([("Driver", "CUDA"), ("KMD", "CUDA UMD")]),
    st.integers(1, 9),
    st.text(),
)
def test_the_first_lines_are_read_whatever_is_around_them(
    driver: tuple[int, ...],
    cuda: tuple[int, int],
    words: tuple[str, str],
    blanks: int,
    after: str,
) -> None:
    release = ".".join(map(str, driver))
    gap = " " * blanks
    line = (
        f"| NVIDIA-SMI {release}{gap}{words[0]} Version: {release}"
        f"{gap}{words[1]} Version: {cuda[0]}.{cuda[1]}{gap}|\n"
    )
    assert _read_smi(f"Wed Nov 18\n+---+\n{line}{after}") == (release, cuda)


@given(st.text())
@example("CUDA Version: N/A")
@example("CUDA Version: ERR!")
@example("CUDA Version: ٣.٤")  # digits of another script
def test_whatever_is_printed_is_no_error(text: str) -> None:
    driver, cuda = _read_smi(text)
    assert not driver
    assert cuda is None


# Extras

versions = st.tuples(st.integers(0, 30), st.integers(0, 30))


def text_of(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


@given(versions)
def test_versions_are_numbers(version: tuple[int, int]) -> None:
    assert cuda_version(text_of(version)) == version
    assert cuda_version(str(version[0])) == (version[0], 0)


@pytest.mark.parametrize("text", ["", "none", "12.", ".8", "12.8.1", "cu128", "-1", " 12", "12\n"])
def test_a_malformed_version_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"like 12\.8"):
        cuda_version(text)


@given(st.lists(versions, unique=True), st.booleans(), st.none() | versions)
def test_the_highest_version_that_the_driver_runs_counts(
    offered: list[tuple[int, int]], has_none: bool, cuda: tuple[int, int] | None
) -> None:
    mapping = tuple((text_of(one), (text_of(one),)) for one in offered)
    mapping += (("none", ("cpu",)),) if has_none else ()
    driver = Driver("", "", cuda, "libcuda") if cuda else None
    found = extras_for(mapping, driver)
    low_enough = [one for one in offered if cuda and one <= cuda]
    if low_enough:
        assert found == (text_of(max(low_enough)),)
    else:
        assert found == (("cpu",) if has_none else ())


def test_a_minor_version_of_two_digits_is_higher() -> None:
    mapping = (("12.8", ("cu128",)), ("12.10", ("cu1210",)), ("12", ("cu120",)))
    for cuda, extra in (((12, 11), "cu1210"), ((12, 9), "cu128"), ((12, 1), "cu120")):
        assert extras_for(mapping, Driver("", "", cuda, "libcuda")) == (extra,)


# What is kept


def kept(machine: Machine, top: Path | None, timeout: float = 30.0) -> tuple[Driver | None, int]:
    """What is kept or found, and how many programs it took."""
    runner = Recorder()
    found = kept_driver(
        str(top) if top else None,
        machine.environ,
        runner,
        places=machine.places,
        timeout=timeout,
    )
    return found, len(runner.started)


def test_an_answer_is_kept(machine: Machine, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    path = library(machine.nixos / LIBCUDA)
    machine.version.write_text(PROC.format("x86_64 Kernel Module", "550.54.14"))
    expected = Driver(str(path), "550.54.14", (12, 4), "libcuda")
    assert kept(machine, top) == (expected, 1)
    assert kept(machine, top) == (expected, 0)
    assert kept(machine, None) == (expected, 1)
    machine.version.write_text(PROC.format("x86_64 Kernel Module", "580.95.05"))
    assert kept(machine, top) == (expected._replace(version="580.95.05"), 1)


def test_that_there_is_no_driver_is_kept(machine: Machine, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    script(machine.bin / "nvidia-smi", "exit 9")
    assert kept(machine, top) == (None, 1)
    assert kept(machine, top) == (None, 0)
    path = library(machine.distribution / LIBCUDA)
    assert kept(machine, top) == (Driver(str(path), "", (12, 4), "libcuda"), 1)


def test_that_none_answered_in_time_is_not_kept(machine: Machine, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    path = library(machine.nixos / LIBCUDA, body=HANGS)
    assert kept(machine, top, timeout=0.3) == (None, 1)
    assert kept(machine, top, timeout=0.3) == (None, 1)
    script(machine.bin / "nvidia-smi", f"cat <<'END'\n{SMI}END")
    expected = Driver(str(path), "550.54.14", (12, 4), "nvidia-smi")
    assert kept(machine, top, timeout=2.0) == (expected, 2)
    assert kept(machine, top) == (expected, 0)


def test_a_crash_is_an_answer_that_is_kept(machine: Machine, tmp_path: Path) -> None:
    library(machine.nixos / LIBCUDA, body=CRASHES)
    assert kept(machine, tmp_path / "cache") == (None, 1)
    assert kept(machine, tmp_path / "cache") == (None, 0)


@pytest.mark.parametrize("harm", ["damaged", "cut", "empty", "others can write", "gone"])
def test_a_record_that_is_not_trusted_is_made_again(
    machine: Machine, tmp_path: Path, harm: str
) -> None:
    top = tmp_path / "cache"
    library(machine.nixos / LIBCUDA)
    expected, _ = kept(machine, top)
    (record,) = (path for path in top.rglob("*") if path.is_file())
    content = record.read_bytes()
    if harm == "damaged":
        record.write_bytes(content.replace(b"libcuda\0", b"libruda\0").replace(b"12", b"13"))
    elif harm == "cut":
        record.write_bytes(content[:-9])
    elif harm == "empty":
        record.write_bytes(b"")
    elif harm == "others can write":
        record.chmod(0o666)
    else:
        record.unlink()
    assert kept(machine, top) == (expected, 1)
    assert kept(machine, top) == (expected, 0)


def test_a_directory_that_is_not_private_keeps_nothing(machine: Machine, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    top.mkdir()
    top.chmod(0o777)
    library(machine.nixos / LIBCUDA)
    assert kept(machine, top)[1] == 1
    assert kept(machine, top)[1] == 1
    assert os.listdir(top) == []
