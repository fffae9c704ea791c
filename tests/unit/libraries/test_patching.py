"""Patched files: what compilers and patchelf make, loaded by a real interpreter."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.libraries.elf import Elf, read_elf
from nixpy.libraries.journal import Record, decoded, encoded
from nixpy.libraries.patching import Patched, Refusal, patch, patched_files, restore
from nixpy.process import Completed, SystemRunner

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
    pytest.mark.skipif(shutil.which("patchelf") is None, reason="patchelf is not installed"),
]
PATCHELF = str(shutil.which("patchelf"))


class Counting(SystemRunner):
    """Starts real programs, and knows which."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def capture(self, argv, *, cwd, environ, timeout=60.0) -> Completed:  # type: ignore[no-untyped-def]
        self.started.append(os.path.basename(argv[0]))
        return super().capture(argv, cwd=cwd, environ=environ, timeout=timeout)


class Interrupted(SystemRunner):
    """Is interrupted where an interpreter is to be started."""

    def capture(self, argv, *, cwd, environ, timeout=60.0) -> Completed:  # type: ignore[no-untyped-def]
        if os.path.basename(argv[0]) == "python":
            raise KeyboardInterrupt
        return super().capture(argv, cwd=cwd, environ=environ, timeout=timeout)


class World:
    """An environment, a farm with a library that is nowhere else, and a compiler."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.prefix = top / "venv"
        self.site = self.prefix / "lib/site"
        self.farm = top / "farm"
        self.sources = top / "sources"
        self.runner = Counting()
        for path in (self.site, self.farm, self.sources):
            path.mkdir(parents=True)
        (self.prefix / "bin").mkdir()
        (self.prefix / "bin/python").symlink_to(sys.executable)
        self.library(self.farm / "libfarm.so.1", "int farm(void) { return 7; }")

    def library(self, target: Path, source: str, *arguments: str) -> Path:
        file = self.sources / "source.c"
        file.write_text(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        made = self.sources / "made.so"
        soname = f"-Wl,-soname,{os.fsencode(target.name).decode('ascii', 'replace')}"
        command = ["gcc", "-shared", "-fPIC", soname, "-o", str(made), str(file), *arguments]
        subprocess.run(command, check=True, capture_output=True)
        os.rename(made, target)
        os.utime(target, ns=(10**18, 10**18))
        return target

    def needing(self, name: str = "libuser.so", *arguments: str, source: str = "") -> Path:
        """A library that finds ``libfarm.so.1`` in the farm alone."""
        return self.library(
            self.site / name,
            source or "int farm(void); int user(void) { return farm(); }",
            f"-L{self.farm}",
            "-l:libfarm.so.1",
            *arguments,
        )

    def patch(self, *files: Path, **changes: object) -> tuple[Refusal, ...]:
        return self.patch_with({str(file): str(self.farm) for file in files}, **changes)

    def patch_with(self, wanted: dict[str, str], **changes: object) -> tuple[Refusal, ...]:
        self.runner.started.clear()
        arguments = {"patchelf": PATCHELF, "runner": self.runner, "environ": {**os.environ}}
        return patch(str(self.prefix), wanted, **{**arguments, **changes})  # type: ignore[arg-type]

    def patched(self) -> dict[str, str]:
        return {file: one.directory for file, one in patched_files(str(self.prefix)).items()}

    def restore(self) -> tuple[str, ...]:
        return restore(str(self.prefix))

    def loads(self, file: Path) -> bool:
        code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
        environ = {**os.environ}
        environ.pop("LD_LIBRARY_PATH", None)
        command = [str(self.prefix / "bin/python"), "-I", "-c", code, str(file)]
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
        return done.returncode == 0

    def listing(self) -> set[str]:
        return {str(path) for path in self.prefix.rglob("*")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Path(os.path.realpath(tmp_path)))


def state(file: Path) -> tuple[str, int, int, int]:
    status = file.stat()
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    return content, status.st_ino, status.st_mtime_ns, status.st_mode


def elf_of(file: Path) -> Elf:
    elf = read_elf(str(file))
    assert elf is not None
    return elf


RUNPATH = ("-Wl,--enable-new-dtags,-rpath,$ORIGIN/../x:/y z",)
RPATH = ("-Wl,--disable-new-dtags,-rpath,$ORIGIN/../x:/y z",)


def test_a_patched_file_finds_what_it_needs(world: World) -> None:
    file = world.needing()
    assert not world.loads(file)
    assert world.patch(file) == ()
    assert world.loads(file)
    assert world.patched() == {str(file): str(world.farm)}
    assert ctypes.CDLL(str(file)).user() == 7


@pytest.mark.parametrize("kind", ["runpath", "rpath", "neither"])
def test_what_a_file_has_stays_in_front_and_of_its_kind(world: World, kind: str) -> None:
    arguments = {"runpath": RUNPATH, "rpath": RPATH, "neither": ()}[kind]
    file = world.needing("libuser.so", *arguments)
    before = elf_of(file)
    assert world.patch(file) == ()
    had = () if kind == "neither" else ("$ORIGIN/../x", "/y z")
    appended = (*had, str(world.farm))
    expected = {"rpath": (appended, ()), "runpath": ((), appended), "neither": (appended, ())}
    rpath, runpath = expected[kind]
    assert elf_of(file) == before._replace(rpath=rpath, runpath=runpath)


def test_a_file_that_has_the_directory_is_left_alone(world: World) -> None:
    file = world.needing("libuser.so", f"-Wl,-rpath,{world.farm}")
    before = state(file)
    assert world.patch(file) == ()
    assert state(file) == before
    assert world.patched() == {}
    assert world.runner.started == []


def test_mode_and_times_stay(world: World) -> None:
    file = world.needing()
    file.chmod(0o640)
    before = state(file)
    assert world.patch(file) == ()
    assert state(file)[2:] == before[2:]
    assert state(file)[:2] != before[:2]


def test_other_names_of_the_inode_never_change(world: World) -> None:
    file = world.needing()
    other = world.top / "cache.so"
    os.link(file, other)
    before = state(other)
    assert world.patch(file) == ()
    assert state(other) == before
    assert not file.samefile(other)
    assert world.restore() == (str(file),)
    assert state(other) == before
    assert file.samefile(other)
    assert other.stat().st_nlink == 2


def test_originals_come_back_and_nothing_else_stays(world: World) -> None:
    files = [world.needing(), world.needing("below/libother.so", *RPATH)]
    before = [state(file) for file in files]
    listing = world.listing()
    assert world.patch(*files) == ()
    assert set(world.restore()) == {str(file) for file in files}
    assert [state(file) for file in files] == before
    assert world.restore() == ()
    (world.prefix / ".nixpy").rmdir()
    assert world.listing() == listing


def test_a_second_patch_touches_nothing(world: World) -> None:
    file = world.needing()
    world.patch(file)
    assert world.runner.started == ["patchelf", "python"]
    before = {path: os.lstat(path) for path in world.listing()}
    assert world.patch(file) == ()
    assert world.runner.started == []
    after = {path: os.lstat(path) for path in world.listing()}
    assert {path: (one.st_ino, one.st_mtime_ns) for path, one in before.items()} == {
        path: (one.st_ino, one.st_mtime_ns) for path, one in after.items()
    }


def test_what_is_not_wanted_any_more_is_put_back(world: World) -> None:
    one, two = world.needing(), world.needing("libtwo.so")
    before = state(one), state(two)
    world.patch(one, two)
    patched = state(two)
    assert world.patch(two) == ()
    assert (state(one), state(two)) == (before[0], patched)
    other = shutil.copytree(world.farm, world.top / "another farm")
    assert world.patch_with({str(two): str(other)}) == ()
    assert elf_of(two).rpath == (str(other),)
    assert world.patch() == ()
    assert (state(one), state(two)) == before


def test_a_file_that_was_installed_again_is_left_alone(world: World) -> None:
    one, two, three = (world.needing(f"lib{number}.so") for number in range(3))
    cached = world.top / "cache.so"
    os.link(three, cached)
    world.patch(one, two, three)
    world.needing(one.name, source="int farm(void); int newer(void) { return farm(); }")
    two.unlink()
    three.unlink()
    os.link(cached, three)
    newer = state(one), state(three)
    assert world.patched() == {}
    assert world.restore() == ()
    assert (state(one), state(three)) == newer
    assert not two.exists()
    assert not (world.prefix / ".nixpy/patched").exists()


def test_a_file_that_was_installed_again_is_patched_again(world: World) -> None:
    file = world.needing()
    world.patch(file)
    world.needing(file.name, source="int farm(void); int newer(void) { return farm(); }")
    newer = state(file)
    assert world.patch(file) == ()
    assert world.loads(file)
    assert world.restore() == (str(file),)
    assert state(file) == newer


def test_a_file_nobody_can_write_is_patched(world: World) -> None:
    file = world.needing()
    file.chmod(0o444)
    before = state(file)
    assert world.patch(file) == ()
    assert state(file)[3] & 0o777 == 0o444
    assert world.loads(file)
    world.restore()
    assert state(file) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_directory_nobody_can_write_is_a_refusal(world: World) -> None:
    file = world.needing("closed/libuser.so")
    before = state(file)
    file.parent.chmod(0o555)
    try:
        (refusal,) = world.patch(file)
        assert refusal == Refusal(str(file), "Permission denied")
        assert state(file) == before
        file.parent.chmod(0o755)
        assert world.patch(file) == ()
        file.parent.chmod(0o555)
        assert world.restore() == ()
        assert world.patched() == {str(file): str(world.farm)}
        assert world.patch() == (Refusal(str(file), "cannot be put back: Permission denied"),)
    finally:
        file.parent.chmod(0o755)
    assert world.restore() == (str(file),)
    assert state(file) == before


NAMES = [
    "a b.so",
    "'\"$(x)`\\.so",
    "größe-☃.so",
    os.fsdecode(b"b\xff\xfe.so"),
    "line\nend.so",
    "-.so",
]


def test_names_can_be_anything(world: World) -> None:
    files = [world.site / "of any name" / name for name in NAMES]
    for file in files:
        shutil.copy2(world.needing(), world.top / "copy")
        file.parent.mkdir(exist_ok=True)
        os.rename(world.top / "copy", file)
    before = [state(file) for file in files]
    assert world.patch(*files) == ()
    assert set(world.patched()) == {str(file) for file in files}
    assert all(world.loads(file) for file in files)
    assert set(world.restore()) == {str(file) for file in files}
    assert [state(file) for file in files] == before


def test_what_the_linker_says_of_any_name_is_understood(world: World) -> None:
    source = "int farm(void); int nowhere(void); int user(void) { return farm() + nowhere(); }"
    made = world.needing("plain.so", source=source)
    file = world.site / os.fsdecode(b"b\xff.so")
    os.rename(made, file)
    assert world.patch(file) == ()
    assert set(world.patched()) == {str(file)}


def test_a_link_is_followed_within_the_prefix_alone(world: World) -> None:
    file = world.needing("libuser.so.1.2")
    link = world.site / "libuser.so"
    link.symlink_to(file.name)
    outside = world.library(world.top / "outside.so", "int outside;")
    leading = world.site / "outside.so"
    leading.symlink_to(outside)
    before = state(outside)
    (refusal,) = world.patch(link, leading, file)
    assert refusal.file == str(leading)
    assert "outside of the environment" in refusal.why
    assert state(outside) == before
    assert link.is_symlink()
    assert world.patched() == {str(file): str(world.farm)}


def test_two_names_of_a_file_cannot_find_in_two_directories(world: World) -> None:
    file = world.needing("libuser.so.1")
    link = world.site / "libuser.so"
    link.symlink_to(file.name)
    (refusal,) = world.patch_with({str(file): str(world.farm), str(link): "/elsewhere"})
    assert refusal.file == str(link)
    assert world.patched() == {str(file): str(world.farm)}


@pytest.mark.parametrize("directory", ["relative", "/one:/two", "/$ORIGIN", ""])
def test_a_directory_that_is_none_in_a_search_path_is_refused(world: World, directory: str) -> None:
    file = world.needing()
    before = state(file)
    (refusal,) = world.patch_with({str(file): directory})
    assert "no search path" in refusal.why
    assert state(file) == before


def test_what_is_no_library_is_refused_and_costs_no_other(world: World) -> None:
    whole = world.needing("libwhole.so")
    truncated, sections = world.site / "libcut.so", world.site / "libsections.so"
    content = whole.read_bytes()
    truncated.write_bytes(content[:600])
    # All that the dynamic linker needs is there, and the table of sections, at the end, is not.
    sections.write_bytes(content[: len(content) - 1000])
    text = world.site / "text.so"
    text.write_text("INPUT(libfarm.so)")
    gone = world.site / "gone.so"
    broken = [truncated, sections, text, gone, world.site]
    before = {file: file.read_bytes() for file in broken if file.is_file()}
    refused = world.patch(*broken, whole)
    assert {refusal.file for refusal in refused} == {str(file) for file in broken}
    assert all(refusal.why for refusal in refused)
    assert {file: file.read_bytes() for file in before} == before
    assert world.patched() == {str(whole): str(world.farm)}
    world.restore()
    assert not list(world.site.glob(".nixpy-*"))


def script(world: World, text: str) -> str:
    """A patchelf that does something else as well; its file is the last argument."""
    path = world.top / "patchelf-script"
    path.write_text(f"#!/bin/sh\nfor file; do :; done\nplace={world.top}\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo 'patchelf: it is no use' >&2; exit 1", "patchelf: it is no use"),
        ("exit 3", "patchelf: it ended with status 3"),
        ("exit 0", "patchelf made something else"),
        (f'{PATCHELF} "$@" && {PATCHELF} --remove-needed libfarm.so.1 "$file"', "something else"),
        ('printf "\\177ELFwhat" >"$file"', ""),
        ('rm "$file"', "No such file"),
    ],
)
def test_a_patchelf_that_fails_changes_nothing(world: World, text: str, why: str) -> None:
    file = world.needing()
    before, listing = state(file), world.listing()
    (refusal,) = world.patch(file, patchelf=script(world, text))
    assert refusal.file == str(file)
    assert why in refusal.why
    assert ".nixpy-" not in refusal.why
    assert (state(file), file.stat().st_nlink) == (before, 1)
    assert world.listing() - {str(world.prefix / ".nixpy")} == listing
    (refusal,) = world.patch(file, patchelf=str(world.top / "no such patchelf"))
    assert state(file) == before


def test_a_file_that_patching_breaks_is_put_back(world: World) -> None:
    """Its code is gone, and what the linker reads first is in order."""
    file = world.needing(
        "libuser.so", source="int farm(void); int user = 3; int f(void) { return farm(); }"
    )
    broken = f"""
        {PATCHELF} "$@" || exit
        offset=$(readelf -lW "$file" | awk '$1 == "LOAD" && / R E /{{print $2; exit}}')
        size=$(readelf -lW "$file" | awk '$1 == "LOAD" && / R E /{{print $5; exit}}')
        head -c $((size)) /dev/zero | dd of="$file" bs=1 seek=$((offset)) conv=notrunc status=none
    """
    before = state(file)
    (refusal,) = world.patch(file, patchelf=script(world, textwrap.dedent(broken)))
    assert refusal.file == str(file)
    assert "crashes, with signal" in refusal.why
    assert state(file) == before
    assert world.patched() == {}


BEGINNING = "__attribute__((constructor)) void begin(void) { %s; }"


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("*(volatile int *)0 = farm()", "crashes, with signal 11"),
        ("exit(farm())", "ends the interpreter"),
        ("for (;;) farm()", "does not load within 0.5 s"),
    ],
)
def test_a_load_that_never_comes_back_is_seen_and_the_next_one_too(
    world: World, does: str, why: str
) -> None:
    declared = "#include <stdlib.h>\nint farm(void);\n"
    bad = world.needing("libbad.so", source=declared + BEGINNING % does)
    talking = "#include <stdio.h>\nint farm(void);\n" + BEGINNING % 'puts("[1]"); fflush(0); farm()'
    good = world.needing("libgood.so", source=talking)
    before = state(bad)
    (refusal,) = world.patch(bad, good, limit=0.5)
    assert refusal.file == str(bad)
    assert why in refusal.why
    assert state(bad) == before
    assert world.patched() == {str(good): str(world.farm)}


def test_a_file_that_was_not_loaded_for_an_interrupt_is_loaded_the_next_time(world: World) -> None:
    declared = "#include <stdlib.h>\nint farm(void);\n"
    bad = world.needing("libbad.so", source=declared + BEGINNING % "farm(); abort()")
    good = world.needing()
    before = state(bad)
    with pytest.raises(KeyboardInterrupt):
        world.patch(bad, good, runner=Interrupted())
    assert set(world.patched()) == {str(bad), str(good)}
    (refusal,) = world.patch(bad, good)
    assert world.runner.started == ["python"]
    assert refusal.file == str(bad)
    assert state(bad) == before
    assert set(world.patched()) == {str(good)}


def test_what_patching_did_not_cause_is_no_reason_to_put_back(world: World) -> None:
    nowhere = world.library(world.top / "nowhere/libnowhere.so", "int nowhere;")
    missing = world.needing(
        "libmissing.so", "-Wl,--no-as-needed", str(nowhere), source="int farm(void); int x;"
    )
    symbol = world.needing(
        "libsymbol.so",
        source="int farm(void); int other(void); int f(void) { return other() + farm(); }",
    )
    program = world.site / "program"
    source = world.sources / "program.c"
    source.write_text("int farm(void); int main(void) { return farm(); }")
    subprocess.run(["gcc", "-o", program, source, f"-L{world.farm}", "-l:libfarm.so.1"], check=True)
    assert world.patch(missing, symbol, program) == ()
    assert set(world.patched()) == {str(missing), str(symbol), str(program)}
    assert subprocess.run([program], check=False).returncode == 7
    assert not list(world.site.glob(".nixpy-*"))
    world.patch(missing, symbol, program)
    assert world.runner.started == []


def test_a_directory_without_the_library_is_found_out(world: World) -> None:
    """Loaded with either, the file misses the same: patching is not what it fails for."""
    file = world.needing()
    empty = world.top / "empty"
    empty.mkdir()
    assert world.patch_with({str(file): str(empty)}) == ()


def test_a_file_still_finds_what_the_search_path_of_its_loader_leads_to(world: World) -> None:
    """ld.so(8): a DT_RPATH of what loads a file counts only while that has no DT_RUNPATH."""
    world.library(world.site / "x.libs/libbase.so", "int base(void) { return 1; }")
    source = "int farm(void); int base(void); int user(void) { return farm() + base(); }"
    base = (f"-L{world.site}/x.libs", "-l:libbase.so")
    middle = world.needing("x.libs/libmiddle.so", *base, source=source)
    top = world.library(
        world.site / "top.so",
        "int user(void); int top(void) { return user(); }",
        *(f"-L{world.site}/x.libs", "-l:libmiddle.so"),
        "-Wl,--allow-shlib-undefined,--disable-new-dtags,-rpath,$ORIGIN/x.libs",
    )
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    environ = {**os.environ, "LD_LIBRARY_PATH": str(world.farm)}
    subprocess.run([sys.executable, "-c", code, top], env=environ, check=True)
    world.patch(middle)
    assert world.loads(top)


def test_an_interpreter_that_does_not_run_puts_everything_back(world: World) -> None:
    file = world.needing()
    before = state(file)
    python = world.prefix / "bin/python"
    python.unlink()
    (refusal,) = world.patch(file)
    assert "No such file" in refusal.why
    python.symlink_to("/bin/false")
    (refusal,) = world.patch(file)
    assert "could not be found out" in refusal.why
    assert state(file) == before


def test_the_library_path_in_force_does_not_help(world: World) -> None:
    """A user's LD_LIBRARY_PATH is not what the files are to rest on."""
    nowhere = world.library(world.top / "nowhere/libnowhere.so", "int nowhere;")
    file = world.needing(
        "libmissing.so", "-Wl,--no-as-needed", str(nowhere), source="int farm(void); int x;"
    )
    environ = {**os.environ, "LD_LIBRARY_PATH": str(nowhere.parent)}
    assert world.patch(file, environ=environ) == ()
    assert world.runner.started == ["patchelf", "python", "python"]


@pytest.mark.skipif(
    not Path(sysconfig.get_path("include"), "Python.h").exists(), reason="there is no Python.h"
)
def test_an_extension_module_is_imported_from_a_real_environment(world: World) -> None:
    shutil.rmtree(world.prefix)
    python = world.prefix / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", world.prefix], check=True)
    source = """
        #include <Python.h>
        int farm(void);
        static PyObject *call(PyObject *self, PyObject *none) { return PyLong_FromLong(farm()); }
        static PyMethodDef methods[] = {{"call", call, METH_NOARGS, ""}, {0}};
        static PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", 0, -1, methods};
        PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
    """
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"], text=True
    )
    include = f"-I{sysconfig.get_path('include')}"
    world.site = Path(site.strip())
    file = world.needing("native.so", include, source=source)
    command = [str(python), "-c", "import native; print(native.call())"]
    assert b"libfarm.so.1" in subprocess.run(command, capture_output=True, check=False).stderr
    assert world.patch(file) == ()
    assert subprocess.check_output(command) == b"7\n"


# -- the journal


@pytest.mark.parametrize("damage", ["truncated", "another schema", "flipped", "gone"])
def test_no_original_is_lost_with_its_record(world: World, damage: str) -> None:
    one, two = world.needing(), world.needing("libtwo.so", *RPATH)
    again = world.needing("libagain.so")
    before = state(one), state(two)
    world.patch(one, two, again)
    for record in (world.prefix / ".nixpy/patched/records").iterdir():
        content = record.read_bytes()
        if damage == "truncated":
            record.write_bytes(content[:40])
        elif damage == "another schema":
            record.write_text(json.dumps({**json.loads(content), "schema": 99}))
        elif damage == "flipped":
            record.write_bytes(content.replace(b"libuser", b"libusex").replace(b"farm", b"fbrm"))
        else:
            record.unlink()
    world.needing(again.name, *RUNPATH)
    newer = state(again)
    assert world.patched() == {str(one): str(world.farm), str(two): str(world.farm)}
    assert set(world.restore()) == {str(one), str(two)}
    assert (state(one), state(two), state(again)) == (*before, newer)
    assert not (world.prefix / ".nixpy/patched").exists()


def test_a_file_whose_record_is_damaged_is_patched_anew(world: World) -> None:
    file = world.needing()
    before = state(file)
    world.patch(file)
    (record,) = (world.prefix / ".nixpy/patched/records").iterdir()
    record.write_text("")
    assert world.patch(file) == ()
    assert world.runner.started == ["patchelf", "python"]
    world.restore()
    assert state(file) == before


def test_an_original_that_was_changed_does_not_take_the_place_of_what_works(world: World) -> None:
    file = world.needing()
    world.patch(file)
    (one,) = patched_files(str(world.prefix)).values()
    assert one == Patched(str(world.farm), one.original)
    Path(one.original).write_bytes(b"damaged")
    assert world.restore() == ()
    assert world.loads(file)
    assert world.patch() == (
        Refusal(str(file), "cannot be put back: its original was changed since"),
    )


def test_a_moved_environment_is_restored_too(world: World) -> None:
    file = world.needing()
    before = state(file)
    world.patch(file)
    moved = world.top / "moved"
    world.prefix.rename(moved)
    assert restore(str(moved)) == (str(moved / "lib/site/libuser.so"),)
    assert state(moved / "lib/site/libuser.so") == before


def test_a_directory_that_leads_elsewhere_now_is_left_alone(world: World) -> None:
    file = world.needing("package/libuser.so")
    world.patch(file)
    file.parent.rename(world.top / "elsewhere")
    file.parent.symlink_to(world.top / "elsewhere")
    before = state(file)
    assert world.restore() == ()
    assert state(file) == before


names = st.binary(min_size=1).map(os.fsdecode)
records = st.builds(
    Record,
    path=names,
    before=st.text("0123456789abcdef"),
    after=st.text("0123456789abcdef"),
    directory=names,
    inode=st.tuples(st.integers(), st.integers(), st.integers()),
    is_verified=st.booleans(),
)


@given(records)
def test_a_record_is_read_back(record: Record) -> None:
    assert decoded(encoded(record)) == record


@given(records, st.data())
def test_a_damaged_record_is_none_or_the_same(record: Record, data: st.DataObject) -> None:
    content = bytearray(encoded(record))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert decoded(bytes(content)) in (None, record)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_else_is_no_record(content: bytes) -> None:
    assert decoded(content) is None


# -- kills

KILLING = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
from nixpy.libraries.patching import patch, patched_files, restore
from nixpy.process import SystemRunner

prefix, farm, patchelf, how, what, *files = sys.argv[1:]
EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.chmod", "os.utime", "os.mkdir",
          "os.rmdir", "os.setxattr", "shutil.copyfile", "shutil.copystat", "subprocess.Popen"}

def everything():
    wanted = dict.fromkeys(files, farm)
    return patch(prefix, wanted, patchelf=patchelf, runner=SystemRunner(), environ={**os.environ})

def state():
    return [(Path(file).read_bytes(), os.stat(file).st_ino) for file in files]

def listing():
    return sorted(str(path) for path in Path(prefix).rglob("*"))

def started(seconds=None, event=None):
    child = os.fork()
    if not child:
        try:
            os.setpgid(0, 0)
            counted = 0
            def hook(name, arguments):
                nonlocal counted
                if name in EVENTS and event is not None:
                    counted += 1
                    if counted > event:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(hook)
            everything() if what == "patch" else restore(prefix)
        except BaseException:
            os._exit(2)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
    else:
        status = os.waitpid(child, 0)[1]
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        pass
    return os.waitpid(child, 0)[1] if seconds is not None else status

os.makedirs(prefix + "/.nixpy", exist_ok=True)
names, original = listing(), state()
begin = time.monotonic()
assert everything() == ()
took = time.monotonic() - begin
contents = [{one[0], two[0]} for one, two in zip(original, state())]
assert all(len(one) == 2 for one in contents)
restore(prefix)
killed = step = 0
while step < int(how) or how == "0":
    if what == "restore":
        assert everything() == ()
    status = started(random.random() * took) if how != "0" else started(event=step)
    step += 1
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, (step, status)
    now = state()
    assert all(one[0] in two for one, two in zip(now, contents)), step
    patched = patched_files(prefix)
    for (content, _), (before, _), file in zip(now, original, files):
        assert (content != before) == (file in patched), (step, file)
    if step % 2:
        # Going on after the kill comes to the same as without it.
        assert everything() == (), step
        assert len(patched_files(prefix)) == len(files), step
    restore(prefix)
    assert state() == original, step
    assert listing() == names, (step, set(listing()) ^ set(names))
    killed += os.WIFSIGNALED(status)
    if how == "0" and os.WIFEXITED(status):
        break
print(killed)
"""


def killed(world: World, times: int, what: str, *files: Path) -> int:
    arguments = [str(world.prefix), str(world.farm), PATCHELF, str(times), what, *map(str, files)]
    done = subprocess.run(
        [sys.executable, "-c", KILLING, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_kill_at_any_instant_loses_nothing(world: World) -> None:
    killed(world, 20, "patch", world.needing(), world.needing("libtwo.so", *RPATH))


@pytest.mark.parametrize("what", ["patch", "restore"])
def test_a_kill_before_any_step_loses_nothing(world: World, what: str) -> None:
    assert killed(world, 0, what, world.needing()) >= 4


def test_a_kill_while_the_original_is_loaded_loses_nothing(world: World) -> None:
    source = "int farm(void); int other(void); int f(void) { return other() + farm(); }"
    assert killed(world, 0, "patch", world.needing(source=source)) >= 4
