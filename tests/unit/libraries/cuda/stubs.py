"""Drivers for tests: libraries that gcc makes, and a ``nvidia-smi`` that is a script."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.cuda.places import Places
from nixpy.libraries.loader import CACHE_MAGIC, ENTRY, HEADER
from nixpy.process import Completed, SystemRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GCC = shutil.which("gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")

ANSWERS = "*version = {number}; return {status};"
HANGS = "for (;;) pause();"
CRASHES = "abort();"
NEEDS_DXCORE = 'if (!dlopen("libdxcore.so", RTLD_NOW)) return 1; *version = 12040; return 0;'


def answers(number: int, status: int = 0) -> str:
    return ANSWERS.format(number=number, status=status)


def library(path: Path, *arguments: str, body: str = "", name: str = "cuDriverGetVersion") -> Path:
    """Make a library; its soname is its name up to the first number behind ``.so``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_name(f"{path.name}.c")
    source.write_text(
        "#include <dlfcn.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        "int cuInit(unsigned flags) { abort(); }\n"
        f"int {name}(int *version) {{ {body or answers(12040)} }}\n"
    )
    command = (str(GCC), "-shared", "-fPIC", "-w", "-o", str(path), str(source))
    soname = f"-Wl,--no-as-needed,-soname,{path.name}"
    subprocess.run((*command, soname, *arguments), check=True, capture_output=True)
    source.unlink()
    return path


def of_another_machine(path: Path) -> Path:
    """Make a library one for s390, as far as its header says."""
    return patched(path, 18, struct.pack("<H", 22))  # e_machine: EM_S390


def for_32_bits(path: Path) -> Path:
    """Make a library for 32 bits; where gcc cannot, one whose header says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(GCC), "-m32", "-shared", "-nostdlib", "-o", str(path), "-xc", os.devnull]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        patched(library(path), 4, b"\1")  # EI_CLASS: ELFCLASS32
    return path


def patched(path: Path, offset: int, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[offset : offset + len(value)] = value
    path.write_bytes(content)
    return path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def linker_cache(path: Path, *libraries: Path) -> Path:
    """Write a cache as ldconfig does."""
    start = HEADER.size + ENTRY.size * len(libraries)
    entries, texts = b"", b""
    for one in libraries:
        key = start + len(texts)
        texts += one.name.encode() + b"\0"
        value = start + len(texts)
        texts += str(one).encode() + b"\0"
        entries += ENTRY.pack(0x303, key, value, 0, 0)
    path.write_bytes(HEADER.pack(CACHE_MAGIC, len(libraries), len(texts), 0) + entries + texts)
    return path


class Machine:
    """A directory with every place where a driver can be."""

    def __init__(self, root: Path) -> None:
        self.nixos = root / "run/opengl-driver/lib"
        self.wsl = root / "usr/lib/wsl/lib"
        self.distribution = root / "usr/lib/x86_64-linux-gnu"
        self.elsewhere = root / "opt/nvidia"
        self.cache = root / "ld.so.cache"
        self.version = root / "version"
        self.bin = root / "bin"
        self.places = Places(
            first=(str(self.nixos), str(self.wsl)),
            cache=str(self.cache),
            then=(str(self.distribution),),
            version=str(self.version),
            programs=(str(self.wsl / "nvidia-smi"),),
        )
        self.environ = {"PATH": f"{self.bin}:/usr/bin:/bin"}


class Recorder(SystemRunner):
    """Starts real programs and notes which, and in what environment."""

    def __init__(self) -> None:
        self.started: list[tuple[str, ...]] = []
        self.environs: list[Mapping[str, str]] = []

    def capture(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], timeout: float = 60.0
    ) -> Completed:
        self.started.append(tuple(argv))
        self.environs.append(environ)
        return super().capture(argv, cwd=cwd, environ=environ, timeout=timeout)
