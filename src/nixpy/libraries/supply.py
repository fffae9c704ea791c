"""Shared libraries for wheels (DESIGN.md, section 9): supplied after a sync, kept as a record.

The ELF files of an environment are scanned; sonames that neither the environment, nor the
interpreter's own search, nor the machine has are *missing*. They are taken from the attributes of
nixpkgs that are named, from the directories of the dev shell's own ``LD_LIBRARY_PATH``, from the
CUDA driver, or from the nixpkgs that ``flake.lock`` pins, and linked into a farm.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy import cache as entries
from nixpy.errors import LibrariesFailed
from nixpy.inputs import digest, observe
from nixpy.libraries.farm import remove_other_farms
from nixpy.libraries.missing import farms_of
from nixpy.libraries.record import NOTHING, Supply, read_supply, write_supply
from nixpy.libraries.request import Caller, state_of
from nixpy.libraries.scope import is_changed, undo_scope
from nixpy.libraries.search import Search
from nixpy.nix.roots import other_roots, remove_roots, roots_directory
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixpy.libraries.request import Request
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["Libraries"]


class Libraries:
    """The libraries of one caller's projects: kept, and found anew.

    Args:
        runner: starts programs.
        report: is told what a user should see, one line a call.
        cache: nixpy's cache directory, for records and scans; ``None`` where there is none.
        state: nixpy's state directory, for gc roots and logs; ``None`` where there is none.
        platform: :data:`sys.platform`.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        report: Callable[[str], None],
        cache: str | None,
        state: str | None,
        platform: str,
    ) -> None:
        self.runner = runner
        self.report = report
        self.cache = cache
        self.state = state
        self.platform = platform
        self._unkept: dict[str, Supply] = {}

    def kept(self, root: str, prefix: str, options: Options) -> Supply | None:
        """Return the record as it was last made, or an empty one; ``None`` if none is wanted."""
        if not self.are_wanted(options):
            return None
        path = self._record(root, prefix, options)
        if path is None:
            return NOTHING
        return self._unkept.get(path) or read_supply(path) or NOTHING

    def are_wanted(self, options: Options) -> bool:
        """Whether libraries are supplied at all."""
        return self.platform == "linux" and "off" not in options.libraries

    def is_current(self, request: Request) -> bool:
        """Whether the record holds for the environment as it is."""
        if self.cache is None or self.state is None:
            return True
        kept = self.kept(request.root, request.prefix, request.options)
        if kept is None:
            return not is_changed(request.prefix)
        return _is_fresh(kept, request)

    def bring_up_to_date(
        self, request: Request, *, keep_open: tuple[int, ...] = (), force: bool = False
    ) -> bool:
        """Supply what is missing; return whether anything was to be done.

        The environment's lock is held.

        Raises:
            LibrariesFailed: it cannot be done as asked; what was supplied before still is.
        """
        path = self._record(request.root, request.prefix, request.options)
        if path is None or self.cache is None or self.state is None:
            return False
        if not self.are_wanted(request.options):
            return bool(undo_scope(request.prefix))
        kept = read_supply(path)
        if kept and not force and _is_fresh(kept, request):
            return False
        try:
            caller = Caller(self.runner, self.report, self.cache, self.state, keep_open)
            search = Search(request, caller, path, kept)
            found = search.result()
        except OSError as error:
            raise LibrariesFailed(
                f"libraries cannot be supplied: {error.strerror}",
                where=str(error.filename or request.prefix),
                next="Make room, or make it writable.",
            ) from None
        try:
            write_supply(path, self.cache, found)
        except OSError:
            self._unkept[path] = found  # whoever keeps the entry will say that nothing can be kept
        for old in other_roots(roots_directory(self.state, request.root, path), found.roots):
            remove_roots(old)
        remove_other_farms(farms_of(request.prefix), found.farm)
        for notice in found.notices:
            self.report(notice)
        if search.attributes.failure:
            raise search.attributes.failure
        return True

    def _record(self, root: str, prefix: str, options: Options) -> str | None:
        if self.cache is None:
            return None
        parts = (
            prefix,
            *options.libraries,
            "",
            options.library_scope,
            options.nixpkgs or "",
            "" if options.cuda == "off" else "cuda",
        )
        name = digest(*map(os.fsencode, parts))[:16]
        return f"{self.cache}/projects{root}/@nixpy/{entries.SCHEMA}/libraries/{name}"


def _is_fresh(kept: Supply, request: Request) -> bool:
    return (
        kept.version == __version__
        and kept.state == state_of(request)
        and (not kept.farm or os.path.isdir(kept.farm))
        and all(observe(one, request.environ).is_same(one) for one in kept.inputs)
    )
