"""What the reporting commands print: as values for JSON, and for people."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from nixpy.cli.shared import print_table
from nixpy.collect import entries as all_entries
from nixpy.decision import verdicts
from nixpy.envrc import double_lines
from nixpy.errors import NixpyError, UsageError, one_line
from nixpy.freshness import changed_inputs
from nixpy.inputs import ABSENT, ObservedFiles, observe
from nixpy.managers.mamba.manager import channels_of
from nixpy.managers.mamba.records import read_asked
from nixpy.managers.prefix import Prefix
from nixpy.manifests.conda_configuration import without_credentials
from nixpy.manifests.pip_configuration import masked
from nixpy.marker import is_synced_to, read_marker, was_changed_by_hand
from nixpy.shells import github

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.derivation import Derivation
    from nixpy.environment import Environment
    from nixpy.inputs import Input
    from nixpy.nix.dev_shell import DevShell
    from nixpy.project import Project
    from nixpy.resolver import Resolution, Resolver

__all__ = [
    "entries",
    "explanation",
    "print_entries",
    "print_explanation",
    "print_rules",
    "resolution_report",
    "rules",
    "state",
    "write_github",
]

Report = dict[str, Any]


def resolution_report(resolution: Resolution) -> Report:
    """Return what a sync came to."""
    return {
        "project": resolution.project.root,
        "manager": resolution.manager,
        "reason": resolution.reason,
        "prefix": resolution.prefix,
        "fingerprint": resolution.fingerprint,
        "synced": resolution.synced,
    }


def state(resolver: Resolver, project: Project, flags: Mapping[str, object]) -> Report:
    """Return whether the environment is in order: its state in one word, and the detail."""
    report: Report = {"project": project.root, "state": "", "detail": "", "prefix": ""}
    try:
        derivation = resolver.derive(project, flags)
    except NixpyError as error:
        return {**report, "state": "error", "detail": one_line(error)}
    if not _has_current_dev_shell(resolver, project, derivation):
        changed = ", ".join(one["name"] for one in _changes(resolver, project, derivation))
        detail = f"the dev shell is not current{': ' if changed else ''}{changed}"
        return {**report, "state": "stale", "detail": f"{detail}; run `nixpy sync`"}
    if derivation.plan is None:
        return {**report, "state": "fresh", "detail": derivation.decision.reason}
    prefix = derivation.plan.prefix
    report["prefix"] = prefix
    marker = read_marker(prefix)
    if is_synced_to(prefix, derivation.synced):
        if was_changed_by_hand(prefix):
            detail = "packages were installed or removed by hand since the last sync"
            return {**report, "state": "changed", "detail": f"{prefix}: {detail}"}
        detail = f"{prefix}, by {derivation.decision.manager}"
        return {**report, "state": "fresh", "detail": detail}
    if marker is None:
        detail = f"{prefix} was never synced; run `nixpy sync`"
        return {**report, "state": "unsynced", "detail": detail}
    if marker.state == "syncing":
        detail = f"the last sync of {prefix} did not end; run `nixpy sync`"
        return {**report, "state": "interrupted", "detail": detail}
    names = _changes(resolver, project, derivation)
    detail = ", ".join(f"{one['name']} {one['change']}" for one in names) or "inputs changed"
    return {**report, "state": "stale", "detail": f"{detail}; run `nixpy sync`"}


def explanation(resolver: Resolver, project: Project, flags: Mapping[str, object]) -> Report:
    """Return what was decided and why, and which inputs changed since the entry was made.

    Raises:
        NixpyError: no decision can be reached.
    """
    derivation = resolver.derive(project, flags, ObservedFiles())
    decision, options = derivation.decision, derivation.options
    prefix = derivation.plan.prefix if derivation.plan else ""
    shown = state(resolver, project, flags)
    return {
        "project": project.root,
        "manager": decision.manager,
        "install": decision.install,
        "rule": decision.rule,
        "reason": decision.reason,
        "rests_on": [_relative(path, project) for path in decision.rests_on],
        "passed_over": [_relative(path, project) for path in decision.passed_over],
        "not_used": list(derivation.survey.other_requirements),
        "prefix": prefix,
        "python": Prefix(prefix).version() if prefix else None,
        "python_request": str(derivation.request),
        "options": {
            name: origin for name, origin in options.origins.items() if origin != "default"
        },
        "conda": _conda_report(derivation),
        "dev_shell": _dev_shell_report(derivation, resolver, project),
        "libraries": _libraries_report(derivation, resolver, project),
        "state": shown["state"],
        "detail": shown["detail"],
        "changed": _changes(resolver, project, derivation),
        "files": [
            _relative(one.name, project)
            for one in derivation.inputs
            if one.kind == "file" and one.value != ABSENT
        ],
    }


def _conda_report(derivation: Derivation) -> Report | None:
    """Return how a conda environment was made: by which engine, from where, and what by uv."""
    plan = derivation.plan
    if plan is None or plan.conda is None:
        return None
    asked = read_asked(plan.prefix)
    channels = channels_of(plan, plan.conda)
    return {
        "engine": asked.engine,
        "channels": [without_credentials(url) for url in channels.urls],
        "priority": channels.priority,
        "platform": channels.platform,
        "by_channels": list(asked.specs),
        "by_uv": [masked(line) for line in asked.by_uv],
    }


def _libraries_report(
    derivation: Derivation, resolver: Resolver, project: Project
) -> Report | None:
    """Return what supplies packages with shared libraries, and who finds them."""
    if derivation.plan is None:
        return None
    supply = resolver.libraries.kept(project.root, derivation.plan.prefix, derivation.options)
    if supply is None:
        return None
    return {
        "scope": supply.scope or None,
        "farm": supply.farm or None,
        "supplied": {link.soname: link.origin for link in supply.links},
        "missing": list(supply.missing),
        "notices": list(supply.notices),
    }


def rules(resolver: Resolver, project: Project, flags: Mapping[str, object]) -> list[Report]:
    """Return what every rule of the decision says of a project.

    Raises:
        NixpyError: options or manifests are malformed.
    """
    found, options = resolver.survey(project, flags)
    return [
        {**one._asdict(), "files": [_relative(path, project) for path in one.files]}
        for one in verdicts(found, options)
    ]


def print_rules(found: list[Report]) -> None:
    """Print what every rule says, one line each."""
    width = max(len(one["title"]) for one in found)
    for one in found:
        says = "decides" if one["decided"] else "holds" if one["held"] else "-"
        why = f"{one['reason']} ({', '.join(one['files'])})" if one["files"] else one["reason"]
        print(f"{one['number']:>2}  {one['title']:<{width}}  {says:<7}  {why}".rstrip())
    print()


def _dev_shell_report(
    derivation: Derivation, resolver: Resolver, project: Project
) -> Report | None:
    """Return which dev shell is merged, what is known of it, and what is double beside nixpy."""
    source, dev_shell = derivation.source, derivation.dev_shell
    if source is None:
        return None
    interpreter = dev_shell.interpreter if dev_shell else None
    return {
        "reference": _relative(source.reference, project),
        "evaluated": dev_shell is not None,
        "current": _has_current_dev_shell(resolver, project, derivation),
        "interpreter": interpreter.path if interpreter else None,
        "variables": list(dev_shell.environment.names) if dev_shell else [],
        "inexact": dev_shell.inexact if dev_shell else "",
        "notices": list(dev_shell.notices) if dev_shell else [],
        "double": [*_double_in_envrc(project), *_double_in_hook(dev_shell)],
    }


def _double_in_hook(dev_shell: DevShell | None) -> Iterator[str]:
    for does in dev_shell.overlaps if dev_shell else ():
        yield f"the shellHook {does}: `use nixpy` sees to that, so it may go"


def _double_in_envrc(project: Project) -> Iterator[str]:
    for _, line in double_lines(project.root):
        yield f".envrc also says `{line}`: `use nixpy` does that too, so it may go"


def print_explanation(report: Report) -> None:
    """Print an explanation for people."""
    rows = list(_explained(report))
    if not sys.stdout.isatty():
        # One line each, for grep.
        for title, text in rows:
            print(f"{title:<12} {text}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for title, text in rows:
        table.add_row(title, Text(text))
    Console().print(table)


def _explained(report: Report) -> Iterator[tuple[str, str]]:
    yield "project", report["project"]
    yield "manager", f"{report['manager']} (rule {report['rule']}: {report['reason']})"
    if report["rests_on"]:
        yield "rests on", ", ".join(report["rests_on"])
    if report["passed_over"]:
        yield "passed over", ", ".join(report["passed_over"])
    if report["not_used"]:
        yield "not used", f"{', '.join(report['not_used'])} (name them in `requirements`)"
    if report["prefix"]:
        yield "environment", f"{report['prefix']} (Python {report['python'] or 'not made yet'})"
        yield "asked for", report["python_request"]
    if report["conda"]:
        yield from _explained_conda(report["conda"])
    if report["dev_shell"]:
        yield from _explained_dev_shell(report["dev_shell"])
    if report["libraries"]:
        yield from _explained_libraries(report["libraries"])
    for name, origin in report["options"].items():
        yield "option", f"{name} ({origin})"
    yield "state", f"{report['state']}: {report['detail']}"
    for one in report["changed"]:
        yield "changed", f"{one['name']} {one['change']}"
    yield "inputs", ", ".join(report["files"])


def _explained_libraries(report: Report) -> Iterator[tuple[str, str]]:
    if report["scope"]:
        yield "libraries", f"in {report['farm']} (library-scope {report['scope']})"
    by_origin: dict[str, list[str]] = {}
    for soname, origin in report["supplied"].items():
        by_origin.setdefault(origin, []).append(soname)
    for origin, sonames in by_origin.items():
        yield "supplied", f"{', '.join(sonames)} (from {origin})"
    if report["missing"]:
        yield "missing", ", ".join(report["missing"])
    for notice in report["notices"]:
        yield "notice", notice


def _explained_conda(report: Report) -> Iterator[tuple[str, str]]:
    yield "channels", f"{', '.join(report['channels'])} ({report['priority']} priority)"
    if report["engine"]:
        yield "by channels", f"{', '.join(report['by_channels']) or '-'} ({report['engine']})"
    if report["by_uv"]:
        yield "by uv", ", ".join(report["by_uv"])


def _explained_dev_shell(report: Report) -> Iterator[tuple[str, str]]:
    known = "current" if report["current"] else "stale" if report["evaluated"] else "not evaluated"
    yield "dev shell", f"{report['reference']} ({known}, {len(report['variables'])} variables)"
    if report["inexact"]:
        yield "", f"its files could not be told from others: {report['inexact']}"
    for line in (*report["notices"], *report["double"]):
        yield "", line


def entries(resolver: Resolver) -> list[Report]:
    """Return every entry of the user."""
    return [
        {
            "directory": directory,
            "root": entry.root,
            "manager": entry.manager,
            "prefix": entry.prefix,
            "in_order": not entry.prefix or is_synced_to(entry.prefix, entry.synced),
            "exists": os.path.isdir(directory),
            "entry": path,
        }
        for directory, path, entry in all_entries(resolver.environ)
    ]


def print_entries(found: list[Report]) -> None:
    """Print entries for people; as lines with tabs where it is no terminal."""
    if not found:
        print("no entries yet")
        return
    rows = [
        (
            one["directory"],
            one["manager"],
            one["prefix"],
            _state_in_words(one),
        )
        for one in found
    ]
    print_table(("directory", "manager", "environment", "state"), rows)


def _state_in_words(entry: Report) -> str:
    if not entry["exists"]:
        return "directory is gone"
    return "in order" if entry["in_order"] else "changed"


def write_github(environment: Environment, environ: Mapping[str, str]) -> None:
    """Append an environment to the files that GitHub Actions names.

    Raises:
        UsageError: the variables GITHUB_ENV and GITHUB_PATH are not set.
    """
    operations = environment.operations
    texts = {
        "GITHUB_ENV": github.render(operations, environ),
        "GITHUB_PATH": github.path_lines(operations),
    }
    for variable, text in texts.items():
        path = environ.get(variable)
        if not path:
            raise UsageError(
                f"{variable} is not set", next="`nixpy export github` is for a GitHub Actions step."
            )
        with open(path, "ab") as file:
            file.write(os.fsencode(text))


def _has_current_dev_shell(resolver: Resolver, project: Project, derivation: Derivation) -> bool:
    source = derivation.source
    return source is None or resolver.dev_shells.is_current(
        project.root, source, derivation.options
    )


def _changes(resolver: Resolver, project: Project, derivation: Derivation) -> list[Report]:
    """Return which inputs are not what they were when the entry was made, as values to print."""
    entry = resolver.read_entry(project)
    if entry is None:
        return []
    # A derivation holds those of a dev shell as they were when that was evaluated.
    of_dev_shell = derivation.dev_shell.inputs if derivation.dev_shell else ()
    seen = {one[:2]: one for one in derivation.inputs}
    for one in of_dev_shell:
        with contextlib.suppress(NixpyError):
            seen[one[:2]] = observe(one, resolver.environ)
    return [
        {
            "kind": (after or before).kind,  # type: ignore[union-attr]
            "name": _relative((after or before).name, project),  # type: ignore[union-attr]
            "change": _change(before, after),
        }
        for before, after in changed_inputs(entry.inputs, tuple(seen.values()))
    ]


def _change(before: Input | None, after: Input | None) -> str:
    if before is None or before.value == ABSENT:
        return "is new" if after and after.value != ABSENT else "is looked at now"
    if after is None:
        return "no longer counts"
    return "is gone" if after.value == ABSENT else "changed"


def _relative(path: str, project: Project) -> str:
    return path.removeprefix(project.root + "/")
