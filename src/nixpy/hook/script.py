"""The hooks as they are evaluated: ``eval "$(nixpy hook bash)"``.

On the path that a shell's start waits for: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy import cache
from nixpy.shells import bash, fish, zsh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["QUOTE", "prepare", "script"]

QUOTE: dict[str, Callable[[str], str]] = {
    "bash": bash.quote,
    "zsh": zsh.quote,
    "fish": fish.quote,
}
"""How each shell that there is a hook for writes a word."""

_ASSIGNED = {
    "bash": ("_nixpy_command=({})", "_nixpy_root={}", "_nixpy_direnv_path={}"),
    "zsh": (
        "typeset -ga _nixpy_command=({})",
        "typeset -g _nixpy_root={}",
        "typeset -g _nixpy_direnv_path={}",
    ),
    "fish": (
        "set -g _nixpy_command {}",
        "set -g _nixpy_root {}",
        "set -g _nixpy_direnv_path {}",
    ),
}


def script(shell: str, command: Sequence[str], root: str, direnv: str) -> str:
    """Return the hook of a shell.

    Args:
        shell: one of :data:`nixpy.hook.places.SHELLS`.
        command: what calls this nixpy.
        root: where answers are kept (:func:`nixpy.hook.places.hook_directory`).
        direnv: absolute path of direnv.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"hook.{shell}")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    values = (command, (root,), (direnv,))
    shipped = (("nixpy",), ("/",), ("direnv",))
    for line, before, after in zip(_ASSIGNED[shell], shipped, values, strict=True):
        words = " ".join(map(QUOTE[shell], after))
        text = text.replace(line.format(*before) + "\n", line.format(words) + "\n", 1)
    return text


def prepare(root: str, top: str) -> None:
    """Make what a hook looks at to find out whether its shell compares nanoseconds.

    Raises:
        OSError: it cannot be written.
    """
    place = f"{root}/@exact"
    cache.make_private_directory(place, top)
    for name, mtime in (("1", 1_000_000_001), ("2", 1_000_000_002)):
        path = f"{place}/{name}"
        if not os.path.exists(path) or os.stat(path).st_mtime_ns != mtime:
            cache.write_private(path, b"", mtime=mtime)
