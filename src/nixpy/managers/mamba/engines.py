"""Which engine makes a conda environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.errors import ToolMissing
from nixpy.managers.mamba.command import Command
from nixpy.managers.mamba.programs import find_conda_program
from nixpy.managers.mamba.rattler import Rattler

if TYPE_CHECKING:
    from nixpy.managers import Session
    from nixpy.managers.mamba.engine import Engine
    from nixpy.option_keys import CondaEngine

__all__ = ["choose_engine"]


def choose_engine(asked: CondaEngine, recorded: str, session: Session) -> Engine:
    """Return the engine to use: the one that was asked for, else the one that made the prefix.

    What one engine made another one goes on with, but less well: ``--prune`` of mamba removes
    nothing from a prefix that rattler made.

    Args:
        asked: the option ``conda-engine``.
        recorded: the name of the engine that synced the prefix last; empty if none did.
        session: where programs are looked for.

    Raises:
        ToolMissing: there is none.
    """
    has_rattler = Rattler.is_installed()
    if asked == "rattler" or (asked == "auto" and recorded == "rattler" and has_rattler):
        if not has_rattler:
            raise _none("py-rattler is not installed")
        return Rattler()
    command = _command(session)
    if command is not None:
        return command
    if asked == "auto" and has_rattler:
        return Rattler()
    raise _none("no mamba, micromamba or conda was found")


def _command(session: Session) -> Engine | None:
    program = find_conda_program(session.environ, session.runner)
    return Command(program) if program else None


def _none(what: str) -> ToolMissing:
    return ToolMissing(
        f"{what}, and conda environments need one",
        where="PATH",
        next="Install micromamba, or py-rattler beside nixpy: `pip install 'nixpy[conda]'`.",
    )
