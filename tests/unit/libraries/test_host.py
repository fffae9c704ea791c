"""Which programs a farm breaks, compared with what happens when they are started."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.host import broken_programs

from .compiled import library, needs_gcc, program, versioned

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    needs_gcc,
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
]

MAIN = "int nixpy_answer(void); int main(void) { return nixpy_answer() != 42; }\n"


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program that needs symbols of a version, from a library that has it."""
    own = versioned(tmp_path / "own/libdemo.so.1", "DEMO_1", "DEMO_2")
    return program(tmp_path / "bin/tool", MAIN, str(own), f"-Wl,-rpath,{own.parent}")


def runs(tool: Path, farm: Path) -> bool:
    environ = {"LD_LIBRARY_PATH": str(farm)}
    return subprocess.run([tool], env=environ, capture_output=True, check=False).returncode == 0


def broken(tool: Path, farm: Path, *sonames: str) -> list[str]:
    found = broken_programs(str(tool.parent), str(farm), sonames, ("tool", "none"))
    return [str(one) for one in found]


def test_a_program_that_finds_its_symbols_in_the_farm_is_whole(tool: Path, tmp_path: Path) -> None:
    farm = versioned(tmp_path / "farm/libdemo.so.1", "DEMO_1", "DEMO_2").parent
    assert runs(tool, farm)
    assert broken(tool, farm) == []


def test_an_older_library_in_the_farm_breaks_a_program(tool: Path, tmp_path: Path) -> None:
    farm = versioned(tmp_path / "farm/libdemo.so.1", "DEMO_1").parent
    assert not runs(tool, farm)
    (said,) = broken(tool, farm)
    assert said == (
        f"{tool} would not find symbol version DEMO_2, which {tool} needs in {farm}/libdemo.so.1"
    )


def test_a_library_of_the_farm_that_needs_a_newer_one_breaks_a_program(
    tool: Path, tmp_path: Path
) -> None:
    newer = versioned(tmp_path / "newer/libbase.so.1", "BASE_1", "BASE_2")
    source = (
        "int nixpy_answer(void); int nixpy_other(void) { return nixpy_answer(); }\n"
        '__asm__(".symver own, nixpy_answer@@DEMO_2"); int own(void) { return 42; }\n'
    )
    script = tmp_path / "demo.map"
    script.write_text("DEMO_1 { }; DEMO_2 { global: nixpy_*; };\n")
    source = "int nixpy_base(void); int nixpy_answer(void) { return nixpy_base(); }\n"
    base = "int nixpy_base(void) { return 42; }\n"
    newer = versioned(tmp_path / "newer/libbase.so.1", "BASE_1", "BASE_2", source=base)
    farm = library(
        tmp_path / "farm/libdemo.so.1",
        source,
        f"-Wl,--version-script={script}",
        needs=(newer,),
    ).parent
    assert not runs(tool, farm)
    (missing,) = broken(tool, farm)
    assert "libbase.so.1" in missing
    versioned(farm / "libbase.so.1", "BASE_1", source=base)
    assert not runs(tool, farm)
    (said,) = broken(tool, farm)
    assert "BASE_2" in said
    assert str(farm / "libdemo.so.1") in said


def test_a_library_that_nothing_here_could_load_is_told_even_if_no_program_is_known(
    tmp_path: Path,
) -> None:
    newer = versioned(tmp_path / "newer/libbase.so.1", "BASE_1", "BASE_2")
    source = "int nixpy_answer(void); int nixpy_more(void) { return nixpy_answer(); }\n"
    farm = library(tmp_path / "farm/libdemo.so.1", source, needs=(newer,)).parent
    versioned(farm / "libbase.so.1", "BASE_1")
    found = list(broken_programs("/nowhere", str(farm), ["libdemo.so.1"]))
    assert [(one.program, one.version) for one in found] == [("/bin/sh", "BASE_2")]


def test_the_glibc_of_a_program_counts_and_not_that_of_a_librarys_own_search_path(
    tmp_path: Path,
) -> None:
    """As libraries of nixpkgs have it: their runpath leads to a glibc that no process has here."""
    newer = versioned(tmp_path / "glibc/libc.so.6", "GLIBC_2.2.5", "GLIBC_2.99")
    source = "int nixpy_answer(void); int nixpy_more(void) { return nixpy_answer(); }\n"
    runpath = ("-nostdlib", f"-Wl,-rpath,{newer.parent}")
    farm = library(tmp_path / "farm/libdemo.so.1", source, *runpath, needs=(newer,)).parent
    code = f"import ctypes; ctypes.CDLL({str(farm / 'libdemo.so.1')!r})"
    python = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert "version `GLIBC_2.99' not found" in python.stderr
    found = list(broken_programs("/nowhere", str(farm), ["libdemo.so.1"]))
    assert [(one.program, one.version) for one in found] == [("/bin/sh", "GLIBC_2.99")]


def test_what_is_broken_without_the_farm_is_not_the_farms_doing(tool: Path, tmp_path: Path) -> None:
    versioned(tmp_path / "own/libdemo.so.1", "DEMO_1")
    farm = library(tmp_path / "farm/libelse.so.1").parent
    assert not runs(tool, farm)
    assert broken(tool, farm) == []
