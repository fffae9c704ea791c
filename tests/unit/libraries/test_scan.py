from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from nixpy.libraries.scan import Scan, kept_scan, library_needs, scan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")


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


def test_a_second_scan_opens_no_file_of_what_is_unchanged(prefix: Path) -> None:
    first = scan(str(prefix), {})
    for path in (prefix / "lib/python3/site-packages").rglob("*.so"):
        path.unlink()
    assert scan(str(prefix), first) == first
    distribution(prefix, "two", "two/other.so")
    second = scan(str(prefix), first)
    assert second["one-1.0"] is first["one-1.0"]
    assert [os.path.basename(path) for path in second["two-1.0"].files] == ["other.so"]


def test_a_scan_is_kept_and_a_damaged_one_is_none(prefix: Path, tmp_path: Path) -> None:
    top = tmp_path / "cache"
    first = kept_scan(str(top), str(prefix))
    for path in (prefix / "lib/python3/site-packages").rglob("*.so"):
        path.unlink()
    assert kept_scan(str(top), str(prefix)) == first
    (kept,) = (top / "libraries").iterdir()
    kept.write_text("{")
    assert not kept_scan(str(top), str(prefix))["two-1.0"].files
    assert kept_scan(None, str(prefix))


def test_damaged_files_are_named(prefix: Path) -> None:
    path = prefix / "lib/python3/site-packages/two/native.so"
    path.write_bytes(path.read_bytes()[:80])
    assert scan(str(prefix), {})["two-1.0"].damaged == (str(path),)


def test_needs_are_those_of_the_interpreter_that_loads(prefix: Path) -> None:
    found: Scan = scan(str(prefix), {})
    needs = library_needs(str(prefix), found)
    assert needs is not None
    libc = [one for one in needs if one.need.soname == "libc.so.6"]
    assert {one.distribution for one in libc} == {"one-1.0", "two-1.0"}
    assert {one.need.by for one in libc} == {"loaded"}
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").write_text("#!/bin/sh\n")
    assert library_needs(str(prefix), found) is None
