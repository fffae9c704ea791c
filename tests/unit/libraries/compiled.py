"""Libraries compiled for tests."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

ANSWER = "int nixpy_answer(void) { return 42; }\n"


def library(path: Path, source: str = "", *arguments: str, needs: tuple[Path, ...] = ()) -> Path:
    """Compile a shared library whose soname is its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.parent / f"{path.name}.c"
    code.write_text(source or ANSWER)
    linked = ("-Wl,--no-as-needed", *map(str, needs))
    soname = f"-Wl,-soname,{path.name}"
    argv = ["gcc", "-shared", "-fPIC", "-o", str(path), str(code), soname, *linked, *arguments]
    subprocess.run(argv, check=True, capture_output=True)
    code.unlink()
    return path


def program(path: Path, source: str, *arguments: str) -> Path:
    """Compile a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.parent / f"{path.name}.c"
    code.write_text(source)
    subprocess.run(["gcc", "-o", path, code, *arguments], check=True, capture_output=True)
    code.unlink()
    return path


def versioned(path: Path, *versions: str, source: str = ANSWER) -> Path:
    """Compile a library that defines symbol versions, its symbols being of the last one."""
    script = path.parent / f"{path.name}.map"
    path.parent.mkdir(parents=True, exist_ok=True)
    *empty, last = versions
    nodes = [f"{name} {{ }};" for name in empty]
    script.write_text("\n".join((*nodes, f"{last} {{ global: nixpy_*; }};", "")))
    library(path, source, f"-Wl,--version-script={script}")
    script.unlink()
    return path
