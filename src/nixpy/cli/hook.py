"""``nixpy hook`` and ``nixpy explain --hook``: parse, call, print."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from nixpy.cli.shared import Command, cli, examples, write
from nixpy.hook.places import SHELLS
from nixpy.hook.reading import Reason
from nixpy.project import current_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["explanation", "hook", "print_explanation"]


@cli.command(
    cls=Command,
    epilog=examples(
        'eval "$(nixpy hook bash)"', 'eval "$(nixpy hook zsh)"', "nixpy hook fish | source"
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
def hook(shell: str) -> None:
    """Print a hook for your shell's startup file, that saves asking direnv what is known.

    It stands in front of direnv's own hook, before or after its line. Entering, leaving and
    prompting start no process where everything is as it was when direnv was asked.
    """
    from nixpy.hook.asked import hook as text
    from nixpy.setup import own_command

    write(text(shell, own_command(), os.environ))


def explanation(directory: str | None) -> dict[str, Any]:
    """Return what the hook does for a directory, the working directory by default."""
    from nixpy.doctor.examination import Examination
    from nixpy.doctor.shells import hook_line
    from nixpy.hook.explanation import explain
    from nixpy.process import SystemRunner

    start = os.path.abspath(directory) if directory else current_directory(os.environ)
    seen = Examination(environ=os.environ, directory=start)

    def startup(shell: str) -> str:
        found = hook_line(seen, shell)
        return f"{found[0]}:{found[1]}" if found else ""

    found = explain(start, os.environ, runner=SystemRunner(), startup=startup)
    answers = found.answers
    return {
        "envrc": found.envrc or None,
        "replayed": bool(found.envrc) and not found.reasons,
        "reasons": [{**one._asdict(), "line": one.line or None} for one in found.reasons],
        # What was recorded of an older .envrc may be mended by now; it is recorded again.
        "not_kept": answers.always,
        "entering": len(answers.entering),
        "leaving": len(answers.leaving),
        "shells": [{**one._asdict(), "startup": one.startup or None} for one in found.shells],
    }


def print_explanation(report: dict[str, Any]) -> None:
    """Print it for people, and an empty line."""
    for title, text in _explained(report):
        click.echo(os.fsencode(f"{title:<12} {_shown(text)}"))
    click.echo()


def _explained(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    kept = f"kept: {report['entering']} for entering, {report['leaving']} for leaving"
    if report["envrc"] is None:
        yield "hook", "no .envrc here: nothing to ask direnv about"
    elif report["replayed"]:
        yield "hook", f"direnv's answers for {report['envrc']} are replayed; {kept}"
        if report["not_kept"]:
            yield "last time", f"direnv was asked, and its answer not kept: {report['not_kept']}"
    else:
        yield "hook", f"direnv is always asked about {report['envrc']}"
    for one in report["reasons"]:
        yield "because", str(Reason(one["path"], one["line"] or 0, one["text"], one["why"]))
    for one in report["shells"]:
        in_file = f"on, by {one['startup']}"
        state = in_file if one["startup"] else f"off: `nixpy setup --hook {one['shell']}`"
        yield one["shell"], f"{state}; {one['why']}" if one["why"] else state


def _shown(text: str) -> str:
    """Return what stands in a file, with what a terminal would obey written out.

    What is no text in a path stays the byte that it is.
    """
    return "".join(
        one if one.isprintable() or "\udc80" <= one <= "\udcff" else ascii(one)[1:-1]
        for one in text
    )
