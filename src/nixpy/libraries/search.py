"""The search for what an environment lacks, and for what supplies it."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import TYPE_CHECKING

from nixpy.errors import LibrariesFailed
from nixpy.inputs import observe_program, observe_root, observe_variable
from nixpy.libraries.attributes import Attributes
from nixpy.libraries.cuda.driver import driver_inputs, kept_driver
from nixpy.libraries.cuda.libraries import driver_libraries, wants_driver
from nixpy.libraries.cuda.toolkit import toolkit
from nixpy.libraries.farm import Supplier, make_farm
from nixpy.libraries.loader import CACHE
from nixpy.libraries.locate import located_attribute
from nixpy.libraries.missing import farms_of, is_imported, missing_sonames, place_of, without_ours
from nixpy.libraries.nixpkgs import attribute_of
from nixpy.libraries.record import LIBRARY_PATH, Supply
from nixpy.libraries.request import state_of
from nixpy.libraries.scan import kept_scan, library_needs, loading_process
from nixpy.libraries.scope import apply_scope, choose_scope
from nixpy.process import find_program
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.inputs import Input
    from nixpy.libraries.farm import Farm
    from nixpy.libraries.loading import Process
    from nixpy.libraries.request import Caller, Request
    from nixpy.libraries.scan import Scan

__all__ = ["Search"]

CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH")

MOST_ROUNDS = 3
"""How often attributes are looked up for what libraries of nixpkgs need themselves."""

MOST_NAMED = 5
"""Names in one message."""


class Search:
    """One search for what an environment lacks.

    Args:
        request: whose environment it is.
        caller: who asks.
        record: path of the record that will be kept.
        before: what was supplied before.
    """

    def __init__(
        self, request: Request, caller: Caller, record: str, before: Supply | None
    ) -> None:
        self.request = request
        self.caller = caller
        self.before = before
        self.attributes = Attributes(request, caller, record, before)
        self.notices: list[str] = []
        self.inputs: list[Input] = []
        self.variables: tuple[tuple[str, str], ...] = ()

    def result(self) -> Supply:
        """Return what is missing, and supply it as far as that can be.

        Where something that exists could not be had, what was supplied before stays, if anything
        was; else ``state`` is empty, so that the next one tries again.

        Raises:
            LibrariesFailed: it cannot be done as asked.
            OSError: files cannot be written.
        """
        request, attributes = self.request, self.attributes
        found = without_ours(kept_scan(self.caller.cache, request.prefix), request.prefix)
        process = loading_process(request.prefix, found)
        if process is None:
            return Supply(__version__, state_of(request))
        missing = missing_sonames(found, library_needs(found, process), process)
        farm = self._farm(missing, self._drivers(found, process), process)
        if attributes.failure and self.before and self.before.farm:
            raise attributes.failure
        scope, notice = choose_scope(request, farm)
        patchelf = self._patchelf() if scope == "rpath" else ""
        refused = apply_scope(scope, farm, missing, request, self.caller, patchelf)
        if missing and process.linker.cache:
            # What is installed on the machine may end this.
            self.inputs.append(observe_program(CACHE))
        if scope:
            self.inputs.append(observe_root(farm.path))
        self._tell(farm, missing)
        self._tell_of_versions(farm, missing, process)
        return Supply(
            version=__version__,
            state="" if attributes.failure else state_of(request),
            scope=scope,
            farm=farm.path if scope else "",
            links=farm.links if scope else (),
            missing=farm.missing,
            outputs=tuple(attributes.outputs.items()),
            roots=attributes.roots,
            variables=self.variables,
            inputs=tuple(one._replace(syncs=False) for one in (*self.inputs, *attributes.inputs)),
            notices=(*attributes.notices, *((notice,) if notice else ()), *refused, *self.notices),
        )

    def _drivers(self, found: Scan, process: Process) -> tuple[Supplier, ...]:
        """Return what the CUDA driver supplies to an environment that uses it."""
        request, caller = self.request, self.caller
        needed = (
            (name, {soname for elf in one.files.values() for soname in elf.needed})
            for name, one in found.items()
        )
        if request.options.cuda == "off" or not wants_driver(needed):
            return ()
        self.variables = self._toolkit()
        self.inputs += driver_inputs(request.within)
        self.inputs.append(observe_variable(LIBRARY_PATH, request.environ))
        driver = kept_driver(caller.cache, request.within, caller.runner)
        paths = driver_libraries(driver) if driver else {}
        return tuple(
            Supplier(os.path.dirname(path), "the CUDA driver", (soname,))
            for soname, path in paths.items()
            if place_of(soname, process) is None
        )

    def _toolkit(self) -> tuple[tuple[str, str], ...]:
        """Return the variables that say where a CUDA toolkit is, if nobody else sets them."""
        request = self.request
        own = request.dev_shell.apply({})
        path = [one for one in own.get("PATH", "").split(":") if one]
        sites = glob.glob(f"{glob.escape(request.prefix)}/lib/python*/site-packages")
        found = toolkit(own, path, sites[0] if sites else None)
        self.inputs += (observe_variable(name, request.environ) for name in CUDA_VARIABLES)
        if found is None or any(name in request.environ for name in CUDA_VARIABLES):
            return ()
        return tuple((name, found) for name in CUDA_VARIABLES if name not in own)

    def _farm(
        self,
        missing: Mapping[str, tuple[str, ...]],
        drivers: Sequence[Supplier],
        process: Process,
    ) -> Farm:
        named = [name for name in self.request.options.libraries if name != "auto"]
        suppliers = [
            *drivers,
            *(Supplier(one, "the dev shell") for one in self.request.directories),
        ]
        wanted = set(missing) | {soname for one in drivers for soname in one.sonames}
        attributes = list(named)
        asked: set[str] = set()
        for _ in range(MOST_ROUNDS):
            self.attributes.realise(attributes)
            outputs = self.attributes.outputs
            ours = [Supplier(f"{outputs[one]}/lib", f"nixpkgs#{one}") for one in outputs]
            wanted |= {
                soname
                for one in named
                if one in outputs
                for soname in _libraries_in(f"{outputs[one]}/lib")
            }
            farm = make_farm(farms_of(self.request.prefix), wanted, [*suppliers, *ours], process)
            if "auto" not in self.request.options.libraries:
                break
            looked_up = [self._attribute(one) for one in farm.missing if one not in asked]
            asked |= set(farm.missing)
            more = [one for one in looked_up if one and one not in attributes]
            if not more:
                break
            attributes += dict.fromkeys(more)
        return farm

    def _attribute(self, soname: str) -> str | None:
        return attribute_of(soname) or located_attribute(
            soname, self.request.within, self.caller.runner
        )

    def _patchelf(self) -> str:
        """Return a patchelf: one that is there, or that of the pinned nixpkgs."""
        found = find_program("patchelf", self.request.within.get("PATH", ""))
        if found is None:
            self.attributes.realise([*self.attributes.outputs, "patchelf"])
            found = f"{self.attributes.outputs.get('patchelf', '')}/bin/patchelf"
        if not os.access(found, os.X_OK):
            raise LibrariesFailed(
                'library-scope "rpath" needs patchelf, and there is none',
                next='Install it, or say `library-scope = "shell"` or "python".',
            )
        return found

    def _tell(self, farm: Farm, missing: Mapping[str, tuple[str, ...]]) -> None:
        for soname, lacking in farm.unusable.items():
            self.notices.append(
                f"{soname} cannot be loaded by this Python: {lacking.found} has no "
                f"{lacking.version}; an interpreter from the flake would"
            )
        of_shell = self.request.dev_shell.apply({}).get(LIBRARY_PATH)
        if of_shell and not all(self._is_used(one, farm) for one in of_shell.split(":")):
            self.notices.append(
                "of the dev shell's LD_LIBRARY_PATH only what packages miss counts "
                '(`libraries = "off"` keeps it as it is)'
            )
        left = [soname for soname in farm.missing if soname in missing]
        imported = [one for one in left if any(map(is_imported, missing[one]))]
        plugins = len(left) - len(imported)
        if imported:
            self.notices.append(
                f"missing libraries: {some(imported)}; `nixpy libs --missing` says what needs them"
            )
        if plugins:
            others = "others are" if imported else "libraries that plugins alone need are"
            self.notices.append(f"{plugins} {others} missing: `nixpy libs --missing`")

    def _tell_of_versions(
        self, farm: Farm, missing: Mapping[str, tuple[str, ...]], process: Process
    ) -> None:
        """Say which files need newer libraries than the farm has."""
        loader = process.loader((farm.path,) if farm.path else ())
        seen = set()
        for link in farm.links:
            for file in missing.get(link.soname, ()):
                if not file.startswith("/"):
                    continue
                for one in loader.lacking_versions(
                    file, loaded=process.loaded, above=process.above
                ):
                    if (one.soname, one.version) not in seen:
                        seen.add((one.soname, one.version))
                        name = file.removeprefix(self.request.prefix + "/")
                        self.notices.append(
                            f"{name} needs {one.version} of {one.soname}, which {link.origin} does "
                            "not have: a newer one would"
                        )

    def _is_used(self, directory: str, farm: Farm) -> bool:
        return any(os.path.dirname(link.target) == directory for link in farm.links)


def some(names: Sequence[str]) -> str:
    """Return names as text, and how many there are besides."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _libraries_in(directory: str) -> Iterator[str]:
    """Yield the names of the libraries in a directory that a program may ask for."""
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith("lib") and ".so" in name:
                yield name
