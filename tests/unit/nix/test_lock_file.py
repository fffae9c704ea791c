from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nixpy.nix.lock_file import (
    Locked,
    MalformedLock,
    declared_inputs,
    differences,
    files_named,
    lookup_names,
    read_lock,
)

if TYPE_CHECKING:
    from pathlib import Path

USUAL = """\
{
  description = "inputs.not.url = \\"x\\";";

  # inputs.neither.url = "github:a/b";
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.05";
    utils = { url = "github:numtide/flake-utils"; inputs.systems.follows = "systems"; };
    systems.follows = "utils/systems";
    "a-b".flake = false;
    /* old.url = "github:a/old"; */
  };
  inputs.more.url = github:a/more;

  outputs = inputs@{ self, nixpkgs, registry, ... }:
    let inputs = { inner.url = "x"; }; in { inputs.wrong = 1; };
}
"""


def test_declared_inputs_are_read() -> None:
    assert declared_inputs(USUAL) == {
        "nixpkgs": "github:NixOS/nixpkgs/nixos-24.05",
        "utils": "github:numtide/flake-utils",
        "systems": "",
        "a-b": None,
        "more": "github:a/more",
        "registry": "registry",
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{ outputs = { self }: { }; }", []),
        ("{ outputs = _: { }; }", []),
        ("{ outputs = inputs: { inputs.a = 1; }; }", []),
        ("{ outputs = { self, nixpkgs ? { a = 1; }, }@inputs: { b, c }: { }; }", ["nixpkgs"]),
        ("{ inputs.self.submodules = true; outputs = { self, ... }: { }; }", []),
        ('{ outputs = { self }: { a = { b = "}"; }; }; inputs = { a.url = "x"; }; }', ["a"]),
        ("{ outputs = { self }: let a = 1; in a; inputs.b = { }; }", ["b"]),
        ("", []),
        ("{ inputs", []),
        ("{ inputs = ", []),
        ("}}}{{{;;;===", []),
    ],
)
def test_names_of_declared_inputs(text: str, names: list[str]) -> None:
    assert list(declared_inputs(text)) == names


def lock(**original: str) -> str:
    locked = {**original, "lastModified": 5, "narHash": "sha256-"}
    nodes = {
        "root": {"inputs": {"one": "one_2", "two": ["one", "two"]}},
        "one_2": {"locked": locked, "original": original},
    }
    return json.dumps({"nodes": nodes, "root": "root", "version": 7})


def test_a_lock_file_is_read() -> None:
    original = {"type": "github", "owner": "NixOS", "repo": "nixpkgs"}
    assert read_lock(lock(**original)) == {
        "one": Locked("one", original, 5, is_nixpkgs=True),
        "two": Locked("two", {}, None, is_nixpkgs=False),
    }
    assert read_lock('{"nodes": {"root": {}}, "root": "root"}') == {}


@pytest.mark.parametrize("text", ["", "<<<<<<<", "[]", "{}", '{"nodes": [], "root": 1}', "null"])
def test_what_is_no_lock_file_is_told(text: str) -> None:
    with pytest.raises(MalformedLock):
        read_lock(text)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("github:a/b", []),
        ("github:a/b?dir=x", []),
        ("git+https://example.org/b", []),
        (None, []),
        ("", []),
        ("github:a/c", ["one is github:a/c in flake.nix, and github:a/b in flake.lock"]),
        ("github:a/b/main", ["one is github:a/b/main in flake.nix, and github:a/b in flake.lock"]),
        ("path:/b", ["one is path:/b in flake.nix, and github:a/b in flake.lock"]),
    ],
)
def test_addresses_are_compared(url: str | None, said: list[str]) -> None:
    locked = read_lock(lock(type="github", owner="a", repo="b"))
    assert list(differences({"one": url, "two": "github:x/y"}, locked)) == said


def test_names_are_compared() -> None:
    locked = read_lock(lock(type="github", owner="a", repo="b"))
    assert list(differences({"one": None, "three": None}, locked)) == [
        "three is not in flake.lock",
        "two is in flake.lock, and not in flake.nix",
    ]


def test_files_that_a_flake_names_are_followed(tmp_path: Path) -> None:
    texts = {
        "flake.nix": """{ outputs = _: import ./nix/shell.nix // import ./sub; # ./comment.txt
            x = "./string.txt"; y = '' ./indented.txt ${./inserted.txt} ''; z = ./absent.txt; }""",
        "nix/shell.nix": "{ a = ../data.txt; b = ./shell.nix; c = ../nix; }",
        "sub/default.nix": "./flake.nix",
        **dict.fromkeys(
            ("comment.txt", "string.txt", "indented.txt", "inserted.txt", "data.txt"), ""
        ),
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = files_named(f"{tmp_path}/flake.nix", lambda path: (tmp_path / path).read_text())
    below = f"{tmp_path}/"
    assert {path.removeprefix(below): by.removeprefix(below) for path, by in found.items()} == {
        "nix/shell.nix": "flake.nix",
        "sub/default.nix": "flake.nix",
        "inserted.txt": "flake.nix",
        "data.txt": "nix/shell.nix",
    }


def test_what_is_looked_up_is_named() -> None:
    text = "import <nixpkgs> { } // import <nixpkgs/lib> // <home-manager> # <comment>\n a < b > c"
    assert lookup_names(text) == ("nixpkgs", "home-manager")
