"""``nixpy kernel``: parse, call, print."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from nixpy.cli.shared import (
    FLAGS,
    Command,
    Group,
    accept,
    cli,
    examples,
    find,
    flags_argument,
    json_option,
    make_resolver,
    print_json,
    print_table,
    project_option,
    tell,
    tell_error,
)
from nixpy.errors import NixpyError, UsageError

if TYPE_CHECKING:
    from nixpy.jupyter.kernelspecs import Kernelspec

__all__ = ["kernel"]


@cli.group(cls=Group, epilog=examples("nixpy kernel install", "nixpy kernel list"))
def kernel() -> None:
    """Jupyter kernels that see the project's environment as it is when they start."""


@kernel.command(
    **FLAGS,
    epilog=examples(
        "nixpy kernel install",
        "nixpy kernel install --prefix /opt/jupyterhub",
        "nixpy kernel install --per-notebook",
    ),
)
@click.option("--name", default="", help="Of the kernelspec; by default after the project.")
@click.option("--display-name", default="", help="What notebooks show.")
@click.option("--user", is_flag=True, help="For this user; the default.")
@click.option("--prefix", default="", metavar="DIRECTORY", help="Into this environment.")
@click.option("--sys-prefix", is_flag=True, help="Into the environment that nixpy runs in.")
@click.option(
    "--per-notebook", is_flag=True, help="One kernel for all: the project each notebook lies in."
)
@click.option(
    "--with-ipykernel/--without-ipykernel",
    default=None,
    help="Install ipykernel where it is missing, now and as the kernel starts; the default, but "
    "not with --per-notebook.",
)
@project_option
@json_option
@flags_argument
def install(
    name: str,
    display_name: str,
    user: bool,
    prefix: str,
    sys_prefix: bool,
    per_notebook: bool,
    with_ipykernel: bool | None,
    directory: str | None,
    as_json: bool,
    flags: tuple[str, ...],
) -> None:
    """Register a kernel for the project, whose environment is resolved each time it starts."""
    from nixpy.jupyter.installing import Wanted
    from nixpy.jupyter.installing import install as install_kernelspec
    from nixpy.jupyter.ipykernel import with_ipykernel as bring

    if user + bool(prefix) + sys_prefix > 1:
        raise UsageError("--user, --prefix and --sys-prefix exclude each other")
    if sys_prefix:
        prefix = sys.prefix
    wanted = Wanted(
        project=None,
        with_ipykernel=not per_notebook if with_ipykernel is None else with_ipykernel,
        name=name,
        display_name=display_name,
        prefix=os.path.abspath(prefix) if prefix else "",
    )
    environment = ""
    if per_notebook:
        if directory or flags:
            raise UsageError(
                "--per-notebook is for every project, so it takes neither --project "
                "nor flags of `use nixpy`"
            )
    else:
        project, values = find(directory, flags)
        resolver = make_resolver()
        resolution = resolver.resolve(project, values)
        accept(resolution)
        resolution = bring(resolver, resolution, values, install=wanted.with_ipykernel)
        environment = resolution.prefix
        wanted = wanted._replace(project=project, flags=flags)
    where, name, display_name = install_kernelspec(wanted, environment, os.environ, sys.argv[0])
    if as_json:
        report = {
            "name": name,
            "display_name": display_name,
            "directory": where,
            "project": wanted.project.directory if wanted.project else None,
            "environment": environment or None,
        }
        print_json("kernel-install", report)
    else:
        click.echo(f"{name}: {display_name}, in {where}")


@kernel.command(
    "list", cls=Command, epilog=examples("nixpy kernel list", "nixpy kernel list --json")
)
@json_option
def list_(as_json: bool) -> None:
    """List all kernelspecs on Jupyter's paths: whose they are, and which cannot start."""
    found = _kernelspecs()
    if as_json:
        print_json("kernel-list", {"kernels": [_report(one) for one in found]})
    else:
        _print(found)


@kernel.command(cls=Command, epilog=examples("nixpy kernel remove nixpy-app"))
@click.argument("name")
def remove(name: str) -> None:
    """Remove a kernelspec; the project and its environment stay."""
    from nixpy.jupyter.kernelspecs import find_kernelspec
    from nixpy.jupyter.kernelspecs import remove as remove_kernelspec

    one = find_kernelspec(name, _kernelspecs())
    remove_kernelspec(one)
    click.echo(f"removed {one.directory}")


@kernel.command(cls=Command, epilog=examples("nixpy kernel prune", "nixpy kernel prune --yes"))
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@json_option
def prune(yes: bool, dry_run: bool, as_json: bool) -> int:
    """Remove the kernelspecs that cannot start any more, after showing them."""
    from nixpy.cli.diagnosis import is_interactive

    dead = [one for one in _kernelspecs() if one.state == "dead"]
    if not as_json:
        for one in dead:
            click.echo(f"{one.directory}: {'; '.join(one.problems)}")
    if dead and not dry_run and not yes:
        if as_json or not is_interactive():
            raise UsageError(
                "there is nobody to ask whether to remove them",
                where="nixpy kernel prune",
                next="Say `nixpy kernel prune --yes`, or --dry-run.",
            )
        yes = click.confirm(f"remove {len(dead)} of them?", err=True)
    removed = _removed(dead) if yes and not dry_run else []
    if as_json:
        report = {
            "dry_run": dry_run,
            "dead": [_report(one) for one in dead],
            "removed": [one.directory for one in removed],
        }
        print_json("kernel-prune", report)
    elif not dead:
        click.echo("nothing to remove")
    elif removed:
        click.echo(f"removed {len(removed)}")
    return 1 if yes and not dry_run and len(removed) < len(dead) else 0


def _removed(dead: list[Kernelspec]) -> list[Kernelspec]:
    """Remove kernelspecs; say which cannot be, and return the others."""
    from nixpy.jupyter.kernelspecs import remove as remove_kernelspec

    done = []
    for one in dead:
        try:
            remove_kernelspec(one)
        except NixpyError as error:  # noqa: PERF203 - each has its own
            tell_error(error)
        else:
            done.append(one)
    return done


@kernel.command(cls=Command, epilog=examples("nixpy kernel check nixpy-app"))
@click.argument("name")
@click.option("--timeout", default=120.0, metavar="SECONDS", help="For the start, a sync included.")
@json_option
def check(name: str, timeout: float, as_json: bool) -> int:
    """Start a kernel, run a cell in it, and stop it; exit 1 if that does not work."""
    from nixpy.jupyter.kernelspecs import find_kernelspec
    from nixpy.jupyter.trial import try_kernel

    one = find_kernelspec(name, _kernelspecs())
    try:
        here = os.getcwd()
    except OSError:
        here = "/"
    directory = one.project if os.path.isdir(one.project) else here
    trial = try_kernel(one, directory=directory, timeout=timeout)
    if as_json:
        report: dict[str, Any] = {"name": one.name, "directory": one.directory, **trial._asdict()}
        print_json("kernel-check", report)
    else:
        for line in trial.detail.splitlines():
            tell(line)
        if trial.works:
            click.echo(
                f"{one.name} works: {trial.executable or one.language} {trial.python}".rstrip()
            )
        else:
            click.echo(f"{one.name} does not work")
    return 0 if trial.works else 1


def _kernelspecs() -> list[Kernelspec]:
    from nixpy.jupyter.kernelspecs import kernelspecs

    return kernelspecs(os.environ, os.environ.get("VIRTUAL_ENV", ""))


def _report(one: Kernelspec) -> dict[str, Any]:
    return {
        **one._asdict(),
        "project": one.project or None,
        "flags": list(one.flags),
        "argv": list(one.argv),
        "problems": list(one.problems),
    }


def _print(found: list[Kernelspec]) -> None:
    if not found:
        click.echo("no kernelspecs on Jupyter's paths")
        return
    rows = [
        (one.name, one.display_name, one.kind, one.state, _detail(one), one.directory)
        for one in found
    ]
    print_table(("name", "shown as", "kind", "state", ""), rows)


def _detail(one: Kernelspec) -> str:
    hidden = ("hidden by another one of this name",) if one.hidden else ()
    return "; ".join((*one.problems, *hidden)) or one.project
