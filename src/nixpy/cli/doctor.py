"""``nixpy doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from nixpy.cli.shared import (
    Command,
    Group,
    cli,
    examples,
    json_option,
    print_json,
    project_option,
    tell,
    tell_error,
)
from nixpy.errors import NixpyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.doctor.examination import Examination
    from nixpy.doctor.finding import Finding

__all__ = ["doctor"]


@cli.group(
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "nixpy doctor",
        "nixpy doctor --only direnv --only environment.record -v",
        "nixpy doctor --fix",
        "nixpy doctor explain direnv.hook-missing",
    ),
)
@click.option("--only", multiple=True, metavar="ID", help="Only checks that begin with this.")
@click.option("--skip", multiple=True, metavar="ID", help="No checks that begin with this.")
@click.option("--fix", "with_fixes", is_flag=True, help="Offer to mend what can safely be.")
@click.option("--yes", is_flag=True, help="With --fix: mend without asking.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("--deep", is_flag=True, help="Look at every file too; takes longer.")
@click.option("--report", "as_report", is_flag=True, help="Print Markdown for an issue.")
@click.option("-v", "--verbose", is_flag=True, help="Show also what is well, or skipped.")
@project_option
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    with_fixes: bool,
    yes: bool,
    strict: bool,
    deep: bool,
    as_report: bool,
    verbose: bool,
    directory: str | None,
    as_json: bool,
) -> int:
    """Say what is wrong, why, and what mends it; change nothing without --fix."""
    if context.invoked_subcommand:
        return 0
    from nixpy.cli import diagnosis
    from nixpy.doctor.examination import Examination
    from nixpy.doctor.run import diagnose

    start = os.path.abspath(directory) if directory else None

    def look() -> tuple[Examination, tuple[Finding, ...]]:
        seen = Examination(environ=os.environ, directory=start, is_deep=deep)
        return seen, diagnose(seen, only=only, skip=skip)

    seen, findings = look()
    fixed: list[str] = []
    if with_fixes:
        fixed = _mend(findings, yes=yes)
        if fixed:
            seen, findings = look()
    if as_json:
        print_json("doctor", diagnosis.findings_report(seen, findings, fixed))
    elif as_report:
        click.echo(diagnosis.markdown_report(seen, findings), nl=False)
    else:
        diagnosis.print_findings(findings, verbose=verbose)
    return diagnosis.exit_status(findings, strict=strict)


def _mend(findings: Sequence[Finding], *, yes: bool) -> list[str]:
    """Apply the fixes that the user agrees to; return what they did."""
    from nixpy.cli.diagnosis import is_interactive
    from nixpy.doctor.run import fixes_of

    fixes = fixes_of(findings)
    if fixes and not yes and not is_interactive():
        raise UsageError(
            "there is nobody to ask whether to mend",
            where="--fix",
            next="Say `nixpy doctor --fix --yes`.",
        )
    done = []
    for fix in fixes:
        if not yes and not click.confirm(f"{fix.description}?", err=True):
            continue
        tell(fix.description)
        try:
            fix.apply()
        except NixpyError as error:
            tell_error(error)
        except OSError as error:
            tell(f"cannot be done: {error.filename or fix.description}: {error.strerror}")
        else:
            done.append(fix.description)
    return done


@doctor.command("explain", cls=Command, epilog=examples("nixpy doctor explain direnv.hook-missing"))
@click.argument("identifier")
def doctor_explain(identifier: str) -> None:
    """Say what a finding means: symptom, cause and remedy."""
    from nixpy.cli.diagnosis import explanation_text
    from nixpy.doctor.run import find_check

    click.echo(explanation_text(find_check(identifier)))
