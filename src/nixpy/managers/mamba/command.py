"""The engine that is a program: mamba, micromamba or conda.

What they were seen to do wrong is not relied on: never ``create`` on what exists (``-y`` replaces
it), never ``-q`` (it hides the error), always an absolute prefix (a name would be taken for one of
``envs_dirs``), one more try after a segmentation fault, and a status of 0 proves nothing.
"""

from __future__ import annotations

import os
import signal
import tempfile
from typing import TYPE_CHECKING

from nixpy.managers.mamba.causes import cause, missing_names
from nixpy.managers.mamba.records import read_records
from nixpy.manifests.conda_configuration import without_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.errors import SyncFailed
    from nixpy.managers import Session
    from nixpy.managers.mamba.engine import Channels, Transaction
    from nixpy.managers.mamba.programs import Program

__all__ = ["Command"]

SEGMENTATION_FAULTS = frozenset({-signal.SIGSEGV, 128 + signal.SIGSEGV})
EXPLICIT = "@EXPLICIT"


class Command:
    """An engine that is a program (:class:`nixpy.managers.mamba.engine.Engine`)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.name = program.dialect.name
        self.version = program.version

    def carry_out(self, transaction: Transaction, channels: Channels, session: Session) -> None:
        """See :meth:`nixpy.managers.mamba.engine.Engine.carry_out`."""
        with tempfile.TemporaryDirectory(prefix="nixpy-conda-") as scratch:
            environ = self._environment(channels, scratch, session)
            for argv in self._commands(transaction, channels, scratch):
                self._run(argv, channels, environ, session)

    def known(self, names: Sequence[str], channels: Channels, session: Session) -> frozenset[str]:
        """See :meth:`nixpy.managers.mamba.engine.Engine.known`.

        A solver that is asked for all of them, without doing anything, says which do not exist.
        """
        left = frozenset(names)
        with tempfile.TemporaryDirectory(prefix="nixpy-conda-") as scratch:
            environ = self._environment(channels, scratch, session)
            while left:
                argv = [self.program.path, "create", "--dry-run", "--yes"]
                argv += ["--prefix", f"{scratch}/none", *self._sources(channels), *sorted(left)]
                done = session.runner.capture(argv, cwd="/", environ=environ, timeout=600)
                if done.status == 0:
                    return left
                missing = missing_names(done.stdout + "\n" + done.stderr) & left
                if not missing:
                    # What is there cannot all be installed at once: that is for the sync to say.
                    if "solve" in done.stderr or "nsatisfiable" in done.stdout + done.stderr:
                        return left
                    raise self._failure(done.stdout + "\n" + done.stderr, done.status, session)
                left -= missing
        return left

    def _commands(
        self, transaction: Transaction, channels: Channels, scratch: str
    ) -> list[list[str]]:
        """Return what to run, one after the other."""
        dialect = self.program.dialect
        target = ["--yes", "--prefix", transaction.prefix]
        there = {one.name for one in read_records(transaction.prefix)}
        commands: list[list[str]] = []
        specs = list(transaction.specs)
        superfluous = set(transaction.removed) & there
        if transaction.packages:
            path = f"{scratch}/explicit.txt"
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join((EXPLICIT, *map(_explicit, transaction.packages), "")))
            if transaction.exact:
                superfluous = there - {_name_of(one.url) for one in transaction.packages}
            specs = ["--file", path]
        elif transaction.reinstall:
            specs += sorted(there - {spec.split()[0] for spec in specs} - superfluous)
        if superfluous:
            remove = [self.program.path, "remove", *target]
            commands.append([*remove, *(["--offline"] if channels.is_offline else [])])
            commands[-1] += sorted(superfluous)
        if specs:
            install = [self.program.path, "install", *target, *self._sources(channels)]
            install += dialect.install if not transaction.packages else ()
            if transaction.reinstall:
                install.append(dialect.reinstall)
            commands.append([*install, *specs])
        return commands

    def _sources(self, channels: Channels) -> list[str]:
        """Return the arguments that say where packages come from.

        URLs with credentials stand in the configuration alone, which nobody else can read.
        """
        arguments = ["--offline"] if channels.is_offline else []
        if self.program.dialect.platform:
            arguments += [self.program.dialect.platform, channels.platform]
        if not _has_credentials(channels):
            arguments.append("--override-channels")
            for url in channels.urls:
                arguments += ["--channel", url]
        return arguments

    def _environment(self, channels: Channels, scratch: str, session: Session) -> dict[str, str]:
        """Return the variables for the program, with a configuration of our own in front."""
        import yaml

        environ = dict(session.environ)
        settings: dict[str, object] = {}
        theirs = environ.get("CONDARC", "")
        if os.path.isfile(theirs):
            with open(theirs, "rb") as file:
                settings = yaml.safe_load(file) or {}
        settings["channel_priority"] = channels.priority
        if _has_credentials(channels):
            settings["channels"] = list(channels.urls)
        if channels.caches:
            settings["pkgs_dirs"] = list(channels.caches)
        if channels.verifies is not True:
            settings["ssl_verify"] = channels.verifies
        path = f"{scratch}/condarc"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            yaml.safe_dump(settings, file)
        environ["CONDARC"] = path
        environ["CONDA_SUBDIR"] = channels.platform
        if channels.is_offline and not channels.caches and "CONDA_PKGS_DIRS" not in environ:
            # Offline, mamba 2 fails where its default cache does not exist yet.
            home = environ.get("HOME", "/")
            for cache in (f"{home}/.mamba/pkgs", f"{home}/.conda/pkgs"):
                if os.path.isdir(cache):
                    environ["CONDA_PKGS_DIRS"] = cache
        return environ

    def _run(
        self, argv: list[str], channels: Channels, environ: dict[str, str], session: Session
    ) -> None:
        start = _size(session)
        for _ in range(2):
            status = session.show(argv, cwd="/", environ=environ)
            if status not in SEGMENTATION_FAULTS:
                break
        if status:
            text = _since(session, start)
            for url in channels.urls:
                text = text.replace(url, without_credentials(url))
            if channels.is_offline and missing_names(text):
                # Offline, a channel whose index was never fetched has no packages at all.
                text = f"{cause(text)} (offline: perhaps it was never fetched)"
            raise self._failure(text, status, session)

    def _failure(self, text: str, status: int, session: Session) -> SyncFailed:
        ended = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return session.failure(f"{self.name} {ended}: {cause(text)}", is_dirty=status < 0)


def _explicit(package: object) -> str:
    url, sha256, md5 = (getattr(package, name) for name in ("url", "sha256", "md5"))
    # conda reads a bare digest as MD5; sha256 is known by its prefix.
    fragment = f"#{md5}" if md5 else f"#sha256:{sha256}" if sha256 else ""
    return f"{url}{fragment}"


def _name_of(url: str) -> str:
    return "-".join(url.rpartition("/")[2].split("-")[:-2])


def _has_credentials(channels: Channels) -> bool:
    return any(without_credentials(url) != url for url in channels.urls)


def _size(session: Session) -> int:
    session.log.flush()
    try:
        return os.fstat(session.log.fileno()).st_size
    except (OSError, AttributeError):
        return 0


def _since(session: Session, start: int) -> str:
    """Return what the log has got since it had a size."""
    session.log.flush()
    try:
        with open(str(session.log.name), "rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
