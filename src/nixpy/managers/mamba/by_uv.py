"""What uv installs into a conda prefix: a manifest's ``pip:`` section, and what no channel has."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from email.parser import HeaderParser
from typing import TYPE_CHECKING, NamedTuple

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nixpy.manifests.pip_configuration import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nixpy.managers import Plan, Session
    from nixpy.managers.mamba.records import Asked

__all__ = ["absolute_line", "install_by_uv"]

INSTALLER = "uv"
"""What uv writes into ``INSTALLER`` (PEP 627; "Recording installed projects")."""


class _Distribution(NamedTuple):
    """A distribution of the prefix."""

    name: str
    installer: str
    requires: tuple[str, ...]


def install_by_uv(
    plan: Plan,
    lines: tuple[str, ...],
    before: Asked,
    *,
    constraints: tuple[str, ...] = (),
    editable: bool,
    session: Session,
) -> tuple[tuple[str, ...], int]:
    """Install requirements into a conda prefix, and remove what none of them needs any more.

    Args:
        plan: what is to be there.
        lines: of a requirements file, without relative paths.
        before: what an earlier sync asked for.
        constraints: lines of a constraints file.
        editable: whether the project itself is installed too.
        session: what to work with.

    Returns:
        the names of what uv has installed, and uv's status.
    """
    python = f"{plan.prefix}/bin/python"
    uv = [session.uv, "pip"]
    target = ["--python", python]
    cwd, environ = plan.directory, session.environ
    wanted: set[str] = set()
    if lines or editable:
        known = {one.name for one in _distributions(plan.prefix)}
        argv = [*uv, "install", *target]
        if plan.install == "conda lock":
            argv.append("--no-deps")
        if editable:
            extras = ",".join(plan.options.extras)
            argv += ["--editable", f".[{extras}]" if extras and extras != "all" else "."]
        if plan.reinstall:
            argv.append("--reinstall")
        # What a URL or a digest pins is not what is there only because the version is the same.
        pinned = (line for line in lines if " @ " in line or " --hash" in line)
        changed = _names(line for line in pinned if masked(line) not in before.by_uv)
        argv += (f"--reinstall-package={name}" for name in changed if name in known)
        # They may hold an index with its password.
        with tempfile.TemporaryDirectory(prefix="nixpy-requirements-") as scratch:
            argv += ["--requirement", _written(f"{scratch}/requirements.txt", lines)]
            if constraints:
                argv += ["--constraint", _written(f"{scratch}/constraints.txt", constraints)]
            status = session.show(argv, cwd=cwd, environ=environ)
        if status:
            return before.installed_by_uv, status
        wanted = set(_names(lines))
        if editable:
            new = {one.name for one in _distributions(plan.prefix)} - known
            wanted |= new or set(before.installed_by_uv)
    distributions = {one.name: one for one in _distributions(plan.prefix)}
    needed = _closure(wanted, distributions)
    by_uv = {one.name for one in distributions.values() if one.installer == INSTALLER}
    candidates = by_uv if plan.exact else by_uv & set(before.installed_by_uv)
    superfluous = sorted(candidates - needed) if _is_known(lines) else []
    if superfluous:
        status = session.show([*uv, "uninstall", *target, *superfluous], cwd=cwd, environ=environ)
        if status:
            return before.installed_by_uv, status
    ours = (by_uv & needed) | (set(before.installed_by_uv) & by_uv)
    return tuple(sorted(ours - set(superfluous))), 0


def _written(path: str, lines: Iterable[str]) -> str:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def absolute_line(line: str, directory: str) -> str:
    """Return a line of a requirements file whose relative path is one no more."""
    for flag in ("-e", "--editable", "-r", "--requirement", "-c", "--constraint", "--find-links"):
        rest = line.removeprefix(flag)
        if rest != line and rest[:1] in {" ", "="}:
            value = rest[1:].strip()
            if "://" not in value and not value.startswith(("/", "git+", "${")):
                value = os.path.normpath(os.path.join(directory, value))
            return f"{flag} {value}"
    if line.startswith((".", "./", "../")):
        return os.path.normpath(os.path.join(directory, line))
    return line


def _names(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        with contextlib.suppress(InvalidRequirement):
            yield canonicalize_name(Requirement(line.split(" --", 1)[0].split(" #", 1)[0]).name)


def _is_known(lines: Iterable[str]) -> bool:
    """Whether all that lines ask for can be named: of an option or a path only uv knows."""
    return len(list(_names(lines))) == len(list(lines))


def _closure(names: set[str], distributions: dict[str, _Distribution]) -> set[str]:
    """Return names and all that they require, in so far as it is there; extras count as asked."""
    environment = {name: str(value) for name, value in default_environment().items()}
    environment["extra"] = ""
    found: set[str] = set()
    pending = [canonicalize_name(name) for name in names]
    while pending:
        name = pending.pop()
        if name in found or name not in distributions:
            continue
        found.add(name)
        for text in distributions[name].requires:
            requirement = Requirement(text)
            # A marker about extras may hold: what is there for it stays.
            if (
                requirement.marker is None
                or "extra" in str(requirement.marker)
                or (requirement.marker.evaluate(environment))
            ):
                pending.append(canonicalize_name(requirement.name))
    return found


def _distributions(prefix: str) -> Iterator[_Distribution]:
    """Yield the distributions of a prefix ("Recording installed projects", ``.dist-info``)."""
    for path in glob.glob(f"{glob.escape(prefix)}/lib/python*/site-packages/*.dist-info"):
        try:
            with open(f"{path}/METADATA", encoding="utf-8", errors="replace") as file:
                metadata = HeaderParser().parse(file)
        except OSError:
            continue
        try:
            with open(f"{path}/INSTALLER", encoding="utf-8", errors="replace") as file:
                installer = file.read().strip()
        except OSError:
            installer = ""
        requires = metadata.get_all("Requires-Dist") or []
        yield _Distribution(canonicalize_name(metadata["Name"] or ""), installer, tuple(requires))
