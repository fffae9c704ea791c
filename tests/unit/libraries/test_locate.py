from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.locate import located_attribute
from nixpy.process import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path


def index(directory: Path, script: str) -> dict[str, str]:
    """A nix-locate that prints what its manual says of ``--minimal``; and where it is found."""
    directory.mkdir(exist_ok=True)
    program = directory / "nix-locate"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{directory}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("portaudio.out\n", "portaudio.out"),
        ("(sox.out)\nlonger.lib\nshort.lib\n", "short.lib"),
        ("(sox.out)\n", None),
        ("", None),
    ],
)
def test_the_shortest_attribute_counts(tmp_path: Path, printed: str, expected: str | None) -> None:
    script = f"[ \"$4\" = /lib/libx.so.1 ] && printf '{printed}'".replace("\n", "\\n")
    environ = index(tmp_path / "bin", script)
    assert located_attribute("libx.so.1", environ, SystemRunner()) == expected


def test_one_that_fails_or_is_not_there_says_nothing(tmp_path: Path) -> None:
    environ = index(tmp_path / "bin", "echo zlib.out; exit 1")
    assert located_attribute("libz.so.1", environ, SystemRunner()) is None
    assert located_attribute("libz.so.1", {"PATH": "/nowhere"}, SystemRunner()) is None
    (tmp_path / "bin/nix-locate").write_text("no program")
    assert located_attribute("libz.so.1", environ, SystemRunner()) is None
