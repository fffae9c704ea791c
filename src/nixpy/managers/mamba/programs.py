"""The programs that make conda environments: where they are, and how they differ.

Sources, by row of :data:`DIALECTS`: the option tables that each program prints (``install --help``
of mamba 2.0.5 and micromamba 2.8.1), mamba.readthedocs.io ("Mamba user guide", "Micromamba user
guide", and the release notes of 1.5 and 2.0), docs.conda.io ("Command reference: conda install").
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ToolMissing
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.process import Runner

__all__ = ["DIALECTS", "Dialect", "Program", "find_conda_program"]

NAMES = ("mamba", "micromamba", "conda")
"""What a program has to be called: mamba's ``run`` does not activate under another name."""

PLACES = (
    *("~/.local/bin", "~/bin", "~/micromamba/bin"),
    *("~/miniforge3/bin", "~/mambaforge/bin", "~/miniconda3/bin", "~/anaconda3/bin"),
    *("/opt/miniforge3/bin", "/opt/conda/bin", "/opt/miniconda3/bin", "/opt/anaconda3/bin"),
    *("/opt/homebrew/bin", "/usr/local/bin"),
)
"""Where installers put them, if they are not on ``PATH``."""

_VERSION = re.compile(r"^(?:(?P<name>mamba|micromamba|conda) )?(?P<version>\d+(?:\.\d+)+\S*)$")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a program is spoken to.

    Attributes:
        name: of the program.
        since: the first version that this is about; the one before it ends there.
        install: flags of ``install`` besides the common ones.
        reinstall: the flag that links again what is there.
        removes_needed: whether ``remove`` also removes what was needed only by what goes.
        platform: the flag for another platform; empty where ``CONDA_SUBDIR`` says it alone.
    """

    name: str
    since: tuple[int, ...]
    install: tuple[str, ...] = ()
    reinstall: str = "--force-reinstall"
    removes_needed: bool = True
    platform: str = ""


DIALECTS: tuple[Dialect, ...] = (
    # libmamba refuses to go back to an earlier version unless it is told that it may.
    Dialect("micromamba", (2,), install=("--allow-downgrade",), platform="--platform"),
    Dialect("micromamba", (1, 5), install=("--allow-downgrade",), platform="--platform"),
    Dialect("mamba", (2,), install=("--allow-downgrade",), platform="--platform"),
    # mamba 1 is conda's command line with libmamba's solver.
    Dialect("mamba", (1, 4), removes_needed=False),
    Dialect("conda", (23, 10), removes_needed=False),
)
"""Every program and version that is known, the newest of each first."""


class Program(NamedTuple):
    """A program that was found: its path, version and dialect."""

    path: str
    version: str
    dialect: Dialect


def find_conda_program(environ: Mapping[str, str], runner: Runner) -> Program | None:
    """Return the program to use, or ``None`` where there is none.

    The first of ``MAMBA_EXE``, ``CONDA_EXE``, ``PATH`` and :data:`PLACES`.

    Raises:
        ToolMissing: it is too old, or does not say its version.
    """
    path = next(_candidates(environ), None)
    return _program(path, environ, runner) if path else None


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    for variable in ("MAMBA_EXE", "CONDA_EXE"):
        path = environ.get(variable, "")
        if os.path.basename(path) in NAMES and os.access(path, os.X_OK):
            yield path
    for name in NAMES:
        found = find_program(name, environ.get("PATH", ""))
        if found:
            yield found
    home = environ.get("HOME", "")
    for place in PLACES:
        if place.startswith("~") and not home:
            continue
        for name in NAMES:
            path = f"{place.replace('~', home, 1)}/{name}"
            if os.path.isfile(path) and os.access(path, os.X_OK):
                yield path


def _program(path: str, environ: Mapping[str, str], runner: Runner) -> Program:
    name = os.path.basename(path)
    try:
        done = runner.capture([path, "--version"], cwd="/", environ=environ, timeout=30)
    except OSError as error:
        raise ToolMissing(
            f"cannot be started: {error.strerror}", where=path, next="Install it anew."
        ) from None
    # mamba 1 also says which conda it is part of.
    said = [match for line in done.stdout.splitlines() if (match := _VERSION.match(line.strip()))]
    match = next((one for one in said if one["name"] in {None, name}), None)
    if match is None:
        raise ToolMissing(
            "does not say its version", where=path, next=f"See what `{path} --version` says."
        )
    version = match["version"]
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    for dialect in DIALECTS:
        if dialect.name == name and numbers >= dialect.since:
            return Program(path, version, dialect)
    oldest = ".".join(str(n) for n in [d.since for d in DIALECTS if d.name == name][-1])
    raise ToolMissing(
        f"{name} {version} is too old",
        where=path,
        next=f"Install {oldest} or later, or say `use nixpy --conda-engine rattler`.",
    )
