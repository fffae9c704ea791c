"""Verdicts on the ELF files of real wheels, beside those of the real dynamic linker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nixpy.libraries.elf import MAGIC, read_elf
from nixpy.libraries.loader import Linker, Loader, linker_of

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
]

WHEELS = (
    *("lxml", "numpy", "opencv-python-headless", "pillow", "psycopg2-binary", "pyzmq"),
    "PySide6-Essentials",
)

LACKING = re.compile(r"^\S+: (\S+): version `(\S+)' not found \(required by (\S+)\)$", re.MULTILINE)


def traced(linker: Linker, path: str) -> tuple[list[tuple[str, str | None]], set[tuple[str, ...]]]:
    """Return what the real linker loads for a file, in its order, and the versions lacking."""
    done = subprocess.run(
        [linker.path, path],
        env={"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes"},
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[tuple[str, str | None]] = []
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"\t(.*?)(?: => (.*?))?(?: \(0x[0-9a-f]+\))?", line)
        assert match, line
        name, where = match[1], match[2] or match[1]
        if not name.startswith(("linux-vdso", "statically linked")) and where != linker.path:
            found.append((name, None if where == "not found" else where))
    return found, set(LACKING.findall(done.stderr))


LOADING = """
import _ctypes, os, sys
try:
    _ctypes.dlopen(sys.argv[1], os.RTLD_LAZY)
except OSError as error:
    print(error, flush=True)
os._exit(0)
"""
"""It ends at once: what a library does at the end of a process is of no interest."""


def loaded(python: Path, path: str) -> str:
    """Return why the interpreter cannot load a file; nothing where it can."""
    return subprocess.run(
        [str(python), "-I", "-c", LOADING, path], env={}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_verdict_on_each_file_is_the_real_linkers(
    environ: dict[str, str], tmp_path: Path
) -> None:
    prefix = Path(os.path.realpath(tmp_path)) / "venv"
    for command in (
        ("venv", "--quiet", "--python", sys.executable, str(prefix)),
        ("pip", "install", "--quiet", "--only-binary", ":all:", "--prefix", str(prefix), *WHEELS),
    ):
        subprocess.run(["uv", *command], env=environ, check=True)
    linker = linker_of(str(prefix / "bin/python"))
    if linker is None:
        pytest.skip("this interpreter has no dynamic linker that is known")
    files = [
        str(path)
        for path in sorted(prefix.rglob("*"))
        if path.is_file() and not path.is_symlink() and begins_as_elf(path)
    ]
    assert len(files) > 300
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        theirs = dict(zip(files, pool.map(lambda path: traced(linker, path), files), strict=True))
    loader = Loader(linker)
    ours = {
        path: (
            [(one.soname, one.found) for one in loader.needs_of(path) if one.by != "loaded"],
            {(one.found, one.version, one.file) for one in loader.lacking_versions(path)},
        )
        for path in files
    }
    assert {path: one for path, one in ours.items() if one != theirs[path]} == {}
    # The interpreter's own verdict is on what it can load: neither programs nor object files.
    loadable = [path for path in files if (elf := read_elf(path)) and elf.is_library]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(lambda path: loaded(prefix / "bin/python", path), loadable))
    names: dict[str, str] = {}
    program = [one for one, _ in loader.walk(os.path.realpath(prefix / "bin/python"), names)]
    above = loader.inherited(program[0])
    for path, error in zip(loadable, errors, strict=True):
        missing = [one for one in loader.needs_of(path, loaded=names, above=above) if not one.found]
        expected = f"{missing[0].soname}: cannot open shared object file" if missing else ""
        assert error.startswith(expected) if expected else not error, (path, error)
    # Not all is found here: PySide6 expects libraries of a desktop.
    assert any(where for found, _ in ours.values() for _, where in found)


def begins_as_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
