"""What ``use nixpy`` does instead of a command of an ``.envrc``, as values."""

from __future__ import annotations

from typing import NamedTuple

from nixpy.init.bash_commands import literal

__all__ = ["Replaced", "Surroundings", "virtual_environment"]


class Surroundings(NamedTuple):
    """What lies beside an ``.envrc``.

    Attributes:
        names: of the files and directories there.
        conda_name: the ``name`` in ``environment.yml``, or empty.
        directory: the name of the directory itself.
    """

    names: frozenset[str] = frozenset()
    conda_name: str = ""
    directory: str = ""


class Replaced(NamedTuple):
    """What ``use nixpy`` does instead of a command.

    Attributes:
        note: in words.
        arguments: flags, each with its values.
        obstacle: why it cannot; then the command is left.
        syncs: whether the command installs.
        activates: whether it only activates a virtual environment.
        is_hook: whether it only prepares for others of these commands.
    """

    note: str = ""
    arguments: tuple[tuple[str, ...], ...] = ()
    obstacle: str = ""
    syncs: bool = False
    activates: bool = False
    is_hook: bool = False


def virtual_environment(word: str) -> Replaced:
    """Return what stands for a virtual environment at a place."""
    path = literal(word)
    if path is None or path.startswith(("/", "..")) or not path:
        return Replaced(obstacle="its environment lies outside of the project")
    if path.startswith(".direnv/"):
        return Replaced("the environment is .venv now")
    arguments = () if path == ".venv" else (("--venv", path),)
    return Replaced(f"{path} is nixpy's environment now", arguments, activates=True)
