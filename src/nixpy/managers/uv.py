"""uv: projects and workspaces by ``uv sync``, everything else by ``uv pip``.

Flags are those of uv's own reference (docs.astral.sh/uv/reference/cli).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

from nixpy.errors import ToolMissing
from nixpy.managers.foreign.credentials import credentials_of, netrc
from nixpy.managers.foreign.exporter import exported
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.managers import Plan, Session
    from nixpy.managers.foreign.tools import Export

__all__ = ["Uv", "find_uv", "sync_flags"]

ALL = ("all",)


class Uv:
    """The manager uv."""

    makes: Literal["virtual", "conda"] = "virtual"

    def create(self, interpreter: str, prefix: str, *, name: str, session: Session) -> int:
        """See :meth:`nixpy.managers.Manager.create`."""
        argv = [session.uv, "venv", "--quiet", "--allow-existing", "--no-project", "--no-config"]
        argv += [f"--python={interpreter}", f"--prompt={name}", prefix]
        return session.show(argv, cwd=os.path.dirname(prefix), environ=session.environ)

    def install(self, plan: Plan, session: Session) -> int:
        """See :meth:`nixpy.managers.Manager.install`."""
        environ = dict(session.environ)
        if plan.install == "nothing":
            return 0
        if plan.export:
            return self._install_export(plan, plan.export, session)
        if plan.install == "project":
            # The flags say it; a variable that says otherwise would be an error in uv.
            for name in ("UV_FROZEN", "UV_LOCKED"):
                environ.pop(name, None)
            environ["UV_PROJECT_ENVIRONMENT"] = plan.prefix
            argv = [session.uv, "sync", *sync_flags(plan)]
        else:
            argv = [session.uv, "pip", *_pip_arguments(plan)]
        argv += ["--python", f"{plan.prefix}/bin/python"]
        return session.show(argv, cwd=plan.directory, environ=environ)

    def _install_export(self, plan: Plan, export: Export, session: Session) -> int:
        """Install what another tool's lock file pins, as that tool exports it."""
        path = exported(export, plan.options.exporter, session.cache, session)
        python = ["--python", f"{plan.prefix}/bin/python"]
        reinstall = ["--reinstall"] if plan.reinstall else []
        arguments = ["sync", path] if plan.exact else ["install", "--requirement", path]
        argv = [session.uv, "pip", *arguments, *reinstall, *python]
        with netrc(credentials_of(export, session.environ), session.environ) as environ:
            return session.show(argv, cwd=plan.directory, environ=environ)


def find_uv(environ: Mapping[str, str], prefix: str) -> str:
    """Return the path of the uv to use: the caller's own, else the one nixpy was installed with.

    The caller's comes first so that the lock file is written by one uv and not by two in turn. A
    uv inside the environment itself does not count: a sync may remove it.

    Raises:
        ToolMissing: there is none.
    """
    found = find_program("uv", environ.get("PATH", ""), without=prefix)
    if found:
        return found
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    if os.access(beside, os.X_OK):
        return beside
    try:
        from uv import find_uv_bin
    except ImportError:
        pass
    else:
        try:
            return find_uv_bin()
        except FileNotFoundError:
            pass
    raise ToolMissing(
        "uv is not installed",
        where="PATH",
        next="Install it (`pip install uv`, or nixpkgs' `uv`), or say `use nixpy --manager pip`.",
    )


def sync_flags(plan: Plan) -> Iterator[str]:
    """Yield the flags with which ``uv sync`` installs what a plan says."""
    options = plan.options
    if plan.whole_workspace:
        yield "--all-packages"
    yield from _chosen(options.extras, "extra")
    yield from _chosen(options.groups, "group")
    if options.lock != "update":
        yield f"--{options.lock}"
    if not plan.exact:
        yield "--inexact"
    if plan.reinstall:
        yield "--reinstall"


def _pip_arguments(plan: Plan) -> Iterator[str]:
    options = plan.options
    if plan.install == "pylock" and plan.exact:
        yield "sync"
        yield from _relative(plan)
    else:
        yield "install"
        if plan.exact:
            yield "--exact"
        for path in _relative(plan):
            yield from ("--requirement", path)
    if plan.reinstall:
        yield "--reinstall"
    if plan.install == "editable":
        # Extras of what is no pyproject.toml by the standard are known by this spelling alone.
        extras = ",".join(options.extras)
        yield from ("--editable", f".[{extras}]" if extras and options.extras != ALL else ".")
    else:
        yield from _chosen(options.extras, "extra")
    for group in options.groups:
        yield from ("--group", group)


def _relative(plan: Plan) -> Iterator[str]:
    # uv takes no argument that is not UTF-8, and works in a directory whose path is none.
    for path in plan.requirements:
        yield os.path.relpath(path, plan.directory)


def _chosen(names: tuple[str, ...], kind: str) -> Iterator[str]:
    if names == ALL:
        yield f"--all-{kind}s"
    else:
        for name in names:
            yield from (f"--{kind}", name)
