from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.files import DiskFiles
from nixpy.nix.source import LocalFlake, Source, find_source, local_flake
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


@pytest.mark.parametrize(
    ("reference", "directory", "tree", "has_git"),
    [
        (".", "top/project", "top", True),
        (".#other", "top/project", "top", True),
        ("./nix", "top/project/nix", "top", True),
        ("..", "top", "top", True),
        ("./none", "top/project", "top", True),
        ("path:.", "top/project", "top/project", False),
        ("path:./nix#other", "top/project/nix", "top/project/nix", False),
        ("git+file:..?dir=project/nix", "top/project/nix", "top", True),
        ("../../plain", "plain", "plain", False),
    ],
)
def test_where_a_flake_lies(
    tmp_path: Path, reference: str, directory: str, tree: str, has_git: bool
) -> None:
    for name in ("top/.git", "top/project/nix", "top/project/none", "plain"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("top", "top/project", "top/project/nix", "plain"):
        (tmp_path / name / "flake.nix").touch()
    source = Source(reference, is_flake=True, is_asked_for=True)
    found = local_flake(source, f"{tmp_path}/top/project")
    assert found == LocalFlake(f"{tmp_path}/{directory}", f"{tmp_path}/{tree}", has_git)


@pytest.mark.parametrize("reference", ["github:a/b", "nixpkgs#hello", "git+https://example.org/a"])
def test_a_flake_that_lies_elsewhere_is_none_of_this_machine(
    tmp_path: Path, reference: str
) -> None:
    source = Source(reference, is_flake=True, is_asked_for=True)
    assert local_flake(source, str(tmp_path)) is None
    file = Source(f"{tmp_path}/shell.nix", is_flake=False, is_asked_for=False)
    assert local_flake(file, str(tmp_path)) is None
