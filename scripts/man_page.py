"""Writes the manual page, share/man/man1/nixpy.1, from the commands and the options.

With ``--check`` it writes nothing, and fails where the page is not today's. The page has no date:
the same code gives the same page, whenever and wherever it is written.

click-man would give each command a page of its own, without examples, variables and files, and puts
texts into roff as they are. The notation is that of man(7), as groff and mandoc both have it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nixpy.capture import LONGEST
from nixpy.cli.commands import cli
from nixpy.flags import STRICT
from nixpy.lock import LONGEST_WAIT
from nixpy.option_keys import OPTION_KEYS, OptionKey
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parents[1] / "share/man/man1/nixpy.1"

SYNOPSIS = """\
.SY nixpy
.RI [ OPTIONS ]
.I COMMAND
.RI [ ARGUMENTS ]
.YS
"""

DESCRIPTION = """\
nixpy decides what installs a Python project's packages, has it install them when something that
counts changed, and otherwise loads the environment as it is. In an `.envrc` of direnv's the line
`use nixpy` is all there is to it; `nixpy setup`, run once, teaches direnv that line. The commands
serve shells without direnv, and say what was decided, why, and what is wrong.
"""

OPTIONS = """\
Commands that work on a project take these as flags, as `use nixpy` does. Each is also a variable
and a key of `[tool.nixpy]` in `pyproject.toml`, or of `nixpy.toml`. A flag goes before a variable,
a variable before a file, a file before the default.
"""

ENVIRONMENT = (
    (
        "NIXPY_LOCK_TIMEOUT",
        f"Seconds to wait for another sync of the same environment; {LONGEST_WAIT:g} without it.",
    ),
    ("NIXPY_SHELL_TIMEOUT", f"Seconds that a dev shell's script has; {LONGEST:g} without it."),
    ("NIXPY_PROJECT", "Set by nixpy: the project whose environment is loaded."),
    ("NIXPY_STALE", "Set by nixpy where the last good environment is in force: the reason."),
    ("NIXPY_RESTORE", "Set by `nixpy export`: what `nixpy deactivate` puts back."),
    (
        "XDG_CACHE_HOME, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME",
        "Where the directories below lie; without them, on macOS, most are in `~/Library`.",
    ),
)

FILES = (
    (".envrc", "What direnv runs as it enters a directory: `use nixpy`."),
    ("pyproject.toml, nixpy.toml", "The options of a project."),
    ("~/.config/direnv/lib/nixpy.sh", "What `nixpy setup` installs for direnv."),
    ("~/.cache/nixpy", "What is known of each project; it can be removed at any time."),
    ("~/.local/state/nixpy/logs", "What managers and Nix said in the last sync."),
    ("~/.local/share/nixpy/environments", "Environments of `venv = central`."),
)

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "The environment has a problem."),
    ("2", "Wrong usage or options."),
    ("3", "A tool or an interpreter is missing."),
    ("130", "Interrupted."),
)

SEE_ALSO = (("direnv", 1), ("direnv-stdlib", 1), ("uv", 1), ("pip", 1), ("nix", 1))

ESCAPES = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    '"': r"\(dq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
}
"""What roff would read as notation, or set as a sign that no shell accepts (groff_char(7))."""


def escaped(text: str) -> str:
    """Return text as roff that shows just this text, wherever in a line it stands."""
    return "".join(
        ESCAPES.get(one) or (one if one.isascii() else f"\\[u{ord(one):04X}]") for one in text
    )


def line(roff: str) -> str:
    """Return roff as a line of text, also where it begins with what would be a request."""
    return ("\\&" if roff.startswith(".") else "") + roff + "\n"


def prose(text: str | None) -> str:
    """Return paragraphs, with what stands between backticks in bold."""
    paragraphs = (" ".join(one.split()) for one in (text or "").split("\n\n"))
    return ".PP\n".join(line(_marked(one)) for one in paragraphs)


def _marked(text: str) -> str:
    parts = re.split(r"`([^`]+)`", text)
    return "".join(bold(one) if at % 2 else escaped(one) for at, one in enumerate(parts))


def bold(text: str) -> str:
    """Return text that is typed as it stands."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """Return text that something else is typed for."""
    return f"\\fI{escaped(text)}\\fR"


def entry(tag: str, text: str | None) -> str:
    """Return an entry of a list."""
    return f".TP\n{line(tag)}{prose(text)}"


def page() -> str:
    """Return the manual page."""
    title = f'.TH NIXPY 1 "" {_quoted(f"nixpy {__version__}")} {_quoted("User Commands")}\n'
    summary = (cli.help or "").partition("\n")[0].rstrip(".")
    return "".join(
        (
            '.\\" Written by scripts/man_page.py: do not edit.\n',
            title,
            ".nh\n.ad l\n",  # A command that a line's end divides cannot be copied.
            f".SH NAME\nnixpy \\- {escaped(summary)}\n",
            f".SH SYNOPSIS\n{SYNOPSIS}",
            f".SH DESCRIPTION\n{prose(DESCRIPTION)}",
            ".SH COMMANDS\n",
            *(_command(cli.commands[name], name) for name in sorted(cli.commands)),
            ".SH OPTIONS\n",
            *_options_of(cli),
            entry(f"{bold('-h')}, {bold('--help')}", "Show what a command does, and its options."),
            ".SS Options of a project\n",
            prose(OPTIONS),
            *map(_option_key, OPTION_KEYS),
            entry(bold(STRICT), "Fail where the last good environment would serve."),
            ".SH ENVIRONMENT\n",
            prose("Each option of a project has a variable, named with it above. Further:"),
            *(entry(bold(name), text) for name, text in ENVIRONMENT),
            ".SH FILES\n",
            *(entry(italic(name), text) for name, text in FILES),
            ".SH EXIT STATUS\n",
            *(entry(bold(status), text) for status, text in EXIT_STATUS),
            ".SH SEE ALSO\n",
            line(", ".join(f"{bold(name)}({section})" for name, section in SEE_ALSO)),
        )
    )


def _quoted(argument: str) -> str:
    return f'"{escaped(argument)}"'


def _command(command: click.Command, name: str) -> str:
    if command.hidden:
        return ""
    parts = [f".SS {_quoted(f'nixpy {name}')}\n"]
    if not isinstance(command, click.Group) or command.invoke_without_command:
        parts.append(line(" ".join((bold(f"nixpy {name}"), *_usage(command)))))
        parts.append(".PP\n")
    parts.append(prose(command.help))
    parts += _options_of(command)
    shown = (command.epilog or "").partition("Examples:\n")[2].partition("\n\n")[0]
    if shown:
        lines = (line(escaped(one.strip())) for one in shown.splitlines())
        parts.append(f".PP\nExamples:\n.PP\n.RS\n.EX\n{''.join(lines)}.EE\n.RE\n")
    if isinstance(command, click.Group):
        below = sorted(command.commands)
        parts += (_command(command.commands[one], f"{name} {one}") for one in below)
    return "".join(parts)


def _usage(command: click.Command) -> Iterator[str]:
    if any(isinstance(one, click.Option) for one in command.params):
        yield f"[{italic('OPTIONS')}]"
    for one in command.params:
        if isinstance(one, click.Argument):
            text = italic((one.metavar or one.name or "").upper())
            text = text if one.required else f"[{text}]"
            yield text + ("..." if one.nargs == -1 else "")


def _options_of(command: click.Command) -> Iterable[str]:
    for one in command.params:
        if isinstance(one, click.Option) and not one.hidden:
            tag = ", ".join(map(bold, (*one.opts, *one.secondary_opts)))
            if not one.is_flag and not one.count:
                tag += f" {italic(one.metavar or one.type.name.upper())}"
            yield entry(tag, one.help)
    for one in command.params:
        if isinstance(one, click.Argument) and isinstance(one.type, click.Choice):
            choices = ", ".join(f"`{choice}`" for choice in one.type.choices)
            yield entry(italic((one.name or "").upper()), f"One of {choices}.")


def _option_key(key: OptionKey) -> str:
    default = ", ".join(map(str, key.default)) if isinstance(key.default, tuple) else key.default
    texts = [key.help]
    if key.choices:
        texts.append(f"One of {', '.join(f'`{one}`' for one in key.choices)}.")
    if default not in (None, "", False):
        texts.append(f"By default `{default}`.")
    return entry(f"{bold(key.flag)}, {bold(key.variable)}", " ".join(texts))


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    if "--check" not in arguments:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(), "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page():
        print(f"{PAGE} is not today's: run python scripts/man_page.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
