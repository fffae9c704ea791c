"""``nixpy hook``: parse, call, print."""

from __future__ import annotations

import os

import click

from nixpy.cli.shared import Command, cli, examples, write
from nixpy.hook.answers import SHELLS

__all__ = ["hook"]


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
