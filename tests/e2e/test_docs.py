"""The site: its generated pages are today's, and all of it can be built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pages_that_come_from_the_code_are_todays() -> None:
    program = [sys.executable, str(ROOT / "scripts/pages.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_site_can_be_built_without_a_warning(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*argv, "--config-file", str(ROOT / "mkdocs.yml"), "--site-dir", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/commands/index.html").read_text("utf-8")
    assert "nixpy kernel install" in page
    assert (tmp_path / "site/decisions/0001-the-warm-path/index.html").exists()
