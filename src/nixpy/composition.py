"""What a project's environment consists of (DESIGN.md, section 7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.errors import EnvironmentUnusable
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
) -> tuple[Environment, tuple[str, ...]]:
    """Return the environment of a project once it is synced, and lines to say of it.

    Raises:
        EnvironmentUnusable: a path has a colon, which ``PATH`` cannot hold.
    """
    path = [os.path.join(project.root, one) for one in options.path]
    behind: tuple[str, ...] = ()
    operations: list[Operation] = []
    for one in dev_shell.operations if dev_shell else ():
        if isinstance(one, Prepend) and one.name == "PATH":
            behind += one.elements
        else:
            operations.append(one)
    notices: tuple[str, ...] = ()
    if plan:
        path.append(f"{plan.prefix}/bin")
        operations += [
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
                notices = (f"{own_place} is in the way of the link to {plan.prefix}",)
    for element in path:
        if ":" in element:
            raise EnvironmentUnusable(
                "the path has a colon, which PATH cannot hold",
                where=element,
                next='Rename the directory, or say `venv = "central"` in [tool.nixpy].',
            )
    if path or behind:
        operations.append(Prepend("PATH", (*path, *behind)))
    operations += [Set(name, value) for name, value in options.env]
    operations.append(Set("NIXPY_PROJECT", project.root))
    return Environment(tuple(operations)), notices
