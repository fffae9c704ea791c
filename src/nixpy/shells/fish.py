r"""Environments as fish, 3.1 or later.

Quoting: the fish language, "Quotes": between single quotes only ``\'`` and ``\\`` are special.
Bytes that are not text are written as they are: fish decodes its input and its environment by
the same rule, so that an element compares equal to itself.

A list is never passed through a command substitution, which would split at newlines: ``--path``
variables split and join at colons by themselves, and a quoted variable is what fish exports.
In ``PATH`` and ``CDPATH`` fish itself writes ``.`` for an empty element that is assigned.
"""

from __future__ import annotations

from nixpy.environment import Prepend, Set
from nixpy.shells.names import check, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return fish for ``nixpy export fish | source``."""
    check(operations)
    return "".join(_statement(operation) for operation in operations)


def quote(value: str) -> str:
    """Return ``value`` as one word of fish."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _statement(operation: Operation) -> str:
    name = operation.name
    if isinstance(operation, Set):
        return f"set -gx {name} {quote(operation.value)}\n"
    if isinstance(operation, Prepend):
        return _prepend(operation)
    # A universal variable is the user's, in all sessions and for good, and exported whatever hides
    # it: not erased, but made empty here, which is the nearest.
    return f"set -eg {name}\nif set -qU {name}; set -gx {name}; end\n"


def _prepend(operation: Prepend) -> str:
    name = operation.name
    elements = front(operation.elements)
    words = "".join(f" {quote(element)}" for element in elements)
    gone = "".join(f" {quote(element)}" for element in front((*elements, *operation.removed)))
    return f"""\
begin
  set -l --path _nixpy_caller "${name}"
  set -l --path _nixpy_value{words}
  set -l _nixpy_element
  for _nixpy_element in $_nixpy_caller
    if test -n "$_nixpy_element"; and not contains -- "$_nixpy_element"{gone}
      set -a _nixpy_value "$_nixpy_element"
    end
  end
  if set -q _nixpy_value[1]
    set -gx {name} "$_nixpy_value"
  else
    set -gx {name}
  end
end
"""
