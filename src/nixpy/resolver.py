"""The pipeline: directory → inputs → decision → sync → environment → entry (DESIGN.md, section 2).

The one place where the parts meet.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nixpy import cache
from nixpy.activation import base_environment
from nixpy.composition import prompt_of
from nixpy.derivation import derive, settled
from nixpy.directories import nixpy_directory
from nixpy.direnv import before_direnv
from nixpy.environment import Environment, Set
from nixpy.errors import (
    DevShellFailed,
    EnvironmentUnusable,
    LibrariesFailed,
    NixpyError,
    SyncFailed,
    one_line,
)
from nixpy.freshness import keep_entry
from nixpy.inputs import Input, ObservedFiles, observe_variable
from nixpy.libraries.cuda.driver import driver_inputs, extras_for, kept_driver
from nixpy.libraries.launcher import remove_broken_launcher
from nixpy.libraries.record import LIBRARY_PATH
from nixpy.libraries.request import Request
from nixpy.libraries.scope import undo_scope
from nixpy.libraries.supply import Libraries
from nixpy.lock import Held, environment_lock, lock_path, longest_wait
from nixpy.managers.mamba.activation import Activations
from nixpy.managers.prefix import Prefix
from nixpy.manifests.survey import survey
from nixpy.marker import (
    is_synced_to,
    is_usable,
    marker_mtime,
    scope_of,
    was_changed_by_hand,
)
from nixpy.nix.kept import DevShells
from nixpy.nix.source import find_source
from nixpy.options import load_options
from nixpy.process import SystemRunner, has_terminal
from nixpy.project import Project, current_directory, find_project
from nixpy.synchronise import synchronise
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nixpy.derivation import Derivation
    from nixpy.manifests.survey import Survey
    from nixpy.nix.source import Source
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["Resolution", "Resolver", "SyncMode", "resolve"]

SyncMode = Literal["auto", "never", "asked", "always"]
"""When to start a manager: when an input changed (and the option ``sync`` is not ``manual``);
never; as a user who asks for a sync expects, also when packages were changed by hand; always."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a directory's environment is.

    Attributes:
        project: the directory.
        environment: what to change in a shell; ``None`` where there is none to fall back on.
        inputs: everything that was looked at; what a change of makes all this stale.
        manager: ``uv``, ``pip`` or ``none``; empty where no decision was reached.
        reason: the decision's reason, one sentence.
        rests_on: paths of the manifests and lock files that the decision rests on.
        passed_over: paths of manifests that another rule would have chosen.
        prefix: real path of the virtual environment; empty where there is none.
        fingerprint: digest over all inputs; empty where none was reached.
        synced: whether a manager ran, and succeeded.
        stale: why the environment is the last good one and not today's; else ``None``.
        error: the error behind ``stale``, or why there is no environment.
        has_dev_shell: whether ``environment`` holds a dev shell's variables.
    """

    project: Project
    environment: Environment | None
    inputs: tuple[Input, ...]
    manager: str = ""
    reason: str = ""
    rests_on: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    prefix: str = ""
    fingerprint: str = ""
    synced: bool = False
    stale: str | None = None
    error: NixpyError | None = None
    has_dev_shell: bool = False


def resolve(
    directory: str | os.PathLike[str] | None = None,
    options: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    sync: SyncMode = "auto",
    strict: bool = False,
) -> Resolution:
    """Return the environment of a project, synced where something changed.

    Args:
        directory: a directory in the project; the current one by default.
        options: values by option name that go before all others, as flags do.
        environ: the caller's environment; :data:`os.environ` by default.
        sync: when to start a manager.
        strict: raise also where the last good environment could be given.

    Raises:
        NixpyError: there is no environment, or, with ``strict``, only an old one.
    """
    environ = os.environ if environ is None else environ
    start = current_directory(environ) if directory is None else os.path.abspath(directory)
    resolver = Resolver(environ=environ)
    resolution = resolver.resolve(find_project(start), options or {}, sync=sync)
    if resolution.error and (strict or resolution.environment is None):
        raise resolution.error
    return resolution


def silent(_: object) -> None:
    """Report nothing."""


class Resolver:
    """Resolves projects, for one caller.

    Args:
        environ: the caller's environment.
        runner: starts programs.
        report: is told what a user should see, one line a call.
        show: gets what a dev shell's ``shellHook`` prints.
        platform: :data:`sys.platform`.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        runner: Runner | None = None,
        report: Callable[[str], None] = silent,
        show: Callable[[bytes], None] = silent,
        platform: str = sys.platform,
    ) -> None:
        self.environ = base_environment(environ)
        self.runner = runner or SystemRunner()
        self.report = report
        self.platform = platform
        self.cache = nixpy_directory("cache", environ, platform)
        self.activations = Activations(
            runner=self.runner, report=report, show=show, cache=self.cache
        )
        self.libraries = Libraries(
            runner=self.runner,
            report=report,
            cache=self.cache,
            state=nixpy_directory("state", environ, platform),
            platform=platform,
        )
        self.dev_shells = DevShells(
            environ=before_direnv(self.environ),
            runner=self.runner,
            report=report,
            show=show,
            cache=self.cache,
            state=nixpy_directory("state", environ, platform),
        )

    def resolve(
        self,
        project: Project,
        flags: Mapping[str, object],
        *,
        sync: SyncMode = "auto",
    ) -> Resolution:
        """Return the environment of a project; never raises for what a user can mend.

        ``flags`` are the values of ``project.arguments``.
        """
        files = ObservedFiles()
        derivation = None
        synced = False
        failure: DevShellFailed | LibrariesFailed | None = None
        try:
            if sync != "never":
                failure = self._bring_dev_shell_up_to_date(project, flags, files, sync)
            derivation = self.derive(project, flags, files)
            if derivation.plan and not self._is_in_order(derivation, sync):
                derivation, synced = self._sync(project, flags, derivation, force=sync != "auto")
            derivation = self._with_activation(project, flags, derivation)
            if sync != "never":
                try:
                    derivation = self._with_libraries(project, flags, derivation, sync)
                except LibrariesFailed as error:
                    failure = failure or error
        except NixpyError as error:
            seen = derivation.inputs if derivation else files.inputs
            return self._last_good(project, derivation, seen, error)
        if failure:
            return _without_today_s(failure, project, derivation)
        self._keep(project, derivation)
        decision = derivation.decision
        return Resolution(
            project=project,
            environment=derivation.environment,
            inputs=derivation.inputs,
            manager=decision.manager,
            reason=decision.reason,
            rests_on=decision.rests_on,
            passed_over=decision.passed_over,
            prefix=derivation.plan.prefix if derivation.plan else "",
            fingerprint=derivation.fingerprint,
            synced=synced,
            has_dev_shell=derivation.dev_shell is not None,
        )

    def entry_directory(self, project: Project) -> str | None:
        """Return where the entry of a project lies; ``None`` where it has none."""
        if self.cache is None:
            return None
        return cache.entry_directory(self.cache, project.directory, project.arguments)

    def read_entry(self, project: Project) -> cache.Entry | None:
        """Return the entry of a project, whether it still holds or not."""
        directory = self.entry_directory(project)
        return cache.read_entry(directory) if directory else None

    def derive(
        self, project: Project, flags: Mapping[str, object], files: ObservedFiles | None = None
    ) -> Derivation:
        """Return all that follows from the files and variables; nothing is synced.

        Raises:
            NixpyError: options or manifests are malformed, or no rule of the decision holds.
        """
        files = files or ObservedFiles()
        options, source = self._options(project, flags, files)
        dev_shell = self.dev_shells.kept(project.root, source, options) if source else None
        options, observed = self._with_extras(options)
        return derive(
            project,
            options,
            source,
            dev_shell,
            files=files,
            environ=self.environ,
            platform=self.platform,
            activations=lambda prefix: self.activations.kept(project.root, prefix),
            libraries=lambda prefix: self.libraries.kept(project.root, prefix, options),
            observed=observed,
        )

    def survey(self, project: Project, flags: Mapping[str, object]) -> tuple[Survey, Options]:
        """Return what a project's directory holds, and its options; nothing is decided.

        Raises:
            NixpyError: options or manifests are malformed.
        """
        files = ObservedFiles()
        options, source = self._options(project, flags, files)
        dev_shell = self.dev_shells.kept(project.root, source, options) if source else None
        environ = dev_shell.environment.apply(self.environ) if dev_shell else self.environ
        found = survey(project.root, options, files=files, environ=environ, platform=self.platform)
        return found, options

    def restore_libraries(self, prefix: str) -> tuple[str, ...]:
        """Make the files of an environment what they were before libraries; return their paths.

        Raises:
            EnvironmentUnusable: they cannot be written.
        """
        with self.locked(prefix):
            try:
                return undo_scope(prefix)
            except OSError as error:
                raise EnvironmentUnusable(
                    f"cannot be restored: {error.strerror}",
                    where=str(error.filename or prefix),
                    next="Make it writable, or remove the environment and sync.",
                ) from None

    def _with_activation(
        self, project: Project, flags: Mapping[str, object], derivation: Derivation
    ) -> Derivation:
        """Return a derivation that has what activating its conda environment changes today."""
        plan = derivation.plan
        if plan is None or plan.conda is None:
            return derivation
        environ = derivation.within_dev_shell(before_direnv(self.environ))
        found = self.activations.bring_up_to_date(project.root, plan, derivation.outer, environ)
        return settled(derivation, self.derive(project, flags)) if found else derivation

    def _with_libraries(
        self,
        project: Project,
        flags: Mapping[str, object],
        derivation: Derivation,
        sync: SyncMode,
    ) -> Derivation:
        """Return a derivation that has the libraries which its environment misses today.

        Raises:
            LibrariesFailed: they cannot be supplied.
        """
        plan = derivation.plan
        if plan is None:
            return derivation
        request = library_request(project.root, derivation, self.environ)
        is_due = sync == "always" or not self.libraries.is_current(request)
        if not is_due or (sync == "auto" and derivation.options.sync == "manual"):
            return derivation
        with self.locked(plan.prefix) as held:
            keep_open = () if held.descriptor < 0 else (held.descriptor,)
            changed = self.libraries.bring_up_to_date(
                request, keep_open=keep_open, force=sync == "always"
            )
        return settled(derivation, self.derive(project, flags)) if changed else derivation

    def _with_extras(self, options: Options) -> tuple[Options, tuple[Input, ...]]:
        """Return options with the extras for the CUDA driver, and what that rests on."""
        if isinstance(options.cuda, str):
            return options, ()
        environ = before_direnv(self.environ)
        driver = kept_driver(self.cache, environ, self.runner)
        extras = (*options.extras, *extras_for(options.cuda, driver))
        observed = (*driver_inputs(environ), observe_variable(LIBRARY_PATH, environ))
        return replace(options, extras=tuple(dict.fromkeys(extras))), observed

    def _options(
        self, project: Project, flags: Mapping[str, object], files: ObservedFiles
    ) -> tuple[Options, Source | None]:
        options = load_options(project.root, flags=flags, environ=self.environ, files=files)
        return options, find_source(project.root, options, files)

    def _bring_dev_shell_up_to_date(
        self, project: Project, flags: Mapping[str, object], files: ObservedFiles, sync: SyncMode
    ) -> DevShellFailed | None:
        """Evaluate the dev shell if it is stale; return why that cannot be."""
        options, source = self._options(project, flags, files)
        if source is None:
            return None
        root = project.root
        try:
            if sync == "always" or not self.dev_shells.is_current(root, source, options):
                if sync == "auto" and options.sync == "manual":
                    return DevShellFailed(
                        "the dev shell's inputs changed, and syncing is manual",
                        log=None,
                        next="Run `nixpy sync`.",
                    )
                found = self.dev_shells.bring_up_to_date(
                    root, source, options, force=sync == "always"
                )
                for notice in found.notices:
                    self.report(notice)
        except DevShellFailed as error:
            return error
        return None

    def _is_in_order(self, derivation: Derivation, sync: SyncMode) -> bool:
        if sync == "never":
            return True
        assert derivation.plan is not None
        prefix = derivation.plan.prefix
        if sync == "always" or not is_synced_to(prefix, derivation.synced):
            if sync == "auto" and derivation.options.sync == "manual":
                raise SyncFailed(
                    "inputs changed since the last sync, and syncing is manual",
                    log=None,
                    next="Run `nixpy sync`.",
                )
            return False
        return sync == "auto" or not was_changed_by_hand(prefix)

    def _sync(
        self,
        project: Project,
        flags: Mapping[str, object],
        before: Derivation,
        *,
        force: bool,
    ) -> tuple[Derivation, bool]:
        """Sync under the lock; return the state afterwards, and whether a manager ran."""
        plan = before.plan
        assert plan is not None
        with self.locked(plan.prefix) as held:
            if held.waited:
                # Whoever had it may have done the work, and written lock files.
                before = self.derive(project, flags)
                plan = before.plan
                if plan is None or (not force and is_synced_to(plan.prefix, before.synced)):
                    return before, False
            after = before
            with contextlib.suppress(OSError):
                remove_broken_launcher(plan.prefix)  # no manager could start it either

            def look_again() -> str:
                nonlocal after
                after = settled(before, self.derive(project, flags))
                return after.synced

            started = time.monotonic()
            manager = before.decision.manager
            if has_terminal():
                self.report(f"syncing with {manager}: {before.decision.reason}")
            synchronise(
                plan,
                manager=manager,
                request=before.request,
                name=prompt_of(before.survey.root),
                environ=before.within_dev_shell(self.environ),
                runner=self.runner,
                state_directory=nixpy_directory("state", self.environ, self.platform),
                cache_directory=self.cache,
                keep_open=() if held.descriptor < 0 else (held.descriptor,),
                settled=look_again,
            )
        took = f"synced with {manager} in {time.monotonic() - started:.1f} s"
        self.report("; ".join((took, *after.notices)))
        return after, True

    @contextlib.contextmanager
    def locked(self, prefix: str) -> Iterator[Held]:
        """Hold the lock of an environment inside the block, or none where there is no cache.

        Raises:
            LockTimeout: somebody holds it for too long.
        """
        with contextlib.ExitStack() as stack:
            held = Held(-1, waited=False)
            if self.cache is not None:
                lock = environment_lock(
                    lock_path(self.cache, prefix),
                    self.cache,
                    report=self.report,
                    longest_wait=longest_wait(self.environ),
                )
                try:
                    held = stack.enter_context(lock)
                except OSError as error:
                    self.report(f"syncing without a lock: {error.filename}: {error.strerror}")
            yield held

    def _keep(self, project: Project, derivation: Derivation) -> None:
        directory = self.entry_directory(project)
        if directory is None or self.cache is None:
            return
        prefix = derivation.plan.prefix if derivation.plan else ""
        if prefix and not is_synced_to(prefix, derivation.synced):
            return
        source = derivation.source
        if source and not self.dev_shells.is_current(project.root, source, derivation.options):
            return
        if prefix and not self.libraries.is_current(
            library_request(project.root, derivation, self.environ)
        ):
            return
        decision = derivation.decision
        entry = cache.Entry(
            version=__version__,
            root=project.root,
            fingerprint=derivation.fingerprint,
            manager=decision.manager,
            reason=decision.reason,
            rests_on=decision.rests_on,
            passed_over=decision.passed_over,
            prefix=prefix,
            synced=derivation.synced if prefix else "",
            marker_mtime=marker_mtime(prefix) if prefix else -1,
            inputs=derivation.inputs,
            operations=derivation.environment,
            scope=scope_of(prefix),
        )
        try:
            keep_entry(directory, self.cache, entry)
        except OSError as error:
            self.report(
                f"cannot keep the entry, so each cd looks at everything again: "
                f"{error.filename or directory}: {error.strerror}"
            )

    def _last_good(
        self,
        project: Project,
        derivation: Derivation | None,
        seen: tuple[Input, ...],
        error: NixpyError,
    ) -> Resolution:
        """Return the last good environment, with the reason why it is not today's."""
        entry = self.read_entry(project)
        if entry and entry.root != project.root:
            entry = None
        environment = prefix = None
        if entry and (not entry.prefix or is_usable(entry.prefix)):
            environment, prefix = entry.operations, entry.prefix
        elif derivation and derivation.plan and _was_synced(derivation.plan.prefix):
            environment, prefix = derivation.environment, derivation.plan.prefix
        inputs = {one[:2]: one for one in (*(entry.inputs if entry else ()), *seen)}
        resolution = Resolution(
            project=project,
            environment=None,
            inputs=tuple(inputs.values()),
            manager=entry.manager if entry else "",
            reason=entry.reason if entry else "",
            rests_on=entry.rests_on if entry else (),
            passed_over=entry.passed_over if entry else (),
            error=error,
        )
        if environment is None:
            return resolution
        stale = one_line(error)
        return replace(
            resolution,
            environment=Environment((*environment.operations, Set("NIXPY_STALE", stale))),
            prefix=prefix or "",
            stale=stale,
        )


def _was_synced(prefix: str) -> bool:
    one = Prefix(prefix)
    marker = one.read_marker()
    return marker is not None and marker.state == "synced" and one.runs()


def library_request(root: str, derivation: Derivation, environ: Mapping[str, str]) -> Request:
    """Return the request for the libraries of a project that has an environment."""
    assert derivation.plan is not None
    source, dev_shell = derivation.source, derivation.dev_shell
    flake = source.file if source and source.is_flake else None
    if flake is None and os.path.exists(f"{root}/flake.lock"):
        flake = "."
    return Request(
        root=root,
        prefix=derivation.plan.prefix,
        options=derivation.options,
        flake=flake,
        dev_shell=dev_shell.environment if dev_shell else Environment(),
        environ=before_direnv(environ),
    )


def _without_today_s(
    failure: DevShellFailed | LibrariesFailed, project: Project, derivation: Derivation
) -> Resolution:
    """Return an environment whose Python is today's, and what failed is the last good one's."""
    decision = derivation.decision
    stale = one_line(failure)
    operations = (*derivation.environment.operations, Set("NIXPY_STALE", stale))
    seen = failure.inputs if isinstance(failure, DevShellFailed) else ()
    inputs = {one[:2]: one for one in (*derivation.inputs, *seen)}
    return Resolution(
        project=project,
        environment=Environment(operations),
        inputs=tuple(inputs.values()),
        manager=decision.manager,
        reason=decision.reason,
        rests_on=decision.rests_on,
        passed_over=decision.passed_over,
        prefix=derivation.plan.prefix if derivation.plan else "",
        stale=stale,
        error=failure,
        has_dev_shell=derivation.dev_shell is not None,
    )
