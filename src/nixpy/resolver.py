"""The pipeline: directory → inputs → decision → sync → environment → entry (DESIGN.md, section 2).

The one place where the parts meet.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from nixpy import cache
from nixpy.activation import base_environment
from nixpy.decision import decide
from nixpy.directories import nixpy_directory
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.errors import EnvironmentUnusable, NixpyError, SyncFailed, one_line
from nixpy.freshness import keep_entry
from nixpy.inputs import (
    ABSENT,
    Input,
    ObservedFiles,
    digest,
    fingerprint,
    observe_program,
    observe_variable,
    observe_variables,
)
from nixpy.interpreter import Request
from nixpy.lock import Held, environment_lock, lock_path, longest_wait
from nixpy.managers import Plan
from nixpy.managers.prefix import Prefix, can_link
from nixpy.managers.uv import find_uv
from nixpy.manifests.survey import NIX_FILES, survey
from nixpy.marker import is_synced_to, marker_mtime, was_changed_by_hand
from nixpy.options import OPTION_KEYS, load_options
from nixpy.process import SystemRunner, has_terminal
from nixpy.project import Project, current_directory, find_project
from nixpy.synchronise import synchronise
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nixpy.decision import Decision
    from nixpy.manifests.survey import Survey
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["Derivation", "Resolution", "Resolver", "SyncMode", "resolve"]

SyncMode = Literal["auto", "never", "asked", "always"]
"""When to start a manager: when an input changed (and the option ``sync`` is not ``manual``);
never; as a user who asks for a sync expects, also when packages were changed by hand; always."""

PROJECT_FILES = frozenset({"pyproject.toml", "uv.lock", "uv.toml", "setup.py", "setup.cfg"})
"""The files that ``uv sync`` looks at."""

CONFIGURATION_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS")
"""Where the managers' configuration files lie depends on these."""


class Derivation(NamedTuple):
    """All that follows from a project's files and variables alone; nothing was synced for it.

    Attributes:
        options: the options in force.
        survey: the manifests.
        decision: which manager, and why.
        plan: what the manager is to do; ``None`` with manager ``none``.
        request: which interpreter is asked for.
        inputs: everything looked at.
        fingerprint: digest over all inputs.
        synced: digest over those that can change what is installed.
        environment: the environment once it is synced.
        notices: lines that a user should see when it is.
    """

    options: Options
    survey: Survey
    decision: Decision
    plan: Plan | None
    request: Request
    inputs: tuple[Input, ...]
    fingerprint: str
    synced: str
    environment: Environment
    notices: tuple[str, ...] = ()


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


def silent(line: str) -> None:
    """Report nothing."""


class Resolver:
    """Resolves projects, for one caller.

    Args:
        environ: the caller's environment.
        runner: starts programs.
        report: is told what a user should see, one line a call.
        platform: :data:`sys.platform`.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        runner: Runner | None = None,
        report: Callable[[str], None] = silent,
        platform: str = sys.platform,
    ) -> None:
        self.environ = base_environment(environ)
        self.runner = runner or SystemRunner()
        self.report = report
        self.platform = platform
        self.cache = nixpy_directory("cache", environ, platform)

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
        try:
            derivation = self.derive(project, flags, files)
            if derivation.plan and not self._is_in_order(derivation, sync):
                derivation, synced = self._sync(project, flags, derivation, force=sync != "auto")
        except NixpyError as error:
            seen = derivation.inputs if derivation else files.inputs
            return self._last_good(project, derivation, seen, error)
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
        root, environ = project.root, self.environ
        options = load_options(root, flags=flags, environ=environ, files=files)
        for pattern in options.watch:
            _watch(root, pattern, files)
        found = survey(root, options, files=files, environ=environ, platform=self.platform)
        decision = decide(found, options)
        request = _request(found, options)
        extra: list[Input] = []
        plan = None
        if decision.manager != "none":
            plan = self._plan(project, options, found, decision)
            extra.append(observe_program(find_uv(environ, plan.prefix)))
            extra.append(Input("text", "plan", _plan_text(plan, decision, request, found.root)))
        extra += (observe_variable(name, environ) for name in found.requirements.variables)
        inputs = (*self._inputs(files, decision), *extra)
        environment, notices = _environment(project, options, found, plan)
        return Derivation(
            options=options,
            survey=found,
            decision=decision,
            plan=plan,
            request=request,
            inputs=inputs,
            fingerprint=fingerprint(inputs, found.root),
            synced=_sync_fingerprint(inputs, found.root),
            environment=environment,
            notices=notices,
        )

    def _plan(self, project: Project, options: Options, found: Survey, decision: Decision) -> Plan:
        in_workspace = found.workspace is not None and decision.install == "project"
        requirements: tuple[str, ...] = ()
        if decision.install == "requirements":
            requirements = found.requirements_files
        elif decision.install == "pylock" and found.pylock:
            requirements = (found.pylock,)
        exact = options.exact
        if exact is None:
            exact = decision.install in {"project", "pylock"}
        return Plan(
            install=decision.install,
            directory=project.root,
            root=found.root,
            prefix=self._prefix(options, found),
            requirements=requirements,
            whole_workspace=in_workspace and not found.has_package_conflicts,
            exact=exact,
            options=options,
        )

    def _prefix(self, options: Options, found: Survey) -> str:
        if options.venv != "central":
            return os.path.realpath(os.path.join(found.root, options.venv))
        data = nixpy_directory("data", self.environ, self.platform)
        if data is None:
            raise EnvironmentUnusable(
                "no place for the environment: neither XDG_DATA_HOME nor HOME is set",
                where=options.origins["venv"],
                next='Set HOME, or say `venv = ".venv"`.',
            )
        name = os.path.basename(found.root).encode("ascii", "replace").decode()
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name) or "root"
        unique = digest(os.fsencode(found.root))[:8]
        return os.path.realpath(f"{data}/environments/{name}-{unique}")

    def _inputs(self, files: ObservedFiles, decision: Decision) -> tuple[Input, ...]:
        environ = self.environ
        variables = [
            *(observe_variable(key.variable, environ, syncs=False) for key in OPTION_KEYS),
            *(observe_variable(name, environ, syncs=False) for name in CONFIGURATION_VARIABLES),
            *observe_variables("UV_", environ),
            *observe_variables("PIP_", environ),
        ]
        own = observe_program(
            os.path.join(os.path.dirname(os.path.abspath(__file__)), "version.py")
        )
        seen = (one._replace(syncs=_syncs(one, decision)) for one in files.inputs)
        return (*seen, *variables, own._replace(syncs=False))

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
        with self._locked(plan.prefix) as held:
            if held.waited:
                # Whoever had it may have done the work, and written lock files.
                before = self.derive(project, flags)
                plan = before.plan
                if plan is None or (not force and is_synced_to(plan.prefix, before.synced)):
                    return before, False
            after = before

            def settled() -> str:
                nonlocal after
                after = self._settled(project, flags, before)
                return after.synced

            started = time.monotonic()
            manager = before.decision.manager
            if has_terminal():
                self.report(f"syncing with {manager}: {before.decision.reason}")
            synchronise(
                plan,
                manager=manager,
                request=before.request,
                name=os.path.basename(before.survey.root) or "root",
                environ=self.environ,
                runner=self.runner,
                state_directory=nixpy_directory("state", self.environ, self.platform),
                keep_open=() if held.descriptor < 0 else (held.descriptor,),
                settled=settled,
            )
        took = f"synced with {manager} in {time.monotonic() - started:.1f} s"
        self.report("; ".join((took, *after.notices)))
        return after, True

    @contextlib.contextmanager
    def _locked(self, prefix: str) -> Iterator[Held]:
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

    def _settled(
        self, project: Project, flags: Mapping[str, object], before: Derivation
    ) -> Derivation:
        """Look at everything again after a sync, which may have written a lock file.

        What else changed meanwhile was changed by the user, and was perhaps not synced: there the
        earlier observation stays, so that what is kept is stale and not wrong.
        """
        after = self.derive(project, flags)
        root = before.survey.root
        written = {f"{root}/uv.lock", root}
        earlier = {one[:2]: one for one in before.inputs}
        inputs = tuple(
            one if one.name in written else earlier.get(one[:2], one) for one in after.inputs
        )
        notices = after.notices
        for one in inputs:
            if one.name == f"{root}/uv.lock" and not one.is_same(earlier[one[:2]]):
                notices = ("uv.lock changed", *notices)
        return after._replace(
            inputs=inputs,
            fingerprint=fingerprint(inputs, root),
            synced=_sync_fingerprint(inputs, root),
            notices=notices,
        )

    def _keep(self, project: Project, derivation: Derivation) -> None:
        directory = self.entry_directory(project)
        if directory is None or self.cache is None:
            return
        prefix = derivation.plan.prefix if derivation.plan else ""
        if prefix and not is_synced_to(prefix, derivation.synced):
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
        if entry and (not entry.prefix or os.access(f"{entry.prefix}/bin/python", os.X_OK)):
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


def _sync_fingerprint(inputs: tuple[Input, ...], root: str) -> str:
    # What is absent cannot be installed from; a workspace's members do not look for the same.
    return fingerprint((one for one in inputs if one.syncs and one.value != ABSENT), root)


def _was_synced(prefix: str) -> bool:
    one = Prefix(prefix)
    marker = one.read_marker()
    return marker is not None and marker.state == "synced" and one.runs()


def _syncs(one: Input, decision: Decision) -> bool:
    name = os.path.basename(one.name)
    if one.kind == "directory":
        return True
    if decision.install == "project":
        return name in PROJECT_FILES
    return name != "nixpy.toml" and name not in NIX_FILES and name != "flake.lock"


def _plan_text(plan: Plan, decision: Decision, request: Request, root: str) -> str:
    options = plan.options
    parts = (
        decision.manager,
        plan.install,
        *(os.path.relpath(path, root) for path in plan.requirements),
        str(plan.whole_workspace),
        str(plan.exact),
        options.lock,
        *("extra " + extra for extra in options.extras),
        *("group " + group for group in options.groups),
        request.text or "",
        request.requires or "",
    )
    if not plan.whole_workspace:
        parts = (*parts, os.path.relpath(plan.directory, root))
    return "\n".join(parts)


def _request(found: Survey, options: Options) -> Request:
    requires = found.pyproject.requires_python if found.pyproject else None
    origin = "pyproject.toml: project.requires-python" if requires else ""
    if options.python:
        return Request(options.python, options.origins["python"], requires, origin)
    if found.python_request and found.python_version_file:
        shown = os.path.relpath(found.python_version_file, found.directory)
        return Request(found.python_request, shown, requires, origin)
    return Request(None, "", requires, origin)


def _environment(
    project: Project, options: Options, found: Survey, plan: Plan | None
) -> tuple[Environment, tuple[str, ...]]:
    """Return the environment of a synced project (DESIGN.md, section 7), and what to say of it."""
    path = [os.path.join(project.root, one) for one in options.path]
    operations: list[Set | Unset | Prepend] = []
    notices: tuple[str, ...] = ()
    if plan:
        path.append(f"{plan.prefix}/bin")
        operations += [
            Unset("PYTHONHOME"),
            Set("VIRTUAL_ENV", plan.prefix),
            Set("VIRTUAL_ENV_PROMPT", os.path.basename(found.root) or "root"),
        ]
        own_place = f"{found.root}/.venv"
        linked = options.venv == "central" and can_link(own_place, plan.prefix)
        if linked or plan.prefix == os.path.realpath(own_place):
            operations.append(Unset("UV_PROJECT_ENVIRONMENT"))
        elif plan.prefix.startswith(found.root + "/"):
            # Relative to the workspace: an absolute one would make uv install the projects below
            # this one into its environment.
            relative = os.path.relpath(plan.prefix, found.root)
            operations.append(Set("UV_PROJECT_ENVIRONMENT", relative))
        else:
            operations.append(Set("UV_PROJECT_ENVIRONMENT", plan.prefix))
            if options.venv == "central":
                notices = (f"{own_place} is in the way of the link to {plan.prefix}",)
    for one in path:
        if ":" in one:
            raise EnvironmentUnusable(
                "the path has a colon, which PATH cannot hold",
                where=one,
                next='Rename the directory, or say `venv = "central"` in [tool.nixpy].',
            )
    if path:
        operations.append(Prepend("PATH", tuple(path)))
    operations += [Set(name, value) for name, value in options.env]
    operations.append(Set("NIXPY_PROJECT", project.root))
    return Environment(tuple(operations)), notices


def _watch(root: str, pattern: str, files: ObservedFiles) -> None:
    """Read every file that a glob (as in :mod:`glob`, ``**`` too) names, through ``files``."""
    import fnmatch

    def walk(directory: str, parts: tuple[str, ...]) -> None:
        if not parts:
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            walk(directory, rest)
        names = files.names(directory) if _is_pattern(first) else (first,)
        for name in names:
            path = os.path.join(directory, name)
            if first == "**":
                if os.path.isdir(path) and not os.path.islink(path) and not name.startswith("."):
                    walk(path, parts)
            elif _is_pattern(first) and (
                not fnmatch.fnmatchcase(name, first)
                or (name.startswith(".") and not first.startswith("."))
            ):
                continue
            elif rest:
                walk(path, rest)
            elif not os.path.isdir(path):
                files.read(path)

    absolute = pattern.startswith("/")
    walk("/" if absolute else root, tuple(part for part in pattern.split("/") if part))


def _is_pattern(part: str) -> bool:
    return any(character in part for character in "*?[")
