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

They stand in `[tool.nixpy]` of `pyproject.toml`, or in `nixpy.toml` with the same keys at its top;
the two exclude each other. Each is also a flag of `use nixpy`, of `nixpy export`, `run` and `sync`,
and a variable. A flag goes before a variable, a variable before a file, a file before the default
(in bold).

```toml
[tool.nixpy]
extras = ["gpu"]
groups = ["docs"]
lock = "locked"
```

Unknown keys and wrong values are errors that name the place and the nearest valid one. `UV_LOCKED`,
`UV_FROZEN`, `UV_PYTHON` and `UV_PROJECT_ENVIRONMENT` count as the options they correspond to.
`nixpy explain` says where each option comes from. A JSON Schema of the table is in the package,
`nixpy/options.schema.json`.

"""

FORMS = {
    "boolean": "true, false",
    "choice or extras": "auto, off, table of extras by version",
    "text": "text",
    "text or false": "text, false",
    "texts": "texts",
    "variables": "table of texts",
}

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
    return OPTIONS + options_table() + "".join(map(_option, OPTION_KEYS))


def options_table() -> str:
    """Return the table of all options, as Markdown."""
    head = "| key | values | meaning |\n|---|---|---|\n"
    return head + "".join(map(_option_row, OPTION_KEYS))


def _option_row(key: OptionKey) -> str:
    cells = (f"[`{key.name}`](#{key.name})", _values(key), key.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _option(key: OptionKey) -> str:
    return (
        f"\n## {key.name}\n\n{key.help}\n\n"
        f"- flag {_flags(key)}, variable `{key.variable}`\n- values: {_values(key)}\n"
    )


def _flags(key: OptionKey) -> str:
    no = f", `--no-{key.name}`" if key.kind in {"boolean", "text or false"} else ""
    return f"`{key.flag}`{no}"


def _values(key: OptionKey) -> str:
    if key.kind == "choice":
        return ", ".join(
            f"**`{choice}`**" if choice == key.default else f"`{choice}`" for choice in key.choices
        )
    form = FORMS[key.kind]
    if key.kind == "texts":
        form += f", split at `{key.separator}`"
    if key.kind == "choice or extras":
        form += ", `12.8=cu128,none=cpu` as flag"
    if key.kind == "variables":
        form += ", `NAME=value` as flag"
    default = ", ".join(map(str, key.default)) if isinstance(key.default, tuple) else key.default
    return f"{form}; **`{default}`**" if key.default else form


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
