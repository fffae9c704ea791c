"""The dev shells of projects: read from their records, and evaluated where those are stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy import cache as entries
from nixpy.environment import Environment
from nixpy.errors import DevShellFailed, ToolMissing
from nixpy.inputs import Input, observe_program
from nixpy.lock import environment_lock, lock_path, longest_wait
from nixpy.logs import log_path, open_log
from nixpy.nix.command import PLACES, Nix, find_nix
from nixpy.nix.dev_shell import (
    DevShell,
    is_fresh,
    key_of,
    read_dev_shell,
    write_dev_shell,
)
from nixpy.nix.evaluation import Evaluation
from nixpy.nix.roots import new_roots, other_roots, remove_roots, roots_directory
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from nixpy.nix.source import Source
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["DevShells"]

MOST_SHOWN = 20_000
"""Bytes of a ``shellHook``'s output that are shown."""

MOST_LOGGED = 5_000_000
"""Bytes of it that are kept in the log."""


class DevShells:
    """The dev shells of one caller.

    Args:
        environ: the caller's environment, without any that nixpy has put in force.
        runner: starts programs.
        report: is told what a user should see, one line a call.
        show: gets what a ``shellHook`` prints.
        cache: nixpy's cache directory, for records; ``None`` where there is none.
        state: nixpy's state directory, for gc roots and logs; ``None`` where there is none.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        runner: Runner,
        report: Callable[[str], None],
        show: Callable[[bytes], None],
        cache: str | None,
        state: str | None,
    ) -> None:
        self.environ = environ
        self.runner = runner
        self.report = report
        self.show = show
        self.cache = cache
        self.state = state

    def kept(self, root: str, source: Source, options: Options) -> DevShell | None:
        """Return the dev shell as it was last evaluated, fresh or not; ``None`` if it never was."""
        path = self.record_path(root, source, options)
        return read_dev_shell(path) if path else None

    def record_path(self, root: str, source: Source, options: Options) -> str | None:
        """Return where the record of a dev shell lies, or would; ``None`` for no place."""
        if self.cache is None:
            return None
        holder = f"{self.cache}/projects{root}/@nixpy/{entries.SCHEMA}"
        return f"{holder}/dev-shells/{key_of(source, options)}"

    def is_current(self, root: str, source: Source, options: Options) -> bool:
        """Whether the dev shell need not be evaluated."""
        kept = self.kept(root, source, options)
        return kept is not None and is_fresh(kept, self.environ)

    def bring_up_to_date(
        self, root: str, source: Source, options: Options, *, force: bool = False
    ) -> DevShell:
        """Return the dev shell as it is now, evaluated if its record is stale.

        Raises:
            DevShellFailed: Nix could not evaluate or build it; the record is as it was.
            LockTimeout: somebody else evaluates it for too long.
        """
        path = self.record_path(root, source, options)
        if path is None or self.cache is None or self.state is None:
            raise DevShellFailed(
                "there is no place to keep the dev shell: HOME is not set",
                log=None,
                next="Set HOME, or XDG_CACHE_HOME and XDG_STATE_HOME.",
            )
        kept = read_dev_shell(path)
        if kept and not force and is_fresh(kept, self.environ):
            return kept
        try:
            lock = environment_lock(
                lock_path(self.cache, root),
                self.cache,
                report=self.report,
                longest_wait=longest_wait(self.environ),
            )
            with lock as held:
                kept = read_dev_shell(path) if held.waited else None
                if kept and is_fresh(kept, self.environ):
                    return kept
                found = self._evaluated(root, source, options, (held.descriptor,))
                write_dev_shell(path, self.cache, found)
        except OSError as error:
            raise DevShellFailed(
                f"the dev shell cannot be kept: {error.strerror}",
                where=str(error.filename or path),
                log=None,
                next="Make room, or make it writable.",
            ) from None
        for old in other_roots(roots_directory(self.state, root, path), found.roots):
            remove_roots(old)
        return found

    def _evaluated(
        self, root: str, source: Source, options: Options, keep_open: tuple[int, ...]
    ) -> DevShell:
        assert self.state is not None
        may_be_without = not source.is_asked_for and self.kept(root, source, options) is None
        try:
            program = find_nix(self.environ)
        except ToolMissing as error:
            if may_be_without:
                places = (place.replace("~", self.environ.get("HOME", ""), 1) for place in PLACES)
                return _none(source, str(error.what), tuple(map(observe_program, places)))
            raise DevShellFailed(error.what, log=None, next=error.next) from None
        record = self.record_path(root, source, options) or ""
        log_name = log_path(self.state, record)
        roots = new_roots(roots_directory(self.state, root, record), root)
        try:
            with open_log(log_name, root) as log:
                nix = Nix(
                    program,
                    root,
                    environ=self.environ,
                    runner=self.runner,
                    log=log,
                    report=self.report,
                    keep_open=keep_open,
                )
                return Evaluation(
                    source=source,
                    root=root,
                    options=options,
                    nix=nix,
                    runner=self.runner,
                    environ=self.environ,
                    roots=roots,
                    heard=_Shown(log, self.show).hear,
                ).result()
        except BaseException as error:
            remove_roots(roots)
            if isinstance(error, DevShellFailed) and error.is_absent and may_be_without:
                return _none(source, error.what, error.inputs)
            raise


def _none(source: Source, why: str, inputs: tuple[Input, ...]) -> DevShell:
    """Return the record that there is no dev shell, which holds until that may have changed."""
    return DevShell(
        version=__version__,
        reference=source.reference,
        roots="",
        environment=Environment(),
        interpreter=None,
        inputs=tuple({one[:2]: one._replace(syncs=False) for one in inputs}.values()),
        notices=(why,),
    )


class _Shown:
    """Shows the beginning of what a ``shellHook`` prints, and keeps more of it in the log."""

    def __init__(self, log: BinaryIO, show: Callable[[bytes], None]) -> None:
        self.log = log
        self.show = show
        self.heard = 0

    def hear(self, piece: bytes) -> None:
        """Take in a piece of output."""
        before, self.heard = self.heard, self.heard + len(piece)
        self.show(piece[: max(0, MOST_SHOWN - before)])
        self.log.write(piece[: max(0, MOST_LOGGED - before)])
        if before < MOST_SHOWN <= self.heard:
            name = getattr(self.log, "name", "the log")
            self.show(f"\nnixpy: the shellHook prints more than that: see {name}\n".encode())
