"""Checks of nixpy's own hook, which saves asking direnv what is known."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity, some
from nixpy.doctor.shells import hook_line, used_shells
from nixpy.hook.places import SHELLS
from nixpy.hook.recording import configuration_reasons
from nixpy.hook.startup import MARK, install_hook, startup_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

MOST_REASONS = 3

_CALLED = re.compile(r"('(?:[^']|'\\'')*'|[^\s'\"$();&|]+)\s+hook\s+[a-z]+\b")


def _lines(seen: Examination) -> dict[str, tuple[str, int, str]]:
    """Return the lines that evaluate the hook: by shell, each as file, number and text."""
    shells = [shell for shell in used_shells(seen) if shell in SHELLS]
    found = {shell: hook_line(seen, shell) for shell in shells}
    lines = {shell: line for shell, line in found.items() if line}
    if not lines:
        raise Absent("no startup file has nixpy's hook")
    return lines


@check(
    "hook.command-gone",
    title="the line of nixpy's hook calls a nixpy that is gone",
    severity=Severity.WARNING,
)
def command_gone(seen: Examination) -> Iterator[Found]:
    """Looks whether what the line in a startup file calls by its path can be run.

    Symptom:
        A new shell says `No such file or directory`, or `cd` takes as long as without the hook.

    Cause:
        nixpy was installed anew at another place, or the environment that it was in was removed.

    Remedy:
        Run `nixpy setup --hook` with the nixpy that is there; a line that you wrote is yours to
        change.
    """
    for shell, (path, number, line) in _lines(seen).items():
        called = _CALLED.search(line)
        try:
            program = shlex.split(called[1])[0] if called else ""
        except ValueError:
            program = ""
        if not os.path.isabs(program) or os.access(program, os.X_OK):
            continue
        is_ours = MARK in line and path == startup_path(shell, seen.environ)
        yield Found(
            f"{path}:{number} calls {program}, which is not there or cannot be executed",
            command=f"nixpy setup --hook {shell} --yes" if is_ours else "",
            fix=_setup(seen, shell, path) if is_ours else None,
        )


def _setup(seen: Examination, shell: str, path: str) -> Fix:
    def apply() -> None:
        install_hook(shell, seen.environ)

    return Fix(f"write the line of nixpy's hook in {path} anew", apply)


@check(
    "hook.always-asked",
    title="nixpy's hook always asks direnv, because of direnv's configuration",
    severity=Severity.NOTE,
)
def always_asked(seen: Examination) -> Iterator[Found]:
    """Reads what direnv evaluates before each .envrc, where a startup file has nixpy's hook.

    Symptom:
        Entering and leaving a project takes as long as without the hook.

    Cause:
        direnv's answer can be replayed only where it follows from what direnv watches. A `direnvrc`
        or a library that runs commands or redefines what `.envrc` files call, `load_dotenv` and
        `BASH_ENV` can make it another one at any time.

    Remedy:
        Keep to functions in these files, or, where what they do is always the same, say so by the
        comment `# nixpy: pure` on a line of its own. `nixpy explain --hook` names all reasons.
    """
    _lines(seen)
    reasons = [str(one) for one in configuration_reasons(seen.environ)]
    if reasons:
        yield Found(*some(reasons, MOST_REASONS))
