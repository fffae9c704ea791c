from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.files import DiskFiles
from nixpy.nix.source import Source, find_source
from nixpy.options import Options

if TYPE_CHECKING:
    from pathlib import Path


def found(top: Path, **options: object) -> Source | None:
    return find_source(str(top), Options(**options), DiskFiles())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "reference"),
    [
        (("flake.nix", "shell.nix", "default.nix"), "."),
        (("shell.nix", "default.nix"), "shell.nix"),
        (("default.nix",), "default.nix"),
    ],
)
def test_a_flake_goes_before_a_shell_before_a_default(
    tmp_path: Path, names: tuple[str, ...], reference: str
) -> None:
    for name in names:
        (tmp_path / name).touch()
    source = found(tmp_path)
    assert source is not None
    assert source.reference == ("." if reference == "." else str(tmp_path / reference))
    assert source.is_flake is (reference == ".")
    assert not source.is_asked_for


def test_there_is_none_without_files_or_where_none_is_wanted(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    (tmp_path / "flake.nix").touch()
    assert found(tmp_path, flake=False) is None


@pytest.mark.parametrize(
    ("flake", "installable", "file"),
    [
        (".#ci", (".#ci",), "."),
        ("./nix", ("./nix",), "./nix"),
        ("github:a/b?ref=c#d", ("github:a/b?ref=c#d",), "github:a/b?ref=c"),
        ("#ci", ("#ci",), "."),
        ("nix/dev.nix", ("--file", "{top}/nix/dev.nix"), "{top}/nix/dev.nix"),
        ("dev.nix#a.b", ("--file", "{top}/dev.nix", "a.b"), "{top}/dev.nix"),
        ("/abs/dev.nix", ("--file", "/abs/dev.nix"), "/abs/dev.nix"),
    ],
)
def test_an_option_names_it(
    tmp_path: Path, flake: str, installable: tuple[str, ...], file: str
) -> None:
    source = found(tmp_path, flake=flake)
    assert source is not None
    assert source.is_asked_for
    assert source.installable == tuple(one.format(top=tmp_path) for one in installable)
    assert source.file == file.format(top=tmp_path)
