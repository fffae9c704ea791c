from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.directories import nixpy_directory

if TYPE_CHECKING:
    from typing import Literal

CODE = """
import importlib, sys
module, name, purpose = sys.argv[1:]
made = getattr(importlib.import_module(module), name)("nixpy", appauthor=False)
print(getattr(made, f"user_{purpose}_dir"))
"""


@pytest.mark.parametrize(
    ("platform", "module", "name"),
    [("linux", "platformdirs.unix", "Unix"), ("darwin", "platformdirs.macos", "MacOS")],
)
@pytest.mark.parametrize("purpose", ["cache", "state", "data"])
@pytest.mark.parametrize("set_to", [None, "", "/xdg"])
def test_the_places_are_those_of_platformdirs(
    platform: str,
    module: str,
    name: str,
    purpose: Literal["cache", "state", "data"],
    set_to: str | None,
) -> None:
    environ = {"HOME": "/home/user"}
    if set_to is not None:
        environ[f"XDG_{purpose.upper()}_HOME"] = set_to
    done = subprocess.run(
        [sys.executable, "-I", "-c", CODE, module, name, purpose],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert nixpy_directory(purpose, environ, platform) == done.stdout.strip()


def test_a_relative_xdg_value_is_ignored() -> None:
    environ = {"HOME": "/h", "XDG_CACHE_HOME": "relative"}
    assert nixpy_directory("cache", environ, "linux") == "/h/.cache/nixpy"
    assert nixpy_directory("cache", environ, "darwin") == "/h/Library/Caches/nixpy"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}], ids=str)
def test_without_a_home_there_is_no_place(environ: dict[str, str]) -> None:
    assert nixpy_directory("cache", environ, "linux") is None
    assert nixpy_directory("cache", {**environ, "XDG_CACHE_HOME": "/c"}, "linux") == "/c/nixpy"
