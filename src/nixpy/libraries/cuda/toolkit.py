"""Where a CUDA toolkit is, with which triton, JAX, numba and others compile at run time.

A flake's comes first, and what wheels bring comes last. CUDA 13's wheels share one tree,
``nvidia/cu13``, with ``bin/nvcc``, ``bin/ptxas`` (nvidia-cuda-nvcc) and ``nvvm/libdevice``
(nvidia-nvvm). Each of CUDA 12's has a tree of its own; that of nvidia-cuda-nvcc-cu12,
``nvidia/cuda_nvcc``, has ``bin/ptxas`` and ``nvvm/libdevice``, and no ``nvcc``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["toolkit"]

VARIABLES = ("CUDA_HOME", "CUDA_PATH")
"""In the order in which torch.utils.cpp_extension looks at them."""

TREES = ("nvidia/cu13", "nvidia/cuda_nvcc")
PARTS = ("bin/ptxas", "nvvm/libdevice/libdevice.10.bc")
"""One of these makes a tree a toolkit: ``nvidia/cu13`` has every library of CUDA 13, too."""


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def toolkit(
    own: Mapping[str, str],
    path: Sequence[str],
    site_packages: str | None,
    *,
    is_program: Callable[[str], bool] = _is_program,
    is_file: Callable[[str], bool] = os.path.isfile,
) -> str | None:
    """Return the directory of the toolkit; ``None`` where there is none.

    Args:
        own: variables that the dev shell itself sets.
        path: elements of ``PATH`` that are the dev shell's own.
        site_packages: the environment's, if there is one.
        is_program: whether an executable file is at a path.
        is_file: whether a file is at a path.
    """
    for name in VARIABLES:
        if own.get(name):
            return own[name]
    for directory in path:
        # Not where a link leads to: nixpkgs' merged toolkit is made of links to its parts.
        parent, name = os.path.split(directory.rstrip("/"))
        if name == "bin" and parent.startswith("/") and is_program(f"{parent}/bin/nvcc"):
            return parent
    for tree in TREES if site_packages else ():
        found = f"{site_packages}/{tree}"
        if any(is_file(f"{found}/{part}") for part in PARTS):
            return found
    return None
