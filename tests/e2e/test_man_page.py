"""The manual page: it is today's, and real man, groff and mandoc read it without a word."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nixpy.cli.commands import cli
from nixpy.option_keys import OPTION_KEYS
from nixpy.version import __version__

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "share/man/man1/nixpy.1"
SCRIPT = ROOT / "scripts/man_page.py"


def rendered(*argv: str, text: str = "") -> str:
    """What a program that renders manual pages shows, having nothing to complain of."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "78"}
    done = subprocess.run(
        argv, input=text, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(".\b", "", done.stdout)  # bold and underlined as typewriters had it


@pytest.fixture(scope="module")
def man_page() -> Any:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("man_page", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_todays() -> None:
    program = [sys.executable, str(SCRIPT), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("man", "--warnings", "--local-file", str(PAGE)),
        ("groff", "-man", "-ww", "-P-c", "-P-b", "-P-u", "-P-o", "-Tutf8", str(PAGE)),
        ("mandoc", "-W", "warning", "-T", "locale", str(PAGE)),
    ],
    ids=lambda argv: argv[0],
)
def test_it_is_rendered_without_a_warning(argv: tuple[str, ...], tmp_path: Path) -> None:
    if argv[0] == "mandoc":
        # It asks for a date; the page has none, so that it is the same whenever it is written.
        dated = tmp_path / "nixpy.1"
        dated.write_text(PAGE.read_text().replace('NIXPY 1 ""', 'NIXPY 1 "2025-01-01"', 1))
        argv = (*argv[:-1], str(dated))
    text = rendered(*argv)
    shown = "".join(text.split())
    sections = ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ENVIRONMENT")
    for section in (*sections, "FILES", "EXITSTATUS", "SEEALSO"):
        assert section in shown
    assert f"nixpy{__version__}" in shown
    for name, command in cli.commands.items():
        assert command.hidden or f"nixpy{name}" in shown
    for key in OPTION_KEYS:
        assert f"{key.flag},{key.variable}" in shown
    assert 'eval"$(nixpyexportbash)"' in shown


def test_it_names_nothing_of_the_machine_and_no_day() -> None:
    title = next(one for one in PAGE.read_text().splitlines() if one.startswith(".TH"))
    assert title.split()[1:4] == ["NIXPY", "1", '""']
    assert os.path.expanduser("~") + "/" not in PAGE.read_text()
    assert str(ROOT) not in PAGE.read_text()


def test_what_whatis_indexes_is_the_name_and_the_purpose() -> None:
    if shutil.which("lexgrog") is None:
        pytest.skip("lexgrog is not installed")
    done = subprocess.run(["lexgrog", str(PAGE)], capture_output=True, text=True, check=True)
    assert '"nixpy - Python environments' in done.stdout


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60))
@example(text=".br")
@example(text="'br")
@example(text="\\fBbold\\n(.g\\*x")
@example(text="`--no-sync`~^\"'\\")
def test_any_text_is_shown_as_it_stands(text: str, man_page: Any) -> None:
    roff = f".TH T 1\n.SH S\n.nf\n{man_page.line(man_page.escaped(text))}"
    shown = rendered("groff", "-man", "-ww", "-P-cbuo", "-Tascii", "-rLL=200n", text=roff)
    assert text in [one.strip() for one in shown.splitlines()]
