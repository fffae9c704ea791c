"""Prefixes: the state of a virtual environment on disk, and making it anew.

A prefix that must be made anew is set aside first, as ``<prefix>/.nixpy/previous`` in the new
one, and put back when the new one cannot be made: the last good environment is never lost.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from typing import TYPE_CHECKING

from nixpy.errors import EnvironmentUnusable
from nixpy.inputs import observe_program
from nixpy.marker import (
    Marker,
    interpreter_of,
    is_conda,
    is_usable,
    marker_path,
    packages_mtime,
    read_marker,
    scope_of,
    write_marker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.marker import State
    from nixpy.process import Runner

__all__ = ["Prefix", "can_link", "link"]

ASIDE = ".nixpy-aside"
"""Suffix of the name that a prefix has for the instant between two renames."""


class Prefix:
    """A virtual environment at a real path, whether it is there yet or not.

    ``root`` is the real path of the workspace or project that it is for.
    """

    def __init__(self, path: str, root: str = "") -> None:
        self.path = path
        self.root = root
        self._previous = f"{path}/.nixpy/previous"

    @property
    def python(self) -> str:
        """The path that leads to its interpreter."""
        return interpreter_of(self.path)

    def read_marker(self) -> Marker | None:
        """Return the marker, or ``None`` where there is none or it is damaged."""
        return read_marker(self.path)

    def write_marker(self, state: State, fingerprint: str, manager: str) -> None:
        """Write the marker.

        Raises:
            OSError: it cannot be written.
        """
        if state == "synced":
            self._expect_compiled_modules()
        interpreter = observe_program(self.python).value
        marker = Marker(
            state,
            fingerprint,
            self.path,
            packages_mtime(self.path),
            manager,
            interpreter,
            self.root,
            scope_of(self.path),
        )
        write_marker(marker)

    def _expect_compiled_modules(self) -> None:
        """Make ``site-packages/__pycache__`` now.

        The first import of a distribution that is a single module would, and that would look as if
        something had been installed by hand.
        """
        for site in glob.glob(f"{glob.escape(self.path)}/lib/*/site-packages"):
            with contextlib.suppress(OSError):
                os.mkdir(f"{site}/__pycache__")

    def exists(self) -> bool:
        """Whether there is anything at the path."""
        return os.path.lexists(self.path)

    def is_environment(self) -> bool:
        """Whether it is an environment: PEP 405's (it has a ``pyvenv.cfg``), or conda's."""
        return self.is_virtual or self.is_conda

    @property
    def is_virtual(self) -> bool:
        """Whether it is a virtual environment (PEP 405)."""
        return os.path.isfile(f"{self.path}/pyvenv.cfg")

    @property
    def is_conda(self) -> bool:
        """Whether it is a conda environment."""
        return is_conda(self.path)

    @property
    def is_free_threaded(self) -> bool:
        """Whether its interpreter has no global lock (PEP 703): its library is named so."""
        return bool(glob.glob(f"{glob.escape(self.path)}/lib/python*t"))

    def runs(self) -> bool:
        """Whether its interpreter is there: a collected one leaves a dangling link."""
        return is_usable(self.path)

    def configuration(self) -> dict[str, str]:
        """Return the keys of ``pyvenv.cfg`` (PEP 405), lower case; none if it cannot be read."""
        try:
            with open(f"{self.path}/pyvenv.cfg", encoding="utf-8", errors="replace") as file:
                lines = [line.partition("=") for line in file if "=" in line]
        except OSError:
            return {}
        return {key.strip().lower(): value.strip() for key, _, value in lines}

    def version(self) -> str | None:
        """Return the interpreter's version as ``pyvenv.cfg`` or conda's records have it."""
        if self.is_conda:
            # The records of packages are named NAME-VERSION-BUILD.json.
            records = glob.glob("python-[0-9]*.json", root_dir=f"{self.path}/conda-meta")
            return records[0].split("-")[1] if records else None
        keys = self.configuration()
        version = keys.get("version_info") or keys.get("version")
        return ".".join(version.split(".")[:3]) if version else None

    def remove_marker(self) -> None:
        """Remove the marker: nixpy has not synced this prefix."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(marker_path(self.path))

    def remove_debris(self) -> None:
        """Remove what a manager that was killed while it removed a distribution has left.

        A ``.dist-info`` directory without ``METADATA`` is of no distribution (Recording installed
        projects, "The .dist-info directory"), and stands in the way of the next one.
        """
        below = glob.escape(self.path)
        for path in glob.glob(f"{below}/lib/*/site-packages/*.dist-info"):
            if not os.path.exists(f"{path}/METADATA"):
                shutil.rmtree(path)

    def matches_its_interpreter(self, runner: Runner, environ: Mapping[str, str]) -> bool:
        """Whether the base interpreter is of the version that the prefix was made with.

        A distribution's upgrade replaces ``/usr/bin/python3`` by another version in place, and
        leaves ``lib/python3.X`` behind. Asked only where its identity changed.
        """
        marker = self.read_marker()
        if (
            self.is_conda
            or marker is None
            or marker.interpreter == observe_program(self.python).value
        ):
            return True
        argv = [self.python, "-I", "-c", "import platform; print(platform.python_version())"]
        try:
            done = runner.capture(argv, cwd="/", environ=environ, timeout=10)
        except OSError:
            return False
        made_with = (self.version() or "").split(".")[:2]
        return done.status == 0 and done.stdout.strip().split(".")[:2] == made_with

    def check_usable(self) -> None:
        """Check that the path can be, or become, an environment on ``PATH``.

        Raises:
            EnvironmentUnusable: it holds something else, or has a colon in it.
        """
        if ":" in self.path:
            raise EnvironmentUnusable(
                "the path has a colon, which PATH cannot hold",
                where=self.path,
                next='Rename the directory, or say `venv = "central"` in [tool.nixpy].',
            )
        if not self.exists() or self.is_environment() or self.read_marker():
            return
        if os.path.isdir(self.path) and set(os.listdir(self.path)) <= {".nixpy", ".gitignore"}:
            return
        raise EnvironmentUnusable(
            "exists and is no virtual or conda environment",
            where=self.path,
            next='Move it away, or name another place: `venv = "…"` in [tool.nixpy].',
        )

    def repair_renames(self) -> None:
        """Finish or undo what a kill between two renames left behind."""
        aside = self.path + ASIDE
        if not os.path.lexists(aside):
            return
        if not self.exists():
            os.rename(aside, self.path)
        elif not os.path.lexists(self._previous):
            os.makedirs(os.path.dirname(self._previous), exist_ok=True)
            os.rename(aside, self._previous)
        else:
            shutil.rmtree(aside)

    @contextlib.contextmanager
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


def can_link(place: str, prefix: str) -> bool:
    """Return whether ``place`` is, or can become, a link to a central prefix.

    A link that leads to another central environment is replaced; anything else is the user's.
    """
    if os.path.islink(place):
        return os.path.dirname(os.path.realpath(place)) == os.path.dirname(prefix)
    return not os.path.lexists(place) and os.access(os.path.dirname(place), os.W_OK)


def link(place: str, prefix: str) -> None:
    """Make ``place`` a link to a central prefix, where :func:`can_link` allows it."""
    if not can_link(place, prefix) or os.path.realpath(place) == prefix:
        return
    with contextlib.suppress(OSError):
        if os.path.islink(place):
            os.unlink(place)
        os.symlink(prefix, place)
