r"""Environments as zsh.

Quoting: zshmisc(1), "QUOTING". A value is written ``'…'``, and ``$'…'`` where it holds something
that does not print (``CSH_JUNKIE_QUOTES`` forbids a newline in quotes) or an apostrophe
(``RC_QUOTES`` gives ``''`` a meaning).

Builtins alone, no process, no output, whatever options are set: no array is used
(``KSH_ARRAYS``), nothing is left unquoted where words are split (``SH_WORD_SPLIT``), and the
variables in use are assigned by ``typeset -g``, about which ``WARN_CREATE_GLOBAL`` and
``WARN_NESTED_VAR`` are silent.
"""

from __future__ import annotations

from nixpy.environment import Prepend, Set
from nixpy.shells import bash
from nixpy.shells.names import check, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]

_AFTER = "unset _nixpy_value _nixpy_element\n"


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return zsh for ``eval "$(nixpy export zsh)"``, or to be sourced."""
    check(operations)
    lines = [_statement(operation) for operation in operations]
    if any(isinstance(operation, Prepend) for operation in operations):
        lines = [*lines, _AFTER]
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
        return _prepend(operation)
    return f"unset {operation.name}\n"


def _prepend(operation: Prepend) -> str:
    """Return the statements that prepend, in the way of :mod:`nixpy.shells.bash`."""
    name = operation.name
    elements = front(operation.elements)
    lines = [f'typeset -g _nixpy_element= _nixpy_value=":${{{name}-}}:"', _replace("::")]
    for element in front((*elements, *operation.removed)):
        if ":" not in element:
            lines.append(f"typeset -g _nixpy_element={quote(element)}")
            lines.append(_replace(":${_nixpy_element}:"))
    if elements:
        lines.append(f'export {name}={quote(":".join(elements))}"${{_nixpy_value%:}}"')
    else:
        lines.append('typeset -g _nixpy_value="${_nixpy_value#:}"')
        lines.append(f'export {name}="${{_nixpy_value%:}}"')
    return "\n".join(lines) + "\n"


def _replace(part: str) -> str:
    """Return the loop that makes one colon of each ``part``; matches may overlap."""
    return (
        f'while [[ $_nixpy_value == *"{part}"* ]]; do '
        f'typeset -g _nixpy_value="${{_nixpy_value//"{part}"/:}}"; done'
    )
