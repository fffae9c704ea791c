from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.scan import (
    LibraryNeed,
    Scan,
    kept_scan,
    library_needs,
    loading_process,
    scan,
)

if TYPE_CHECKING:
    from .conftest import Workbench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

OPENED = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[3])
from nixpy.libraries.scan import kept_scan
opened = []
def hook(event, arguments):
    if event in ("open", "os.scandir", "os.listdir") and isinstance(arguments[0], str):
        opened.append((event, arguments[0]))
sys.addaudithook(hook)
found = kept_scan(sys.argv[1], sys.argv[2])
print(json.dumps([opened, {name: len(one.files) for name, one in found.items()}]))
"""
"""Prints what a scan opens: what the interpreter tells its hooks of."""


def distribution(prefix: Path, name: str, *files: str) -> None:
    site = prefix / "lib/python3/site-packages"
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile("/bin/true", site / file)
    rows = [f"{file},sha256=0,{(site / file).stat().st_size}" for file in files]
    (info / "RECORD").write_text("\n".join((*rows, f"{info.name}/RECORD,,", "")))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    path = Path(os.path.realpath(tmp_path)) / "venv"
    (path / "bin").mkdir(parents=True)
    (path / "bin/python").symlink_to(sys.executable)
    distribution(path, "one", "one/native.so", "one/named-otherwise")
    distribution(path, "two", "two/native.so")
    return path


def test_files_are_elf_by_what_they_begin_with(prefix: Path) -> None:
    site = prefix / "lib/python3/site-packages"
    (site / "two/native.so").write_text("no ELF file\n")
    found = scan(str(prefix), {})
    assert [os.path.basename(path) for path in found["one-1.0"].files] == [
        "native.so",
        "named-otherwise",
    ]
    assert not found["two-1.0"].files


def scanned(top: Path, prefix: Path) -> tuple[list[str], dict[str, int]]:
    """Scan in another process; return which files it opened and how many ELF files there are."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", OPENED, str(top), str(prefix), json.dumps(sys.path)],
        check=True,
        capture_output=True,
        text=True,
    )
    opened, found = json.loads(done.stdout)
    return sorted(name for event, name in opened if event == "open"), found


def test_a_second_scan_opens_no_file_but_the_record_of_what_is_unchanged(
    prefix: Path, tmp_path: Path
) -> None:
    site = prefix / "lib/python3/site-packages"
    source = site / "one/native.so"
    for number in range(498):
        info = site / f"many{number}-1.0.dist-info"
        info.mkdir()
        package = site / f"many{number}"
        package.mkdir()
        (package / "native.so").hardlink_to(source)
        (package / "text.so").write_text("INPUT(-lc)\n")
        (package / "module.py").touch()
        rows = (f"{package.name}/{name},," for name in ("native.so", "text.so", "module.py"))
        (info / "RECORD").write_text("\n".join((*rows, "")))
    (site / "built.cpython-311-x86_64-linux-gnu.so").hardlink_to(source)
    top = tmp_path / "cache"
    opened, found = scanned(top, prefix)
    assert len(found) == 501
    assert sum(found.values()) == 3 + 498 + 1
    # Each once, and no Python module.
    assert [one for one in opened if one.startswith(str(site))] == sorted(
        str(path)
        for pattern in ("*.dist-info/RECORD", "*/*.so", "one/named-otherwise", "*.so")
        for path in site.glob(pattern)
    )
    opened, again = scanned(top, prefix)
    assert again == found
    records = sorted(str(path) for path in site.glob("*.dist-info/RECORD"))
    (kept,) = top.rglob("scan")
    assert opened == sorted([*records, str(kept)])
    assert len(records) == 500
    # Of one that changed its own files are opened.
    distribution(prefix, "two", "two/native.so", "two/other.so")
    opened, found = scanned(top, prefix)
    assert found["two-1.0"] == 2
    inside = {one for one in opened if one.startswith(str(site)) and not one.endswith("RECORD")}
    assert inside == {f"{site}/two/native.so", f"{site}/two/other.so"}


def test_a_file_that_was_patched_is_read_again(prefix: Path) -> None:
    first = scan(str(prefix), {})
    path = prefix / "lib/python3/site-packages/two/native.so"
    path.write_bytes(path.read_bytes()[:100])
    second = scan(str(prefix), first)
    assert second["two-1.0"].damaged == (str(path),)
    assert second["one-1.0"] is first["one-1.0"]
    path.unlink()
    assert not scan(str(prefix), second)["two-1.0"].paths


def test_another_link_to_a_file_is_no_change(prefix: Path, tmp_path: Path) -> None:
    first = scan(str(prefix), {})
    (tmp_path / "link").hardlink_to(prefix / "lib/python3/site-packages/two/native.so")
    assert scan(str(prefix), first)["two-1.0"] is first["two-1.0"]


def test_what_no_record_names_is_found(prefix: Path) -> None:
    site = prefix / "lib/python3/site-packages"
    assert "" not in scan(str(prefix), {})
    elsewhere = ("old.egg/old.so", "bare/deep/lib.so.1", "built.cpython-311-x86_64-linux-gnu.so")
    for name in elsewhere:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile("/bin/true", site / name)
    (site / "old.egg-info").mkdir()
    (site / "bare-1.0.dist-info").mkdir()
    first = scan(str(prefix), {})
    assert sorted(first[""].files) == sorted(str(site / name) for name in elsewhere)
    assert scan(str(prefix), first) == first
    (site / "old.egg/old.so").unlink()
    assert len(scan(str(prefix), first)[""].files) == 2


def test_what_conda_packages_have_is_found(prefix: Path) -> None:
    site = prefix / "lib/python3/site-packages"
    for name in ("lib/libdemo.so.1.2", "lib/python3/lib-dynload/native.so"):
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile("/bin/true", prefix / name)
    (prefix / "lib/libdemo.so.1").symlink_to("libdemo.so.1.2")
    (prefix / "lib/python3.1").symlink_to("python3")
    files = ("lib/libdemo.so.1.2", "lib/libdemo.so.1", "lib/python3/lib-dynload/native.so")
    own = ("lib/python3/site-packages/one/native.so", "bin/demo", "lib/gone.so")
    meta = prefix / "conda-meta"
    meta.mkdir()
    (meta / "demo-1.2-h0.json").write_text(json.dumps({"files": [*files, *own]}))
    (meta / "broken-1-0.json").write_text("{")
    (meta / "history").touch()
    first = scan(str(prefix), {})
    assert list(first["demo-1.2-h0"].files) == [f"{prefix}/{files[0]}", f"{prefix}/{files[2]}"]
    assert first["broken-1-0"].files == {}
    assert next(iter(first["one-1.0"].files)) == f"{site}/one/native.so"
    assert "" not in first
    second = scan(str(prefix), first)
    assert second == first
    assert all(second[name] is first[name] for name in first)


def test_a_scan_is_kept_and_a_damaged_one_is_none(prefix: Path, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    first = kept_scan(str(top), str(prefix))
    assert kept_scan(str(top), str(prefix)) == first
    (kept,) = top.rglob("scan")
    kept.write_text("{")
    assert kept_scan(str(top), str(prefix)) == first
    assert kept.read_text() != "{"
    assert kept_scan(None, str(prefix)) == first


def test_damaged_files_are_named(prefix: Path) -> None:
    path = prefix / "lib/python3/site-packages/two/native.so"
    path.write_bytes(path.read_bytes()[:80])
    assert scan(str(prefix), {})["two-1.0"].damaged == (str(path),)


def needs_of(prefix: str, found: Scan) -> tuple[LibraryNeed, ...] | None:
    process = loading_process(prefix, found)
    return library_needs(found, process) if process else None


def test_needs_are_those_of_the_interpreter_that_loads(prefix: Path) -> None:
    found: Scan = scan(str(prefix), {})
    needs = needs_of(str(prefix), found)
    assert needs is not None
    libc = [one for one in needs if one.need.soname == "libc.so.6"]
    assert {one.distribution for one in libc} == {"one-1.0", "two-1.0"}
    # They are copies of a program, which has nothing loaded before.
    assert {one.need.by for one in libc} <= {"cache", "default"}
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").write_text("#!/bin/sh\n")
    assert needs_of(str(prefix), found) is None


@pytest.mark.parametrize(
    "row", [b"a\0b.so,,\n", b'"unclosed\n', b"\xff,,\xff\n", "named,,²\n".encode(), b",,\n"]
)
def test_a_record_that_is_damaged_names_what_is_left(prefix: Path, row: bytes) -> None:
    record = prefix / "lib/python3/site-packages/one-1.0.dist-info/RECORD"
    record.write_bytes(record.read_bytes() + row)
    found = {name: set(one.files) for name, one in scan(str(prefix), {}).items()}
    assert any("two-1.0" in name for name in found)
    record.write_bytes(row)
    scan(str(prefix), {})


def listed(prefix: Path, *files: Path) -> None:
    """Make a distribution of files that are there."""
    site = prefix / "lib/python3/site-packages"
    info = site / "demo-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    rows = (f"{os.path.relpath(file, site)},," for file in files)
    (info / "RECORD").write_text("\n".join((*rows, "")))


def found_in(prefix: Path) -> dict[tuple[str, str], str | None]:
    needs = needs_of(str(prefix), scan(str(prefix), {}))
    assert needs is not None
    return {
        (os.path.basename(one.need.file), one.need.soname): one.need.found
        and os.path.relpath(os.path.realpath(one.need.found), prefix)
        for one in needs
    }


@needs_gcc
@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_a_private_library_is_judged_where_others_load_it(bench: Workbench, kind: str) -> None:
    """The real linker says it of the extension module, whose DT_RPATH counts for both."""
    site = "lib/python3/site-packages/demo"
    bench.program("bin/python")
    low = bench.library(f"{site}/libs/liblow.so.1")
    middle = bench.library(f"{site}/libs/libmiddle.so.1", needs=("liblow.so.1", "libnone.so.1"))
    paths = {kind: "$ORIGIN/libs"}
    top = bench.library(f"{site}/top.so", needs=("libmiddle.so.1",), **paths)
    listed(bench.top, middle, low, top)
    found = found_in(bench.top)
    assert found["top.so", "libmiddle.so.1"] == f"{site}/libs/libmiddle.so.1"
    expected = bench.verdict(top)["liblow.so.1"]
    assert found["libmiddle.so.1", "liblow.so.1"] == expected
    assert (expected is None) == (kind == "runpath")
    assert found["libmiddle.so.1", "libnone.so.1"] is None
    # One of two that load it has no such path.
    other = bench.library(f"{site}/other.so", needs=("libmiddle.so.1",), runpath="$ORIGIN/libs")
    listed(bench.top, middle, low, top, other)
    assert found_in(bench.top)["libmiddle.so.1", "liblow.so.1"] is None


@needs_gcc
def test_the_path_of_the_interpreter_and_of_its_library_counts(bench: Workbench) -> None:
    site = "lib/python3/site-packages"
    bench.library("lib/libdemo.so.1")
    top = bench.library(f"{site}/top.so", needs=("libdemo.so.1", "libmore.so.1"))
    listed(bench.top, top)
    program = bench.program("bin/python", rpath="$ORIGIN/../lib")
    found = found_in(bench.top)
    assert found["top.so", "libdemo.so.1"] == "lib/libdemo.so.1"
    assert found["top.so", "libmore.so.1"] is None
    assert bench.loaded_by(program, top)["libdemo.so.1"] == "lib/libdemo.so.1"
    needs = needs_of(str(bench.top), scan(str(bench.top), {}))
    assert needs is not None
    assert [one.need.by for one in needs] == ["rpath", ""]
    bench.library("lib/more/libmore.so.1")
    library = bench.library("lib/libpython3.99.so.1.0", rpath="$ORIGIN/more")
    bench.program("bin/python", str(library), rpath="$ORIGIN/../lib")
    assert found_in(bench.top)["top.so", "libmore.so.1"] == "lib/more/libmore.so.1"


@needs_gcc
def test_a_program_is_loaded_without_what_the_interpreter_has(bench: Workbench) -> None:
    site = "lib/python3/site-packages"
    demo = bench.library("lib/libdemo.so.1")
    bench.program("bin/python", str(demo), rpath="$ORIGIN/../lib")
    top = bench.library(f"{site}/top.so", needs=("libdemo.so.1",))
    program = bench.program(f"{site}/demo/tool", str(demo))
    listed(bench.top, top, program)
    found = found_in(bench.top)
    assert found["top.so", "libdemo.so.1"] == "lib/libdemo.so.1"
    assert found["tool", "libdemo.so.1"] is None
    assert bench.verdict(program)["libdemo.so.1"] is None
