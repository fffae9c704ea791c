r"""Environments as elvish, 0.17 or later.

Quoting: the Elvish language specification, "Double-quoted string": ``\xHH`` is one byte. Source
has to be UTF-8, so bytes that are not are written that way.
"""

from __future__ import annotations

from nixpy.environment import Prepend, Set
from nixpy.shells.names import check, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]

_ESCAPES = {
    **{byte: f"\\x{byte:02x}" for byte in (*range(1, 0x20), 0x7F)},
    **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return elvish for ``eval (nixpy export elvish | slurp)``.

    ``eval`` keeps what it defines to itself, so nothing is left behind.
    """
    check(operations)
    lines = [_statement(operation) for operation in operations]
    if any(isinstance(operation, Prepend) for operation in operations):
        lines.insert(0, "use str\n")
    return "".join(lines)


def quote(value: str) -> str:
    """Return ``value`` as one word of elvish on one line."""
    return '"' + value.translate(_ESCAPES) + '"'


def _statement(operation: Operation) -> str:
    name = operation.name
    if isinstance(operation, Set):
        return f"set-env {name} {quote(operation.value)}\n"
    if isinstance(operation, Prepend):
        elements = front(operation.elements)
        words = " ".join(quote(element) for element in elements)
        gone = " ".join(quote(element) for element in front((*elements, *operation.removed)))
        return (
            f"set-env {name} (str:join : [{words} (str:split : $E:{name} | each {{|e| "
            f"if (and (not-eq $e '') (not (has-value [{gone}] $e))) {{ put $e }} }})])\n"
        )
    return f"unset-env {name}\n"
