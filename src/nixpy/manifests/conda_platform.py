"""What conda calls the machine: the subdirectory of a channel that its packages lie in.

Source: docs.conda.io, "conda-build: subdir"; ``CONDA_SUBDIR`` says otherwise where it is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLATFORMS", "conda_platform"]

PLATFORMS = ("linux-64", "linux-aarch64", "linux-ppc64le", "osx-64", "osx-arm64", "win-64")
"""Those that lock files are commonly made for."""

SYSTEMS = {"linux": "linux", "darwin": "osx"}
MACHINES = {
    ("linux", "x86_64"): "64",
    ("linux", "i686"): "32",
    ("darwin", "x86_64"): "64",
}
"""The names of those machines that conda does not call as the system does (uname(2))."""


def conda_platform(
    platform: str, environ: Mapping[str, str], machine: str = os.uname().machine
) -> str:
    """Return the subdirectory for a machine: ``linux-64``, ``osx-arm64``, ``linux-aarch64``.

    Args:
        platform: :data:`sys.platform`.
        environ: may hold ``CONDA_SUBDIR``.
        machine: as uname(2) calls it.
    """
    asked = environ.get("CONDA_SUBDIR")
    if asked:
        return asked
    return f"{SYSTEMS.get(platform, platform)}-{MACHINES.get((platform, machine), machine)}"
