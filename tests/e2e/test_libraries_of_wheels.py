"""Verdicts on the ELF files of real wheels, beside those of the real dynamic linker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nixpy.libraries.elf import MAGIC
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
    # Not all is found here: PySide6 expects libraries of a desktop.
    assert any(where for found, _ in ours.values() for _, where in found)


def begins_as_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
