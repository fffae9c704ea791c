"""gc roots: what keeps a dev shell from being collected (``nix-store(1)``, ``--add-root``).

Each record of a dev shell has a directory of links of its own below
``$XDG_STATE_HOME/nixpy/roots``, which Nix knows as indirect roots. A new evaluation gets a new
directory; the old one is removed once the new record is kept, so that at any instant the record in
force is protected.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from nixpy.inputs import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["new_roots", "other_roots", "owner_of", "remove_roots", "roots_directory"]

_OWNER = "project"


def roots_directory(state: str, root: str, key: str) -> str:
    """Return where the roots of a project's dev shell lie, whatever it was evaluated to.

    Args:
        state: nixpy's state directory.
        root: real path of the project.
        key: what tells the project's dev shells from each other.
    """
    return f"{state}/roots/{digest(os.fsencode(root), os.fsencode(key))}"


def new_roots(directory: str, root: str) -> str:
    """Make, and return, an empty directory for the roots of one evaluation.

    Raises:
        OSError: it cannot be made.
    """
    os.makedirs(directory, 0o700, exist_ok=True)
    with open(f"{directory}/{_OWNER}", "wb") as file:
        file.write(os.fsencode(root))
    number = 1 + max((int(name) for name in os.listdir(directory) if name.isdigit()), default=0)
    path = f"{directory}/{number}"
    os.mkdir(path, 0o700)
    return path


def other_roots(directory: str, current: str) -> Iterator[str]:
    """Yield the roots of earlier evaluations, ``current`` being that of the record in force."""
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        path = f"{directory}/{name}"
        if name != _OWNER and path != current:
            yield path


def owner_of(directory: str) -> str | None:
    """Return the project that a directory of roots is for, or ``None`` if it does not say."""
    try:
        with open(f"{directory}/{_OWNER}", "rb") as file:
            return os.fsdecode(file.read())
    except OSError:
        return None


def remove_roots(path: str) -> None:
    """Remove the roots of one evaluation: with its links Nix forgets them."""
    shutil.rmtree(path, ignore_errors=True)
