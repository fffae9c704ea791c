"""Packages with native code, compiled here: they need a library that nobody has."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIBRARY = "libportaudio.so.2"
"""The table has it, as ``portaudio``; machines that run tests do not."""

ANSWER = "int nixpy_answer(void) { return 42; }\n"

MODULE = """\
int nixpy_answer(void);
void *PyModule_Create2(void *, int);
int PyModule_AddIntConstant(void *, const char *, long);
static struct {
  long references; void *type, *init; long index; void *copy;
  const char *name, *doc; long size; void *methods, *slots, *traverse, *clear, *free;
} definition = {1, 0, 0, 0, 0, "_native", 0, -1};
void *PyInit__native(void) {
  void *module = PyModule_Create2(&definition, 1013);
  PyModule_AddIntConstant(module, "answer", nixpy_answer());
  return module;
}
"""
"""An extension module, without the headers that not every machine has."""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def compiled(path: Path, source: str, *arguments: str) -> Path:
    """Compile a shared library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.parent / f"{path.name}.c"
    code.write_text(source)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", path, code, *arguments], check=True, capture_output=True
    )
    code.unlink()
    return path


def library(directory: Path, soname: str = LIBRARY, source: str = ANSWER, *arguments: str) -> Path:
    """Compile a library of a soname."""
    return compiled(directory / soname, source, f"-Wl,-soname,{soname}", *arguments)


def wheel(directory: Path, needed: Path, name: str = "native") -> Path:
    """Build a wheel with an extension module that needs a library."""
    module = compiled(directory / "_native.so", MODULE, str(needed))
    files = {
        f"{name}/__init__.py": b"from ._native import answer\n",
        f"{name}/_native.so": module.read_bytes(),
    }
    module.unlink()
    return packed(directory, name, files)


def packed(directory: Path, name: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """Pack a wheel of some files."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    return path


def manifest(wheels: Sequence[Path]) -> str:
    """A ``pyproject.toml`` that depends on wheels by their paths."""
    dependencies = ", ".join(f'"{one.name.partition("-")[0]} @ {one.as_uri()}"' for one in wheels)
    return (
        '[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.10"\n'
        f"dependencies = [{dependencies}]\n"
    )


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
