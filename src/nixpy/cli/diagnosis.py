"""What `nixpy doctor` prints: for people, as JSON, and as a report to paste into an issue."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, Any

from nixpy.doctor.check import GROUPS
from nixpy.doctor.finding import Absent, Severity
from nixpy.doctor.masking import is_secret_name, secrets_mask, shorten_home
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixpy.doctor.check import Check
    from nixpy.doctor.examination import Examination
    from nixpy.doctor.finding import Finding

__all__ = [
    "exit_status",
    "explanation_text",
    "findings_report",
    "markdown_report",
    "print_findings",
]

QUIET = (Severity.OK, Severity.SKIPPED)

STYLES = {
    Severity.PROBLEM: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
    Severity.SKIPPED: "dim",
    Severity.OK: "green",
}

VARIABLES = (
    *("CONDA_", "DIRENV_", "IN_NIX_", "LANG", "LC_", "LD_", "NIX_", "NIXPY_", "PATH", "PIP_"),
    *("PYENV_", "PYTHON", "SHELL", "SOURCE_DATE_EPOCH", "SSL_CERT_", "TEMP", "TMP", "UV_"),
    *("VIRTUAL_ENV", "XDG_"),
)
"""How the names of the variables begin that a report shows."""

LONGEST_VALUE = 2000
OPAQUE = frozenset({"DIRENV_DIFF", "DIRENV_WATCHES", "NIXPY_RESTORE"})
"""Variables that hold an encoded environment, secrets of it included."""


def exit_status(findings: Sequence[Finding], *, strict: bool) -> int:
    """Return 1 where something is wrong, with ``strict`` also where it may surprise."""
    wrong = {Severity.PROBLEM, Severity.WARNING} if strict else {Severity.PROBLEM}
    return 1 if any(one.severity in wrong for one in findings) else 0


def findings_report(
    seen: Examination, findings: Sequence[Finding], fixed: Sequence[str]
) -> dict[str, Any]:
    """Return all findings as values to print as JSON."""
    try:
        project = seen.project.root
    except Absent:
        project = None
    worst = max((one.severity for one in findings), key=lambda one: one.rank, default=Severity.OK)
    return {
        "version": __version__,
        "project": project,
        "worst": (Severity.OK if worst is Severity.SKIPPED else worst).value,
        "findings": [
            {
                "identifier": one.identifier,
                "group": one.group,
                "title": one.title,
                "severity": one.severity.value,
                "evidence": list(one.evidence),
                "cause": one.cause,
                "remedy": one.remedy,
                "command": one.command,
                "fix": one.fix.description if one.fix else None,
            }
            for one in findings
        ],
        "fixed": list(fixed),
    }


def print_findings(findings: Sequence[Finding], *, verbose: bool) -> None:
    """Print findings by group; what is well only as a number, unless all is asked for."""
    rows = [one for one in findings if verbose or one.severity not in QUIET]
    if sys.stdout.isatty():
        _print_rich(rows, findings)
        return
    group = None
    for one in rows:
        if one.group != group:
            group = one.group
            print(GROUPS.get(group, group))
        print(f"  {one.severity.value:<8} {_headline(one)}")
        for label, text in _details(one):
            print(f"           {label}{text}")
    print(_summary(findings))


def _print_rich(rows: Sequence[Finding], findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    group = None
    for one in rows:
        if one.group != group:
            group = one.group
            console.print(Text(GROUPS.get(group, group), style="bold"))
        style = STYLES[one.severity]
        first = Text.assemble((f"{one.severity.value:<8} ", style), _headline(one))
        console.print(Padding(first, (0, 0, 0, 2)))
        for label, text in _details(one):
            line = Text.assemble((label, "bold"), (text, "bold" if label == "run: " else ""))
            console.print(Padding(line, (0, 0, 0, 11)), soft_wrap=False)
    console.print(Text(_summary(findings), style="bold"))


def _headline(one: Finding) -> str:
    # A title says what is wrong, which of what is well it cannot.
    if one.severity in QUIET:
        return one.identifier
    return f"{one.identifier}: {one.title}"


def _details(one: Finding) -> Iterator[tuple[str, str]]:
    for line in one.evidence:
        yield "", line
    if one.severity in QUIET:
        return
    yield "why: ", one.cause.replace("\n\n", " ")
    yield "do: ", one.remedy.replace("\n\n", " ")
    if one.command:
        yield "run: ", one.command
    if one.fix:
        yield "--fix: ", one.fix.description


def _summary(findings: Sequence[Finding]) -> str:
    counts = [
        (sum(one.severity is severity for one in findings), severity.value)
        for severity in (Severity.PROBLEM, Severity.WARNING, Severity.NOTE)
    ]
    parts = [f"{count} {word}{'s'[: count != 1]}" for count, word in counts if count]
    well = sum(one.severity is Severity.OK for one in findings)
    skipped = sum(one.severity is Severity.SKIPPED for one in findings)
    parts = [", ".join(parts) or "nothing is wrong"]
    if well:
        parts.append(f"{well} check{'s'[: well != 1]} found nothing")
    if skipped:
        parts.append(f"{skipped} skipped (-v says why)")
    return "; ".join(parts)


def explanation_text(check: Check) -> str:
    """Return what `nixpy doctor explain` prints of a check."""
    parts = (
        f"{check.identifier} ({check.severity.value}): {check.title}",
        check.summary,
        f"Symptom: {check.symptom}",
        f"Cause: {check.cause}",
        f"Remedy: {check.remedy}",
    )
    return "\n\n".join(parts)


def markdown_report(seen: Examination, findings: Sequence[Finding]) -> str:
    """Return a report as Markdown, without secrets and with ``~`` for the home directory."""
    lines = ["### nixpy doctor", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in _facts(seen)]
    lines += ["", f"{_summary(findings)}", ""]
    for one in findings:
        if one.severity in QUIET:
            continue
        lines.append(f"- **{one.severity.value}** `{one.identifier}`: {one.title}")
        lines += [f"  - {_code(line)}" for line in one.evidence]
    skipped = [one for one in findings if one.severity is Severity.SKIPPED]
    if skipped:
        lines += ["", "<details><summary>skipped</summary>", ""]
        lines += [f"- `{one.identifier}`: {'; '.join(one.evidence)}" for one in skipped]
        lines += ["", "</details>"]
    lines += ["", "<details><summary>variables</summary>", "", "```sh", *_variables(seen), "```"]
    lines += ["", "</details>", ""]
    text = secrets_mask(seen.environ)("\n".join(lines))
    return shorten_home(text, seen.environ.get("HOME"))


def _facts(seen: Examination) -> Iterator[tuple[str, str]]:
    yield "nixpy", f"{__version__}, {sys.executable}, Python {platform.python_version()}"
    yield "platform", platform.platform()
    yield "shell", seen.environ.get("SHELL", "not set")
    for name, arguments in (("direnv", ["version"]), ("uv", ["--version"]), ("nix", ["--version"])):
        yield name, _version_of(seen, name, arguments)
    try:
        said = " ".join(("use nixpy", *seen.project.arguments))
        yield "project", f"{seen.project.root} ({said if seen.has_envrc else 'no .envrc for it'})"
        decision = seen.derivation.decision
        yield "decision", f"{decision.manager}, rule {decision.rule}: {decision.reason}"
        origins = seen.options.origins
        told = (f"{name} ({origin})" for name, origin in origins.items() if origin != "default")
        yield "options", ", ".join(told) or "none"
        python = seen.prefix.version() or "of unknown version"
        yield "environment", f"{seen.prefix.path}, Python {python}"
    except Absent as reason:
        yield "", str(reason)


def _version_of(seen: Examination, name: str, arguments: Sequence[str]) -> str:
    try:
        path = seen.program(name)
        said = seen.ask([path, *arguments])
    except Absent as reason:
        return str(reason)
    return f"{path}: {(said.stdout or said.stderr).strip()}"


def _variables(seen: Examination) -> Iterator[str]:
    for name in sorted(seen.environ):
        if not name.startswith(VARIABLES):
            continue
        value = seen.environ[name]
        if is_secret_name(name):
            value = "***"
        elif name in OPAQUE:
            value = f"({len(value)} characters)"
        elif len(value) > LONGEST_VALUE:
            value = f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
        yield f"{name}={value}".replace("\n", "\\n").replace("```", "'''")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return "`" + " ".join(text.split()).replace("`", "'") + "`"


def is_interactive() -> bool:
    """Return whether a person can be asked something."""
    return os.isatty(0) and os.isatty(2)
