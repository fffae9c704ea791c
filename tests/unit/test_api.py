from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nixpy


@pytest.mark.parametrize("name", nixpy.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(nixpy, name).__class__ is not None


def test_completion_shows_the_public_names_alone() -> None:
    assert dir(nixpy) == sorted(nixpy.__all__)
    assert len(set(nixpy.__all__)) == len(nixpy.__all__)


def test_every_public_name_is_on_the_page_of_the_library() -> None:
    page = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
    named = re.findall(r"^::: nixpy\.(\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(set(nixpy.__all__) - {"__version__"})


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'nixpy' has no attribute 'reslove'"):
        getattr(nixpy, "reslove")  # noqa: B009


def test_importing_nixpy_loads_nothing_else() -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
before = set(sys.modules)
import nixpy
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"nixpy", "__future__"}
