"""Writes ``docs/doctor.md`` and the symptoms in ``docs/faq.md``: ``python -m nixpy.doctor.docs``.

Run at the top of a clone. With ``--check`` nothing is written, and the exit status says whether
both are what they would be.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from nixpy.doctor.check import GROUPS, all_checks
from nixpy.doctor.finding import Severity

if TYPE_CHECKING:
    from nixpy.doctor.check import Check

__all__ = ["checks_table", "document", "main", "symptoms", "with_symptoms"]

OPEN, CLOSE = "<!-- symptoms -->\n", "<!-- /symptoms -->\n"

HEAD = """\
# What `nixpy doctor` finds

Each finding has an identifier, and each identifier a section here; `nixpy doctor explain ID` prints
the same. This file is written by `python -m nixpy.doctor.docs` from the checks themselves.

A **problem** does not work, and makes the exit status 1. A **warning** works and may surprise; it
makes the exit status 1 with `--strict`. A **note** is worth knowing. What is given below is what a
check finds as a rule: the evidence can make it less, or more.

`nixpy doctor` is offline and changes nothing. `--fix` mends what can safely be, and asks before
each; `--report` prints what to paste into an issue, without secrets; `--only` and `--skip` take the
beginning of identifiers. The way from what is seen to what is wrong is in [questions](faq.md).

Other packages add checks by an entry point in the group `nixpy.doctor` that names a module with
functions under `nixpy.doctor.check.check`.
"""


def document() -> str:
    """Return ``docs/doctor.md``."""
    parts = [HEAD, "\n", checks_table()]
    for group, checks in groupby(all_checks(), key=lambda one: one.group):
        parts.append(f"\n## {GROUPS.get(group, group)}\n")
        for one in checks:
            title = one.title[:1].upper() + one.title[1:]
            parts.append(
                f"\n### `{one.identifier}`\n\n{title} ({one.severity.value}). {one.summary}\n\n"
                f"**Symptom:** {one.symptom}\n\n**Cause:** {one.cause}\n\n"
                f"**Remedy:** {one.remedy}\n"
            )
    return "".join(parts)


def checks_table() -> str:
    """Return the table of all checks, as Markdown."""
    rows = ["| finding | severity | what it says |\n|---|---|---|\n"]
    for one in all_checks():
        link = f"[`{one.identifier}`](#{_anchor(one)})"
        rows.append(f"| {link} | {one.severity.value} | {one.title} |\n")
    return "".join(rows)


def symptoms() -> str:
    """Return what a user sees of each problem and warning, and what to do, as Markdown."""
    parts = []
    for group, checks in groupby(all_checks(), key=lambda one: one.group):
        rows = [
            f"| {_cell(one.symptom)} | {_cell(one.title[:1].upper() + one.title[1:])}. "
            f"{_cell(one.remedy)} | [`{one.identifier}`](doctor.md#{_anchor(one)}) |\n"
            for one in checks
            if one.severity is not Severity.NOTE
        ]
        parts.append(f"\n### {GROUPS.get(group, group)}\n\n")
        parts += ["| what you see | what it is, and what to do | more |\n|---|---|---|\n", *rows]
    return "".join(parts)


def _anchor(one: Check) -> str:
    """Return the anchor of a check's section, the same on the site and on GitHub."""
    return one.identifier.replace(".", "")


def _cell(text: str) -> str:
    return text.replace("\n\n", " ").replace("|", "\\|")


def with_symptoms(text: str) -> str:
    """Return a page with today's symptoms."""
    before, _, rest = text.partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    return f"{before}{OPEN}{symptoms()}\n{CLOSE}{after}"


def main(arguments: list[str], top: Path | None = None) -> int:
    """Write both, or look whether both are current."""
    top = top or Path()
    questions, page = top / "docs/faq.md", top / "docs/doctor.md"
    wanted = {page: document(), questions: with_symptoms(questions.read_text("utf-8"))}
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    for path in stale:
        if "--check" in arguments:
            sys.stderr.write(f"{path} is not current: python -m nixpy.doctor.docs\n")
        else:
            path.write_text(wanted[path], "utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
