"""What the checks look at: each part is read when a check first asks for it, and once.

A part that is not there raises :class:`~nixpy.doctor.finding.Absent` with the reason, and whoever
asked is skipped for that reason.
"""

from __future__ import annotations

import glob
import json
import os
import re
import stat
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from nixpy import cache
from nixpy.activation import base_environment
from nixpy.directories import nixpy_directory
from nixpy.direnv import before_direnv
from nixpy.doctor.distributions import find_distributions
from nixpy.doctor.finding import Absent, Fix
from nixpy.doctor.locks import is_locked
from nixpy.doctor.once import once
from nixpy.errors import NixpyError, SyncFailed, one_line
from nixpy.files import DiskFiles
from nixpy.flags import parse_flags
from nixpy.inputs import ObservedFiles
from nixpy.lock import lock_path
from nixpy.managers.prefix import Prefix
from nixpy.marker import read_marker
from nixpy.nix.command import PLACES
from nixpy.nix.source import find_source, local_flake
from nixpy.options import load_options
from nixpy.process import SystemRunner, find_program
from nixpy.project import (
    MANIFEST_NAMES,
    Project,
    current_directory,
    envrc_arguments,
    find_project,
)
from nixpy.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nixpy.cache import Entry
    from nixpy.derivation import Derivation
    from nixpy.doctor.distributions import Distribution
    from nixpy.manifests.survey import Survey
    from nixpy.marker import Marker
    from nixpy.nix.dev_shell import DevShell
    from nixpy.nix.source import LocalFlake, Source
    from nixpy.options import Options
    from nixpy.process import Completed, Runner

__all__ = ["BUDGET", "Direnv", "Examination", "Nix"]

BUDGET = 2.0
"""Seconds that all programs together may take, as they run side by side."""

DEEP_BUDGET = 120.0
"""The same with ``--deep``."""

LONGEST_CHANGE = 600.0
"""Seconds that a program may take that is part of a fix."""

PROBE = """
import json, os, platform, sys
said = {
    "version": platform.python_version(),
    "implementation": sys.implementation.name,
    "prefix": sys.prefix,
    "base_prefix": sys.base_prefix,
    "executable": sys.executable,
    "path": sys.path,
    "filesystem_encoding": sys.getfilesystemencoding(),
}
try:
    import site
    said["user_site"] = site.getusersitepackages()
    said["user_site_enabled"] = site.ENABLE_USER_SITE
except Exception as error:
    said["site_error"] = repr(error)
try:
    import locale
    said["encoding"] = locale.getpreferredencoding(False)
    locale.setlocale(locale.LC_ALL, "")
except Exception as error:
    said["locale_error"] = str(error)
try:
    import ssl
    found = ssl.get_default_verify_paths()
    said["certificates"] = [found.cafile, found.capath]
    said["certificates_built_in"] = [found.openssl_cafile, found.openssl_capath]
except Exception as error:
    said["ssl_error"] = str(error)
print(json.dumps(said))
"""
"""What an interpreter is asked. It has to run with every Python that an environment can have."""


class Direnv(NamedTuple):
    """direnv: its program, and what it prints as its version."""

    path: str
    version: str


class Nix(NamedTuple):
    """Nix: its program, and what that says of itself."""

    path: str
    said: Completed

    @property
    def version(self) -> str:
        """Its version; empty where it does not say."""
        # Lix and Determinate Nix put a name, perhaps with a version, into the parentheses.
        match = re.search(r"\) (\d+\.\S+)", self.said.stdout)
        return match[1] if match else ""

    @property
    def release(self) -> tuple[int, ...]:
        """The first two numbers of its version; none where it does not say."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])


class Examination:
    """A directory, a user and a machine, as the checks see them.

    Args:
        environ: the variables.
        directory: where to look; the working directory by default.
        runner: starts programs.
        platform: :data:`sys.platform`.
        now: the time in seconds since the epoch.
        is_deep: whether what takes long is looked at too.
        root: in front of the paths of the system's own files (``/etc/…``).
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        directory: str | None = None,
        runner: Runner | None = None,
        platform: str = sys.platform,
        now: Callable[[], float] = time.time,
        is_deep: bool = False,
        root: str = "",
    ) -> None:
        self.kept: dict[str, Any] = {}
        self.environ = dict(environ)
        self.platform = platform
        self.is_deep = is_deep
        self.root = root
        self.now = now
        self._directory = directory
        self._runner = runner or SystemRunner()
        self._deadline = time.monotonic() + (DEEP_BUDGET if is_deep else BUDGET)

    @property
    def runner(self) -> Runner:
        """Starts programs; for a check, :meth:`ask` keeps the time."""
        return self._runner

    # The user and the machine

    @once
    def home(self) -> str:
        """The home directory."""
        home = self.environ.get("HOME", "")
        if not home.startswith("/"):
            raise Absent("HOME is not set")
        return home

    def program(self, name: str) -> str:
        """Return the path of a program on ``PATH``."""
        found = find_program(name, self.environ.get("PATH", ""))
        if found is None:
            raise Absent(f"{name} is not on PATH")
        return found

    def ask(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/",
        environ: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program that answers soon, and return what it said.

        Raises:
            Absent: it cannot be started, or it took too long.
        """
        name = os.path.basename(argv[0])
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Absent(f"no time was left to ask {name}")
        within = {**(self.environ if environ is None else environ), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = self._runner.capture(argv, cwd=cwd, environ=within, timeout=left)
        except OSError as error:
            raise Absent(f"{argv[0]} cannot be started: {error.strerror}") from None
        if done.status == -9 and "killed after" in done.stderr:  # noqa: PLR2004 - SIGKILL
            raise Absent(f"`{' '.join([name, *argv[1:3]])}` took longer than {left:.1f} s")
        return done

    @once
    def direnv(self) -> Direnv:
        """The direnv on ``PATH``."""
        path = self.program("direnv")
        return Direnv(path, self.ask([path, "version"]).stdout.strip())

    @once
    def direnv_status(self) -> dict[str, str]:
        """What direnv says of the project's directory, by its own titles."""
        done = self.ask([self.direnv.path, "status"], cwd=self.project.directory)
        if done.status:
            raise Absent(f"`direnv status` fails: {(done.stderr.splitlines() or ['?'])[-1]}")
        titles = ("Found RC path", "Found RC allowed", "Loaded RC path", "bash_path")
        return {
            title: line[len(title) + 1 :]
            for line in done.stdout.splitlines()
            for title in titles
            if line.startswith(title + " ")
        }

    @once
    def nix_program(self) -> str:
        """The Nix on ``PATH``, else where installers put it."""
        home = self.environ.get("HOME", "")
        places = (home + one[1:] if one[0] == "~" else self.root + one for one in PLACES)
        for path in (find_program("nix", self.environ.get("PATH", "")), *places):
            if path and os.access(path, os.X_OK):
                return path
        raise Absent("Nix is not installed")

    @once
    def nix(self) -> Nix:
        """Nix, and what it says of itself."""
        return Nix(self.nix_program, self.ask([self.nix_program, "--version"]))

    def read(self, path: str, most: int = 1_000_000) -> str | None:
        """Return the text of a file; ``None`` where it cannot be read."""
        try:
            # A pipe of this name would keep an open() that waits for its other end.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, encoding="utf-8", errors="surrogateescape") as file:
                return file.read(most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        except (OSError, ValueError):
            return None

    # nixpy's own places

    @once
    def cache(self) -> str:
        """The directory of nixpy's entries."""
        return self._place("cache")

    @once
    def state(self) -> str:
        """The directory of nixpy's logs and gc roots."""
        return self._place("state")

    def _place(self, purpose: Any) -> str:
        found = nixpy_directory(purpose, self.environ, self.platform)
        if found is None:
            raise Absent(f"HOME is not set, so there is no place for nixpy's {purpose}")
        return found

    # The project

    @once
    def directory(self) -> str:
        """The directory that is examined."""
        if self._directory is not None:
            return self._directory
        try:
            return current_directory(self.environ)
        except OSError:
            raise Absent("the working directory is gone") from None

    @once
    def project(self) -> Project:
        """The project that the directory lies in."""
        found = find_project(self.directory)
        if not self._is_project(found.directory):
            raise Absent(f"there is no project in {self.directory} or above it")
        return found

    def _is_project(self, directory: str) -> bool:
        return envrc_arguments(directory) is not None or any(
            os.path.exists(f"{directory}/{name}") for name in MANIFEST_NAMES
        )

    @once
    def has_envrc(self) -> bool:
        """Whether the project's ``.envrc`` says ``use nixpy``."""
        return envrc_arguments(self.project.directory) is not None

    @once
    def resolver(self) -> Resolver:
        """Reads projects; is never asked to sync, but by a fix."""
        return Resolver(environ=self.environ, runner=self._runner, platform=self.platform)

    @once
    def derived(self) -> Derivation | NixpyError:
        """All that follows from the project's files, or why nothing does."""
        project = self.project
        try:
            return self.resolver.derive(project, parse_flags(project.arguments), ObservedFiles())
        except NixpyError as error:
            return error

    @once
    def derivation(self) -> Derivation:
        """All that follows from the project's files."""
        if isinstance(self.derived, NixpyError):
            raise Absent(f"there is no decision: {one_line(self.derived)}")
        return self.derived

    @once
    def options(self) -> Options:
        """The project's options."""
        if not isinstance(self.derived, NixpyError):
            return self.derived.options
        project = self.project
        try:
            flags = parse_flags(project.arguments)
            return load_options(
                project.root, flags=flags, environ=self.environ, files=ObservedFiles()
            )
        except NixpyError as error:
            raise Absent(f"the options cannot be read: {one_line(error)}") from None

    @once
    def source(self) -> Source:
        """The dev shell that the project wants."""
        try:
            found = find_source(self.project.root, self.options, DiskFiles())
        except NixpyError as error:
            raise Absent(one_line(error)) from None
        if found is None:
            raise Absent("no dev shell is wanted here")
        return found

    @once
    def flake(self) -> LocalFlake:
        """The flake of the dev shell, which lies on this machine."""
        found = local_flake(self.source, self.project.root)
        if found is None:
            raise Absent(f"the dev shell, {self.source.reference}, is no flake of this machine")
        return found

    @once
    def dev_shell(self) -> DevShell:
        """The dev shell, as it was last evaluated."""
        found = self.resolver.dev_shells.kept(self.project.root, self.source, self.options)
        if found is None:
            raise Absent("the dev shell was not evaluated yet")
        return found

    @once
    def survey(self) -> Survey:
        """The project's manifests."""
        return self.derivation.survey

    @once
    def entry(self) -> Entry:
        """What the cache keeps for the project."""
        found = self.resolver.read_entry(self.project)
        if found is None:
            raise Absent("the cache has no entry for this project yet")
        return found

    @once
    def entry_directory(self) -> str:
        """Where the project's entry lies, or would."""
        found = cache.entry_directory(self.cache, self.project.directory, self.project.arguments)
        if found is None:
            raise Absent("the project's path is too long for an entry")
        return found

    # The environment

    @once
    def planned_prefix(self) -> Prefix:
        """Where the project's environment lies, or would."""
        plan = self.derivation.plan
        if plan is None:
            raise Absent(f"no environment is needed: {self.derivation.decision.reason}")
        return Prefix(plan.prefix, plan.root)

    @once
    def prefix(self) -> Prefix:
        """The project's environment, which is there, if not in order."""
        found = self.planned_prefix
        if not found.is_environment():
            raise Absent(f"{found.path} is not made yet")
        return found

    @once
    def marker(self) -> Marker:
        """What nixpy wrote into the environment."""
        found = read_marker(self.prefix.path)
        if found is None:
            raise Absent(f"{self.prefix.path} was not made by nixpy")
        return found

    @once
    def python(self) -> str:
        """The environment's interpreter, which is there."""
        python = self.prefix.python
        if not os.access(python, os.X_OK):
            raise Absent(f"{python} cannot be executed")
        return python

    @once
    def is_in_force(self) -> bool:
        """Whether the variables are those of the project's environment."""
        return self.environ.get("NIXPY_PROJECT") == self.project.root

    @once
    def outside(self) -> dict[str, str]:
        """The variables as they are outside of any environment of direnv's or nixpy's."""
        return dict(before_direnv(base_environment(self.environ)))

    @once
    def inside(self) -> dict[str, str]:
        """The variables as they are in the environment, also where it is not in force here."""
        if self.is_in_force:
            return self.environ
        return dict(self.derivation.environment.apply(self.outside))

    @once
    def probed(self) -> dict[str, Any]:
        """What the environment's interpreter says of itself, with the environment's variables."""
        done = self.ask([self.python, "-c", PROBE], environ=self.inside)
        try:
            said = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise Absent(f"{self.python} does not run: {last}") from None
        assert isinstance(said, dict)
        return said

    @once
    def site_packages(self) -> tuple[str, ...]:
        """The environment's own directories of packages."""
        below = glob.escape(self.prefix.path)
        found = sorted(glob.glob(f"{below}/lib/*/site-packages"))
        if not found:
            raise Absent(f"{self.prefix.path} has no site-packages")
        return tuple(found)

    @once
    def distributions(self) -> tuple[Distribution, ...]:
        """What is installed in the environment."""
        return tuple(one for site in self.site_packages for one in find_distributions(site))

    def shown(self, path: str) -> str:
        """Return a path relative to the project where it lies below it."""
        try:
            return path.removeprefix(self.project.root.rstrip("/") + "/")
        except Absent:
            return path

    @once
    def is_being_synced(self) -> bool:
        """Whether somebody holds the environment's lock."""
        return is_locked(lock_path(self.cache, self.planned_prefix.path))

    # Fixes

    def sync_fix(self) -> Fix:
        """Return the fix that is a sync."""
        return Fix(f"sync {self.planned_prefix.path}", self.sync)

    def change(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> None:
        """Run a program that is part of a fix, for as long as that takes.

        Raises:
            SyncFailed: it fails.
            OSError: it cannot be started.
        """
        done = self._runner.capture(argv, cwd="/", environ=environ, timeout=LONGEST_CHANGE)
        if done.status:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise SyncFailed(f"{' '.join(argv)} ended with status {done.status}: {last}", log=None)

    def sync(self) -> None:
        """Sync the project whatever is known; an environment that is bad is made anew.

        Raises:
            NixpyError: it fails; the environment is as it was.
        """
        resolver = Resolver(environ=self.environ, runner=self._runner, platform=self.platform)
        project = self.project
        resolution = resolver.resolve(project, parse_flags(project.arguments), sync="always")
        if resolution.error:
            raise resolution.error
