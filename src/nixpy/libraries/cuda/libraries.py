"""The libraries of a CUDA driver, and which environments use them.

They come from the machine, by their sonames only: the directory that they are in is a
distribution's ``lib``, and nothing else of it may come along (DESIGN.md, section 9).
"""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nixpy.libraries.cuda.driver import version_in_name
from nixpy.libraries.cuda.places import LIBCUDA
from nixpy.libraries.elf import DamagedElf, Elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixpy.libraries.cuda.driver import Driver

__all__ = ["LIBRARIES", "USERS", "Library", "User", "driver_libraries", "wants_driver"]

README = "NVIDIA driver README, Installed Components"
CONTAINER = "libnvidia-container, src/nvc_info.c"
DEBIAN = "Debian and Ubuntu, file lists of libnvidia-compute, libnvidia-gpucomp"
WSL = "nvidia-container-toolkit, pkg/nvcdi/driver-wsl.go"
DIRECT3D = "devblogs.microsoft.com, DirectX heart Linux: what WSL has in /usr/lib/wsl/lib"


class Library(NamedTuple):
    """A library of the driver.

    Attributes:
        soname: or, for one whose soname ends with the driver's version, what is before that.
        source: who says that it is the driver's.
        is_versioned: whether it is such a one.
    """

    soname: str
    source: str
    is_versioned: bool = False


LIBRARIES: tuple[Library, ...] = (
    Library(LIBCUDA, README),
    Library("libcudadebugger.so.1", README),
    Library("libnvidia-ml.so.1", README),
    Library("libnvidia-ptxjitcompiler.so.1", README),
    Library("libnvidia-nvvm.so.4", README),
    Library("libnvidia-nvvm70.so.4", DEBIAN),
    Library("libnvidia-opencl.so.1", README),
    Library("libnvidia-allocator.so.1", README),
    Library("libnvcuvid.so.1", README),
    Library("libnvidia-encode.so.1", README),
    Library("libnvidia-opticalflow.so.1", README),
    Library("libnvoptix.so.1", README),
    Library("libnvidia-gpucomp.so.", DEBIAN, is_versioned=True),
    Library("libnvidia-rtcore.so.", CONTAINER, is_versioned=True),
    Library("libnvidia-tileiras.so.", CONTAINER, is_versioned=True),
    Library("libnvidia-pkcs11.so.", CONTAINER, is_versioned=True),
    Library("libnvidia-pkcs11-openssl3.so.", CONTAINER, is_versioned=True),
    Library("libnvidia-compiler.so.", CONTAINER, is_versioned=True),
    Library("libnvidia-fatbinaryloader.so.", CONTAINER, is_versioned=True),
    Library("libdxcore.so", WSL),
    Library("libnvdxgdmal.so.1", WSL),
    Library("libd3d12.so", DIRECT3D),
    Library("libd3d12core.so", DIRECT3D),
)
"""Every library of the driver that programs or the others load by its soname."""

NVIDIA = "libnv"
"""How the driver's other libraries begin: on Jetson ``libcuda.so.1`` needs ``libnvrm_gpu.so`` and
more of them, which lie beside it (nixpkgs, ``cuda_compat``)."""


def driver_libraries(driver: Driver) -> dict[str, str]:
    """Return the paths of a driver's libraries by their sonames.

    They lie where ``libcuda.so.1`` lies, or where that leads to, and are of its class and machine.
    """
    if not driver.library:
        return {}
    first = _read(driver.library)
    if first is None:
        return {}
    real = os.path.realpath(driver.library)
    directories = tuple(dict.fromkeys(map(os.path.dirname, (driver.library, real))))
    # Those of another release, which may be left over, do not work with this one.
    release = version_in_name(driver.library) or driver.version
    found: dict[str, str] = {}
    pending = [*_sonames(directories, release)]
    while pending:
        soname = pending.pop(0)
        for directory in directories:
            path = f"{directory}/{soname}"
            elf = None if soname in found else _read(path)
            if elf and (elf.bits, elf.machine) == (first.bits, first.machine):
                found[soname] = path
                pending += (one for one in elf.needed if one.startswith(NVIDIA) and "/" not in one)
    return found


def _sonames(directories: tuple[str, ...], release: str) -> Iterator[str]:
    for one in LIBRARIES:
        if not one.is_versioned:
            yield one.soname
        elif release:
            yield one.soname + release
        else:
            for directory in directories:
                paths = glob.glob(f"{glob.escape(directory)}/{one.soname}[0-9]*.*")
                yield from sorted(map(os.path.basename, paths))


def _read(path: str) -> Elf | None:
    try:
        return read_elf(path)
    except (OSError, DamagedElf):
        return None


class User(NamedTuple):
    """Distributions that load the driver by themselves, which no ``DT_NEEDED`` says.

    Attributes:
        name: expression for the whole of the normalised name (PEP 503).
        source: who says so.
    """

    name: str
    source: str


USERS: tuple[User, ...] = (
    # What is for documentation, and what only points to an index, is none of them. torch,
    # tensorflow[and-cuda], jax and others from PyPI have these beside them.
    User("nvidia-(?!(?:pyindex|stub|sphinx-theme)$).+", "docs.nvidia.com, CUDA by pip wheels"),
    User(r".+-cu(?:da)?\d{2,3}x?", "the suffix of CuPy, RAPIDS, faiss: docs.rapids.ai, Install"),
    User("(?:pytorch-)?triton", "triton, third_party/nvidia/backend/driver.c: dlopen"),
    User(r"jax-cuda\d+-(?:plugin|pjrt)", "docs.jax.dev, Installation"),
    User("cupy", "docs.cupy.dev, Installation: built from source"),
    User("numba-cuda", "numba docs, CUDA: numba's own target is deprecated for this one"),
    User("cuda-(?:python|bindings|core)", "cuda-python, cuda_pathfinder: driver libraries"),
    User("pycuda", "documen.tician.de/pycuda, Installation"),
    User("pynvml", "pynvml.py: CDLL of libnvidia-ml.so.1"),
    User("(?:onnxruntime|paddlepaddle|tensorflow|faiss)-gpu", "their pages on PyPI"),
    User("onnxruntime-genai-cuda", "its page on PyPI"),
    User("ctranslate2", "opennmt.net/CTranslate2, Hardware support"),
    User("warp-lang", "warp, native/cuda_util.cpp: dlopen"),
)
"""Every distribution that is known to load the driver."""

_USERS = re.compile("|".join(f"(?:{one.name})" for one in USERS))

# pytorch.org, jaxlib and flash-attn name the CUDA of a build so: torch 2.5.1+cu124.
_LOCAL = re.compile(r"cu(?:da)?\d")

# The runtime is made on top of the driver, and opens libcuda.so.1 when it is first used (CUDA C++
# Programming Guide, "CUDA Runtime").
_RUNTIME = ("libcudart.so.",)
_NEEDED = frozenset(
    one.soname for one in LIBRARIES if not one.is_versioned and one.source not in {WSL, DIRECT3D}
)


def wants_driver(distributions: Iterable[tuple[str, Iterable[str]]]) -> bool:
    """Whether an environment uses CUDA's driver.

    Args:
        distributions: names, perhaps with ``-`` and the version as in a ``.dist-info`` directory,
            and the sonames that the files of each need.
    """
    return any(
        _is_user(name) or any(one in _NEEDED or one.startswith(_RUNTIME) for one in needed)
        for name, needed in distributions
    )


def _is_user(text: str) -> bool:
    name, dash, version = text.rpartition("-")
    try:
        local = Version(version).local if dash else None
    except InvalidVersion:
        name, local = text, None
    else:
        name = name or text
    return bool(_USERS.fullmatch(canonicalize_name(name)) or (local and _LOCAL.match(local)))
