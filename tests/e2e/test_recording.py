"""The recording that the README shows: it loads nothing, and its story is today's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/recording.svg"
CHARACTER = 12.2
"""The width of one, in the units of the picture."""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> Any:
    """The script that records, as a module."""
    spec = importlib.util.spec_from_file_location("record_shell", ROOT / "scripts/record_shell.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines(svg: str) -> list[str]:
    """What the terminal in a picture shows, line by line."""
    rows: dict[str, str] = {}
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        if "t-title" not in text.get("class", ""):
            y, column = text.get("y", ""), round(float(text.get("x", "0")) / CHARACTER)
            rows[y] = rows.get(y, "").ljust(column) + (text.text or "")
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in rows.values()]


def told(svg: str) -> list[str]:
    """The words of a story that are nixpy's, without numbers and line breaks."""
    others = re.compile(r"direnv: |Resolved |Prepared |Installed |\+ ")
    ours = (line.strip() for line in lines(svg) if not others.match(line.strip()))
    return re.sub(r"\d+(\.\d+)*", "N", " ".join(ours)).split()


def assert_is_self_contained(svg: str) -> None:
    assert len(svg.encode()) < 150_000
    tree = ET.fromstring(svg)
    assert {one.tag.removeprefix(SVG) for one in tree.iter()} <= {
        *("svg", "title", "style", "defs", "clipPath", "rect", "circle", "g", "text")
    }
    without_namespace = svg.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\((?!#)|@import|@font-face", without_namespace)


def test_the_picture_loads_nothing_and_names_nothing_of_a_machine(script: Any) -> None:
    svg = PICTURE.read_text("utf-8")
    assert_is_self_contained(svg)
    text = "\n".join(lines(svg))
    for place in (os.path.expanduser("~") + "/", "/tmp", "/root", "/Users", "/private", str(ROOT)):
        assert place not in text
    assert set(re.findall(r"/home/\w+", text)) == {script.SHOWN_HOME}


def test_every_line_of_the_story_is_in_the_picture(script: Any) -> None:
    text = "\n".join(lines(PICTURE.read_text("utf-8")))
    for line in script.STORY:
        assert f"$ {line.typed}\n" in text
        assert all(words in text for words in line.shown)


def test_whatever_moves_appears_once_and_in_its_order(script: Any) -> None:
    tree = ET.fromstring(PICTURE.read_text("utf-8"))
    style = next(tree.iter(f"{SVG}style")).text or ""
    still, _, moving = style.partition("@media (prefers-reduced-motion: no-preference)")
    assert "animation" not in still
    starts = {
        name: float(start)
        for name, start in re.findall(r"@keyframes (\w+)\{0%,([\d.]+)%\{", moving)
    }
    shown = [
        starts[text.get("class", "").split()[-1]]
        for text in tree.iter(f"{SVG}text")
        if "t-title" not in text.get("class", "")
    ]
    assert len(shown) > 40
    assert shown == sorted(shown)
    assert 0 <= shown[0] <= shown[-1] < 100
    scrolled = re.findall(r"translateY\((-[\d.]+)px\)", moving)
    assert scrolled == sorted(scrolled, key=float, reverse=True)
    assert len(scrolled) > 10
    (matrix,) = (one for one in tree.iter(f"{SVG}g") if "scroll" in one.get("class", ""))
    assert matrix.get("transform") == f"translate(0, {float(scrolled[-1]):g})"


@pytest.mark.network
def test_the_story_is_todays(script: Any) -> None:
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    if sys.platform != "linux":
        pytest.skip("what is shown of a temporary directory is Linux's")
    picture = script.played(script.paced(script.recorded(key=0.0)))
    svg = script.animated(script.drawn(picture), picture)
    assert_is_self_contained(svg)
    assert told(svg) == told(PICTURE.read_text("utf-8")), "run scripts/record"


def test_a_story_that_is_not_as_told_fails(script: Any) -> None:
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    line = script.Line("echo something", ("something else",))
    with pytest.raises(script.StoryError, match="something else"):
        script.recorded([line], key=0.0)
