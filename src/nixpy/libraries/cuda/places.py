"""Where a CUDA driver can be on a machine."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ManifestError
from nixpy.inputs import Input, observe_file, observe_program
from nixpy.libraries.loader import read_cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LIBCUDA", "PLACES", "Places", "driver_inputs", "libraries_in", "places_of"]

LIBCUDA = "libcuda.so.1"


class Places(NamedTuple):
    """Where a driver can be.

    Attributes:
        first: directories that have nothing but a driver that was put there on purpose.
        cache: the dynamic linker's cache.
        then: directories of distributions.
        version: the file in which the kernel's part says its version.
        programs: ``nvidia-smi``, where it may be off ``PATH``.
    """

    first: tuple[str, ...] = ()
    cache: str = ""
    then: tuple[str, ...] = ()
    version: str = ""
    programs: tuple[str, ...] = ()


def places_of(system: str, machine: str) -> Places:
    """Return the places of a machine, as :func:`os.uname` calls it; none where CUDA never is."""
    if system != "Linux":
        return Places()
    own = {
        # Debian's alternatives lead from the first to the second (nvidia-alternative).
        "x86_64": ("x86_64-linux-gnu", "x86_64-linux-gnu/nvidia/current"),
        # Jetson's are apart from the rest (L4T: tegra; from JetPack 6 on: nvidia).
        "aarch64": (
            *("aarch64-linux-gnu", "aarch64-linux-gnu/nvidia/current"),
            *("aarch64-linux-gnu/nvidia", "aarch64-linux-gnu/tegra"),
        ),
    }
    return Places(
        # NixOS: hardware.graphics; WSL: "CUDA on WSL User Guide".
        first=("/run/opengl-driver/lib", "/usr/lib/wsl/lib"),
        cache="/etc/ld.so.cache",
        then=tuple(f"/usr/{name}" for name in ("lib64", "lib"))
        + tuple(f"/usr/lib/{name}" for name in own.get(machine, ())),
        version="/proc/driver/nvidia/version",
        programs=("/usr/lib/wsl/lib/nvidia-smi", "/run/current-system/sw/bin/nvidia-smi"),
    )


PLACES = places_of(os.uname().sysname, os.uname().machine)


def driver_inputs(environ: Mapping[str, str], places: Places = PLACES) -> tuple[Input, ...]:
    """Return what an answer of ``detect`` rests on: about seven.

    Well-known places count whether there is a driver or not: one that is installed later is
    noticed. The caller's own directories and the linker's cache count by the libraries that they
    lead to, not by themselves: ``LD_LIBRARY_PATH`` and the cache change for many other reasons.
    ``nvidia-smi`` is none: it comes and goes with the library and the kernel's part, whose version
    says when another one was loaded.
    """
    known = [f"{directory}/{LIBCUDA}" for directory in (*places.first, *places.then)]
    real = {os.path.realpath(path) for path in known}
    others = [path for path in libraries_in(environ, places) if os.path.realpath(path) not in real]
    return (*map(observe_program, (*known, *others)), *_version_input(places))


def _version_input(places: Places) -> Iterator[Input]:
    if places.version:
        try:
            yield observe_file(places.version)[0]
        except ManifestError:  # a container can mask it
            yield Input("file", places.version, "unreadable")


def libraries_in(environ: Mapping[str, str], places: Places) -> tuple[str, ...]:
    """Return the libraries that there are, each once, in the order in which they count.

    One that several paths lead to has the machine's path, or else the last of the caller's: a
    directory of links that nixpy has put in front of ``LD_LIBRARY_PATH`` is no place of its own.
    """

    def systems() -> Iterator[str]:
        yield from (f"{directory}/{LIBCUDA}" for directory in places.first)
        yield from read_cache(places.cache).get(LIBCUDA, ())
        yield from (f"{directory}/{LIBCUDA}" for directory in places.then)

    # ld.so(8): elements are separated by colons or semicolons.
    own = [one for one in re.split("[:;]", environ.get("LD_LIBRARY_PATH", "")) if one[:1] == "/"]
    names = {
        os.path.realpath(path): path
        for path in (f"{directory.rstrip('/')}/{LIBCUDA}" for directory in own)
        if os.path.isfile(path)
    }
    seen: set[str] = set()
    for path in systems():
        real = os.path.realpath(path)
        if real not in seen and os.path.isfile(path):
            seen.add(real)
            names[real] = path
    return tuple(names.values())
