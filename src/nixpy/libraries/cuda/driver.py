"""Which CUDA driver the machine has, and the highest CUDA that it runs (DESIGN.md, section 9).

The driver is the machine's own: its user-space part has to be of the same release as the kernel's
(NVIDIA driver README, "Installed Components"), so that nothing of it can come from anywhere else.
It is asked in a process of its own, which may crash or hang; and the answer is kept for as long as
the places where a driver can be are as they were.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

from nixpy import cache
from nixpy.libraries.cuda.places import PLACES, Places, driver_inputs, libraries_in
from nixpy.libraries.elf import DamagedElf, read_elf
from nixpy.process import find_program
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.inputs import Input
    from nixpy.process import Runner

    Source = Literal["libcuda", "nvidia-smi"]

__all__ = [
    "PLACES",
    "CudaVersion",
    "Driver",
    "Places",
    "cuda_version",
    "detect",
    "driver_inputs",
    "extras_for",
    "kept_driver",
    "version_in_name",
]

LONGEST = 5.0
"""Seconds that each thing that is asked has to answer."""

GRACE = 5.0
"""Seconds that the one who keeps that time has besides, to start and to end."""

LATE = 124
"""The status with which it ends when the time is over: that of timeout(1)."""

NONE = "none"
"""What stands for "no driver" in a mapping to extras."""

CudaVersion = tuple[int, int]
"""Major and minor."""


class Driver(NamedTuple):
    """A CUDA driver.

    Attributes:
        library: path of ``libcuda.so.1``; empty where ``nvidia-smi`` alone knows of a driver.
        version: the driver's own, ``550.54.14``; empty where nothing says it.
        cuda: the highest CUDA that it runs.
        source: who said that.
    """

    library: str
    version: str
    cuda: CudaVersion
    source: Source


class _Answer(NamedTuple):
    """What was found, and whether asking again would find the same."""

    driver: Driver | None
    is_settled: bool


def detect(
    environ: Mapping[str, str],
    *,
    runner: Runner,
    places: Places = PLACES,
    interpreter: str = sys.executable,
    timeout: float = LONGEST,
) -> Driver | None:
    """Return the machine's driver; ``None`` where there is none that answers.

    ``cuDriverGetVersion`` (cuda.h) is asked, and ``nvidia-smi`` where no library answers.

    Args:
        environ: the caller's environment, in which all is asked as it is.
        runner: starts programs.
        places: where a driver can be.
        interpreter: the Python that loads the library; only libraries of its machine count.
        timeout: seconds that each library, and ``nvidia-smi``, has to answer.
    """
    return _detect(environ, runner, places, interpreter, timeout).driver


def kept_driver(
    top: str | None,
    environ: Mapping[str, str],
    runner: Runner,
    *,
    places: Places = PLACES,
    interpreter: str = sys.executable,
    timeout: float = LONGEST,
) -> Driver | None:
    """Return what :func:`detect` does, asked only where the kept answer does not hold; keep it.

    That there is no driver is kept, too; that one did not answer in time is not, since neither a
    reboot nor a machine with less to do changes what the answer rests on.

    Args:
        top: nixpy's cache directory; ``None`` where nothing can be kept.
        environ: see :func:`detect`, as for the others.
        runner: starts programs.
        places: where a driver can be.
        interpreter: the Python that loads the library.
        timeout: seconds.
    """
    # They are seen before the question is: what changes in between leaves a record that is stale.
    inputs = driver_inputs(environ, places)
    path = f"{top}/cuda/{cache.SCHEMA}/driver" if top else None
    kept = cache.read_record(path, _kept) if path else None
    if (
        kept
        and kept[0] == __version__
        and {one[:3] for one in kept[1]} == {one[:3] for one in inputs}
    ):
        return kept[2]
    found = _detect(environ, runner, places, interpreter, timeout)
    if path and top and found.is_settled:
        try:
            cache.write_record(path, top, _fields(inputs, found.driver))
        except OSError:
            pass  # the next one asks again
    return found.driver


def _fields(inputs: tuple[Input, ...], driver: Driver | None) -> Iterator[str]:
    yield __version__
    yield from cache.input_fields(inputs)
    if driver:
        yield from (driver.library, driver.version, *map(str, driver.cuda), driver.source)


def _kept(fields: Iterator[str]) -> tuple[str, tuple[Input, ...], Driver | None]:
    version, inputs, rest = next(fields), cache.read_inputs(fields), tuple(fields)
    if not rest:
        return version, inputs, None
    library, own, major, minor, source = rest
    driver = Driver(library, own, (int(major), int(minor)), source)  # type: ignore[arg-type]
    return version, inputs, driver


_ASK = """
import ctypes, os, sys
for path in sys.argv[2:]:
    try:
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        pass
version = ctypes.c_int(0)
if ctypes.CDLL(sys.argv[1]).cuDriverGetVersion(ctypes.byref(version)) == 0:
    os.write(1, b"\\n%d\\n" % version.value)
os._exit(0)
"""
"""Asks a library, and ends without what a driver does when it is unloaded. ``cuInit`` is slow, and
the version needs none; a stub of the toolkit's answers with an error (CUDA_ERROR_STUB_LIBRARY)."""

_WATCH = f"""
import os, select, signal, sys, time
deadline = time.monotonic() + float(sys.argv[1])
reading, writing = os.pipe()
files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
         (os.POSIX_SPAWN_DUP2, writing, 1),
         (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=files)
os.close(writing)
said, status = b"", {LATE}
while select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
    piece = os.read(reading, 65536)
    said += piece
    if not piece:
        status = 0
        break
os.kill(child, signal.SIGKILL)
while said:
    said = said[os.write(1, said):]
os._exit(status)
"""
"""Runs a program and stops waiting for it when its time is over. A process that a wedged driver
holds in the kernel cannot be killed, and whoever waits for its end waits as long: so nobody does,
and it has no descriptor of ours."""


def _detect(
    environ: Mapping[str, str], runner: Runner, places: Places, interpreter: str, timeout: float
) -> _Answer:
    is_settled = True

    def ask(*argv: str) -> str:
        nonlocal is_settled
        watched = (interpreter, "-IS", "-c", _WATCH, str(timeout), *argv)
        try:
            done = runner.capture(watched, cwd="/", environ=environ, timeout=timeout + GRACE)
        except OSError:
            is_settled = False
            return ""
        # What was said before the time was over counts.
        is_settled = is_settled and done.status == 0
        return done.stdout

    own = _machine_of(interpreter)  # none where it is a script: then the loader decides
    libraries = [
        path
        for path in libraries_in(environ, places)
        if (other := _machine_of(path)) and other == (own or other)
    ]
    for path in libraries:
        # WSL's library looks for this one by its soname, which the linker of a Nix store does not
        # find by itself.
        beside = f"{os.path.dirname(path)}/libdxcore.so"
        before = (beside,) if os.path.isfile(beside) else ()
        said = re.findall(
            r"^\d+$", ask(interpreter, "-IS", "-c", _ASK, path, *before), re.MULTILINE
        )
        number = int(said[-1]) if said else 0
        if number >= 1000:  # noqa: PLR2004 - cuda.h: 1000 * major + 10 * minor
            cuda = number // 1000, number % 1000 // 10
            version = _kernels_version(places) or version_in_name(path)
            return _Answer(Driver(path, version, cuda, "libcuda"), is_settled=True)
    program = find_program("nvidia-smi", environ.get("PATH", "")) or next(
        (path for path in places.programs if os.access(path, os.X_OK)), None
    )
    named, highest = _read_smi(ask(program)) if program else ("", None)
    if highest is None:
        return _Answer(None, is_settled)
    library = next(iter(libraries), "")
    version = _kernels_version(places) or version_in_name(library) or named
    return _Answer(Driver(library, version, highest, "nvidia-smi"), is_settled=True)


def _machine_of(path: str) -> tuple[int, str] | None:
    """Return the class and the machine of an ELF file."""
    try:
        elf = read_elf(os.path.realpath(path))
    except (OSError, DamagedElf):
        return None
    return (elf.bits, elf.machine) if elf else None


# A driver's version begins with its branch, which has had three digits since 100: so neither
# libcuda.so.1.1 (WSL, Jetson) nor the compiler's version (in /proc) is taken for one.
_DRIVER = r"(\d{3,}(?:\.\d+)+)"
_IN_NAME = re.compile(rf"\.so\.{_DRIVER}$", re.ASCII)
_IN_PROC = re.compile(rf"^NVRM version:.*?\s{_DRIVER}(?:\s|$)", re.ASCII | re.MULTILINE)
# From branch 610 on: "KMD Version: 610.57.04     CUDA UMD Version: 13.3".
_SMI_DRIVER = re.compile(rf"\b(?:Driver|KMD) Version: *{_DRIVER}", re.ASCII)
_SMI_CUDA = re.compile(r"\bCUDA (?:UMD )?Version: *(\d+)\.(\d+)", re.ASCII)


def version_in_name(library: str) -> str:
    """Return the driver's version that stands in the real name of a library, or nothing."""
    found = _IN_NAME.search(os.path.realpath(library)) if library else None
    return found[1] if found else ""


def _kernels_version(places: Places) -> str:
    try:
        with open(places.version, encoding="utf-8", errors="replace") as file:
            found = _IN_PROC.search(file.read())
    except OSError:
        return ""
    return found[1] if found else ""


def _read_smi(said: str) -> tuple[str, CudaVersion | None]:
    """Return what the first lines of ``nvidia-smi`` say: the driver's version, and CUDA's."""
    driver, cuda = _SMI_DRIVER.search(said), _SMI_CUDA.search(said)
    return driver[1] if driver else "", (int(cuda[1]), int(cuda[2])) if cuda else None


def cuda_version(text: str) -> CudaVersion:
    """Return a version of CUDA; ``12`` is 12.0.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?", text, re.ASCII)
    if found is None:
        raise ValueError(f"expected a version of CUDA like 12.8, got {text!r}")
    return int(found[1]), int(found[2] or 0)


def extras_for(
    mapping: tuple[tuple[str, tuple[str, ...]], ...], driver: Driver | None
) -> tuple[str, ...]:
    """Return the extras that a mapping has for a driver.

    That is those of the highest version that the driver runs; those of ``none`` where there is no
    driver, or none of the versions is low enough; nothing where there is no ``none``.

    Args:
        mapping: extras by versions of CUDA, or by ``none``.
        driver: the machine's.

    Raises:
        ValueError: a version is malformed.
    """
    versions = {cuda_version(text): extras for text, extras in mapping if text != NONE}
    low_enough = [version for version in versions if driver and version <= driver.cuda]
    return versions[max(low_enough)] if low_enough else dict(mapping).get(NONE, ())
