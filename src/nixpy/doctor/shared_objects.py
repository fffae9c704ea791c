"""What an environment's shared objects need, and where that is found: looked at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from nixpy.doctor.finding import Absent
from nixpy.doctor.once import once
from nixpy.libraries.cuda.driver import kept_driver
from nixpy.libraries.cuda.libraries import wants_driver
from nixpy.libraries.missing import is_imported, missing_sonames, own_files, without_ours
from nixpy.libraries.record import NOTHING
from nixpy.libraries.scan import kept_scan, library_needs, loading_process

if TYPE_CHECKING:
    from nixpy.doctor.examination import Examination
    from nixpy.libraries.cuda.driver import Driver
    from nixpy.libraries.loader import LackingVersion
    from nixpy.libraries.loading import Process
    from nixpy.libraries.record import Supply
    from nixpy.libraries.scan import LibraryNeed, Scan

__all__ = ["Missing", "NoDriver", "SharedObjects", "shared_objects"]

LONGEST_ASKED = 1.0
"""Seconds that the CUDA driver has to answer."""

_LOCK = threading.Lock()


class NoDriver(Absent):
    """Packages use CUDA, and the machine has no driver."""


class Missing(NamedTuple):
    """A soname that nothing has.

    Attributes:
        soname: its name.
        files: that need it, below the prefix; or distributions that open it by name.
        is_imported: whether one of them is an extension module, and no plugin of something else.
    """

    soname: str
    files: tuple[str, ...]
    is_imported: bool


class SharedObjects:
    """The shared objects of the environment that is examined; nothing is written."""

    def __init__(self, seen: Examination) -> None:
        self.seen = seen
        self.kept: dict[str, object] = {}

    @once
    def scan(self) -> Scan:
        """The ELF files, as they came."""
        prefix = self.seen.prefix.path
        return without_ours(kept_scan(self.seen.cache, prefix, is_kept=False), prefix)

    @once
    def process(self) -> Process:
        """The interpreter that loads them."""
        if self.seen.platform != "linux":
            raise Absent("shared libraries are looked at on Linux alone")
        found = loading_process(self.seen.prefix.path, self.scan)
        if found is None:
            raise Absent(f"{self.seen.prefix.python} has no dynamic linker that is known")
        return found

    @once
    def supply(self) -> Supply:
        """What nixpy supplies them with."""
        project, derivation = self.seen.project, self.seen.derivation
        libraries = self.seen.resolver.libraries
        return libraries.kept(project.root, self.seen.prefix.path, derivation.options) or NOTHING

    @once
    def library_path(self) -> tuple[str, ...]:
        """The directories that the interpreter looks into by a variable, in the environment."""
        own = self.seen.inside.get("LD_LIBRARY_PATH", "").split(":")
        farm = self.supply.farm
        return tuple(dict.fromkeys(one for one in (farm, *own) if one))

    @once
    def needs(self) -> tuple[LibraryNeed, ...]:
        """What they need in the environment."""
        process = self.process  # before the scan, which is for nothing where there is none
        return library_needs(self.scan, process, self.library_path)

    @once
    def missing(self) -> tuple[Missing, ...]:
        """What nobody has."""
        prefix = self.seen.prefix.path + "/"
        linked = {link.soname for link in self.supply.links}
        found = missing_sonames(self.scan, self.needs, self.process)
        return tuple(
            Missing(
                soname,
                tuple(file.removeprefix(prefix) for file in files),
                any(map(is_imported, files)),
            )
            for soname, files in found.items()
            if soname not in linked
        )

    @once
    def lacking(self) -> tuple[LackingVersion, ...]:
        """Symbol versions that are needed and not defined."""
        process = self.process
        loader = process.loader(self.library_path)
        found: dict[tuple[str, str], LackingVersion] = {}
        # What other files of the environment have is loaded before, and has its own versions.
        own = own_files(self.scan)
        for one in self.scan.values():
            for path, elf in one.files.items():
                if not elf.is_library or not elf.versions_needed:
                    continue
                for each in loader.lacking_versions(
                    path, loaded=process.loaded, above=process.above
                ):
                    if each.soname not in own:
                        found.setdefault((each.soname, each.version), each)
        return tuple(found.values())

    @once
    def driver(self) -> Driver:
        """The machine's CUDA driver; nothing is asked where no package uses it."""
        if self.seen.options.cuda == "off":
            raise Absent('cuda is "off"')
        needed = (
            (name, {soname for elf in one.files.values() for soname in elf.needed})
            for name, one in self.scan.items()
        )
        if not wants_driver(needed):
            raise Absent("no package uses CUDA")
        found = kept_driver(None, self.seen.outside, self.seen.runner, timeout=LONGEST_ASKED)
        if found is None:
            raise NoDriver("there is no CUDA driver")
        return found


def shared_objects(seen: Examination) -> SharedObjects:
    """Return the shared objects of an examination, the same for all of its checks."""
    with _LOCK:
        if "shared objects" not in seen.kept:
            seen.kept["shared objects"] = SharedObjects(seen)
        found = seen.kept["shared objects"]
    assert isinstance(found, SharedObjects)
    return found
