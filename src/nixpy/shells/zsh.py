r"""Environments as zsh.

Quoting: zshmisc(1), "QUOTING". A value is written ``'…'``, and ``$'…'`` where it holds something
that does not print (``CSH_JUNKIE_QUOTES`` forbids a newline in quotes) or an apostrophe
(``RC_QUOTES`` gives ``''`` a meaning).

Builtins alone, no process, no output, whatever options are set: no array is used
(``KSH_ARRAYS``), nothing is left unquoted where words are split (``SH_WORD_SPLIT``), and the
variables in use are made with ``typeset -g``, about which ``WARN_CREATE_GLOBAL`` is silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.environment import Prepend, Set
from nixpy.shells import bash
from nixpy.shells.names import check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]

_BEFORE = "typeset -g _nixpy_value= _nixpy_element=\n"
_AFTER = "unset _nixpy_value _nixpy_element\n"


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return zsh for ``eval "$(nixpy export zsh)"``, or to be sourced."""
    check(operations)
    lines = [_statement(operation) for operation in operations]
    if any(isinstance(operation, Prepend) for operation in operations):
        lines = [_BEFORE, *lines, _AFTER]
    return "".join(lines)


def quote(value: str) -> str:
    """Return ``value`` as one word of zsh on one line, exact for any bytes but NUL."""
    if value.isprintable() and "'" not in value:
        return f"'{value}'"
    return bash.ansi_c(value)


def _statement(operation: Operation) -> str:
    if isinstance(operation, Set):
        return f"export {operation.name}={quote(operation.value)}\n"
    if isinstance(operation, Prepend):
        return bash.prepend(operation, quote)
    return f"unset {operation.name}\n"
