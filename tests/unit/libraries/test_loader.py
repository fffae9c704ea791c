"""The dynamic linker's verdicts, beside those of the real one on files that gcc makes."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from nixpy.libraries.elf import read_elf
from nixpy.libraries.loader import (
    LackingVersion,
    Linker,
    Loader,
    linker_of,
    read_cache,
)

from .conftest import Workbench, traced

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]

DT_NEEDED, DT_RPATH = 1, 15

CHILD = """
import ctypes, json, sys
def maps():
    with open("/proc/self/maps") as file:
        return {line.split(None, 5)[5].strip() for line in file if "/" in line}
before = maps()
try:
    ctypes.CDLL(sys.argv[1])
    print(json.dumps([sorted(maps() - before), ""]))
except OSError as error:
    print(json.dumps([[], str(error)]))
"""


DEMO = "libnixpydemo.so.1"


def test_an_extension_module_and_what_it_needs(bench: Workbench) -> None:
    top = bench.library("demo.cpython-311.so", needs=(DEMO, "libc.so.6"), soname=None)
    assert bench.verdict(top)[DEMO] is None
    assert bench.verdict(top)["libc.so.6"]
    demo = bench.library(f"below/{DEMO}")
    assert bench.verdict(top, str(demo.parent))[DEMO] == f"below/{DEMO}"
    assert bench.verdict(top)[DEMO] is None


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize(
    "text",
    [
        "$ORIGIN/d",
        "${ORIGIN}/d",
        "$ORIGIN/d/",
        "$ORIGIN/d//",
        "$ORIGIN/./d/../d",
        "$ORIGINAL/d:$ORIGIN_/d",
        "${ORIGIN/d",
        "$ORIGIN/nowhere:$ORIGIN/d",
        "$ORIGIN/../$UNKNOWN:${ORIGIN}/d",
        "d",
        "./d",
        "",
        ":d",
        "nowhere::d",
        "$ORIGIN/d;$ORIGIN/d",
        "$ORIGIN/$LIB:$ORIGIN/$PLATFORM",
        "$ORIGIN/${LIB}:$ORIGIN/x${PLATFORM}x",
    ],
)
def test_paths_in_objects(bench: Workbench, kind: str, text: str) -> None:
    demo = bench.library(f"d/{DEMO}")
    bench.library(f"d/d/{DEMO}")
    for name in (bench.linker.lib, f"x{bench.linker.platform}x"):
        shutil.copytree(demo.parent, bench.top / name)
    paths = {kind: text}
    top = bench.library("top.so", needs=(DEMO,), **paths)
    found = bench.verdict(top)[DEMO]
    # Searched for from elsewhere, relative paths lead nowhere.
    assert (found is None) == (text in {"", "$ORIGINAL/d:$ORIGIN_/d", "${ORIGIN/d"} or ";" in text)
    assert bench.verdict("./top.so")[DEMO] == found


def test_an_empty_element_is_the_current_directory(bench: Workbench) -> None:
    bench.library(DEMO)
    top = bench.library("e/top.so", needs=(DEMO,), runpath="nowhere:")
    assert bench.verdict(top)[DEMO] == DEMO
    assert bench.verdict(bench.library("e/top.so", needs=(DEMO,), runpath=""))[DEMO] is None
    for value in ("nowhere:", ":nowhere", "nowhere;", "a;;b", ":"):
        assert bench.verdict(bench.library("e/top.so", needs=(DEMO,)), value)[DEMO] == DEMO
    assert bench.verdict("./e/top.so", "")[DEMO] is None


@pytest.mark.parametrize("value", ["a:d", "a;d", "$ORIGIN/d", "${ORIGIN}/../d", "d/", "d;a"])
def test_the_variable(bench: Workbench, value: str) -> None:
    bench.library(f"d/{DEMO}")
    bench.library(f"e/d/{DEMO}")
    assert bench.verdict(bench.library("e/top.so", needs=(DEMO,)), value)[DEMO]


def test_order_of_the_sources(bench: Workbench) -> None:
    for name in ("rpath", "variable", "runpath"):
        bench.library(f"{name}/{DEMO}")
    variable = str(bench.top / "variable")
    old = bench.library("old.so", needs=(DEMO,), rpath="$ORIGIN/rpath")
    new = bench.library("new.so", needs=(DEMO,), runpath="$ORIGIN/runpath")
    assert bench.verdict(old, variable)[DEMO] == f"rpath/{DEMO}"
    assert bench.verdict(new, variable)[DEMO] == f"variable/{DEMO}"
    assert bench.verdict(new)[DEMO] == f"runpath/{DEMO}"


def test_rpath_is_inherited_along_the_chain_and_runpath_is_not(bench: Workbench) -> None:
    bench.library(f"d/{DEMO}")
    bench.library("middle.so", needs=(DEMO,))
    assert not bench.verdict(
        bench.library("a.so", needs=("middle.so",), runpath="$ORIGIN:$ORIGIN/d")
    )[DEMO]
    top = bench.library("b.so", needs=("middle.so",), rpath="$ORIGIN:$ORIGIN/d")
    assert bench.verdict(top)[DEMO]
    # One with a RUNPATH does not look there itself...
    bench.library("middle.so", needs=(DEMO, "low.so"), runpath="$ORIGIN/low")
    bench.library("low/low.so", needs=("libother.so.1",))
    bench.library("d/libother.so.1")
    found = bench.verdict(top)
    assert found[DEMO] is None
    # ... and what it loads looks at those above it all the same.
    assert found["libother.so.1"] == "d/libother.so.1"


def test_rpath_is_ignored_in_an_object_with_a_runpath(bench: Workbench) -> None:
    bench.library(f"d/{DEMO}")
    directory = str(bench.top / "d")
    for runpath in ("/nowhere", ""):
        top = bench.library("top.so", needs=(DEMO, directory), runpath=runpath)
        retag(top, directory, DT_NEEDED, DT_RPATH)
        elf = read_elf(str(top))
        assert elf is not None
        if runpath:
            assert elf.has_runpath
            assert bench.verdict(top)[DEMO] is None
    top = bench.library("top.so", needs=(DEMO, directory))
    retag(top, directory, DT_NEEDED, DT_RPATH)
    assert bench.verdict(top)[DEMO] == f"d/{DEMO}"


def retag(path: Path, text: str, before: int, after: int) -> None:
    """Make another tag of the entry of a dynamic section that has a text."""
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    with path.open("r+b") as file:
        section = ELFFile(file).get_section_by_name(".dynamic")
        assert isinstance(section, DynamicSection)
        for number, tag in enumerate(section.iter_tags()):
            if getattr(tag, "needed", None) == text:
                at = section["sh_offset"] + number * 16
        file.seek(at)
        assert struct.unpack("<Q", file.read(8)) == (before,)
        file.seek(at)
        file.write(struct.pack("<Q", after))


def test_defaults_that_do_not_count(bench: Workbench) -> None:
    top = bench.library("top.so", "-Wl,-z,nodefaultlib", needs=("libm.so.6", DEMO))
    elf = read_elf(str(top))
    assert elf is not None
    assert not elf.uses_defaults
    found = bench.verdict(top)
    assert found["libm.so.6"] is None
    assert bench.verdict(bench.library("other.so", needs=("libm.so.6",)))["libm.so.6"]


def test_names_with_a_slash(bench: Workbench) -> None:
    bench.library(f"d/{DEMO}")
    for name in (f"{bench.top}/d/{DEMO}", f"d/{DEMO}", f"./d/{DEMO}", f"$ORIGIN/d/{DEMO}"):
        top = bench.library("top.so", needs=(name,), runpath="$ORIGIN")
        ours = Loader(bench.linker).needs_of(str(top))
        if name.startswith("$"):
            # A trace has the name with its token replaced.
            assert ours[0].found == f"{bench.top}/d/{DEMO}"
            assert traced(bench.traced(top)) == [(ours[0].found, ours[0].found)]
        else:
            assert bench.verdict(top)[name] == f"d/{DEMO}"
    missing = bench.library("top.so", needs=("no/such.so",))
    assert bench.verdict(missing) == {"no/such.so": None}


def test_a_file_whose_soname_is_another(bench: Workbench) -> None:
    bench.library(f"d/{DEMO}", soname="libother.so.5")
    top = bench.library("top.so", needs=(DEMO, "libother.so.5", DEMO), runpath="$ORIGIN/d")
    assert bench.verdict(top) == {DEMO: f"d/{DEMO}", "libother.so.5": f"d/{DEMO}"}
    # The other way round it has to be found by its name first.
    top = bench.library("top.so", needs=("libother.so.5", DEMO), runpath="$ORIGIN/d")
    assert bench.verdict(top) == {"libother.so.5": None, DEMO: f"d/{DEMO}"}


def test_a_library_that_needs_itself(bench: Workbench) -> None:
    for soname in ("", "libself-1a2b.so.1", None):
        top = bench.library("libself.so.1", needs=("libself.so.1",), soname=soname)
        bench.verdict(top)
        bench.verdict("./libself.so.1")
        top = bench.library("libself.so.1", needs=("libself.so.1",), soname=soname, rpath="$ORIGIN")
        bench.verdict(top)
    first = bench.library("libfirst.so", needs=("libsecond.so",), runpath="$ORIGIN")
    bench.library("libsecond.so", needs=("libfirst.so",), runpath="$ORIGIN")
    assert bench.verdict(first) == {"libfirst.so": "libfirst.so", "libsecond.so": "libsecond.so"}


def test_the_same_missing_soname_of_two(bench: Workbench) -> None:
    for name in ("a.so", "b.so"):
        bench.library(name, needs=(DEMO,))
    top = bench.library("top.so", needs=("a.so", "b.so", DEMO), runpath="$ORIGIN")
    assert bench.verdict(top)[DEMO] is None


def test_files_that_do_not_fit_are_passed_over(bench: Workbench) -> None:
    content = bench.library(f"good/{DEMO}").read_bytes()
    top = bench.library("top.so", needs=(DEMO,), runpath="$ORIGIN/bad:$ORIGIN/good")
    bad = bench.top / "bad" / DEMO
    bad.parent.mkdir()
    for at, value in ((18, 40), (4, 1)):  # EM_ARM; ELFCLASS32
        bad.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
        assert bench.verdict(top)[DEMO] == f"good/{DEMO}"
    bad.unlink()
    bad.symlink_to("nowhere")
    assert bench.verdict(top)[DEMO] == f"good/{DEMO}"


def test_files_that_are_damaged_end_the_search(bench: Workbench) -> None:
    content = bench.library(f"good/{DEMO}").read_bytes()
    top = bench.library("top.so", needs=(DEMO,), runpath="$ORIGIN/bad:$ORIGIN/good")
    bad = bench.top / "bad" / DEMO
    bad.parent.mkdir()
    for bytes_ in (
        b"",
        b"/* GNU ld script */\n",
        content[:40],
        content[:7] + b"\x09" + content[8:],
    ):
        bad.write_bytes(bytes_)
        (need,) = Loader(bench.linker).needs_of(str(top))
        assert (need.found, need.by) == (None, "damaged")
        assert bench.verdict(top)[DEMO] is None
    bad.unlink()
    bad.mkdir()
    assert bench.verdict(top)[DEMO] is None
    bad.rmdir()
    bench.program(f"bad/{DEMO}")
    assert bench.verdict(top)[DEMO] is None


def test_origin_of_a_symbolic_link_is_where_the_link_is(bench: Workbench) -> None:
    real = bench.library("real/middle.so", needs=(DEMO,), runpath="$ORIGIN")
    bench.library(f"real/{DEMO}")
    top = bench.library("top.so", needs=("middle.so",), runpath="$ORIGIN/links")
    links = bench.top / "links"
    links.mkdir()
    (links / "middle.so").symlink_to(real)
    assert bench.verdict(top)[DEMO] is None
    assert bench.verdict(links / "middle.so")[DEMO] is None
    bench.library(f"links/{DEMO}")
    assert bench.verdict(top)[DEMO] == f"links/{DEMO}"
    # Through a directory that is a link, what follows ".." is another one.
    (bench.top / "elsewhere/deep").mkdir(parents=True)
    (bench.top / "jump").symlink_to("elsewhere/deep")
    bench.library(f"elsewhere/d/{DEMO}")
    bench.library(f"d/{DEMO}")
    top = bench.library("top.so", needs=(DEMO,), runpath="$ORIGIN/jump/../d")
    found = Loader(bench.linker).needs_of(str(top))[0].found
    assert found
    assert os.path.realpath(found) == f"{bench.top}/elsewhere/d/{DEMO}"
    bench.verdict(top)


def test_the_same_file_by_another_name_is_loaded_once(bench: Workbench) -> None:
    real = bench.library("d/libreal.so.1", needs=(DEMO,), runpath="$ORIGIN/x", soname=None)
    (bench.top / "d/libalias.so.1").symlink_to(real)
    (bench.top / "e").mkdir()
    (bench.top / "e/libhard.so.1").hardlink_to(real)
    needs = ("libalias.so.1", "libreal.so.1", "libhard.so.1")
    top = bench.library("top.so", needs=needs, runpath="$ORIGIN/d:$ORIGIN/e")
    found = bench.verdict(top)
    assert {found[name] for name in needs} == {"d/libalias.so.1"}


def test_subdirectories_for_the_processor(bench: Workbench) -> None:
    plain = bench.library(f"d/{DEMO}")
    top = bench.library("top.so", needs=(DEMO,), runpath="$ORIGIN/d")
    every = [
        *(f"glibc-hwcaps/x86-64-v{level}" for level in (1, 2, 3, 4)),
        *("tls", "x86_64", "haswell", "tls/x86_64", "x86_64/x86_64", "tls/haswell/x86_64"),
        *("avx512_1", "haswell/avx512_1", "aarch64", "tls/x86_64/x86_64", "power10"),
    ]
    for name in every:
        (plain.parent / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(plain, plain.parent / name / DEMO)
    before = None
    for _ in every:
        found = bench.verdict(top)[DEMO]
        assert found
        assert found != before
        if found == f"d/{DEMO}":
            break
        (bench.top / found).unlink()
        before = found
    else:
        pytest.fail("subdirectories that no processor has are looked into")


def test_what_the_linker_says_of_itself(bench: Workbench) -> None:
    said = subprocess.run(
        [bench.linker.path, "--help"], capture_output=True, text=True, check=False
    ).stdout
    if "system search path" not in said:
        pytest.skip("a glibc before 2.33 does not tell")
    assert bench.linker.defaults == tuple(
        re.findall(r"^  (\S+) \(system search", said, re.MULTILINE)
    )
    levels = re.findall(r"^  (x86-64-v\d) \(supported, searched\)", said, re.MULTILINE)
    assert [f"glibc-hwcaps/{one}" for one in levels] == [
        one for one in bench.linker.subdirectories if one.startswith("glibc-hwcaps/")
    ]
    assert re.findall(r"^  (\S+) \(AT_PLATFORM", said, re.MULTILINE) in (
        [],
        [bench.linker.platform],
    )


def test_a_linker_that_is_another(bench: Workbench) -> None:
    own = bench.top / "ld-linux.so.2"
    store = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-glibc-2.40"
    text = f"glibc-hwcaps/\0/x/\0{store}/lib/\0{store}-gcc/lib/\0\0{store}/etc/ld.so.cache\0/"
    own.write_bytes(b"\x7fELF\0/lib64/ld-linux-x86-64.so.2\0\0/proc/" + text.encode() + b"\0")
    program = bench.program("program", f"-Wl,--dynamic-linker={own}")
    found = linker_of(str(program))
    assert found is not None
    assert found.path == str(own)
    assert found.defaults == (f"{store}/lib", f"{store}-gcc/lib")
    assert (found.cache, found.lib, found.origin) == ({}, "lib", str(bench.top))
    assert all(one.startswith("glibc-hwcaps/") for one in found.subdirectories)
    # One that does not tell has the usual ones.
    own.write_bytes(b"")
    usual = linker_of(str(program))
    assert usual is not None
    assert set(bench.linker.defaults) <= set(usual.defaults)
    # musl follows other rules.
    program = bench.program("program", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1")
    assert linker_of(str(program)) is None
    assert linker_of(str(bench.library("library.so"))) is None
    assert linker_of("/nonexistent") is None


def test_entries_of_the_cache(bench: Workbench) -> None:
    sonames = [one for one in bench.linker.cache if not re.search(r"^ld-|[^\w.+-]", one)]
    top = bench.library("top.so", needs=tuple(sonames[:40]))
    needs = Loader(bench.linker).needs_of(str(top))
    own = [one for one in needs if one.file == str(top)]
    assert {one.by for one in own} <= {"cache", "loaded"}
    bench.verdict(top)


def test_a_cache_with_levels_of_processors(tmp_path: Path) -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if ldconfig is None or platform.machine() != "x86_64":
        pytest.skip("there is no ldconfig, or the processor has no levels")
    bench = Workbench(tmp_path, Linker("", {}, ()))
    plain = bench.library(f"lib/{DEMO}")
    every = [f"glibc-hwcaps/x86-64-v{level}" for level in (2, 3, 4)]
    for name in every:
        (plain.parent / name).mkdir(parents=True)
        shutil.copy(plain, plain.parent / name / DEMO)
    (tmp_path / "conf").write_text(f"{plain.parent}\n")
    made = ["-N", "-X", "-C", str(tmp_path / "cache"), "-f", str(tmp_path / "conf")]
    subprocess.run([ldconfig, "-X", *made[2:]], check=True, capture_output=True)
    cache = str(tmp_path / "cache")
    paths = read_cache(cache)[DEMO]
    if len(paths) == 1:
        pytest.skip("this ldconfig knows no levels")
    assert set(paths) == {str(plain), *(f"{plain.parent}/{name}/{DEMO}" for name in every)}
    levels = ("x86-64-v3", "x86-64-v2")
    assert read_cache(cache, levels)[DEMO] == (
        f"{plain.parent}/glibc-hwcaps/x86-64-v3/{DEMO}",
        f"{plain.parent}/glibc-hwcaps/x86-64-v2/{DEMO}",
        str(plain),
    )
    assert read_cache(cache, (), 0x303)[DEMO] == (str(plain),)
    assert DEMO not in read_cache(cache, (), 0xA03)


def test_what_the_program_has_loaded_counts(bench: Workbench) -> None:
    demo = bench.library(f"d/{DEMO}")
    bench.library(f"e/{DEMO}")
    program = bench.program("program", str(demo), rpath="$ORIGIN/d")
    top = bench.library("e/top.so", needs=(DEMO, "libc.so.6"), rpath="$ORIGIN")
    assert bench.loaded_by(program, top)[DEMO] == f"d/{DEMO}"


@pytest.mark.parametrize("program_path", ["$ORIGIN/d", None])
@pytest.mark.parametrize("kind", ["rpath", "runpath"])
def test_the_path_of_the_program_counts_for_what_it_loads(
    bench: Workbench, program_path: str | None, kind: str
) -> None:
    bench.library(f"d/{DEMO}")
    bench.library("e/middle.so", needs=(DEMO,))
    program = bench.program("program", rpath=program_path)
    paths = {kind: "$ORIGIN"}
    top = bench.library("e/top.so", needs=("middle.so",), **paths)
    found = bench.loaded_by(program, top)
    assert found["middle.so"] == "e/middle.so"
    assert found[DEMO] == (f"d/{DEMO}" if program_path else None)
    direct = bench.library("e/direct.so", needs=(DEMO,), **paths)
    assert (bench.loaded_by(program, direct)[DEMO] is None) == (
        kind == "runpath" or not program_path
    )


@pytest.mark.parametrize("kind", ["rpath", "runpath"])
@pytest.mark.parametrize("text", ["$ORIGIN/d", "/nowhere", "$ORIGIN/links"])
def test_this_very_interpreter_loads_what_is_found(bench: Workbench, kind: str, text: str) -> None:
    linker = linker_of(sys.executable)
    if linker is None:
        pytest.skip("this interpreter has no dynamic linker that is known")
    bench.library(f"d/{DEMO}")
    middle = bench.library("d/middle.so", needs=(DEMO,))
    (bench.top / "links").mkdir()
    (bench.top / "links/middle.so").symlink_to(middle)
    paths = {kind: text}
    top = bench.library("top.so", needs=("middle.so", "libm.so.6"), **paths)
    done = subprocess.run(
        [sys.executable, "-I", "-c", CHILD, str(top)],
        env={},
        check=True,
        capture_output=True,
        text=True,
    )
    files, error = json.loads(done.stdout)
    needs = Loader(linker).needs_of(str(top))
    missing = [one.soname for one in needs if one.found is None]
    if missing:
        assert error.startswith(f"{missing[0]}: cannot open shared object file")
    else:
        assert not error
        ours = {os.path.realpath(one.found) for one in needs if one.found}
        assert set(files) == {one for one in ours if one.startswith(str(bench.top))} | {str(top)}


LACKING = re.compile(r"^\S+: (\S+): version `(\S+)' not found \(required by (\S+)\)$", re.MULTILINE)

BOTH = "V_1 { global: one; }; V_2 { global: two; } V_1;\n"
CALLS = "int one(void), two(void); int call(void) { return one() + two(); }\n"
TWO = "int one(void) { return 1; }\nint two(void) { return 2; }\n"
ONE = "int one(void) { return 1; }\n"


def lacking(bench: Workbench, path: Path) -> set[tuple[str, str, str]]:
    """Return what both linkers say is lacking, having seen that they say the same."""
    ours = Loader(bench.linker).lacking_versions(str(path))
    assert all(Path(one.found).name == one.soname for one in ours)
    short = {(one.found, one.version, one.file) for one in ours}
    assert short == set(LACKING.findall(bench.traced(path)))
    return short


def elf_hash(name: bytes) -> int:
    """Hash a name as versions are hashed (System V ABI, "Hash Table")."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value


def test_a_version_that_the_library_found_does_not_have_is_lacking(bench: Workbench) -> None:
    below = bench.library("libbelow.so.1", code=TWO, versions=BOTH)
    path = bench.library("libtop.so.1", str(below), "-Wl,-rpath,$ORIGIN", code=CALLS)
    assert lacking(bench, path) == set()
    bench.library("libbelow.so.1", code=ONE, versions="V_1 { global: one; };\n")
    assert lacking(bench, path) == {(str(below), "V_2", str(path))}
    assert Loader(bench.linker).lacking_versions(str(path)) == (
        LackingVersion(str(path), "libbelow.so.1", str(below), "V_2"),
    )


def test_a_library_without_any_versions_is_taken_as_it_is(bench: Workbench) -> None:
    below = bench.library("libbelow.so.1", code=TWO, versions=BOTH)
    path = bench.library("libtop.so.1", str(below), "-Wl,-rpath,$ORIGIN", code=CALLS)
    bench.library("libbelow.so.1", code=TWO)
    assert lacking(bench, path) == set()
    below.unlink()
    assert lacking(bench, path) == set()


def test_a_weak_version_may_be_absent(bench: Workbench) -> None:
    below = bench.library("libbelow.so.1", code=TWO, versions=BOTH)
    path = bench.library("libtop.so.1", str(below), "-Wl,-rpath,$ORIGIN", code=CALLS)
    bench.library("libbelow.so.1", code=ONE, versions="V_1 { global: one; };\n")
    # Older linkers never set the flag, even where each reference is weak: it is set by hand.
    before, after = (struct.pack("<IH", elf_hash(b"V_2"), flags) for flags in (0, 2))
    content = path.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))
    assert lacking(bench, path) == set()


def test_what_is_loaded_lacks_versions_too(bench: Workbench) -> None:
    below = bench.library("libbelow.so.1", code=TWO, versions=BOTH)
    middle = bench.library("libmiddle.so.1", str(below), "-Wl,-rpath,$ORIGIN", code=CALLS)
    path = bench.library("libtop.so.1", str(middle), "-Wl,-rpath,$ORIGIN")
    bench.library("libbelow.so.1", code=ONE, versions="V_1 { global: one; };\n")
    assert lacking(bench, path) == {(str(below), "V_2", str(middle))}
