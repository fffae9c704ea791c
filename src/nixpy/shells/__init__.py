"""Environments as text: one module for each shell; all quoting lives here.

Each module has one function ``render(operations, environ) -> str``. What it returns is a complete
program for that shell (or a complete document for ``json``, ``dotenv``, ``github``) whose
evaluation has the effect of :meth:`nixpy.environment.Environment.apply` on the shell's own,
exported variables *at the time of the evaluation*; only formats that are data and not a program
compute values from ``environ``. The text is encoded with :func:`os.fsencode` before it is written.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["SHELLS", "render"]

SHELLS: tuple[str, ...] = (
    "bash",
    "zsh",
    "fish",
    "tcsh",
    "elvish",
    "nushell",
    "powershell",
    "json",
    "dotenv",
    "github",
)


def render(shell: str, operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return ``operations`` as text for ``shell``, one of :data:`SHELLS`.

    Raises:
        KeyError: ``shell`` is not one of :data:`SHELLS`.
        ValueError: a name is no name that a shell can export, or a value holds a NUL byte
            (or, in a format that is text by its specification, bytes that are no text).
    """
    if shell not in SHELLS:
        raise KeyError(shell)
    # Not importlib, which is not loaded at start; and only the module of the one shell.
    module = __import__(f"nixpy.shells.{shell}", fromlist=["render"])
    text: str = module.render(operations, environ)
    return text
