"""``nixpy kernel start``: what a kernelspec calls. It becomes the kernel, or says why it cannot.

The environment is resolved here, as the kernel starts: from its entry where that holds, without
any of the libraries that the other commands are made with. Then this process becomes the
environment's interpreter (execve(2)), so the process that Jupyter signals is the kernel itself.

Where there is no kernel to become, the connection is served all the same, by one that answers
each cell with the reason: a notebook shows nobody what its server's log says.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy import cache
from nixpy.activation import base_environment
from nixpy.directories import nixpy_directory
from nixpy.direnv import before_direnv
from nixpy.errors import KernelFailed, NixpyError, UsageError
from nixpy.freshness import revalidated
from nixpy.jupyter.ipykernel import has_ipykernel
from nixpy.jupyter.place import path_of
from nixpy.process import find_program
from nixpy.project import MANIFEST_NAMES, Project, envrc_arguments, find_project
from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from nixpy.environment import Environment

__all__ = ["Asked", "notebook_project", "outside_of", "parse", "start"]

SESSION = "JPY_SESSION_NAME"
"""The notebook's path, where a Jupyter server started the kernel for one."""


class Asked(NamedTuple):
    """The arguments of ``nixpy kernel start``.

    Attributes:
        connection_file: Jupyter's.
        project: path of the project; empty for the one that the notebook lies in.
        with_ipykernel: whether to install ipykernel where it is missing.
        flags: nixpy's own, instead of those of the ``.envrc``.
    """

    connection_file: str
    project: str = ""
    with_ipykernel: bool = False
    flags: tuple[str, ...] = ()


def start(arguments: Sequence[str]) -> int:
    """Become the kernel; return an exit status only where that cannot be."""
    try:
        asked = parse(arguments)
    except UsageError as error:
        _tell(str(error))
        return error.exit_code
    try:
        _become(asked, os.environ)
    except NixpyError as error:
        from nixpy.jupyter.fallback import serve

        _tell(str(error))
        return serve(asked.connection_file, str(error), status=error.exit_code)


def parse(arguments: Sequence[str]) -> Asked:
    """Return what a kernelspec asks for.

    Raises:
        UsageError: it asks for nothing that we know.
    """
    rest = list(arguments)
    flags: tuple[str, ...] = ()
    if "--" in rest:
        split = rest.index("--")
        rest, flags = rest[:split], tuple(rest[split + 1 :])
    asked = Asked("", flags=flags)
    while rest:
        word = rest.pop(0)
        if word == "--with-ipykernel":
            asked = asked._replace(with_ipykernel=True)
        elif word in {"--project", "-f"} and rest:
            value = rest.pop(0)
            if word == "-f":
                asked = asked._replace(connection_file=value)
            else:
                asked = asked._replace(project=path_of(value))
        else:
            raise UsageError(
                f"unknown argument {word!r}",
                where="nixpy kernel start",
                next="Kernelspecs call this: `nixpy kernel install` writes them.",
            )
    if not asked.connection_file:
        raise UsageError("no connection file was given: -f FILE", where="nixpy kernel start")
    return asked


def notebook_project(environ: Mapping[str, str], directory: str) -> Project:
    """Return the project that a notebook lies in.

    That is the project of the kernel's working directory, where Jupyter, VS Code and Emacs put
    it; else of the notebook that a Jupyter server names (``jupyter_server``, ``SessionManager``).

    Raises:
        KernelFailed: there is none.
    """
    places = [directory]
    named = environ.get(SESSION, "")
    if named.startswith("/"):
        places.append(os.path.dirname(named))
    for place in places:
        found = find_project(place)
        if envrc_arguments(found.directory) is not None or any(
            os.path.exists(f"{found.directory}/{name}") for name in MANIFEST_NAMES
        ):
            return found
    raise KernelFailed(
        "the notebook lies in no project: no directory from here upwards has an .envrc that says "
        "`use nixpy`, or a manifest such as pyproject.toml",
        where=directory,
        next="Make one there (`uv init`), or choose another kernel.",
    )


def _become(asked: Asked, environ: Mapping[str, str]) -> NoReturn:
    """Become the kernel.

    Raises:
        NixpyError: there is none to become.
    """
    project = _project(asked, environ)
    environ = outside_of(environ, project.root)
    found = _fresh(project, environ)
    if found is None or not has_ipykernel(found[1]):
        found = _resolved(asked, project, environ)
    environment, prefix = found
    within = environment.apply(base_environment(environ))
    python = f"{prefix}/bin/python" if prefix else find_program("python", within.get("PATH", ""))
    if python is None:
        raise KernelFailed("no python is on the environment's PATH", where=project.directory)
    argv = [python, "-m", "ipykernel_launcher", "-f", asked.connection_file]
    try:
        os.execve(python, argv, within)  # noqa: S606
    except OSError as error:
        raise KernelFailed(
            f"cannot be executed: {error.strerror}",
            where=python,
            next=f"Run `nixpy sync` in {project.directory}, then restart the kernel.",
        ) from None


def _project(asked: Asked, environ: Mapping[str, str]) -> Project:
    if not asked.project:
        try:
            here = os.getcwd()
        except OSError:
            raise KernelFailed("the notebook's directory is gone") from None
        project = notebook_project(environ, here)
    elif not os.path.isdir(asked.project):
        raise KernelFailed(
            "the project of this kernel is gone",
            where=asked.project,
            next="Where it moved to, run `nixpy kernel install`; "
            "`nixpy kernel prune` removes what is left.",
        )
    else:
        project = Project.at(asked.project, envrc_arguments(asked.project) or ())
    return project._replace(arguments=asked.flags) if asked.flags else project


def outside_of(environ: Mapping[str, str], root: str) -> dict[str, str]:
    """Return the variables without the environment of another project that the server runs in."""
    base = base_environment(environ)
    return base if base.get("NIXPY_PROJECT", root) == root else before_direnv(base)


def _fresh(project: Project, environ: Mapping[str, str]) -> tuple[Environment, str] | None:
    """Return the environment and its prefix from an entry that holds."""
    top = nixpy_directory("cache", environ)
    directory = top and cache.entry_directory(top, project.directory, project.arguments)
    entry = cache.read_entry(directory) if directory else None
    if entry is None or revalidated(entry, project.root, environ) is None:
        return None
    return entry.operations, entry.prefix


def _resolved(
    asked: Asked, project: Project, environ: Mapping[str, str]
) -> tuple[Environment, str]:
    """Return the environment and its prefix as of now, or the last good ones."""
    from nixpy.flags import parse_flags
    from nixpy.jupyter.ipykernel import with_ipykernel
    from nixpy.resolver import Resolver

    resolver = Resolver(environ=environ, report=_tell)
    values = parse_flags(project.arguments)
    resolution = resolver.resolve(project, values)
    if resolution.environment is None:
        assert resolution.error is not None
        raise resolution.error
    if resolution.error:
        _tell(f"the last good environment serves: {resolution.stale}")
    resolution = with_ipykernel(resolver, resolution, values, install=asked.with_ipykernel)
    assert resolution.environment is not None
    return resolution.environment, resolution.prefix


def _tell(line: str) -> None:
    for one in line.splitlines():
        os.write(2, os.fsencode(f"nixpy: {one}\n"))
