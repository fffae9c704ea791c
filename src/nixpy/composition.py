"""What a project's environment consists of (DESIGN.md, section 7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.errors import EnvironmentUnusable
from nixpy.managers.mamba.activation import own_operations
from nixpy.managers.prefix import can_link

if TYPE_CHECKING:
    from nixpy.environment import Operation
    from nixpy.managers import Plan
    from nixpy.manifests.survey import Survey
    from nixpy.options import Options
    from nixpy.project import Project

__all__ = ["compose", "prompt_of"]


def prompt_of(root: str) -> str:
    """Return what a prompt shows for the environment of a directory: its name, as text."""
    return os.fsencode(os.path.basename(root)).decode("utf-8", "replace") or "root"


def compose(
    project: Project,
    options: Options,
    found: Survey,
    plan: Plan | None,
    dev_shell: Environment | None = None,
    activation: Environment | None = None,
    outer: str = "",
    libraries: Environment | None = None,
) -> tuple[Environment, tuple[str, ...]]:
    """Return the environment of a project once it is synced, and lines to say of it.

    Args:
        project: the project.
        options: ``path`` and ``env`` are taken from here.
        found: its manifests.
        plan: what the manager is to do.
        dev_shell: what the dev shell changes.
        activation: what activating the conda environment changes besides conda's own variables.
        outer: the conda prefix that the caller has in force, and that this one replaces.
        libraries: what supplies missing libraries, instead of the dev shell's own
            ``LD_LIBRARY_PATH``; ``None`` where that stays as it is.

    Raises:
        EnvironmentUnusable: a path has a colon, which ``PATH`` cannot hold.
    """
    front = [os.path.join(project.root, one) for one in options.path]
    behind, operations = _without_path(dev_shell)
    if plan and libraries is not None:
        operations = [one for one in operations if one.name != "LD_LIBRARY_PATH"]
        operations += libraries.operations
    notices: tuple[str, ...] = ()
    if plan and plan.conda:
        of_scripts, changed = _without_path(activation)
        operations += own_operations(plan.prefix, plan.conda.shown_name)
        operations += changed
        front += (*of_scripts, f"{plan.prefix}/bin")
    elif plan:
        own, notices = _of_virtual(found, plan)
        operations += own
        front.append(f"{plan.prefix}/bin")
    for element in front:
        if ":" in element:
            raise EnvironmentUnusable(
                "the path has a colon, which PATH cannot hold",
                where=element,
                next='Rename the directory, or say `venv = "central"` in [tool.nixpy].',
            )
    removed = (f"{outer}/bin",) if outer else ()
    if front or behind or removed:
        operations.append(Prepend("PATH", (*front, *behind), removed))
    operations += [Set(name, value) for name, value in options.env]
    operations.append(Set("NIXPY_PROJECT", project.root))
    return Environment(tuple(operations)), notices


def _without_path(environment: Environment | None) -> tuple[tuple[str, ...], list[Operation]]:
    """Return what an environment puts in front of ``PATH``, and its other operations."""
    elements: tuple[str, ...] = ()
    others: list[Operation] = []
    for one in environment.operations if environment else ():
        if isinstance(one, Prepend) and one.name == "PATH":
            elements += one.elements
        else:
            others.append(one)
    return elements, others


def _of_virtual(found: Survey, plan: Plan) -> tuple[list[Operation], tuple[str, ...]]:
    """Return the operations of a virtual environment, but ``PATH``, and lines to say of it."""
    operations: list[Operation] = [
        Unset("PYTHONHOME"),
        Set("VIRTUAL_ENV", plan.prefix),
        Set("VIRTUAL_ENV_PROMPT", prompt_of(found.root)),
    ]
    own_place = f"{found.root}/.venv"
    linked = plan.is_central and can_link(own_place, plan.prefix)
    if linked or plan.prefix == os.path.realpath(own_place):
        operations.append(Unset("UV_PROJECT_ENVIRONMENT"))
    elif plan.prefix.startswith(found.root + "/"):
        # Relative to the workspace: an absolute one would make uv install the projects below
        # this one into its environment.
        relative = os.path.relpath(plan.prefix, found.root)
        operations.append(Set("UV_PROJECT_ENVIRONMENT", relative))
    else:
        operations.append(Set("UV_PROJECT_ENVIRONMENT", plan.prefix))
        if plan.is_central:
            return operations, (f"{own_place} is in the way of the link to {plan.prefix}",)
    return operations, ()
