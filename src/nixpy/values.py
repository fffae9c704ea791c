"""``NamedTuple`` for modules that must start fast.

Importing ``typing`` costs as much as starting Python a second time, and the path that only
revalidates an entry may not pay for it (DESIGN.md, section 11). A type checker sees
:class:`typing.NamedTuple`; at run time the same classes are made with :mod:`collections` alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    from collections import namedtuple

    class _FromAnnotations(type):
        """Turns an annotated class body into a named tuple with the body's methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = [body.pop(field) for field in fields if field in body]
            base = namedtuple(  # noqa: PYI024 - what typing.NamedTuple itself does
                name, fields, defaults=defaults, module=body["__module__"]
            )
            return type(name, (base,), {"__slots__": (), **body})

    class NamedTuple(metaclass=_FromAnnotations):
        """Base class of immutable records, as :class:`typing.NamedTuple`."""


__all__ = ["NamedTuple"]
