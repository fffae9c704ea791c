"""ELF files as they are: what compilers make, and what is left of them when they are damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixpy.libraries.elf import DamagedElf, read_elf
from nixpy.libraries.loader import Linker, linker_of, needs_of, read_cache

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")
GCC = shutil.which("gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


def compiled(directory: Path, name: str, *arguments: str, program: bool = False) -> Path:
    source = directory / f"{name}.c"
    source.write_text(
        "int main(void) { return 0; }\n" if program else f"int {name}(void) {{ return 1; }}\n"
    )
    target = directory / (name if program else f"lib{name}.so.1")
    shared = [] if program else ["-shared", "-fPIC", f"-Wl,-soname,lib{name}.so.1"]
    command = [str(GCC), "-o", str(target), str(source), *shared, "-Wl,--no-as-needed", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return target


def ldd(path: Path) -> dict[str, str | None]:
    said = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    found: dict[str, str | None] = {}
    for line in said.splitlines():
        soname, arrow, where = line.strip().partition(" => ")
        if arrow:
            found[soname] = (
                None if where == "not found" else str(Path(where.split(" (")[0]).resolve())
            )
    return found


def ours(path: Path) -> dict[str, str | None]:
    linker = linker_of(sys.executable) or linker_of("/bin/sh")
    assert linker is not None
    return {
        one.soname: str(Path(one.found).resolve()) if one.found else None
        for one in needs_of(str(path), linker)
        if not one.soname.startswith("ld-linux")
    }


@needs_gcc
def test_a_library_says_what_it_is(tmp_path: Path) -> None:
    compiled(tmp_path, "below")
    path = compiled(
        tmp_path,
        "above",
        f"-L{tmp_path}",
        "-l:libbelow.so.1",
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN",
    )
    elf = read_elf(str(path))
    assert elf is not None
    assert elf.soname == "libabove.so.1"
    assert elf.needed[0] == "libbelow.so.1"
    assert (elf.rpath, elf.runpath) == ((), ("$ORIGIN",))
    assert elf.is_dynamic
    assert elf.uses_defaults
    assert elf.interpreter is None
    program = read_elf(str(compiled(tmp_path, "program", program=True)))
    assert program is not None
    assert program.interpreter
    assert program.versions_needed


@needs_gcc
@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
@pytest.mark.parametrize(
    "origin", ["$ORIGIN/deep", "${ORIGIN}/deep", "{tmp}/deep", "{tmp}/nowhere"]
)
def test_chains_are_found_as_the_real_linker_finds_them(
    tmp_path: Path, tags: str, origin: str
) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    compiled(deep, "lowest")
    compiled(deep, "middle", f"-L{deep}", "-l:liblowest.so.1")
    rpath = origin.replace("{tmp}", str(tmp_path))
    top = compiled(
        tmp_path,
        "top",
        f"-L{deep}",
        "-l:libmiddle.so.1",
        f"-Wl,-rpath-link,{deep},{tags},-rpath,{rpath}",
    )
    assert ours(top) == ldd(top)
    found = ours(top)
    if "nowhere" not in origin:
        # DT_RPATH counts for what is loaded, too; DT_RUNPATH does not.
        assert (found["liblowest.so.1"] is not None) == (tags == "--disable-new-dtags")


@needs_gcc
def test_a_library_of_another_machine_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    path = compiled(tmp_path, "other")
    content = bytearray(path.read_bytes())
    content[18] = 40  # EM_ARM
    (wrong / "libother.so.1").write_bytes(content)
    top = compiled(
        tmp_path, "top", f"-L{tmp_path}", "-l:libother.so.1", f"-Wl,-rpath,{wrong}:{tmp_path}"
    )
    assert ours(top)["libother.so.1"] == str(path.resolve())


def test_this_very_interpreter_is_read_as_the_real_linker_reads_it() -> None:
    path = Path(sys.executable).resolve()
    assert ours(path) == ldd(path)


def test_what_is_no_elf_is_none_and_what_is_cut_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"\x7fEL", b"#!/bin/sh\n"):
        path.write_bytes(content)
        assert read_elf(str(path)) is None
    whole = Path(sys.executable).resolve().read_bytes()
    for length in (4, 20, 64, 200):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedElf):
            read_elf(str(path))


SMALL = Path("/bin/true")


@settings(max_examples=300, deadline=2000)
@given(
    st.lists(st.tuples(st.integers(4, 2**16), st.integers(0, 255)), max_size=12),
    st.integers(1, 2**17),
)
def test_damage_is_an_error_or_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(SMALL.read_bytes()[:length])
    for at, value in changes:
        if at < len(content):
            content[at] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    linker = Linker("/lib64/ld-linux-x86-64.so.2", {}, ())
    try:
        needs_of(str(path), linker)
    except DamagedElf:
        pass


def test_the_cache_is_what_ldconfig_prints() -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if ldconfig is None or not Path("/etc/ld.so.cache").exists():
        pytest.skip("there is no cache")
    said = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    theirs = {line.rpartition(" => ")[2] for line in said.splitlines() if " => " in line}
    assert {path for paths in read_cache("/etc/ld.so.cache").values() for path in paths} == theirs
    assert read_cache("/nonexistent") == {}
