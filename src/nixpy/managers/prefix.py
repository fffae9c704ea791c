"""Prefixes: the state of a virtual environment on disk, its marker, and making it anew.

The marker, ``<prefix>/.nixpy/marker``, says to which fingerprint the prefix was synced, at which
path, and that the sync ended. It is written before anything in the prefix changes (``syncing``)
and after everything has (``synced``), so that a sync that was killed is known as such.

A prefix that must be made anew is set aside first, as ``<prefix>/.nixpy/previous`` in the new
one, and put back when the new one cannot be made: the last good environment is never lost.
"""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from nixpy import cache
from nixpy.errors import EnvironmentUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Marker", "Prefix"]

State = Literal["syncing", "synced"]

ASIDE = ".nixpy-aside"
"""Suffix of the name that a prefix has for the instant between two renames."""


class Marker(NamedTuple):
    """What nixpy wrote into a prefix.

    Attributes:
        state: whether the last sync ended.
        fingerprint: of what it was synced to; empty before the first sync has ended.
        prefix: real path of the prefix when it was made.
        packages_mtime: modification time of ``site-packages`` in nanoseconds after the sync; it
            changes when a distribution is installed or removed.
        manager: what made it.
    """

    state: State
    fingerprint: str
    prefix: str
    packages_mtime: int
    manager: str


class Prefix:
    """A virtual environment at a real path, whether it is there yet or not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.marker_path = f"{path}/.nixpy/marker"
        self.python = f"{path}/bin/python"
        self._previous = f"{path}/.nixpy/previous"

    def read_marker(self) -> Marker | None:
        """Return the marker, or ``None`` where there is none or it is damaged."""
        try:
            with open(self.marker_path, "rb") as file:
                fields = cache.decode(file.read())
            if fields is None:
                return None
            state, fingerprint, prefix, mtime, manager = fields
        except (OSError, ValueError):
            return None
        if state not in {"syncing", "synced"}:
            return None
        return Marker(state, fingerprint, prefix, int(mtime), manager)  # type: ignore[arg-type]

    def write_marker(self, state: State, fingerprint: str, manager: str) -> None:
        """Write the marker.

        Raises:
            OSError: it cannot be written.
        """
        os.makedirs(os.path.dirname(self.marker_path), exist_ok=True)
        marker = Marker(state, fingerprint, self.path, self.packages_mtime(), manager)
        cache.write_private(self.marker_path, cache.encode(map(str, marker)))

    def marker_mtime(self) -> int:
        """Return the marker's modification time in nanoseconds, or -1."""
        try:
            return os.stat(self.marker_path).st_mtime_ns
        except OSError:
            return -1

    def packages_mtime(self) -> int:
        """Return the newest modification time of a ``site-packages``, in nanoseconds, or -1."""
        times = [
            os.stat(path).st_mtime_ns
            for path in glob.glob(f"{glob.escape(self.path)}/lib/python*/site-packages")
        ]
        return max(times, default=-1)

    def exists(self) -> bool:
        """Whether there is anything at the path."""
        return os.path.lexists(self.path)

    def is_environment(self) -> bool:
        """Whether it is a virtual environment (PEP 405: it has a ``pyvenv.cfg``)."""
        return os.path.isfile(f"{self.path}/pyvenv.cfg")

    def runs(self) -> bool:
        """Whether its interpreter is there: a collected one leaves a dangling link."""
        return os.access(self.python, os.X_OK)

    def configuration(self) -> dict[str, str]:
        """Return the keys of ``pyvenv.cfg`` (PEP 405), lower case; none if it cannot be read."""
        try:
            with open(f"{self.path}/pyvenv.cfg", encoding="utf-8", errors="replace") as file:
                lines = [line.partition("=") for line in file if "=" in line]
        except OSError:
            return {}
        return {key.strip().lower(): value.strip() for key, _, value in lines}

    def version(self) -> str | None:
        """Return the interpreter's version as ``pyvenv.cfg`` has it (uv and venv differ)."""
        keys = self.configuration()
        version = keys.get("version_info") or keys.get("version")
        return ".".join(version.split(".")[:3]) if version else None

    def is_synced_to(self, fingerprint: str) -> bool:
        """Whether the last sync ended, here, at this fingerprint, and nothing was removed since."""
        marker = self.read_marker()
        return (
            marker is not None
            and marker.state == "synced"
            and marker.fingerprint == fingerprint
            and marker.prefix == self.path
            and self.runs()
        )

    def check_usable(self) -> None:
        """Check that the path can be, or become, an environment on ``PATH``.

        Raises:
            EnvironmentUnusable: it holds something else, or has a colon in it.
        """
        if ":" in self.path:
            raise EnvironmentUnusable(
                "the path has a colon, which PATH cannot hold",
                where=self.path,
                next="Rename the directory, or say `venv = \"central\"` in [tool.nixpy].",
            )
        if not self.exists() or self.is_environment() or self.read_marker():
            return
        if os.path.isdir(self.path) and set(os.listdir(self.path)) <= {".nixpy", ".gitignore"}:
            return
        raise EnvironmentUnusable(
            "exists and is no virtual environment",
            where=self.path,
            next="Move it away, or name another place: `venv = \"…\"` in [tool.nixpy].",
        )

    def repair_renames(self) -> None:
        """Finish or undo what a kill between two renames left behind."""
        aside = self.path + ASIDE
        if not os.path.lexists(aside):
            return
        if not self.exists():
            os.rename(aside, self.path)
        elif os.path.isdir(f"{self.path}/.nixpy") and not os.path.lexists(self._previous):
            os.rename(aside, self._previous)
        else:
            shutil.rmtree(aside)

    @contextmanager
    def made_anew(self, manager: str) -> Iterator[None]:
        """Make the prefix anew inside the block; on an error the previous one is put back.

        Raises:
            OSError: it cannot be set aside.
        """
        if os.path.lexists(self._previous):
            # The sync that set it aside was killed: what is here now never was good.
            self._discard_current()
        elif self.exists():
            self._set_aside()
        self.write_marker("syncing", "", manager)
        try:
            yield
        except BaseException:
            if os.path.lexists(self._previous):
                self._put_back()
            raise
        shutil.rmtree(self._previous, ignore_errors=True)

    @property
    def has_previous(self) -> bool:
        """Whether an earlier environment lies aside, because making this one was killed."""
        return os.path.lexists(self._previous)

    def _set_aside(self) -> None:
        aside = self.path + ASIDE
        os.rename(self.path, aside)
        os.makedirs(os.path.dirname(self._previous))
        os.rename(aside, self._previous)

    def _discard_current(self) -> None:
        for name in os.listdir(self.path):
            path = f"{self.path}/{name}"
            if name == ".nixpy":
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def _put_back(self) -> None:
        aside = self.path + ASIDE
        os.rename(self._previous, aside)
        shutil.rmtree(self.path)
        os.rename(aside, self.path)
