"""Checks of the doctor itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.doctor.check import check, load_plugins
from nixpy.doctor.finding import Found, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination


@check(
    "doctor.check-failed",
    title="a check could not do its work",
    severity=Severity.WARNING,
)
def check_failed(_: Examination) -> tuple[Found, ...]:
    """Says which check met something that it was not made for.

    Symptom:
        The evidence names a check and a Python exception.

    Cause:
        The check has a bug, or met a file or a program that nobody thought of.

    Remedy:
        The other checks are not concerned. Please report it with what `nixpy doctor --report`
        prints. `--skip` with the check's identifier leaves it out.
    """
    return ()


@check(
    "doctor.plugin-broken",
    title="checks of another package cannot be loaded",
    severity=Severity.WARNING,
)
def plugin_broken(_: Examination) -> Iterator[Found]:
    """Loads the checks that other packages bring (entry points in the group `nixpy.doctor`).

    Symptom:
        Checks of another package do not run.

    Cause:
        The package is broken, or made for another version of nixpy or Python.

    Remedy:
        Update the package that the evidence names, or remove it.
    """
    for one in load_plugins():
        yield Found(f"entry point {one.name}: {one.why}")
