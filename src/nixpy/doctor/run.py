"""Selecting checks, running them, and applying fixes."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from nixpy.doctor.check import Check, all_checks, load_plugins
from nixpy.doctor.finding import Absent, Finding, Found, Severity
from nixpy.doctor.masking import secrets_mask
from nixpy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nixpy.doctor.examination import Examination
    from nixpy.doctor.finding import Fix

__all__ = ["diagnose", "find_check", "fixes_of", "selected"]

FAILED = "doctor.check-failed"
"""The check that the others are: it finds something where one of them fails."""

AT_ONCE = 8
"""Checks that run side by side: most of their time they wait for programs."""


def diagnose(
    seen: Examination, *, only: Sequence[str] = (), skip: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Run the checks and return what they found, by group; each has at least one finding.

    Raises:
        UsageError: ``only`` or ``skip`` select no check.
    """
    load_plugins()
    checks = selected(all_checks(), only, skip)
    mask = secrets_mask(seen.environ)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = pool.map(
            lambda one: tuple(_run(one, seen, mask)),
            (one for one in checks if one.identifier != FAILED),
        )
        return tuple(finding for each in found for finding in each)


def selected(
    checks: Iterable[Check], only: Sequence[str] = (), skip: Sequence[str] = ()
) -> tuple[Check, ...]:
    """Return the checks whose identifiers begin with one of ``only`` and with none of ``skip``.

    Raises:
        UsageError: a prefix is one of no check.
    """
    checks = tuple(checks)
    for prefix in (*only, *skip):
        if not any(one.identifier.startswith(prefix) for one in checks):
            raise UsageError(
                f"no check begins with {prefix!r}",
                where="--only" if prefix in only else "--skip",
                next=f"Groups are {', '.join(dict.fromkeys(one.group for one in checks))}.",
            )
    return tuple(
        one
        for one in checks
        if (not only or one.identifier.startswith(tuple(only)))
        and not (skip and one.identifier.startswith(tuple(skip)))
    )


def find_check(identifier: str) -> Check:
    """Return the check of an identifier.

    Raises:
        UsageError: there is none.
    """
    import difflib

    load_plugins()
    checks = {one.identifier: one for one in all_checks()}
    if identifier in checks:
        return checks[identifier]
    nearest = difflib.get_close_matches(identifier, checks, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    raise UsageError(
        f"no check is called {identifier!r}",
        next=f"{hint}`nixpy doctor -v` lists them all.",
    )


def fixes_of(findings: Iterable[Finding]) -> tuple[Fix, ...]:
    """Return the fixes that findings offer, each once, those of what matters most first."""
    order = sorted(findings, key=lambda one: -one.severity.rank)
    fixes = {one.fix.description: one.fix for one in order if one.fix}
    return tuple(fixes.values())


def _run(check: Check, seen: Examination, mask: Callable[[str], str]) -> Iterator[Finding]:
    if check.is_deep and not seen.is_deep:
        yield _quiet(check, Severity.SKIPPED, "it takes long: --deep runs it")
        return
    found: tuple[Found, ...] = ()
    try:
        found = tuple(check.function(seen))
    except Absent as reason:
        yield _quiet(check, Severity.SKIPPED, mask(str(reason)))
    except Exception as error:  # noqa: BLE001 - a check that fails is itself a finding
        yield _failed(check, error, mask)
    else:
        yield from (_finding(check, one, mask) for one in found)
        if not found:
            yield _quiet(check, Severity.OK)


def _finding(check: Check, found: Found, mask: Callable[[str], str]) -> Finding:
    severity = found.severity or check.severity
    if severity in {Severity.OK, Severity.SKIPPED}:
        return _quiet(check, severity, *map(mask, found.evidence))
    return Finding(
        identifier=check.identifier,
        title=check.title,
        group=check.group,
        severity=severity,
        evidence=tuple(map(mask, found.evidence)),
        cause=mask(found.cause or check.cause),
        remedy=mask(found.remedy or check.remedy),
        command=found.command,
        fix=found.fix,
    )


def _quiet(check: Check, severity: Severity, *evidence: str) -> Finding:
    return Finding(check.identifier, check.title, check.group, severity, evidence)


def _failed(check: Check, error: Exception, mask: Callable[[str], str]) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    evidence = Found(f"{check.identifier}: {said} ({place})")
    return _finding(find_check(FAILED), evidence, mask)
