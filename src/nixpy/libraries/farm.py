"""The link farm: a directory that holds the sonames which an environment misses, and no other.

Its links lead to libraries in a Nix store, or of a driver. What such a library needs itself, and
does not find by its own runpath, is linked too; what comes with glibc never is, since a process has
one glibc: its interpreter's.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from nixpy.inputs import digest
from nixpy.libraries.elf import DamagedElf
from nixpy.libraries.nixpkgs import GLIBC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nixpy.libraries.loader import LackingVersion, Need
    from nixpy.libraries.loading import Process

__all__ = ["Farm", "Link", "Supplier", "make_farm", "remove_other_farms"]

MOST_KEPT = 2
"""Farms that are kept: shells and kernels that run may hold the one before this one."""


class Supplier(NamedTuple):
    """A directory that libraries may be taken from.

    Attributes:
        directory: its path.
        origin: what a user is told that it is: ``nixpkgs#zlib``, ``the dev shell``.
        sonames: the only ones that may be taken from it; empty for any.
    """

    directory: str
    origin: str
    sonames: tuple[str, ...] = ()


class Link(NamedTuple):
    """One soname of a farm.

    Attributes:
        soname: its name.
        target: the library that it leads to.
        origin: of the supplier.
    """

    soname: str
    target: str
    origin: str


class Farm(NamedTuple):
    """A link farm.

    Attributes:
        path: the directory; empty where there is nothing to link.
        links: what is in it.
        missing: sonames that no supplier has, asked for or needed by what is linked.
        unusable: libraries that the process cannot load, by soname: they need what its glibc, or
            another library that it has loaded, does not define.
    """

    path: str
    links: tuple[Link, ...]
    missing: tuple[str, ...]
    unusable: Mapping[str, LackingVersion]


def make_farm(
    top: str, wanted: Iterable[str], suppliers: Sequence[Supplier], process: Process
) -> Farm:
    """Make the farm that supplies sonames, as far as suppliers have them.

    Args:
        top: directory below which farms lie, each named by what is in it.
        wanted: sonames.
        suppliers: in the order in which they are asked.
        process: what loads them.

    Raises:
        OSError: it cannot be written.
    """
    new = f"{top}/new"
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    work = _Work(new, suppliers, process)
    try:
        work.supply(wanted)
        work.leave_out_the_unusable()
        links = tuple(sorted(work.links.values()))
        missing = tuple(sorted(work.missing))
        if not links:
            return Farm("", (), missing, work.unusable)
        name = digest(*(os.fsencode(part) for link in links for part in link[:2]))
        path = f"{top}/{name}"
        if os.path.isdir(path):
            os.utime(path)
        else:
            os.rename(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Farm(path, links, missing, work.unusable)


def remove_other_farms(top: str, path: str) -> None:
    """Remove the farms below a directory, but one and those that were in use last."""
    try:
        others = [f"{top}/{name}" for name in os.listdir(top)]
    except OSError:
        return
    others = sorted((one for one in others if one != path), key=os.path.getmtime, reverse=True)
    for one in others[MOST_KEPT - 1 :]:
        shutil.rmtree(one, ignore_errors=True)


class _Work:
    """A farm in the making."""

    def __init__(self, path: str, suppliers: Sequence[Supplier], process: Process) -> None:
        self.path = path
        self.suppliers = suppliers
        # What is remembered of a path must not be that of an earlier farm in the making.
        self.process = process._replace(read=lambda file: process.read(self._real(file)))
        self.links: dict[str, Link] = {}
        self.missing: set[str] = set()
        self.unusable: dict[str, LackingVersion] = {}

    def supply(self, wanted: Iterable[str]) -> None:
        """Link sonames, and what the libraries need that they do not find by themselves."""
        pending: list[tuple[str, str]] = [(soname, "") for soname in wanted]
        while pending:
            soname, beside = pending.pop(0)
            if soname in self.links or soname in GLIBC or soname in self.process.loaded:
                continue
            link = self._found(soname, beside)
            if link is None:
                self.missing.add(soname)
                continue
            self.links[soname] = link
            os.symlink(link.target, f"{self.path}/{soname}")
            pending += [
                (need.soname, os.path.dirname(os.path.realpath(need.file)))
                for need in self._needs(soname)
                if need.found is None
            ]

    def leave_out_the_unusable(self) -> None:
        """Take out what the process cannot load, and what would then miss something."""
        checked = False
        while not checked:
            checked = True
            for soname in list(self.links):
                lacking = self._lacking(soname)
                gone = [need.soname for need in self._needs(soname) if need.found is None]
                if lacking or any(name in self.unusable for name in gone):
                    os.unlink(f"{self.path}/{soname}")
                    del self.links[soname]
                    first = next((name for name in gone if name in self.unusable), "")
                    self.unusable[soname] = lacking[0] if lacking else self.unusable[first]
                    checked = False

    def _real(self, file: str) -> str:
        return os.path.realpath(file) if file.startswith(self.path + "/") else file

    def _found(self, soname: str, beside: str) -> Link | None:
        """Return where a soname is supplied from; first what lies beside the one that needs it."""
        if os.path.basename(soname) != soname:
            return None
        origin = next(
            (link.origin for link in self.links.values() if beside == os.path.dirname(link.target)),
            "",
        )
        own = (Supplier(beside, origin),) if beside else ()
        for one in (*own, *self.suppliers):
            path = f"{one.directory}/{soname}"
            if (not one.sonames or soname in one.sonames) and self._fits(path):
                return Link(soname, path, one.origin)
        return None

    def _fits(self, path: str) -> bool:
        try:
            elf = self.process.read(path)
        except (OSError, DamagedElf):
            return False
        ours = self.process.elf
        return elf is not None and (elf.bits, elf.machine) == (ours.bits, ours.machine)

    def _needs(self, soname: str) -> tuple[Need, ...]:
        return self.process.needs(f"{self.path}/{soname}", (self.path,))

    def _lacking(self, soname: str) -> tuple[LackingVersion, ...]:
        return self.process.lacking(f"{self.path}/{soname}", (self.path,))
