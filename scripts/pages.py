"""Writes the pages of docs/ that come from the code: options and commands.

With ``--check`` it writes nothing, and fails where a page is not today's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nixpy.cli.commands import cli
from nixpy.option_keys import OPTION_KEYS, OptionKey

DOCS = Path(__file__).parents[1] / "docs"

OPTIONS = """\
# Options

`[tool.nixpy]` in `pyproject.toml`, or `nixpy.toml` with the same keys at its top. Each is also a
flag of `use nixpy` and a variable: a flag goes before a variable, a variable before a file, a file
before the default.
"""

COMMANDS = """\
# Commands

Commands that report take `--json`, by versioned schemas. Exit status: 0 done; 1 the environment
has a problem; 2 wrong usage or options; 3 a tool or an interpreter is missing; 130 interrupted. All
take the [options](options.md) as flags where they work on a project.

This is also the manual page `nixpy(1)`. It, and completions for bash, zsh and fish, are installed
below `share` of wherever nixpy is; from pipx, Nix or a virtual environment `man nixpy` finds it. uv
links programs alone: `man -l "$(uv tool dir)/nixpy/share/man/man1/nixpy.1"`. Where a shell does not
look into that `share` either, one line in its configuration has the completions:
`eval "$(nixpy completion bash)"`, the same with `zsh`, or `nixpy completion fish | source`.
"""


def options_page() -> str:
    """Return the page of all options."""
    return OPTIONS + "".join(map(_option, OPTION_KEYS))


def _option(key: OptionKey) -> str:
    default = ", ".join(map(str, key.default)) if isinstance(key.default, tuple) else key.default
    lines = [f"\n## {key.name}\n", key.help, ""]
    lines += [f"- flag `{key.flag}`, variable `{key.variable}`"]
    if key.choices:
        lines.append(f"- one of {', '.join(f'`{one}`' for one in key.choices)}")
    if default not in (None, "", False):
        lines.append(f"- by default `{default}`")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return the page of all commands."""
    return COMMANDS + "".join(_command(cli.commands[name], name) for name in sorted(cli.commands))


def _command(command: click.Command, name: str) -> str:
    if command.hidden:
        return ""
    text = f"\n## nixpy {name}\n\n{_prose(command.help)}\n"
    rows = [_row(one) for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if rows:
        text += "\n| option | |\n|---|---|\n" + "".join(rows)
    examples = (command.epilog or "").partition("Examples:\n")[2].partition("\n\n")[0]
    if examples:
        lines = "\n".join(line.strip() for line in examples.splitlines())
        text += f"\n```sh\n{lines}\n```\n"
    if isinstance(command, click.Group):
        text += "".join(
            _command(command.commands[one], f"{name} {one}") for one in sorted(command.commands)
        )
    return text


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"| {names} | {(option.help or '').replace('|', chr(92) + '|')} |\n"


def _prose(text: str | None) -> str:
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    status = 0
    for name, text in (("options.md", options_page()), ("commands.md", commands_page())):
        path = DOCS / name
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            print(f"{path} is not today's: run python scripts/pages.py", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
