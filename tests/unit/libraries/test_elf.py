"""ELF files as they are: what compilers make, and what is left of them when they are damaged."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.dynamic import DynamicSection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.libraries.elf import BLOCK, MAGIC, DamagedElf, _Image, read_elf
from nixpy.libraries.loader import Linker, Loader, linker_of, read_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        for one in Loader(linker).needs_of(str(path))
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


def real_files() -> list[bytes]:
    """Return files of several kinds: a program, a library with versions, one of C++."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        mapped = {line.split(None, 5)[5].strip() for line in file if ".so" in line}
    libraries = sorted(one for one in mapped if os.path.isfile(one))
    chosen = [SMALL, *sorted(libraries, key=os.path.getsize)[:6], GCC and str(Path(GCC).resolve())]
    return [Path(one).read_bytes() for one in chosen if one and Path(one).exists()]


SMALL = "/bin/true"
WHOLE = real_files() if sys.platform == "linux" else []


def places(content: bytes) -> tuple[list[tuple[int, int]], int]:
    """Return the parts of a file that the dynamic linker reads, and the size of an address."""
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(io.BytesIO(content))
    found = [(0, 64), (elf["e_phoff"], elf["e_phnum"] * elf["e_phentsize"])]
    names = (".dynamic", ".gnu.version_r", ".gnu.version_d", ".dynstr", ".interp")
    sections = [elf.get_section_by_name(name) for name in names]
    found += [(one["sh_offset"], one["sh_size"]) for one in sections if one]
    return [one for one in found if one[1]], elf.elfclass // 8


PLACES = [places(content) for content in WHOLE]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a real ELF file with some damage, for the most part where it is read."""
    which = draw(st.integers(0, len(WHOLE) - 1))
    content = bytearray(WHOLE[which])
    parts, word = PLACES[which]
    for _ in range(draw(st.integers(1, 4))):
        start, size = draw(st.sampled_from([*parts, *parts, (0, len(content) or 1)]))
        at = start + draw(st.integers(0, size - 1))
        kind = draw(st.sampled_from(["flip", "byte", "word", "zeros", "splice", "cut"]))
        if at >= len(content):
            break
        if kind == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            content[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == "word":
            # A number where one lies, huge, negative, or one that leads back to where it stands.
            at -= (at - start) % word
            value = draw(st.sampled_from([0, 1, -1, at, start, 1 << 31, len(content), 1 << 62]))
            content[at : at + word] = (value % (1 << 8 * word)).to_bytes(word, "little")
        elif kind == "zeros":
            length = draw(st.integers(1, 512))
            content[at : at + length] = bytes(len(content[at : at + length]))
        elif kind == "splice":
            other = draw(st.integers(0, len(content) - 1))
            length = draw(st.integers(1, 256))
            content[at : at + length] = content[other : other + length]
        else:
            del content[at:]
    return bytes(content)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "file"


@pytest.fixture
def alarm() -> Iterator[None]:
    """End the whole run, with a traceback, where a reader does not come back."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def blocks_of(path: Path) -> int:
    """Return how many blocks are read of a file, having seen that it is an ELF file or damaged."""
    try:
        read_elf(str(path))
    except DamagedElf:
        pass
    descriptor = os.open(path, os.O_RDONLY)
    try:
        first = os.pread(descriptor, BLOCK, 0)
        if first[:4] != MAGIC:
            return 1
        image = _Image(descriptor, first)
        image.elf()
    except (ValueError, struct.error):
        pass
    finally:
        os.close(descriptor)
    return len(image.blocks) if "image" in locals() else 1


@settings(
    max_examples=1500,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damaged())
def test_damage_is_an_error_or_a_verdict(place: Path, alarm: None, content: bytes) -> None:
    place.write_bytes(content)
    # 64 KiB of each text and 1 MiB of all of them: more is not even read.
    assert blocks_of(place) < 1000
    try:
        Loader(Linker("/lib64/ld-linux-x86-64.so.2", {}, ())).needs_of(str(place))
    except DamagedElf:
        pass


def test_lists_without_an_end_have_one_here(place: Path, alarm: None) -> None:
    content = Path(SMALL).read_bytes()
    parts = dict(zip((*"hp", "dynamic", "needed"), PLACES[0][0], strict=False))
    start, size = parts["dynamic"]
    # A dynamic segment without DT_NULL, to the end of a large file of holes.
    image = bytearray(content[:start] + bytes([1] + [0] * 15) * (size // 16))
    place.write_bytes(image)
    with place.open("r+b") as file:
        file.truncate(1 << 36)
        file.seek(start + size)
        file.write(bytes([4] + [0] * 15) * 20_000)
    with pytest.raises(DamagedElf):
        read_elf(str(place))
    # A file of holes, as large as it may be.
    place.write_bytes(content[:4096])
    os.truncate(place, 1 << 36)
    before = time.monotonic()
    with contextlib.suppress(DamagedElf):
        read_elf(str(place))
    assert time.monotonic() - before < 10
    place.unlink()


@needs_gcc
def test_section_headers_are_not_needed(tmp_path: Path) -> None:
    script = tmp_path / "versions"
    script.write_text("V_1 { global: below; }; V_2 { } V_1;\n")
    below = compiled(tmp_path, "below", f"-Wl,--version-script={script}")
    (tmp_path / "calls.c").write_text("int below(void); int calls(void) { return below(); }\n")
    top = compiled(tmp_path, "top", str(tmp_path / "calls.c"), str(below), "-Wl,-rpath,$ORIGIN")
    for path in (below, top, Path(sys.executable).resolve()):
        whole = read_elf(str(path))
        assert whole is not None
        content = bytearray(path.read_bytes())
        if path != below:
            assert whole.versions_needed
        else:
            assert whole.versions_defined == ("libbelow.so.1", "V_1", "V_2")
        assert content[4] == 2
        content[0x28:0x30] = bytes(8)  # e_shoff
        content[0x3A:0x40] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
        stripped = tmp_path / "stripped"
        stripped.write_bytes(content)
        assert read_elf(str(stripped)) == whole
        # And where they lead astray.
        content[0x28:0x30] = b"\xff" * 8
        content[0x3A:0x40] = b"\xff" * 6
        stripped.write_bytes(content)
        assert read_elf(str(stripped)) == whole


def test_what_is_read_is_what_readers_of_sections_read() -> None:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

    for content in WHOLE:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            ours = read_elf(file.name)
        assert ours is not None
        elf = ELFFile(io.BytesIO(content))
        assert (ours.bits, ours.machine) == (elf.elfclass, elf["e_machine"])
        section = elf.get_section_by_name(".dynamic")
        tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
        for name, mine in (("needed", ours.needed), ("soname", (ours.soname,))):
            theirs = [getattr(tag, name) for tag in tags if hasattr(tag, name)]
            assert [one for one in mine if one is not None] == theirs
        needs = elf.get_section_by_name(".gnu.version_r")
        if isinstance(needs, GNUVerNeedSection):
            assert ours.versions_needed == tuple(
                (need.name, tuple(one.name for one in names))
                for need, names in needs.iter_versions()
            )
        defined = elf.get_section_by_name(".gnu.version_d")
        if isinstance(defined, GNUVerDefSection):
            assert ours.versions_defined == tuple(
                next(iter(names)).name for _, names in defined.iter_versions()
            )


def test_what_is_no_plain_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(OSError, match="Errno"):
            read_elf(str(path))


def test_the_cache_is_what_ldconfig_prints() -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if ldconfig is None or not Path("/etc/ld.so.cache").exists():
        pytest.skip("there is no cache")
    said = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    theirs = {line.rpartition(" => ")[2] for line in said.splitlines() if " => " in line}
    assert {path for paths in read_cache("/etc/ld.so.cache").values() for path in paths} == theirs
    assert read_cache("/nonexistent") == {}
