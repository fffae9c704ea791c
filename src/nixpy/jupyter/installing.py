"""Writing kernelspecs (jupyter-client.readthedocs.io, "Making kernels for Jupyter")."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from nixpy.composition import prompt_of
from nixpy.errors import EnvironmentUnusable, KernelFailed, ToolMissing, UsageError
from nixpy.inputs import digest
from nixpy.jupyter.ipykernel import resources
from nixpy.jupyter.kernelspecs import OURS, kernelspecs
from nixpy.jupyter.place import place_of
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.jupyter.kernelspecs import Kernelspec
    from nixpy.project import Project

__all__ = ["Wanted", "install", "needs_extra", "nixpy_command", "specification"]

PER_NOTEBOOK = "nixpy"
PER_NOTEBOOK_DISPLAY = "Python (nixpy)"

_NAME = re.compile(r"[a-z0-9._-]+", re.IGNORECASE)
"""What Jupyter takes for the name of a kernelspec."""


class Wanted(NamedTuple):
    """What to install.

    Attributes:
        project: whose kernel it is; ``None`` for one that serves every notebook's own.
        flags: nixpy's own that it is started with, instead of those of the ``.envrc``.
        with_ipykernel: whether it installs ipykernel where that is missing as it starts.
        name: of the kernelspec; empty for one after the project.
        display_name: what front ends show; empty for one after the project.
        prefix: the environment to install into; empty for the user's own directory.
    """

    project: Project | None
    flags: tuple[str, ...] = ()
    with_ipykernel: bool = True
    name: str = ""
    display_name: str = ""
    prefix: str = ""


def install(
    wanted: Wanted, environment: str, environ: Mapping[str, str], program: str
) -> tuple[str, str, str]:
    """Install a kernelspec; return its directory, its name and its display name.

    Args:
        wanted: what to install; one that was installed for the same project is replaced.
        environment: prefix of the project's environment, for its logos; empty for none.
        environ: the variables.
        program: what the user has called us by.

    Raises:
        ToolMissing: nixpy was installed without its extra ``jupyter``.
        UsageError: the name is none, or taken.
        EnvironmentUnusable: it cannot be written.
    """
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        raise needs_extra("kernelspecs") from None
    known = kernelspecs(environ, wanted.prefix or environment)
    name = _name(wanted, known)
    display_name = _display_name(wanted, name, known, environ)
    command = nixpy_command(environ, program)
    spec = specification(wanted, display_name, command, own_metadata(environment))
    with tempfile.TemporaryDirectory() as top:
        source = f"{top}/{name}"
        os.mkdir(source)
        os.chmod(source, 0o755)  # noqa: S103 - a hub's other users are to read it
        try:
            with open(f"{source}/kernel.json", "w", encoding="ascii") as file:
                json.dump(spec, file, indent=1)
                file.write("\n")
            for path in resources(environment):
                shutil.copyfile(path, f"{source}/{os.path.basename(path)}")
            for one in os.listdir(source):
                os.chmod(f"{source}/{one}", 0o644)
            where = {"prefix": wanted.prefix} if wanted.prefix else {"user": True}
            directory = KernelSpecManager().install_kernel_spec(source, name, **where)
        except OSError as error:
            raise EnvironmentUnusable(
                f"the kernelspec cannot be written: {error.strerror}",
                where=str(error.filename or wanted.prefix),
                next="Make it writable, or choose another place: --user, or --prefix DIRECTORY.",
            ) from None
    return directory, name, display_name


def specification(
    wanted: Wanted, display_name: str, command: tuple[str, ...], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ``kernel.json``; ``metadata`` is what ipykernel says of itself."""
    project = place_of(wanted.project.directory) if wanted.project else ""
    argv = [*command, "kernel", "start"]
    if project:
        argv += ["--project", project]
    if wanted.with_ipykernel:
        argv.append("--with-ipykernel")
    argv += ["-f", "{connection_file}"]
    if wanted.flags:
        argv += ["--", *wanted.flags]
    return {
        "argv": argv,
        "display_name": display_name,
        "language": "python",
        # ipykernel's own way: the kernel is the process that Jupyter has started, and its leader.
        "interrupt_mode": "signal",
        "metadata": {
            **metadata,
            OURS: {"version": 1, "project": project, "flags": list(wanted.flags)},
        },
    }


def own_metadata(environment: str) -> dict[str, Any]:
    """Return what the ipykernel of an environment tells front ends that it can do."""
    try:
        with open(f"{environment}/share/jupyter/kernels/python3/kernel.json", "rb") as file:
            metadata = json.load(file)["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        metadata = None
    # Every ipykernel since 6.0 has a debugger.
    return metadata if isinstance(metadata, dict) else {"debugger": True}


def nixpy_command(environ: Mapping[str, str], program: str) -> tuple[str, ...]:
    """Return the command that leads to us, also after an update.

    A profile's link is taken as it stands: the store path behind it is collected one day.
    """
    name = os.path.basename(program)
    if os.path.isabs(program) and os.access(program, os.X_OK) and name == "nixpy":
        found = find_program("nixpy", environ.get("PATH", ""))
        same = found and os.path.realpath(found) == os.path.realpath(program)
        return (found if found and same else program,)
    found = find_program("nixpy", environ.get("PATH", ""))
    if name == "nixpy" and found:
        return (found,)
    return (sys.executable, "-m", "nixpy")


def needs_extra(what: str) -> ToolMissing:
    """Return the error for what takes the packages of the extra ``jupyter``."""
    return ToolMissing(
        f"{what} take jupyter_client, and nixpy was installed without it",
        where=sys.prefix,
        next="Install nixpy with its extra, for example `uv tool install 'nixpy[jupyter]'`.",
    )


def _name(wanted: Wanted, known: list[Kernelspec]) -> str:
    if wanted.name:
        if not _NAME.fullmatch(wanted.name):
            raise UsageError(
                f"{wanted.name!r} is no name for a kernelspec: letters, digits, . _ and - may be",
                where="--name",
                next="What front ends show is --display-name.",
            )
        _check_free(wanted, known)
        return wanted.name.lower()
    if wanted.project is None:
        return PER_NOTEBOOK
    for one in known:
        if _is_for(one, wanted) and not one.hidden:
            return one.name
    root = wanted.project.root
    text = os.path.basename(root).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9.]+", "-", text).strip("-.") or "project"
    name = f"nixpy-{plain}"
    taken = {one.name.lower() for one in known if not _is_left_over(one)}
    if name not in taken:
        return name
    unique = digest(os.fsencode("\0".join((wanted.project.directory, *wanted.flags))))[:8]
    return f"{name}-{unique}"


def _check_free(wanted: Wanted, known: list[Kernelspec]) -> None:
    for one in known:
        below = one.directory.startswith(f"{wanted.prefix}/") or not wanted.prefix
        is_same = one.name.lower() == wanted.name.lower() and not one.hidden
        if is_same and below and not _is_for(one, wanted) and not _is_left_over(one):
            raise KernelFailed(
                f"there is another kernelspec of this name: {one.display_name}",
                where=one.directory,
                next=f"Run `nixpy kernel remove {one.name}` first, or choose another --name.",
            )


def _is_for(one: Kernelspec, wanted: Wanted) -> bool:
    """Return whether a kernelspec is for the same thing, and is to be replaced."""
    if wanted.project is None:
        return one.kind == "per-notebook"
    return (one.project, one.flags) == (wanted.project.directory, wanted.flags)


def _is_left_over(one: Kernelspec) -> bool:
    """Return whether a kernelspec of ours is for a project that is gone."""
    return one.kind == "project" and not os.path.isdir(one.project)


def _display_name(
    wanted: Wanted, name: str, known: list[Kernelspec], environ: Mapping[str, str]
) -> str:
    if wanted.display_name:
        return wanted.display_name
    if wanted.project is None:
        return PER_NOTEBOOK_DISPLAY
    shown = prompt_of(wanted.project.root)
    others = {
        one.display_name for one in known if one.name.lower() != name and not _is_left_over(one)
    }
    if f"Python ({shown})" not in others:
        return f"Python ({shown})"
    parent = os.path.dirname(wanted.project.directory)
    home = environ.get("HOME", "")
    if home and (parent + "/").startswith(home + "/"):
        parent = "~" + parent[len(home) :]
    text = os.fsencode(" ".join((parent, *wanted.flags))).decode("utf-8", "replace")
    return f"Python ({shown}, {text})"
