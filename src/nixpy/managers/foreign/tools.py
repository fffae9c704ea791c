"""The three tools: what is asked of each, and what each installs by itself (pure)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from nixpy.errors import UsageError
from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from nixpy.files import Files
    from nixpy.manifests.toml import Table
    from nixpy.options import Options

__all__ = ["ELSEWHERE", "TOOLS", "Export", "export_of", "tool_of"]

ALL = ("all",)

NO_CATEGORIES = frozenset({"source", "packages", "requires", "pipenv", "scripts"})
"""Tables of a Pipfile that are no further category of packages."""

TOOLS = {"poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile.lock": "pipenv"}
"""The tool that owns a lock file, by the file's name."""

MANIFESTS = {"poetry": "pyproject.toml", "pdm": "pyproject.toml", "pipenv": "Pipfile"}
SETTINGS = {"poetry": ("poetry.toml",), "pdm": ("pdm.toml",), "pipenv": ()}

VARIABLES: dict[str, dict[str, str]] = {
    # Nothing is made beside the export, and nobody is asked.
    "poetry": {"POETRY_VIRTUALENVS_CREATE": "false", "POETRY_NO_INTERACTION": "1"},
    "pdm": {
        "PDM_USE_VENV": "0",
        "PDM_CHECK_UPDATE": "0",
        "PDM_IGNORE_SAVED_PYTHON": "1",
        "PDM_IGNORE_ACTIVE_VENV": "1",
        "PDM_NON_INTERACTIVE": "1",
    },
    "pipenv": {"PIPENV_IGNORE_VIRTUALENVS": "1", "PIPENV_NOSPIN": "1", "PIPENV_YES": "1"},
}


ELSEWHERE = (
    *("PDM_LOCKFILE", "PDM_PROJECT", "PDM_PYTHON", "PIPENV_PYTHON", "PIPENV_VENV"),
    *("PIPENV_CUSTOM_VENV_NAME", "POETRY_VIRTUALENVS_"),
)
"""How variables begin that lead a tool to another project, lock file or environment."""

CHECKS: dict[str, tuple[str, ...]] = {"pdm": ("lock", "--check"), "pipenv": ("verify",)}
"""What says whether a lock file is that of its manifest; Poetry's export says it by itself."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is to be exported, and how.

    Attributes:
        tool: ``poetry``, ``pdm`` or ``pipenv``.
        directory: real path of the directory that the lock file lies in.
        files: names of the files there that the tool reads; some may be absent.
        arguments: the tool's command line, behind its name.
        check: the command line that says whether the lock file is that of its manifest; empty
            where the export does, or nobody wants to know (``lock = "frozen"``).
        form: what it prints where it can.
        project: name of the project itself, where it is installed too, editable; else empty.
    """

    tool: str
    directory: str
    files: tuple[str, ...]
    arguments: tuple[str, ...]
    check: tuple[str, ...]
    form: Literal["pylock", "requirements"]
    project: str


def tool_of(lock: str) -> str:
    """Return the tool that owns a lock file."""
    return TOOLS[os.path.basename(lock)]


def export_of(lock: str, options: Options, files: Files) -> Export:
    """Return what is exported of a lock file: what its tool installs by default, and the options'.

    Poetry installs all groups but optional ones, PDM all development groups, Pipenv none.

    Raises:
        ManifestError: the manifest beside it, or the lock file, is malformed.
        UsageError: a group or an extra is asked for that a PDM lock does not have.
    """
    tool = tool_of(lock)
    directory = os.path.dirname(lock)
    content = files.read(f"{directory}/pyproject.toml") if tool != "pipenv" else None
    top = read_toml(f"{directory}/pyproject.toml", content) if content is not None else None
    project = ""
    if tool == "poetry":
        arguments, project = _poetry(top, options)
    elif tool == "pdm":
        arguments, project = _pdm(top, options)
        _check_locked(lock, options, files)
    else:
        arguments = _pipenv(directory, options, files)
    names = (os.path.basename(lock), MANIFESTS[tool], *SETTINGS[tool])
    for name in names:
        files.read(f"{directory}/{name}")
    return Export(
        tool=tool,
        directory=directory,
        files=names,
        arguments=arguments,
        check=() if options.lock == "frozen" else CHECKS.get(tool, ()),
        form="requirements" if tool == "pipenv" else "pylock",
        project=project,
    )


def _poetry(top: Table | None, options: Options) -> tuple[tuple[str, ...], str]:
    poetry = _tool(top, "poetry")
    arguments = ["export", "--no-interaction", "--no-ansi"]
    if options.groups == ALL:
        arguments.append("--all-groups")
    else:
        groups = dict.fromkeys((*_poetry_groups(top, poetry), *options.groups))
        if groups:
            arguments += ["--with", ",".join(groups)]
    if options.extras == ALL:
        arguments.append("--all-extras")
    for extra in () if options.extras == ALL else options.extras:
        arguments += ["--extras", extra]
    project = top.table("project") if top else None
    if poetry and poetry.boolean("package-mode") is False:
        return tuple(arguments), ""
    name = (project and project.string("name")) or (poetry and poetry.string("name"))
    return tuple(arguments), name or ""


def _poetry_groups(top: Table | None, poetry: Table | None) -> list[str]:
    """Return the groups that ``poetry install`` installs: those that are not optional."""
    own = poetry.table("group") if poetry else None
    optional = {
        name
        for name in own or ()
        if own and (group := own.table(name)) and group.boolean("optional")
    }
    names = list(own or ())
    if poetry and "dev-dependencies" in poetry:
        names.append("dev")
    standard = top.table("dependency-groups") if top else None
    names += list(standard or ())
    return [name for name in dict.fromkeys(names) if name not in optional]


def _pdm(top: Table | None, options: Options) -> tuple[tuple[str, ...], str]:
    settings = _tool(top, "pdm")
    project = top.table("project") if top else None
    said = settings.boolean("distribution") if settings else None
    arguments = ["export"]
    for extra in (":all",) if options.extras == ALL else options.extras:
        arguments += ["--group", extra]
    name = project.string("name") if project else None
    # Its own `--editable-self` would read files of the project for a dynamic version.
    return tuple(arguments), (name or "") if said is not False else ""


def _check_locked(lock: str, options: Options, files: Files) -> None:
    """Check that a PDM lock has what is asked for: ``pdm export`` leaves it out in silence."""
    metadata = read_toml(lock, files.read(lock) or b"").table("metadata")
    known = metadata.strings("groups") if metadata else ()
    names = {canonicalize_name(name) for name in known}
    for option, asked in (("extras", options.extras), ("groups", options.groups)):
        for name in () if asked == ALL else asked:
            if names and canonicalize_name(name) not in names:
                raise UsageError(
                    f"{name} is not locked in {os.path.basename(lock)}",
                    where=options.origins[option],
                    next=f"It has: {', '.join(known)}; `pdm lock -G {name}` adds to them.",
                )


def _pipenv(directory: str, options: Options, files: Files) -> tuple[str, ...]:
    categories = []
    if options.groups == ALL:
        pipfile = f"{directory}/Pipfile"
        tables = read_toml(pipfile, files.read(pipfile) or b"")
        categories = [name for name in tables if name not in NO_CATEGORIES]
    for group in () if options.groups == ALL else options.groups:
        categories.append("dev-packages" if group in {"dev", "develop"} else group)
    arguments = ["requirements", "--hash"]
    if categories:
        arguments += ["--categories", " ".join(("packages", *dict.fromkeys(categories)))]
    return tuple(arguments)


def _tool(top: Table | None, name: str) -> Table | None:
    tool = top.table("tool") if top else None
    return tool.table(name) if tool else None
