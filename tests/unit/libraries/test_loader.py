"""The dynamic linker's verdicts, beside those of the real one on files that gcc makes."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from nixpy.libraries.loader import LackingVersion, Linker, lacking_versions, linker_of

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]


@pytest.fixture(scope="session")
def linker() -> Linker:
    found = linker_of(sys.executable) or linker_of("/bin/sh")
    assert found is not None
    return found


class Workbench:
    """Compiles libraries and has the real dynamic linker look at them."""

    def __init__(self, top: Path, linker: Linker) -> None:
        self.top = top
        self.linker = linker

    def library(
        self,
        path: str,
        *arguments: str,
        code: str = "",
        versions: str = "",
        soname: str | None = "",
    ) -> Path:
        """Compile a library; ``soname`` is its file's name if not given, none if ``None``."""
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self.top / "source.c"
        source.write_text(code or "int nothing;\n")
        options = [f"-Wl,-soname,{soname or target.name}"] if soname is not None else []
        if versions:
            script = self.top / "versions"
            script.write_text(versions)
            options.append(f"-Wl,--version-script={script}")
        command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-o", str(target), str(source)]
        linking = ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", *options, *arguments]
        subprocess.run([*command, *linking], check=True, capture_output=True, cwd=self.top)
        return target

    def traced(self, path: Path, **variables: str) -> str:
        """Return what the real dynamic linker says of a file that it loads."""
        return subprocess.run(
            [self.linker.path, str(path)],
            env={"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "", **variables},
            cwd=self.top,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout


@pytest.fixture
def bench(tmp_path: Path, linker: Linker) -> Workbench:
    return Workbench(tmp_path, linker)


LACKING = re.compile(r"^\S+: (\S+): version `(\S+)' not found \(required by (\S+)\)$", re.MULTILINE)

BOTH = "V_1 { global: one; }; V_2 { global: two; } V_1;\n"
CALLS = "int one(void), two(void); int call(void) { return one() + two(); }\n"
TWO = "int one(void) { return 1; }\nint two(void) { return 2; }\n"
ONE = "int one(void) { return 1; }\n"


def lacking(bench: Workbench, path: Path) -> set[tuple[str, str, str]]:
    """Return what both linkers say is lacking, having seen that they say the same."""
    ours = lacking_versions(str(path), bench.linker)
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
    assert lacking_versions(str(path), bench.linker) == (
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
