"""Link farms of compiled libraries."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.farm import Supplier, make_farm, remove_other_farms
from nixpy.libraries.loading import process_of

from .compiled import library, needs_gcc, versioned

if TYPE_CHECKING:
    from pathlib import Path

    from nixpy.libraries.loading import Process

pytestmark = [
    needs_gcc,
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
]


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """The interpreter of a prefix."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(os.path.realpath(sys.executable))
    found = process_of(str(tmp_path / "venv"), {})
    assert found is not None
    return found


def supplier(directory: Path, *sonames: str) -> Supplier:
    return Supplier(str(directory), "test", sonames)


def test_what_is_linked_is_what_is_wanted_and_no_more(tmp_path: Path, process: Process) -> None:
    wanted = library(tmp_path / "lib/libwanted.so.1")
    library(tmp_path / "lib/libother.so.1")
    suppliers = [supplier(tmp_path / "lib")]
    farm = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers, process)
    assert os.listdir(farm.path) == ["libwanted.so.1"]
    assert os.path.realpath(f"{farm.path}/libwanted.so.1") == str(wanted)
    assert farm.missing == ()


def test_what_a_library_needs_and_does_not_find_is_linked_too(
    tmp_path: Path, process: Process
) -> None:
    deep = library(tmp_path / "deep/libdeep.so.1")
    beside = library(tmp_path / "lib/libbeside.so.1", needs=(deep,))
    library(tmp_path / "lib/libwanted.so.1", needs=(beside,))
    suppliers = [supplier(tmp_path / "lib"), supplier(tmp_path / "deep")]
    farm = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers, process)
    assert sorted(os.listdir(farm.path)) == ["libbeside.so.1", "libdeep.so.1", "libwanted.so.1"]
    alone = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers[:1], process)
    assert alone.missing == ("libdeep.so.1",)


def test_what_a_library_finds_by_its_own_runpath_is_not_linked(
    tmp_path: Path, process: Process
) -> None:
    deep = library(tmp_path / "deep/libdeep.so.1")
    runpath = f"-Wl,-rpath,{deep.parent}"
    library(tmp_path / "lib/libwanted.so.1", "", runpath, needs=(deep,))
    suppliers = [supplier(tmp_path / "lib"), supplier(tmp_path / "deep")]
    farm = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers, process)
    assert os.listdir(farm.path) == ["libwanted.so.1"]


def test_glibc_is_never_linked(tmp_path: Path, process: Process) -> None:
    library(tmp_path / "lib/libc.so.6")
    library(tmp_path / "lib/libnsl.so.1")
    suppliers = [supplier(tmp_path / "lib")]
    farm = make_farm(str(tmp_path / "top"), ["libc.so.6", "libnsl.so.1"], suppliers, process)
    assert farm.path == ""
    assert not os.listdir(tmp_path / "top")


def test_the_first_supplier_counts_and_may_supply_only_some(
    tmp_path: Path, process: Process
) -> None:
    for name in ("one", "two"):
        library(tmp_path / name / "libwanted.so.1")
    suppliers = [supplier(tmp_path / "one", "libelse.so"), supplier(tmp_path / "two")]
    farm = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers, process)
    assert farm.links[0].target == str(tmp_path / "two/libwanted.so.1")


def test_a_file_of_another_machine_or_none_at_all_is_passed_over(
    tmp_path: Path, process: Process
) -> None:
    other = library(tmp_path / "one/libwanted.so.1")
    content = bytearray(other.read_bytes())
    content[18:20] = b"\xf3\x00"  # e_machine: RISC-V
    other.write_bytes(content)
    (tmp_path / "two").mkdir()
    (tmp_path / "two/libwanted.so.1").write_text("INPUT(libelse.so)\n")
    suppliers = [supplier(tmp_path / "one"), supplier(tmp_path / "two")]
    farm = make_farm(str(tmp_path / "top"), ["libwanted.so.1"], suppliers, process)
    assert (farm.path, farm.missing) == ("", ("libwanted.so.1",))


def test_what_the_process_cannot_load_is_left_out_with_what_needs_it(
    tmp_path: Path, process: Process
) -> None:
    """A library that was linked against a newer one than is found."""
    newer = versioned(tmp_path / "newer/libbase.so.1", "BASE_1", "BASE_2")
    source = "int nixpy_answer(void); int nixpy_wanted(void) { return nixpy_answer(); }\n"
    wanted = library(tmp_path / "lib/libwanted.so.1", source, needs=(newer,))
    library(tmp_path / "lib/libtop.so.1", needs=(wanted,))
    library(tmp_path / "lib/libfine.so.1")
    versioned(tmp_path / "lib/libbase.so.1", "BASE_1")
    names = ["libtop.so.1", "libfine.so.1"]
    farm = make_farm(str(tmp_path / "top"), names, [supplier(tmp_path / "lib")], process)
    assert "libfine.so.1" in os.listdir(farm.path)
    assert {"libwanted.so.1", "libtop.so.1"} <= farm.unusable.keys()
    assert farm.unusable["libwanted.so.1"].version == "BASE_2"


def test_a_farm_is_named_by_what_is_in_it_and_the_last_two_are_kept(
    tmp_path: Path, process: Process
) -> None:
    names = [f"lib{number}.so.1" for number in range(4)]
    for name in names:
        library(tmp_path / "lib" / name)
    top, suppliers = tmp_path / "top", [supplier(tmp_path / "lib")]
    farms = [make_farm(str(top), [name], suppliers, process) for name in names]
    assert make_farm(str(top), names[:1], suppliers, process) == farms[0]
    for number, farm in enumerate(farms):
        os.utime(farm.path, (number, number))
    remove_other_farms(str(top), farms[1].path)
    assert {str(path) for path in top.iterdir()} == {farms[1].path, farms[3].path}
