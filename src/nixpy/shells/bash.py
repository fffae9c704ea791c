"""Environments as bash, 4.4 or later.

Quoting: Bash Reference Manual, 3.1.2.2 "Single Quotes" and 3.1.2.4 "ANSI-C Quoting". A value is
written ``'…'``, and ``$'…'`` only where it holds something that does not print.

The program is builtins alone, starts no process, prints nothing, works under
``set -euo pipefail`` and in any locale, inside a function or outside, and unsets the variables
that it uses itself.
"""

from __future__ import annotations

from nixpy.environment import Prepend, Set
from nixpy.shells.names import check, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["ansi_c", "quote", "render"]

# Pattern matching folds case under `shopt -s nocasematch`; `/A` and `/a` are two directories.
_BEFORE = """\
_nixpy_nocasematch=
if [[ a == A ]]; then _nixpy_nocasematch=1; shopt -u nocasematch; fi
"""
_AFTER = """\
if [[ -n $_nixpy_nocasematch ]]; then shopt -s nocasematch; fi
unset -v _nixpy_value _nixpy_element _nixpy_nocasematch
"""

_ESCAPES = {
    **{byte: f"\\x{byte:02x}" for byte in (*range(1, 0x20), 0x7F)},
    **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)},
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("'"): "\\'",
    ord("\\"): "\\\\",
}


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return bash for ``eval "$(nixpy export bash)"``, or to be sourced."""
    check(operations)
    lines = list(_statements(operations))
    if any(isinstance(operation, Prepend) for operation in operations):
        lines = [_BEFORE, *lines, _AFTER]
    return "".join(lines)


def quote(value: str) -> str:
    """Return ``value`` as one word of bash on one line, exact for any bytes but NUL."""
    if value.isprintable():
        return "'" + value.replace("'", "'\\''") + "'"
    return ansi_c(value)


def ansi_c(value: str) -> str:
    """Return ``value`` as ``$'…'``, which bash and zsh read alike."""
    return "$'" + value.translate(_ESCAPES) + "'"


def _statements(operations: Sequence[Operation]) -> Iterator[str]:
    assignments: list[str] = []
    for operation in operations:
        if isinstance(operation, Set):
            assignments.append(f"{operation.name}={quote(operation.value)}")
            continue
        # One command for many is half the time.
        yield _exported(assignments)
        assignments.clear()
        if isinstance(operation, Prepend):
            yield _prepend(operation)
        else:
            yield f"unset -v {operation.name}\n"
    yield _exported(assignments)


def _exported(assignments: list[str]) -> str:
    return f"export {' '.join(assignments)}\n" if assignments else ""


def _prepend(operation: Prepend) -> str:
    """Return the statements that prepend, with builtins alone.

    The caller's value is held between two colons, so that every element of it is. Matches of
    ``:element:`` overlap where an element repeats, hence the loops.
    """
    name = operation.name
    elements = front(operation.elements)
    gone = front((*elements, *operation.removed))
    single = [quote(element) for element in gone if ":" not in element]
    lines = [
        f"_nixpy_value=:${{{name}-}}:",
        "while [[ $_nixpy_value == *::* ]]; do _nixpy_value=${_nixpy_value//::/:}; done",
    ]
    if single:
        lines += [
            f"for _nixpy_element in {' '.join(single)}; do",
            '  while [[ $_nixpy_value == *":${_nixpy_element}:"* ]]; do',
            '    _nixpy_value=${_nixpy_value//":${_nixpy_element}:"/:}',
            "  done",
            "done",
        ]
    if elements:
        lines.append(f'export {name}={quote(":".join(elements))}"${{_nixpy_value%:}}"')
    else:
        lines += ["_nixpy_value=${_nixpy_value#:}", f'export {name}="${{_nixpy_value%:}}"']
    return "\n".join(lines) + "\n"
