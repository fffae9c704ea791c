"""The kernelspecs on Jupyter's paths: whose they are, and which cannot start any more.

Read from the disk alone: fifty of them are looked at without a single process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nixpy import cache
from nixpy.directories import nixpy_directory
from nixpy.errors import KernelFailed
from nixpy.jupyter.ipykernel import has_ipykernel
from nixpy.jupyter.paths import kernel_directories
from nixpy.jupyter.place import path_of
from nixpy.managers.prefix import Prefix
from nixpy.marker import is_usable
from nixpy.process import find_program
from nixpy.project import envrc_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["OURS", "Kernelspec", "find_kernelspec", "kernelspecs", "prefixes", "remove"]

OURS = "nixpy"
"""The key in a kernelspec's ``metadata`` that holds what we know of it."""

PYTHONS = ("python", "python3")
"""Jupyter replaces these by the interpreter that it runs on itself."""

Kind = Literal["project", "per-notebook", "foreign"]
State = Literal["ok", "stale", "dead"]


class Kernelspec(NamedTuple):
    """A kernelspec.

    Attributes:
        name: of its directory; what Jupyter knows it by.
        directory: where it lies.
        display_name: what front ends show.
        language: of the kernel.
        kind: whether it is ours, and then of which kind.
        project: path of the project; empty where it is for none.
        flags: nixpy's own that it starts with.
        argv: what is started.
        state: ``stale``: starting it mends it, or says what to do; ``dead``: it cannot start.
        problems: why, one clause each.
        hidden: whether one of the same name goes before it on Jupyter's path.
    """

    name: str
    directory: str
    display_name: str
    language: str
    kind: Kind
    project: str
    flags: tuple[str, ...]
    argv: tuple[str, ...]
    state: State
    problems: tuple[str, ...]
    hidden: bool


def prefixes(environ: Mapping[str, str], project_prefix: str = "") -> tuple[str, ...]:
    """Return the environments whose kernelspecs a user's Jupyter may show.

    That of the project, that of the ``jupyter`` on ``PATH``, and the one that nixpy runs in.
    """
    found = [project_prefix] if project_prefix else []
    program = find_program("jupyter", environ.get("PATH", ""))
    if program:
        found.append(os.path.dirname(os.path.dirname(program)))
        # What uv and pipx put on PATH is a link into the environment.
        found.append(os.path.dirname(os.path.dirname(os.path.realpath(program))))
    return tuple(dict.fromkeys((*found, sys.prefix)))


def kernelspecs(
    environ: Mapping[str, str], project_prefix: str = "", platform: str = sys.platform
) -> list[Kernelspec]:
    """Return every kernelspec on Jupyter's paths, in the order in which Jupyter finds them."""
    found: list[Kernelspec] = []
    seen: set[str] = set()
    for directory in kernel_directories(environ, prefixes(environ, project_prefix), platform):
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            path = f"{directory}/{name}"
            if not os.path.isfile(f"{path}/kernel.json"):
                continue
            # Jupyter compares names in lower case.
            found.append(_read(path, environ, hidden=name.lower() in seen))
            seen.add(name.lower())
    return found


def find_kernelspec(name: str, found: list[Kernelspec]) -> Kernelspec:
    """Return the kernelspec of a name that Jupyter would take.

    Raises:
        KernelFailed: there is none.
    """
    for one in found:
        if one.name.lower() == name.lower() and not one.hidden:
            return one
    raise KernelFailed(
        f"there is no kernelspec {name!r} on Jupyter's paths",
        next="`nixpy kernel list` shows those that are.",
    )


def remove(one: Kernelspec) -> None:
    """Remove a kernelspec.

    Raises:
        KernelFailed: it cannot be removed.
    """
    try:
        if os.path.islink(one.directory):
            os.unlink(one.directory)
        else:
            shutil.rmtree(one.directory)
    except OSError as error:
        raise KernelFailed(
            f"cannot be removed: {error.strerror}",
            where=one.directory,
            next="Whoever it belongs to can.",
        ) from None


def _read(path: str, environ: Mapping[str, str], *, hidden: bool) -> Kernelspec:
    name = os.path.basename(path)
    one = Kernelspec(name, path, name, "", "foreign", "", (), (), "ok", (), hidden)
    try:
        with open(f"{path}/kernel.json", encoding="utf-8") as file:
            spec = json.load(file)
    except OSError as error:
        return one._replace(state="dead", problems=(f"cannot be read: {error.strerror}",))
    except ValueError:
        return one._replace(state="dead", problems=("kernel.json is no JSON",))
    argv = spec.get("argv") if isinstance(spec, dict) else None
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        return one._replace(state="dead", problems=("kernel.json has no argv",))
    one = one._replace(
        display_name=str(spec.get("display_name", name)),
        language=str(spec.get("language", "")),
        argv=tuple(argv),
    )
    metadata = spec.get("metadata")
    told = metadata.get(OURS) if isinstance(metadata, dict) else None
    problems = list(_problems_of_program(one, environ))
    if problems:
        one = one._replace(state="dead")
    if isinstance(told, dict):
        one = _ours(one, told)
        gone, stale = _problems_of_project(one, environ)
        if gone:
            one = one._replace(state="dead")
        elif stale and one.state == "ok":
            one = one._replace(state="stale")
        problems += [*gone, *stale]
    return one._replace(problems=tuple(problems))


def _ours(one: Kernelspec, told: dict[str, Any]) -> Kernelspec:
    project, flags = told.get("project"), told.get("flags")
    if not isinstance(project, str) or not project:
        return one._replace(kind="per-notebook")
    known = tuple(str(flag) for flag in flags) if isinstance(flags, list) else ()
    return one._replace(kind="project", project=path_of(project), flags=known)


def _problems_of_program(one: Kernelspec, environ: Mapping[str, str]) -> Iterator[str]:
    program = one.argv[0]
    if "{" in program:
        return  # relative to what only Jupyter knows
    if "/" not in program:
        if find_program(program, environ.get("PATH", "")) is None and program not in PYTHONS:
            yield f"{program} is not on PATH"
        return
    if not os.access(program, os.X_OK):
        why = "is a link to what is gone" if os.path.islink(program) else "is gone"
        yield f"{program} {'cannot be executed' if os.path.exists(program) else why}"
        return
    prefix = os.path.dirname(os.path.dirname(program))
    if "ipykernel_launcher" not in one.argv or not Prefix(prefix).is_environment():
        return
    if not has_ipykernel(prefix) and not _inherits(prefix):
        yield f"{prefix} has no ipykernel"


def _problems_of_project(
    one: Kernelspec, environ: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return why a project's kernel cannot start, and what starting it would have to mend."""
    if one.kind != "project":
        return [], []
    if not os.path.isdir(one.project):
        return [f"the project {one.project} is gone, or has moved"], []
    prefix = _prefix_of(one, environ)
    if prefix is None:
        return [], ["the environment is not made yet"]
    if not prefix:
        return [], []  # of a dev shell alone; its interpreter would have to be asked
    if not os.path.isdir(prefix):
        return [], [f"the environment {prefix} is gone"]
    if not is_usable(prefix):
        return [], [f"the interpreter of {prefix} is gone"]
    if not has_ipykernel(prefix) and not _inherits(prefix):
        return [], [f"{prefix} has no ipykernel"]
    return [], []


def _inherits(prefix: str) -> bool:
    return Prefix(prefix).configuration().get("include-system-site-packages") == "true"


def _prefix_of(one: Kernelspec, environ: Mapping[str, str]) -> str | None:
    """Return the environment of a project as its entry has it, else where it usually lies."""
    top = nixpy_directory("cache", environ)
    arguments = one.flags or envrc_arguments(one.project) or ()
    directory = top and cache.entry_directory(top, one.project, arguments)
    entry = cache.read_entry(directory) if directory else None
    if entry is not None:
        return entry.prefix
    for name in (".venv", ".conda"):
        if os.path.lexists(f"{one.project}/{name}"):
            return os.path.realpath(f"{one.project}/{name}")
    return None
