"""What the README says of options, commands and files is so.

``python tests/unit/test_readme.py --write`` writes the table of options anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from nixpy.cli.commands import cli
from nixpy.option_keys import OPTION_KEYS, OptionKey
from nixpy.shells import SHELLS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

OPEN, CLOSE = "<!-- options -->\n", "<!-- /options -->\n"

FORMS = {
    "boolean": "true, false",
    "choice or extras": "auto, off, table of extras by version",
    "text": "text",
    "text or false": "text, false",
    "texts": "texts",
    "variables": "table of texts",
}


def options_table() -> str:
    """Return the table of all options, as Markdown."""
    head = "| key | flag | variable | values | meaning |\n|---|---|---|---|---|\n"
    return head + "".join(map(_row, OPTION_KEYS))


def rewritten(text: str) -> str:
    """Return a README with today's table of options."""
    before, _, rest = text.partition(OPEN)
    _, _, after = rest.partition(CLOSE)
    return f"{before}{OPEN}\n{options_table()}\n{CLOSE}{after}"


def _row(key: OptionKey) -> str:
    flags = f"`{key.flag}`" + (
        f", `--no-{key.name}`" if key.kind in {"boolean", "text or false"} else ""
    )
    cells = (f"`{key.name}`", flags, f"`{key.variable}`", _values(key), key.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


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


def test_the_table_of_options_is_that_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert OPEN in text
    assert CLOSE in text
    assert text == rewritten(text), "run: python tests/unit/test_readme.py --write"


def test_every_option_is_one_row() -> None:
    rows = options_table().splitlines()[2:]
    assert len(rows) == len(OPTION_KEYS)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    code = re.findall(r"`([^`\n]+)`", text)
    code += re.findall(r"^```(?:sh|yaml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"(?<!use )(?<![\w/.-])nixpy ([a-z]+)\b", "\n".join(code)))
    assert named <= {*cli.commands}


def test_shells_that_are_named_exist_and_all_are() -> None:
    text = README.read_text("utf-8")
    assert set(re.findall(r"nixpy (?:export|deactivate) ([a-z]+)", text)) <= set(SHELLS)
    assert all(shell in text.lower() for shell in SHELLS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    assert missing == []


if __name__ == "__main__":
    new = rewritten(README.read_text("utf-8"))
    if "--write" in sys.argv[1:]:
        README.write_text(new, "utf-8")
    else:
        sys.stdout.write(options_table())
