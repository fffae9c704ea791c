"""Variable operations, and what they make of an environment (pure).

An environment is an ordered list of operations on variables, not a list of values: what is
prepended to ``PATH`` is prepended to the caller's value at the time the exports are sourced.

Names and values are ``str`` with ``surrogateescape`` for bytes that are not UTF-8
(:func:`os.fsdecode`), so that any value a POSIX environment can hold passes through unharmed.
"""

from __future__ import annotations

from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

__all__ = ["Environment", "Operation", "Prepend", "Set", "Unset", "prepended"]

SEPARATOR = ":"


class Set(NamedTuple):
    """Give a variable a value, whatever it held before."""

    name: str
    value: str


class Unset(NamedTuple):
    """Remove a variable."""

    name: str


class Prepend(NamedTuple):
    """Put elements in front of a path-like variable.

    An element that the variable holds already moves to the front. Empty elements vanish, the
    caller's own too: an empty element means the current directory, to the shell (POSIX, XBD 8.3)
    and to ``ld.so(8)``. ``removed`` are elements that vanish too: those of an environment that the
    caller has in force, and that this one replaces.
    """

    name: str
    elements: tuple[str, ...]
    removed: tuple[str, ...] = ()


if TYPE_CHECKING:
    Operation: TypeAlias = Set | Unset | Prepend
else:
    Operation = (Set, Unset, Prepend)


class Environment(NamedTuple):
    """What nixpy changes in the environment of a shell, in order."""

    operations: tuple[Operation, ...] = ()

    def apply(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return ``environ`` as it is after the operations."""
        result = dict(environ)
        for operation in self.operations:
            if isinstance(operation, Set):
                result[operation.name] = operation.value
            elif isinstance(operation, Unset):
                result.pop(operation.name, None)
            else:
                result[operation.name] = prepended(
                    operation.elements, result.get(operation.name, ""), operation.removed
                )
        return result

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that change, each once, in the order of their first operation."""
        return tuple(dict.fromkeys(operation.name for operation in self.operations))


def prepended(elements: Iterable[str], value: str, removed: Iterable[str] = ()) -> str:
    """Return a path-like ``value`` with ``elements`` in front; none is empty, none there twice."""
    front = list(dict.fromkeys(element for element in elements if element))
    gone = {"", *front, *removed}
    behind = [element for element in value.split(SEPARATOR) if element not in gone]
    return SEPARATOR.join(front + behind)
