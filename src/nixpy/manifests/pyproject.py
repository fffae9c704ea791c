"""What ``pyproject.toml`` declares: PEP 621, PEP 735, and the tables of uv and Poetry we act on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nixpy.errors import ManifestError
from nixpy.manifests.poetry import python_specifier
from nixpy.manifests.toml import Table, read_toml
from nixpy.manifests.workspace import Workspace, find_workspace, glob_fault

if TYPE_CHECKING:
    from nixpy.files import Files

__all__ = [
    "IncludeGroup",
    "Pyproject",
    "Workspace",
    "find_workspace",
    "group_requirements",
    "local_dependencies",
    "read_pyproject",
]


@dataclass(frozen=True, slots=True)
class IncludeGroup:
    """An entry of a dependency group that includes another group (PEP 735)."""

    name: str


GroupEntries: TypeAlias = "tuple[str | IncludeGroup, ...]"


@dataclass(frozen=True, slots=True)
class Pyproject:
    """A ``pyproject.toml``, as far as it bears on an environment.

    Attributes:
        path: the absolute path of the file.
        directory: the absolute path of its directory.
        shown_as: the name of the file in messages.
        name: ``project.name``, as spelled.
        has_project: there is a ``[project]`` table.
        requires_python: ``project.requires-python``, or without ``[project]`` the ``python`` of
            Poetry's dependencies; a valid version specifier.
        extras: the keys of ``[project.optional-dependencies]``, as spelled, in their order.
        groups: ``[dependency-groups]`` with their entries; valid and without cycles.
        has_dependency_groups: there is such a table, if only an empty one.
        is_poetry: there is a ``[tool.poetry]`` table.
        poetry_groups: the groups of ``[tool.poetry]``, which only Poetry itself installs.
        has_uv_table: there is a ``[tool.uv]`` table.
        sets_uv_index: ``[tool.uv]`` says where packages come from.
        has_package_conflicts: ``tool.uv.conflicts`` names a package as a whole.
        is_workspace_root: there is a ``[tool.uv.workspace]`` table.
        workspace_members: its globs.
        workspace_exclude: the globs of what is no member.
        source_paths: the absolute paths in ``[tool.uv.sources]``.
        dynamic: ``project.dynamic``.
        build_backend: ``build-system.build-backend``.
    """

    path: str
    directory: str
    shown_as: str
    name: str | None = None
    has_project: bool = False
    requires_python: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[tuple[str, GroupEntries], ...] = ()
    has_dependency_groups: bool = False
    is_poetry: bool = False
    poetry_groups: tuple[str, ...] = ()
    has_uv_table: bool = False
    sets_uv_index: bool = False
    has_package_conflicts: bool = False
    is_workspace_root: bool = False
    workspace_members: tuple[str, ...] = ()
    workspace_exclude: tuple[str, ...] = ()
    source_paths: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()
    build_backend: str | None = None

    @property
    def dependency_groups(self) -> tuple[str, ...]:
        """The names of the dependency groups, as spelled, in their order."""
        return tuple(name for name, _ in self.groups)

    @property
    def declares_dependencies(self) -> bool:
        """Whether this is a manifest at all (DESIGN.md, section 5, rule 6)."""
        return self.has_project or self.has_dependency_groups or self.is_poetry


def read_pyproject(
    directory: str, files: Files, *, shown_as: str = "pyproject.toml"
) -> Pyproject | None:
    """Return the ``pyproject.toml`` of a directory; None where there is none.

    Args:
        directory: an absolute path.
        files: reads the file.
        shown_as: the name of the file in messages.

    Raises:
        ManifestError: the file is malformed, or breaks PEP 508, 621 or 735 where we read it.
    """
    path = os.path.join(directory, "pyproject.toml")
    content = files.read(path)
    if content is None:
        return None
    top = read_toml(path, content, shown_as=shown_as)
    project = top.table("project")
    tool = top.table("tool")
    uv = None if tool is None else tool.table("uv")
    workspace = None if uv is None else uv.table("workspace")
    build_system = top.table("build-system")
    groups = _read_groups(top)
    return Pyproject(
        path=path,
        directory=directory,
        shown_as=shown_as,
        name=None if project is None else project.string("name", check=_name_fault),
        has_project=project is not None,
        requires_python=_poetry_python(tool)
        if project is None
        else project.string("requires-python", check=_specifier_fault),
        extras=() if project is None else _read_dependencies(project),
        groups=groups,
        has_dependency_groups="dependency-groups" in top,
        is_poetry=tool is not None and tool.table("poetry") is not None,
        poetry_groups=_poetry_groups(tool),
        has_uv_table=uv is not None,
        sets_uv_index=uv is not None and _sets_index(uv),
        has_package_conflicts=uv is not None and _has_package_conflicts(uv),
        is_workspace_root=workspace is not None,
        workspace_members=()
        if workspace is None
        else workspace.strings("members", check=glob_fault),
        workspace_exclude=()
        if workspace is None
        else workspace.strings("exclude", check=glob_fault),
        source_paths=() if uv is None else _source_paths(uv, directory),
        dynamic=() if project is None else project.strings("dynamic"),
        build_backend=None if build_system is None else build_system.string("build-backend"),
    )


def _poetry_groups(tool: Table | None) -> tuple[str, ...]:
    poetry = None if tool is None else tool.table("poetry")
    groups = None if poetry is None else poetry.table("group")
    legacy = ("dev",) if poetry is not None and "dev-dependencies" in poetry else ()
    return tuple(dict.fromkeys((*(groups or ()), *legacy)))


def _poetry_python(tool: Table | None) -> str | None:
    poetry = None if tool is None else tool.table("poetry")
    dependencies = None if poetry is None else poetry.table("dependencies")
    if dependencies is None:
        return None
    constraint = dependencies.string("python")
    try:
        return None if constraint is None else python_specifier(constraint)
    except ValueError:
        dependencies.fault(
            f"expected a constraint on Python's version, as in ^3.10, got {constraint!r}", "python"
        )
        return None


def group_requirements(pyproject: Pyproject, group: str) -> tuple[str, ...]:
    """Return the requirements of a dependency group, what it includes resolved (PEP 735).

    Raises:
        ManifestError: there is no such group.
    """
    from packaging.dependency_groups import resolve_dependency_groups
    from packaging.utils import canonicalize_name

    wanted = canonicalize_name(group)
    if wanted not in {canonicalize_name(name) for name in pyproject.dependency_groups}:
        raise ManifestError(
            f"there is no dependency group {group}",
            where=f"{pyproject.shown_as}: dependency-groups",
        )
    return resolve_dependency_groups(_plain(pyproject.groups), group)


def local_dependencies(pyproject: Pyproject, files: Files) -> tuple[Pyproject, ...]:
    """Return the projects that ``[tool.uv.sources]`` leads to by path, and theirs in turn.

    The project itself is not among them; paths that are no directory with a ``pyproject.toml``
    (archives, ``setup.py`` projects) are passed over. Sorted by directory.

    Raises:
        ManifestError: one of them is malformed.
    """
    found: dict[str, Pyproject] = {}
    waiting = list(pyproject.source_paths)
    seen = {os.path.realpath(pyproject.directory)}
    while waiting:
        directory = waiting.pop()
        real = os.path.realpath(directory)
        if real in seen:
            continue
        seen.add(real)
        shown_as = os.path.relpath(os.path.join(directory, "pyproject.toml"), pyproject.directory)
        dependency = read_pyproject(directory, files, shown_as=shown_as)
        if dependency is not None:
            found[directory] = dependency
            waiting.extend(dependency.source_paths)
    return tuple(found[directory] for directory in sorted(found))


def _read_dependencies(project: Table) -> tuple[str, ...]:
    """Check the dependencies and return the extras."""
    project.strings("dependencies", check=_requirement_fault)
    extras = project.table("optional-dependencies")
    if extras is None:
        return ()
    for extra in extras:
        extras.strings(extra, check=_requirement_fault)
    return extras.keys()


def _read_groups(top: Table) -> tuple[tuple[str, GroupEntries], ...]:
    table = top.table("dependency-groups")
    if table is None or not table.keys():
        return ()
    from packaging.utils import canonicalize_name

    spelled: dict[str, str] = {}
    for name in table:
        other = spelled.setdefault(canonicalize_name(name), name)
        if other != name:
            table.fault(f"the same group as {other}", name)
    groups = []
    for name in table:
        entries: list[str | IncludeGroup] = []
        for index, entry in enumerate(table.strings_and_tables(name, check=_requirement_fault)):
            if isinstance(entry, str):
                entries.append(entry)
                continue
            included = entry.string("include-group")
            if included is None or entry.keys() != ("include-group",):
                table.fault("expected a requirement or { include-group = NAME }", name, index)
            elif canonicalize_name(included) not in spelled:
                table.fault(f"includes {included}, which is no dependency group", name, index)
            else:
                entries.append(IncludeGroup(included))
        groups.append((name, tuple(entries)))
    _check_cycles(table, tuple(groups))
    return tuple(groups)


def _check_cycles(table: Table, groups: tuple[tuple[str, GroupEntries], ...]) -> None:
    from packaging.dependency_groups import DependencyGroupResolver
    from packaging.errors import ExceptionGroup

    resolver = DependencyGroupResolver(_plain(groups))
    name = ""
    try:
        for name, _ in groups:
            resolver.resolve(name)
    except ExceptionGroup as error:
        table.fault(_one_line(str(error.exceptions[0])), name)
    except RecursionError:
        table.fault("includes too many groups in a row", name)


def _plain(
    groups: tuple[tuple[str, GroupEntries], ...],
) -> dict[str, list[str | dict[str, str]]]:
    return {
        name: [
            {"include-group": entry.name} if isinstance(entry, IncludeGroup) else entry
            for entry in entries
        ]
        for name, entries in groups
    }


def _sets_index(uv: Table) -> bool:
    faults: list[str] = []  # what uv does not accept, uv says better
    lenient = uv.collecting(faults)
    pip = lenient.table("pip")
    keys = ("index-url", "extra-index-url", "find-links", "index")
    return any(
        any(key in table for key in keys) or table.boolean("no-index") is True
        for table in (lenient, pip)
        if table is not None
    )


def _has_package_conflicts(uv: Table) -> bool:
    faults: list[str] = []
    return any(
        "package" in entry and "extra" not in entry and "group" not in entry
        for entries in uv.collecting(faults).arrays_of_tables("conflicts")
        for entry in entries
    )


def _source_paths(uv: Table, directory: str) -> tuple[str, ...]:
    faults: list[str] = []
    sources = uv.collecting(faults).table("sources")
    if sources is None:
        return ()
    paths = [
        os.path.normpath(os.path.join(directory, path))
        for package in sources
        for source in sources.tables(package, or_one=True)
        if (path := source.string("path")) and "\0" not in path
    ]
    return tuple(dict.fromkeys(paths))


def _name_fault(name: str) -> str | None:
    from packaging.utils import InvalidName, canonicalize_name

    try:
        canonicalize_name(name, validate=True)
    except InvalidName:
        return f"expected the name of a distribution, got {name!r}"
    return None


def _specifier_fault(specifier: str) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(specifier)
    except InvalidSpecifier as error:
        return f"expected a version specifier: {_one_line(str(error))}"
    return None


def _requirement_fault(requirement: str) -> str | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(requirement)
    except InvalidRequirement as error:
        return _one_line(str(error))
    except RecursionError:
        return "a marker that is nested too deeply"
    return None


def _one_line(message: str) -> str:
    """Flatten a message of packaging: what, the source, and a caret below the place in it."""
    lines = message.split("\n")
    what = lines[0][:1].lower() + lines[0][1:]
    if len(lines) < 3:  # noqa: PLR2004 - no caret
        return " ".join((what, *(line.strip() for line in lines[1:])))
    source, marks = "\n".join(lines[1:-1]), lines[-1]
    start = len(marks) - len(marks.lstrip())
    rest = source[start:]
    place = f"at {rest!r} " if rest else "at the end "
    return f"{what}, {place}of {source[4:]!r}"
