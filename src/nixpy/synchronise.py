"""Sync: bring a prefix to what a plan says, under its lock, losing nothing (DESIGN.md, section 8).

What is there is changed in place where that is safe. It is made anew, with the old one set aside
until the new one is done, where it is no environment any more: its interpreter is gone, it was
moved, another Python is asked for, or a sync of it was killed.
"""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from nixpy.errors import EnvironmentUnusable, NixpyError, SyncFailed
from nixpy.interpreter import choose_interpreter, interpreter_not_found, satisfies
from nixpy.logs import cause_of, log_lines, log_path, open_log
from nixpy.managers import Session, find_manager
from nixpy.managers.prefix import Prefix, link
from nixpy.managers.uv import find_uv
from nixpy.marker import packages_mtime, write_marker
from nixpy.places import CONDA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixpy.interpreter import Request
    from nixpy.managers import Plan
    from nixpy.process import Runner

__all__ = ["synchronise"]

IN_FORCE = (
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "NIXPY_PROJECT",
    "NIXPY_STALE",
    "PYTHONHOME",
    "UV_PROJECT_ENVIRONMENT",
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "__PYVENV_LAUNCHER__",
)
"""Variables that would tell a manager of another environment than the one it works on."""


def synchronise(
    plan: Plan,
    *,
    manager: str,
    request: Request,
    name: str,
    environ: Mapping[str, str],
    runner: Runner,
    state_directory: str | None,
    cache_directory: str | None,
    keep_open: tuple[int, ...],
    settled: Callable[[], str],
) -> None:
    """Sync a prefix, whose lock is held.

    Args:
        plan: what is to be there.
        manager: name of the manager.
        request: which interpreter is asked for.
        name: what a prompt shows.
        environ: the caller's environment.
        runner: starts programs.
        state_directory: where logs lie.
        cache_directory: where exports of other tools' lock files lie.
        keep_open: descriptors for the manager to inherit.
        settled: called once the manager has succeeded; returns the fingerprint that the prefix is
            synced to, which includes the lock files that the manager wrote.

    Raises:
        SyncFailed: the manager failed. What was there before is there again.
        InterpreterNotFound: no interpreter satisfies the request.
        EnvironmentUnusable: the prefix cannot be made.
    """
    prefix = Prefix(plan.prefix, plan.root)
    prefix.check_usable()
    with open_log(log_path(state_directory, plan.prefix), plan.prefix) as log:
        session = Session(
            runner=runner,
            environ=_manager_environment(environ, plan.prefix),
            log=log,
            uv=find_uv(environ, plan.prefix),
            cache=cache_directory,
            keep_open=keep_open,
        )
        try:
            _Work(plan, prefix, manager, request, name, session, settled).run()
        except OSError as error:
            raise EnvironmentUnusable(
                f"cannot be written: {error.strerror}",
                where=str(error.filename or plan.prefix),
                next='Make room, or make it writable; `venv = "central"` puts it elsewhere.',
            ) from None
        if plan.is_central:
            link(f"{plan.root}/{CONDA if plan.conda else '.venv'}", plan.prefix)


class _Work:
    """One sync of one prefix, under its lock."""

    def __init__(
        self,
        plan: Plan,
        prefix: Prefix,
        manager: str,
        request: Request,
        name: str,
        session: Session,
        settled: Callable[[], str],
    ) -> None:
        self.plan = plan
        self.prefix = prefix
        self.manager = manager
        self.request = request
        self.name = name
        self.session = session
        self.settled = settled

    def run(self) -> None:
        """Bring the prefix to what the plan says."""
        self.prefix.repair_renames()
        why = self._why_anew()
        if why is None:
            why = self._changed_in_place()
        if why is not None:
            self._made_anew(why)

    def _changed_in_place(self) -> str | None:
        """Change what is installed; return why that cannot be, or ``None`` when it is done."""
        marker = self.prefix.read_marker()
        if marker is None or marker.state == "synced":
            self._change(self.plan)
            return None
        # A sync was killed; what it was about to replace may be there in half.
        self.prefix.remove_debris()
        try:
            self._change(replace(self.plan, reinstall=True))
        except SyncFailed:
            return "an earlier sync of it did not end"
        return None

    def _made_anew(self, why: str) -> None:
        self.session.log.write(os.fsencode(f"making {self.plan.prefix} anew: {why}\n"))
        manager = find_manager(self.manager)
        interpreter = self._interpreter() if manager.makes == "virtual" else ""
        with self.prefix.made_anew(self.manager):
            status = manager.create(
                interpreter, self.plan.prefix, name=self.name, session=self.session
            )
            if status and interpreter and not os.path.isabs(interpreter):
                raise interpreter_not_found(
                    self.request, self.session.runner, self.session.environ, self.plan.directory
                )
            self._check(status, "making the environment")
            self._check(manager.install(self.plan, self.session), "installing")
            self.prefix.write_marker("synced", self.settled(), self.manager)

    def _why_anew(self) -> str | None:
        prefix = self.prefix
        marker = prefix.read_marker()
        makes = find_manager(self.manager).makes
        if not prefix.is_environment():
            return "there is none"
        if not (prefix.is_virtual if makes == "virtual" else prefix.is_conda):
            return f"it is another kind of environment than the {makes} one that is asked for"
        if prefix.has_previous or (
            marker and marker.state == "syncing" and (self.plan.exact or not marker.fingerprint)
        ):
            return "an earlier sync of it did not end"
        if not prefix.runs():
            return "its interpreter is gone"
        if marker and marker.prefix != prefix.path:
            return f"it was made at {marker.prefix}"
        if self.manager == "pip" and not glob.glob(
            f"{glob.escape(prefix.path)}/lib/python*/site-packages/pip"
        ):
            return "it has no pip"
        if makes == "conda":
            return None
        session = self.session
        runner, environ = session.runner, session.environ
        if not prefix.matches_its_interpreter(runner, environ):
            return "its interpreter was replaced by one of another version"
        if not satisfies(prefix, self.request, uv=session.uv, runner=runner, environ=environ):
            return f"its Python is {prefix.version()}, and {self.request} is asked for"
        return None

    def _interpreter(self) -> str:
        session = self.session
        return choose_interpreter(
            self.request,
            uv=session.uv,
            runner=session.runner,
            environ=session.environ,
            cwd=self.plan.directory,
        )

    def _change(self, plan: Plan) -> None:
        prefix = self.prefix
        before = prefix.read_marker()
        packages = packages_mtime(prefix.path)
        prefix.write_marker("syncing", before.fingerprint if before else "", self.manager)
        status = 1
        try:
            status = find_manager(self.manager).install(plan, self.session)
            self._check(status, "installing")
        except NixpyError as error:
            # One that was killed may have been removing a package, file by file.
            is_dirty = status < 0 or (isinstance(error, SyncFailed) and error.is_dirty)
            if not is_dirty and packages_mtime(prefix.path) == packages:
                # It failed before it changed anything: what was good still is.
                if before:
                    write_marker(before)
                else:
                    prefix.remove_marker()
            raise
        prefix.write_marker("synced", self.settled(), self.manager)

    def _check(self, status: int, doing: str) -> None:
        if status == 0:
            return
        path = self.session.log_path
        self.session.log.flush()
        cause = cause_of(log_lines(path)) if path else ""
        ended = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        what = f"{self.manager} {ended} while {doing}"
        raise self.session.failure(f"{what}: {cause}" if cause else what)


def _manager_environment(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    result = {name: value for name, value in environ.items() if name not in IN_FORCE}
    path = result.get("PATH", os.defpath).split(os.pathsep)
    result["PATH"] = os.pathsep.join(one for one in path if one and one != f"{prefix}/bin")
    return result
