"""Writes ``docs/doctor.md`` and the README's table of checks: ``python -m nixpy.doctor.docs``.

Run at the top of a clone. With ``--check`` nothing is written, and the exit status says whether
both are what they would be.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from nixpy.doctor.check import GROUPS, all_checks

__all__ = ["checks_table", "document", "main", "with_table"]

OPEN, CLOSE = "<!-- checks -->\n", "<!-- /checks -->\n"

HEAD = """\
# What `nixpy doctor` finds

Each finding has an identifier, and each identifier a section here; `nixpy doctor explain ID` prints
the same. This file is written by `python -m nixpy.doctor.docs` from the checks themselves.

A **problem** does not work, and makes the exit status 1. A **warning** works and may surprise; it
makes the exit status 1 with `--strict`. A **note** is worth knowing. What is given below is what a
check finds as a rule: the evidence can make it less, or more.

Other packages add checks by an entry point in the group `nixpy.doctor` that names a module with
functions under `nixpy.doctor.check.check`.
"""


def document() -> str:
    """Return ``docs/doctor.md``."""
    parts = [HEAD]
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
        anchor = one.identifier.replace(".", "")
        link = f"[`{one.identifier}`](docs/doctor.md#{anchor})"
        rows.append(f"| {link} | {one.severity.value} | {one.title} |\n")
    return "".join(rows)


def with_table(text: str) -> str:
    """Return a README with today's table of checks."""
    before, _, rest = text.partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    return f"{before}{OPEN}\n{checks_table()}\n{CLOSE}{after}"


def main(arguments: list[str], top: Path | None = None) -> int:
    """Write both, or look whether both are current."""
    top = top or Path()
    readme, page = top / "README.md", top / "docs/doctor.md"
    wanted = {page: document(), readme: with_table(readme.read_text("utf-8"))}
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
