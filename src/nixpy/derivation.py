"""What follows from a project's files and variables alone, before anything is synced."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from nixpy.composition import compose
from nixpy.decision import decide
from nixpy.direnv import before_direnv
from nixpy.inputs import (
    ABSENT,
    Input,
    fingerprint,
    observe_program,
    observe_variable,
    observe_variables,
    without_secrets,
)
from nixpy.interpreter import Request
from nixpy.managers import Plan
from nixpy.managers.foreign.exporter import exporter_key
from nixpy.managers.foreign.tools import export_of
from nixpy.managers.mamba.activation import (
    activation_inputs,
    conda_variables,
    outer_environment,
)
from nixpy.managers.mamba.plan import conda_plan
from nixpy.managers.uv import find_uv
from nixpy.manifests.globs import read_matches
from nixpy.manifests.pip_configuration import masked
from nixpy.manifests.python_version import FILES as PYTHON_FILES
from nixpy.manifests.survey import NIX_FILES, survey
from nixpy.option_keys import OPTION_KEYS
from nixpy.places import NAMED, conda_prefix, is_central, virtual_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixpy.decision import Decision
    from nixpy.environment import Environment
    from nixpy.inputs import ObservedFiles
    from nixpy.libraries.record import Supply
    from nixpy.managers import CondaPlan
    from nixpy.managers.mamba.activation import Activation
    from nixpy.manifests.survey import Survey
    from nixpy.nix.dev_shell import DevShell, Interpreter
    from nixpy.nix.source import Source
    from nixpy.options import Options
    from nixpy.project import Project

__all__ = ["Derivation", "derive", "settled"]

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
        outer: the conda prefix that the caller has in force; empty for none.
        source: the dev shell that is wanted, or ``None``.
        dev_shell: what that came to when it was last evaluated, or ``None``.
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
    outer: str = ""
    source: Source | None = None
    dev_shell: DevShell | None = None

    def within_dev_shell(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Return ``environ`` as it is in the dev shell."""
        return self.dev_shell.environment.apply(environ) if self.dev_shell else environ


def derive(
    project: Project,
    options: Options,
    source: Source | None,
    dev_shell: DevShell | None,
    *,
    files: ObservedFiles,
    environ: Mapping[str, str],
    platform: str,
    activations: Callable[[str], Activation | None] = lambda _: None,
    libraries: Callable[[str], Supply | None] = lambda _: None,
    observed: tuple[Input, ...] = (),
) -> Derivation:
    """Return all that follows from a project's files and variables; nothing is synced.

    Args:
        project: the project.
        options: its options.
        source: the dev shell that is wanted.
        dev_shell: what that came to when it was last evaluated.
        files: what to read with; what it has seen is there also when this raises.
        environ: the caller's environment, without any that nixpy has put in force.
        platform: :data:`sys.platform`.
        activations: returns what activating a conda prefix came to when it was last captured.
        libraries: returns what supplies a prefix with libraries, as it was last found out.
        observed: what the options rest on besides files.

    Raises:
        NixpyError: manifests are malformed, or no rule of the decision holds.
    """
    root = project.root
    changed: frozenset[str] = frozenset()
    within = environ
    if dev_shell:
        # What the dev shell sets counts by its record, wherever it is in force already.
        changed = frozenset(dev_shell.environment.names)
        within = dev_shell.environment.apply(environ)
    for pattern in options.watch:
        read_matches(root, pattern, files)
    found = survey(root, options, files=files, environ=within, platform=platform)
    decision = decide(found, options)
    request = _request(found, options, dev_shell.interpreter if dev_shell else None)
    planned = _Planned()
    if decision.manager == "mamba":
        planned = _planned_conda(
            project,
            options,
            found,
            decision,
            request,
            files,
            environ,
            within,
            platform,
            activations,
        )
    elif decision.manager != "none":
        prefix = virtual_prefix(options, found.root, environ, platform)
        virtual = _plan(project, options, found, decision, prefix)
        if decision.install == "foreign lock":
            virtual = replace(virtual, export=export_of(decision.rests_on[0], options, files))
        planned = _Planned(virtual)
    plan = planned.plan
    extra = [*observed, *planned.inputs]
    supply = libraries(plan.prefix) if plan else None
    if supply:
        extra += supply.inputs
    if plan:
        extra.append(observe_program(find_uv(within, plan.prefix)))
        extra.append(Input("text", "plan", _plan_text(plan, decision, request, found.root)))
    outside = {name: value for name, value in environ.items() if name not in changed}
    extra += (observe_variable(name, outside) for name in found.requirements.variables)
    # Their names say what they are, and their size and time whether they were replaced.
    extra += map(observe_program, found.requirements.local_archives)
    if dev_shell:
        extra += (_managers_variables(dev_shell.environment), *dev_shell.inputs)
    extra += _inputs(files, decision, outside, plan)
    unique = {one[:2]: one for one in extra}
    inputs = tuple(unique.values())
    environment, notices = compose(
        project,
        options,
        found,
        plan,
        dev_shell=dev_shell.environment if dev_shell else None,
        activation=planned.activation,
        outer=planned.outer,
        libraries=supply.environment if supply else None,
    )
    if decision.install == "editable" and found.pyproject and found.pyproject.poetry_groups:
        names = ", ".join(found.pyproject.poetry_groups)
        notices += (f"Poetry's groups ({names}) are installed from a poetry.lock: `poetry lock`",)
    notices += tuple(
        f"{masked(url)} is included, and looked at only when something else changes"
        for url in found.requirements.remote
    )
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
        outer=planned.outer,
        source=source,
        dev_shell=dev_shell,
    )


class _Planned(NamedTuple):
    """What a manager is to do, and for conda what activating its environment changes."""

    plan: Plan | None = None
    activation: Environment | None = None
    outer: str = ""
    inputs: tuple[Input, ...] = ()


def _planned_conda(
    project: Project,
    options: Options,
    found: Survey,
    decision: Decision,
    request: Request,
    files: ObservedFiles,
    environ: Mapping[str, str],
    within: Mapping[str, str],
    platform: str,
    activations: Callable[[str], Activation | None],
) -> _Planned:
    conda = conda_plan(found, decision, request, files=files, environ=within, platform=platform)
    prefix = conda_prefix(
        options,
        project.root,
        conda.name,
        conda.configuration,
        environ=environ,
        platform=platform,
    )
    shown_name = conda.name if options.venv == NAMED else prefix
    conda = replace(conda, shown_name=shown_name)
    # Where this environment is in force already, what matters is what was before it.
    in_force = os.path.realpath(environ.get("CONDA_PREFIX", "")) == prefix
    caller = before_direnv(environ) if in_force else environ
    outer = outer_environment(caller, prefix)
    kept = activations(prefix)
    return _Planned(
        _plan(project, options, found, decision, prefix, conda),
        kept.environment if kept else None,
        outer,
        (
            *activation_inputs(prefix, outer),
            *conda_variables(caller),
            *(observe_variable(name, environ) for name in conda.configuration.variables),
        ),
    )


def settled(before: Derivation, after: Derivation) -> Derivation:
    """Return what holds after a sync, which may have written a lock file.

    What else changed between ``before`` and ``after`` was changed by the user, and was perhaps not
    synced: there the earlier observation stays, so that what is kept is stale and not wrong.
    """
    root = before.survey.root
    lock = f"{root}/uv.lock"
    earlier = {one[:2]: one for one in before.inputs}
    inputs = tuple(
        one if one.name in {lock, root} else earlier.get(one[:2], one) for one in after.inputs
    )
    notices = after.notices
    for one in inputs:
        if one.name == lock and not one.is_same(earlier[one[:2]]):
            did = "is new" if earlier[one[:2]].value == ABSENT else "changed"
            notices = (f"uv.lock {did}", *notices)
    return after._replace(
        inputs=inputs,
        fingerprint=fingerprint(inputs, root),
        synced=_sync_fingerprint(inputs, root),
        notices=notices,
    )


def _plan(
    project: Project,
    options: Options,
    found: Survey,
    decision: Decision,
    prefix: str,
    conda: CondaPlan | None = None,
) -> Plan:
    in_workspace = found.workspace is not None and decision.install == "project"
    requirements: tuple[str, ...] = ()
    if decision.install == "requirements":
        requirements = found.requirements_files
    elif decision.install == "pylock" and found.pylock:
        requirements = (found.pylock,)
    exact = options.exact
    if exact is None:
        exact = decision.install in {"project", "pylock", "foreign lock", "conda lock"}
    return Plan(
        install=decision.install,
        directory=project.root,
        root=found.root,
        prefix=prefix,
        is_central=is_central(options, found.root),
        requirements=requirements,
        whole_workspace=in_workspace and not found.has_package_conflicts,
        exact=exact,
        options=options,
        conda=conda,
    )


def _inputs(
    files: ObservedFiles,
    decision: Decision,
    environ: Mapping[str, str],
    plan: Plan | None,
) -> tuple[Input, ...]:
    variables = [
        *(observe_variable(key.variable, environ, syncs=False) for key in OPTION_KEYS),
        *(observe_variable(name, environ, syncs=False) for name in CONFIGURATION_VARIABLES),
        *observe_variables("UV_", environ),
        *observe_variables("PIP_", environ),
    ]
    own = observe_program(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version.py"))
    seen = (one._replace(syncs=_syncs(one, decision, plan)) for one in files.inputs)
    return (*seen, *variables, own._replace(syncs=False))


def _managers_variables(environment: Environment) -> Input:
    """Return the input that a dev shell's variables for the managers are."""
    settings = (
        f"{one[0]}={one[1:]}"
        for one in environment.operations
        if one[0].startswith(("UV_", "PIP_"))
    )
    return Input("text", "dev shell", "\n".join(settings))


def _sync_fingerprint(inputs: tuple[Input, ...], root: str) -> str:
    # What is absent cannot be installed from; a workspace's members do not look for the same.
    return fingerprint((one for one in inputs if one.syncs and one.value != ABSENT), root)


def _syncs(one: Input, decision: Decision, plan: Plan | None) -> bool:
    name = os.path.basename(one.name)
    if one.kind == "directory":
        return False  # what is new in it counts by itself
    if decision.install == "project":
        return name in PROJECT_FILES
    if plan and plan.conda:
        return one.name in plan.conda.files
    if plan and plan.export:
        return one.name in {f"{plan.export.directory}/{name}" for name in plan.export.files}
    # What a file like .python-version asks for is in the plan, whatever else stands in it.
    return name not in {"nixpy.toml", "flake.lock", *NIX_FILES, *PYTHON_FILES}


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
        " ".join(request.preferred[1:]) if request.preferred and not plan.conda else "",
        *("channel " + without_secrets(channel) for channel in options.channels),
    )
    if plan.export:
        export = plan.export
        key = exporter_key(export.tool, options.exporter, export.directory)
        parts = (*parts, key, *export.arguments, export.project)
    if plan.conda:
        parts = (*parts, plan.conda.platform, plan.conda.python)
    if not plan.whole_workspace:
        parts = (*parts, os.path.relpath(plan.directory, root))
    return "\n".join(parts)


def _request(found: Survey, options: Options, preferred: Interpreter | None) -> Request:
    request = _request_of_files(found, options)
    if preferred and request.accepts(preferred.version):
        return request._replace(preferred=preferred)
    return request


def _request_of_files(found: Survey, options: Options) -> Request:
    requires = found.requires_python
    origin = "pyproject.toml: project.requires-python" if requires else ""
    if options.python:
        return Request(options.python, options.origins["python"], requires, origin)
    if found.python_request and found.python_version_file:
        shown = os.path.relpath(found.python_version_file, found.directory)
        return Request(found.python_request, shown, requires, origin)
    return Request(None, "", requires, origin)
