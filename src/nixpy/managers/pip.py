"""pip: ``python -m venv`` and ``pip install``, with pip's own configuration in force."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Literal

from nixpy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.managers import Plan, Session

__all__ = ["Pip"]

SEED_PACKAGES = frozenset({"pip", "setuptools", "wheel"})
"""What ``venv`` itself puts into an environment (bpo-46096 took setuptools out in 3.12)."""


class Pip:
    """The manager pip."""

    makes: Literal["virtual", "conda"] = "virtual"

    def create(self, interpreter: str, prefix: str, *, name: str, session: Session) -> int:
        """See :meth:`nixpy.managers.Manager.create`."""
        argv = [interpreter, "-m", "venv", f"--prompt={name}", prefix]
        status = session.show(argv, cwd=os.path.dirname(prefix), environ=session.environ)
        if status == 0:
            # As uv does, and as venv itself does since Python 3.13.
            with open(f"{prefix}/.gitignore", "w", encoding="utf-8") as file:
                file.write("*\n")
        return status

    def install(self, plan: Plan, session: Session) -> int:
        """See :meth:`nixpy.managers.Manager.install`.

        Raises:
            UsageError: an extra or a group was asked for that the project does not have.
        """
        wanted = list(_wanted(plan))
        if not wanted:
            return 0
        pip = [f"{plan.prefix}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        install = [*pip, "install", "--no-input", *wanted]
        if plan.reinstall:
            install.append("--force-reinstall")
        status = session.show(install, cwd=plan.directory, environ=session.environ)
        if status == 0 and plan.exact:
            status = self._remove_others(plan, pip, wanted, session)
        return status

    def _remove_others(
        self, plan: Plan, pip: list[str], wanted: list[str], session: Session
    ) -> int:
        # pip's installation report (pip.pypa.io/en/stable/reference/installation-report).
        report = [*pip, "install", "--no-input", "--quiet", "--dry-run", "--ignore-installed"]
        report += ["--report", "-", *wanted]
        run = session.runner.capture
        cwd, environ = plan.directory, session.environ
        done = run(report, cwd=cwd, environ=environ, timeout=600)
        listed = run([*pip, "list", "--format", "json"], cwd=cwd, environ=environ)
        if done.status or listed.status:
            session.log.write(os.fsencode(done.stderr + listed.stderr))
            return done.status or listed.status
        keep = {_normalized(one["metadata"]["name"]) for one in json.loads(done.stdout)["install"]}
        installed = {_normalized(one["name"]) for one in json.loads(listed.stdout)}
        others = sorted(installed - keep - SEED_PACKAGES)
        if not others:
            return 0
        return session.show([*pip, "uninstall", "--yes", *others], cwd=cwd, environ=environ)


def _normalized(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _wanted(plan: Plan) -> Iterator[str]:
    from nixpy.files import DiskFiles
    from nixpy.manifests.pyproject import group_requirements, read_pyproject

    for path in plan.requirements:
        yield from ("--requirement", path)
    pyproject = read_pyproject(plan.directory, DiskFiles())
    known_extras = pyproject.extras if pyproject else ()
    known_groups = pyproject.dependency_groups if pyproject else ()
    extras = _named(plan.options.extras, known_extras, "extra", plan)
    if plan.install == "editable" and (pyproject is None or not _is_virtual(pyproject)):
        yield from ("--editable", f".[{','.join(extras)}]" if extras else ".")
    groups = _named(plan.options.groups, known_groups, "group", plan)
    if plan.install == "editable" and not plan.options.groups:
        # As uv does by default.
        groups = tuple(group for group in known_groups if group == "dev")
    for group in groups:
        if pyproject:
            yield from group_requirements(pyproject, group)


def _is_virtual(pyproject: object) -> bool:
    return not (getattr(pyproject, "has_project", False) or getattr(pyproject, "is_poetry", False))


def _named(
    wanted: tuple[str, ...], known: tuple[str, ...], kind: str, plan: Plan
) -> tuple[str, ...]:
    if wanted == ("all",):
        return known
    by_name = {_normalized(name): name for name in known}
    for name in wanted:
        if _normalized(name) not in by_name:
            raise UsageError(
                f"there is no {kind} {name!r} in pyproject.toml",
                where=plan.options.origins[f"{kind}s"],
                next=f"It has: {', '.join(known) or 'none'}.",
            )
    return wanted
