"""A compiler and the real dynamic linker, to see that ours says what that one says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nixpy.libraries.elf import read_elf
from nixpy.libraries.loader import Linker, Loader, library_path_of, linker_of

HOST = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
static int one(struct dl_phdr_info *info, size_t size, void *data) {
    if (info->dlpi_name[0]) puts(info->dlpi_name);
    return 0;
}
int main(int count, char **arguments) {
    dl_iterate_phdr(one, 0);
    puts("");
    if (!dlopen(arguments[1], RTLD_NOW)) { puts(dlerror()); return 1; }
    dl_iterate_phdr(one, 0);
    return 0;
}
"""
"""Prints what a program has loaded before, and after it loads a file."""


NEWER = Path(__file__).parents[3] / ".cache/debian-13/root/usr/lib64/ld-linux-x86-64.so.2"
"""Of glibc 2.41: among what the stories with a newer Nix have unpacked."""


WITHOUT = pytest.mark.skipif(not NEWER.exists(), reason="Debian 13 is not unpacked")


@pytest.fixture(params=["own", pytest.param("newer", marks=WITHOUT)])
def linker(request: pytest.FixtureRequest, tmp_path: Path) -> Linker:
    found = linker_of(sys.executable) or linker_of("/bin/sh")
    assert found is not None
    if request.param == "newer":
        program = tmp_path / "newer"
        Workbench(tmp_path, found).compile(program, HOST, f"-Wl,--dynamic-linker={NEWER}")
        found = linker_of(str(program))
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
        needs: tuple[str, ...] = (),
        rpath: str | None = None,
        runpath: str | None = None,
        code: str = "",
        versions: str = "",
        soname: str | None = "",
    ) -> Path:
        """Compile a library; ``soname`` is its file's name if not given, none if ``None``."""
        target = self.top / path
        options = [] if soname is None else [f"-Wl,-soname,{soname or target.name}"]
        if versions:
            script = self.top / "versions"
            script.write_text(versions)
            options.append(f"-Wl,--version-script={script}")
        options += [*self.paths(rpath, runpath), *arguments, *map(self.stub, needs)]
        self.compile(target, code or "int nothing;\n", "-shared", "-nostdlib", *options)
        return target

    def program(self, path: str, *arguments: str, rpath: str | None = None) -> Path:
        """Compile a program that loads what its argument names."""
        self.compile(self.top / path, HOST, *self.paths(rpath, None), *arguments)
        return self.top / path

    def paths(self, rpath: str | None, runpath: str | None) -> list[str]:
        assert rpath is None or runpath is None
        if rpath is not None:
            return ["-Wl,--disable-new-dtags", "-Xlinker", "-rpath", "-Xlinker", rpath]
        if runpath is not None:
            return ["-Wl,--enable-new-dtags", "-Xlinker", "-rpath", "-Xlinker", runpath]
        return []

    def stub(self, soname: str) -> str:
        """Make a library to link with, so that what is linked needs this soname."""
        path = self.top / "stubs" / f"{soname.encode().hex()}.so"
        if not path.exists():
            options = ["-shared", "-nostdlib", "-Xlinker", "-soname", "-Xlinker", soname]
            self.compile(path, "int nothing;\n", *options)
        return str(path)

    def compile(self, target: Path, code: str, *arguments: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self.top / "source.c"
        source.write_text(code)
        command = ["gcc", "-fPIC", "-o", str(target), str(source), "-Wl,--no-as-needed"]
        command += ["-Wl,--allow-shlib-undefined", "-Wl,--unresolved-symbols=ignore-all"]
        subprocess.run([*command, *arguments], check=True, capture_output=True, cwd=self.top)

    def traced(self, path: Path | str, **variables: str) -> str:
        """Return what the real dynamic linker says of a file that it loads."""
        return subprocess.run(
            [self.linker.path, str(path)],
            env={"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", **variables},
            cwd=self.top,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout

    def verdict(self, path: Path | str, library_path: str | None = None) -> dict[str, str | None]:
        """Return what both linkers find for each soname, having seen that they find the same."""
        variables = {} if library_path is None else {"LD_LIBRARY_PATH": library_path}
        origin = os.path.dirname(os.path.abspath(self.top / path))
        before = os.getcwd()
        os.chdir(self.top)
        try:
            ours = Loader(
                self.linker._replace(origin=origin),
                library_path=library_path_of(library_path or ""),
            ).needs_of(str(path))
        finally:
            os.chdir(before)
        said = self.traced(path, **variables)
        if any(one.by == "damaged" for one in ours):
            assert "error while loading shared libraries" in said
        else:
            assert [(one.soname, one.found) for one in ours if one.by != "loaded"] == traced(said)
        return {one.soname: self.short(one.found) for one in ours}

    def short(self, path: str | None) -> str | None:
        return path and os.path.relpath(self.top / path, self.top)

    def loaded_by(self, program: Path, path: Path) -> dict[str, str | None]:
        """Return what both find where a program loads a file, having seen that it is the same."""
        own = linker_of(str(program))
        assert own is not None
        done = subprocess.run(
            [str(program), str(path)],
            stdout=subprocess.PIPE,
            env={},
            cwd=self.top,
            text=True,
            check=False,
        )
        before, _, after = done.stdout.partition("\n\n")
        loader = Loader(own)
        itself = read_elf(str(program))
        assert itself is not None
        names: dict[str, str] = {}
        for _ in loader.walk(str(program), names):
            pass
        assert {one for one in before.splitlines() if "vdso" not in one} == set(names.values()) - {
            str(program)
        }
        needs = loader.needs_of(str(path), loaded=names, above=itself.rpath)
        missing = [one.soname for one in needs if one.found is None]
        if missing:
            assert done.returncode == 1
            assert after.startswith(f"{missing[0]}: cannot open shared object file")
        else:
            new = [one.found for one in needs if one.by != "loaded"]
            assert after.splitlines()[len(before.splitlines()) :] == [str(path), *new]
        return {one.soname: self.short(one.found) for one in needs}


def traced(said: str) -> list[tuple[str, str | None]]:
    """Return what a trace of the real dynamic linker tells of each object that it loaded."""
    found: list[tuple[str, str | None]] = []
    for line in said.splitlines():
        match = re.fullmatch(r"\t(.*?)(?: => (.*?))?(?: \(0x[0-9a-f]+\))?", line)
        if not match or match[1].startswith(("linux-vdso", "statically linked")):
            continue
        if not re.search(r"/ld-linux[^/]*$", match[2] or match[1]):
            found.append((match[1], None if match[2] == "not found" else match[2] or match[1]))
    return found


@pytest.fixture
def bench(tmp_path: Path, linker: Linker) -> Workbench:
    return Workbench(Path(os.path.realpath(tmp_path)), linker)
