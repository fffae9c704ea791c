"""What the README and the site say of options, commands, shells and files is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nixpy.cli.commands import cli
from nixpy.option_keys import OPTION_KEYS
from nixpy.shells import SHELLS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)


def test_every_option_is_one_row_and_one_section() -> None:
    page = (ROOT / "docs/options.md").read_text("utf-8")
    rows = re.findall(r"^\| \[`([a-z-]+)`\]\(#\1\) .*$", page, re.MULTILINE)
    assert rows == [key.name for key in OPTION_KEYS]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == rows
    for key in OPTION_KEYS:
        section = page.partition(f"\n## {key.name}\n")[2].partition("\n## ")[0]
        assert {f"`{key.flag}`", f"`{key.variable}`"} <= set(re.findall(r"`[^`]+`", section))
        assert key.help in section


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    code = re.findall(r"`([^`\n]+)`", text)
    code += re.findall(
        r"^```(?:sh|bash|zsh|fish|console|yaml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    named = set(re.findall(r"(?<!use )(?<![\w/.-])nixpy ([a-z]+)\b", "\n".join(code)))
    assert named <= {*cli.commands}


def test_shells_that_are_named_exist_and_all_are() -> None:
    named = {
        document: set(
            re.findall(r"nixpy (?:export|deactivate) ([a-z]+)", document.read_text("utf-8"))
        )
        for document in DOCUMENTS
    }
    assert set().union(*named.values()) <= set(SHELLS)
    assert named[ROOT / "docs/shells.md"] == set(SHELLS)


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_sections_lead_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text("utf-8"))
    missing = [
        f"{name}#{anchor}"
        for name, anchor in links
        if anchor not in anchors(document.parent / name if name else document)
    ]
    assert missing == []


def anchors(document: Path) -> set[str]:
    """Return the anchors of a page's headings, the same on GitHub and on the site."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}
