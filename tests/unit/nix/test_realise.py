from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixpy.nix.realise import EXPRESSION, _list, _text

if TYPE_CHECKING:
    from pathlib import Path

NIX = shutil.which("nix-instantiate")


@pytest.mark.skipif(NIX is None, reason="nix is not installed")
def test_the_expression_is_one_that_nix_reads(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(NIX), "--parse", "--expr", f"({EXPRESSION}) {{ }}"],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "NIX_STATE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(NIX is None, reason="nix is not installed")
@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"])), min_size=1))
def test_texts_reach_nix_as_they_are(texts: list[str]) -> None:
    done = subprocess.run(
        [str(NIX), "--eval", "--strict", "--json", "--expr", _list(texts)],
        capture_output=True,
        check=True,
        env={"HOME": "/nonexistent", "NIX_STATE_DIR": "/nonexistent", "NIX_REMOTE": "dummy://"},
    )
    assert json.loads(done.stdout) == [text.replace("\r\n", "\n") for text in texts] or any(
        "\r" in text for text in texts
    )


def test_what_would_be_evaluated_is_escaped() -> None:
    assert _text('a"${b}\\') == '"a\\"\\${b}\\\\"'
