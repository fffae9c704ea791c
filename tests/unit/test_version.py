"""The version stands in one place, and what else names it agrees."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import tomli
from packaging.version import Version

import nixpy
from nixpy.version import __version__

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_it_is_a_version_as_pep_440_normalises_it() -> None:
    assert str(Version(__version__)) == __version__


def test_the_build_the_package_and_the_flake_read_it_from_one_file() -> None:
    declared = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert declared["project"]["dynamic"] == ["version"]
    assert "version" not in declared["project"]
    assert declared["tool"]["hatch"]["version"]["path"] == "src/nixpy/version.py"
    assert "builtins.readFile ./src/nixpy/version.py" in (ROOT / "flake.nix").read_text("utf-8")
    assert nixpy.__version__ == version("nixpy") == __version__


def test_no_other_file_of_the_code_or_the_build_names_it() -> None:
    files = [ROOT / "flake.nix", ROOT / "pyproject.toml", ROOT / "direnvrc", ROOT / "mkdocs.yml"]
    files += [*(ROOT / "src").rglob("*.py"), *(ROOT / "nix").rglob("*.nix")]
    quoted = re.compile(rf"""["']{re.escape(__version__)}["']""")
    naming = [str(one.relative_to(ROOT)) for one in files if quoted.search(one.read_text("utf-8"))]
    assert naming == ["src/nixpy/version.py"]


def test_the_changelog_has_it_released_or_to_be() -> None:
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", CHANGELOG, re.MULTILINE)
    assert len(headings) == len(re.findall(r"^## ", CHANGELOG, re.MULTILINE))
    names = [name for name, _ in headings]
    released = [Version(name) for name in names if name != "Unreleased"]
    assert released == sorted(released, reverse=True)
    assert all(date for name, date in headings if name != "Unreleased")
    if __version__ not in names:
        unreleased = CHANGELOG.partition("## [Unreleased]")[2].partition("\n## ")[0]
        assert re.search(rf"^To be {re.escape(__version__)}\b", unreleased, re.MULTILINE)
        assert all(Version(__version__) > one for one in released)
    else:
        assert Version(__version__) == released[0]


def test_the_command_and_the_manual_page_say_it() -> None:
    argv = [sys.executable, "-m", "nixpy", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"nixpy, version {__version__}\n"
    assert f'"nixpy {__version__}"' in (ROOT / "share/man/man1/nixpy.1").read_text("utf-8")
