"""What all commands share: saying something, finding the project, their options."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from nixpy.errors import DevShellFailed, LibrariesFailed, NixpyError, UsageError
from nixpy.flags import STRICT, parse_flags
from nixpy.option_keys import OPTION_KEYS
from nixpy.project import Project, current_directory, find_project
from nixpy.resolver import Resolver
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nixpy.resolver import Resolution

__all__ = [
    "FLAGS",
    "Command",
    "Group",
    "accept",
    "cli",
    "examples",
    "find",
    "flags_argument",
    "json_option",
    "make_resolver",
    "print_json",
    "print_table",
    "project_option",
    "show",
    "tell",
    "tell_error",
    "write",
]


def tell(line: str) -> None:
    """Say one line to the user."""
    sys.stderr.buffer.write(os.fsencode(f"nixpy: {line}\n"))
    sys.stderr.buffer.flush()


def show(piece: bytes) -> None:
    """Show what a program of the user's prints."""
    sys.stderr.buffer.write(piece)
    sys.stderr.buffer.flush()


def tell_error(error: NixpyError) -> None:
    """Say what happened, where, and what to do next."""
    for line in str(error).splitlines():
        tell(line)


class _WithExamples:
    """What keeps the lines of an epilog, the examples."""

    epilog: str | None

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write("\n" + self.epilog.strip("\n") + "\n")


class Command(_WithExamples, click.Command):
    """A command whose epilog, the examples, keeps its lines."""


class Group(_WithExamples, click.Group):
    """A group of the same."""


def examples(*lines: str, options: bool = False) -> str:
    """Return an epilog with examples, and with all flags where ``options`` says so."""
    text = "Examples:\n" + "\n".join(f"  {line}" for line in lines)
    if options:
        width = max(len(key.flag) for key in OPTION_KEYS)
        flags = "\n".join(f"  {key.flag:<{width}}  {key.help}" for key in OPTION_KEYS)
        text += f"\n\n  {STRICT:<{width}}  Fail where the last good environment would serve."
        text += f"\n\nFlags (also NIXPY_… variables and keys of [tool.nixpy]):\n{flags}"
    return text


FLAGS: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_interspersed_args": True},
    "cls": Command,
}
flags_argument = click.argument("flags", nargs=-1, type=click.UNPROCESSED)
project_option = click.option(
    "--project", "directory", type=click.Path(exists=True, file_okay=False), help="The project."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, by a versioned schema."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nixpy")
def cli() -> None:
    """Python environments under direnv that load instantly, stay correct and explain themselves.

    In an .envrc: `use nixpy`. Run `nixpy setup` once to teach direnv that line.
    """


def find(directory: str | None, flags: Sequence[str]) -> tuple[Project, dict[str, object]]:
    """Return the project that a command is for, and the values of its flags.

    Raises:
        UsageError: there is no working directory, or the flags are wrong.
    """
    try:
        start = os.path.abspath(directory) if directory else current_directory(os.environ)
    except OSError:
        raise UsageError("the working directory is gone", next="cd to one that exists.") from None
    project = Project.at(start) if directory else find_project(start)
    if directory and not flags:
        project = find_project(start)
    if flags:
        project = project._replace(arguments=tuple(flags))
    return project, parse_flags(project.arguments)


def make_resolver() -> Resolver:
    """Return a resolver that tells the user what it does."""
    return Resolver(environ=os.environ, report=tell, show=show)


def accept(resolution: Resolution) -> None:
    """Say that an environment is not today's; fail where there is none, or none older may serve."""
    error = resolution.error
    if error is None:
        return
    if STRICT in resolution.project.arguments or resolution.environment is None:
        raise error
    if isinstance(error, DevShellFailed):
        kept = "the last good dev shell stays in force"
        tell(f"{kept if resolution.has_dev_shell else 'no dev shell'}: {resolution.stale}")
    elif isinstance(error, LibrariesFailed):
        tell(f"libraries that packages miss are not all supplied: {resolution.stale}")
    else:
        tell(f"the last good environment stays in force: {resolution.stale}")


def write(text: str) -> None:
    """Print text as the bytes that it stands for."""
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.buffer.flush()


def print_json(command: str, report: dict[str, Any]) -> None:
    """Print the report of a command, by its versioned schema."""
    document = {"schema": f"nixpy.{command}/1", **report}
    click.echo(json.dumps(document, indent=2, sort_keys=False))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table; where it is no terminal, as lines with tabs and without titles.

    What a row has beyond the titles stands in the lines alone.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row[: len(titles)]))
    Console().print(table)
