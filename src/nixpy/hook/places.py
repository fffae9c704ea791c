"""Where it is kept what direnv answered.

On the path that a shell's start waits for: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy.inputs import digest
from nixpy.values import NamedTuple

__all__ = [
    "HOLDER",
    "SCHEMA",
    "SHELLS",
    "Place",
    "answers_place",
    "direnv_place",
    "hook_directory",
    "references_directory",
]

SCHEMA = "1"
"""The version of everything in this tree; it is in the path, so that another one is a miss."""

HOLDER = "@answers"
"""The name of the directories that hold the answers about one directory."""

SHELLS = ("bash", "zsh", "fish")

NAME_LENGTH = 16
"""Hexadecimal digits that stand for a directory: each one costs a shell time."""


class Place(NamedTuple):
    """Where something is kept.

    Attributes:
        path: its directory.
        name: how the names of the functions end that know it.
        references: the directory of its reference files.
    """

    path: str
    name: str
    references: str


def hook_directory(top: str) -> str:
    """Return where answers are kept, below nixpy's cache."""
    return f"{top}/hook/{SCHEMA}"


def references_directory(root: str) -> str:
    """Return where the directories of reference files are."""
    return f"{root}/@refs"


def answers_place(root: str, directory: str) -> Place:
    """Return where the answers about a directory lie."""
    name = digest(os.fsencode(directory))[:NAME_LENGTH]
    return Place(f"{root}{directory}/{HOLDER}", name, f"{references_directory(root)}/{name}")


def direnv_place(root: str) -> Place:
    """Return where it is kept what direnv is."""
    return Place(f"{root}/@direnv", "direnv", f"{references_directory(root)}/direnv")
