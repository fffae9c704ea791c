"""Attributes of the nixpkgs that a project pins, realised for their libraries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.errors import DevShellFailed, LibrariesFailed, ToolMissing
from nixpy.inputs import ABSENT, observe, observe_file, observe_root
from nixpy.logs import log_path, open_log
from nixpy.nix.command import Nix, find_nix
from nixpy.nix.realise import NothingPinned, Realised, realise_libraries
from nixpy.nix.roots import new_roots, remove_roots, roots_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.inputs import Input
    from nixpy.libraries.record import Supply
    from nixpy.libraries.request import Caller, Request

__all__ = ["Attributes"]


class Attributes:
    """Attributes that are realised one after the other, for one request.

    Attributes:
        outputs: store paths by attribute.
        roots: directory of their gc roots; empty where there are none.
        inputs: what they rest on.
        notices: lines that a user should see.
        failure: why one that exists could not be had.
    """

    def __init__(
        self, request: Request, caller: Caller, record: str, before: Supply | None
    ) -> None:
        self.request = request
        self.caller = caller
        self.record = record
        self.before = before
        self.outputs: dict[str, str] = {}
        self.roots = ""
        self.inputs: tuple[Input, ...] = ()
        self.notices: list[str] = []
        self.failure: LibrariesFailed | None = None
        self._tried: set[str] = set()

    def realise(self, attributes: Sequence[str]) -> None:
        """Realise attributes, those of an earlier call among them; what fails is said."""
        new = [one for one in attributes if one not in self._tried]
        self._tried.update(new)
        if not new:
            return
        if self.request.flake is None:
            self._cannot(new, "no flake.lock pins a nixpkgs")
            return
        pin = observe_file(f"{self.request.root}/flake.lock")[0]
        self.inputs = (pin,)
        before = self.before
        if before and _holds(before, pin, attributes):
            had = dict(before.outputs)
            self._take(Realised({name: had[name] for name in attributes}), before.roots)
            return
        try:
            self._realise(attributes)
        except NothingPinned as error:
            self._cannot(new, str(error))
        except ToolMissing:
            self._cannot(new, "Nix is not installed")
        except DevShellFailed as error:
            self.failure = LibrariesFailed(error.what, where=error.where, next=error.next)

    def _realise(self, attributes: Sequence[str]) -> None:
        caller, request = self.caller, self.request
        assert caller.state is not None
        program = find_nix(request.within)
        roots = new_roots(roots_directory(caller.state, request.root, self.record), request.root)
        try:
            with open_log(log_path(caller.state, self.record), request.root) as log:
                nix = Nix(
                    program,
                    request.root,
                    environ=request.environ,
                    runner=caller.runner,
                    log=log,
                    report=caller.report,
                    keep_open=caller.keep_open,
                    subject="the libraries",
                )
                found = realise_libraries(
                    nix,
                    request.flake or ".",
                    attributes,
                    named=request.options.nixpkgs,
                    options=request.options.nix_options,
                    roots=roots,
                )
        except BaseException:
            remove_roots(roots)
            raise
        self._take(found, roots)

    def _take(self, found: Realised, roots: str) -> None:
        self.outputs.update(found.outputs)
        self.roots = roots
        self.inputs += tuple(observe_root(f"{roots}/{name}") for name in sorted(os.listdir(roots)))
        for name in found.unknown:
            self.notices.append(f"the pinned nixpkgs has no {name}")
        for name, error in found.failed.items():
            self.failure = LibrariesFailed(
                f"{name}: {error.what}", where=error.where, next=error.next
            )

    def _cannot(self, attributes: Sequence[str], why: str) -> None:
        self.notices.append(f"{why}, so that nothing supplies {', '.join(attributes)}")


def _holds(kept: Supply, pin: Input, attributes: Sequence[str]) -> bool:
    """Whether a record has attributes of the same lock file, and they are still there."""
    return (
        pin.value != ABSENT
        and set(attributes) <= dict(kept.outputs).keys()
        and any(one.is_same(pin) for one in kept.inputs)
        and all(
            observe(one, {}).is_same(one)
            for one in kept.inputs
            if one.kind == "root" and one.name.startswith(kept.roots + "/")
        )
    )
