"""``NamedTuple`` for modules that must start fast.

Importing ``typing`` costs as much as starting Python a second time, and ``collections`` a tenth of
it; the path that only revalidates an entry may not pay for them (DESIGN.md, section 11). A type
checker sees :class:`typing.NamedTuple`; at run time there are tuples with the same names and
methods, made of nothing that Python does not load at start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple
else:
    from _operator import itemgetter

    class _FromAnnotations(type):
        """Turns an annotated class body into a tuple with named fields and the body's methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = {field: body.pop(field) for field in fields if field in body}
            getters = {field: property(itemgetter(i)) for i, field in enumerate(fields)}
            named = {"__slots__": (), "__match_args__": fields, "_fields": fields}
            return type(name, (_Record,), {**named, "_field_defaults": defaults, **getters, **body})

    class _Record(tuple):
        __slots__ = ()
        _fields: tuple[str, ...]
        _field_defaults: dict[str, Any]

        def __new__(cls, *values: object, **named: object) -> tuple:
            fields = cls._fields
            if named or len(values) != len(fields):
                values = cls._complete(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values: tuple, named: dict[str, Any]) -> tuple:
            left = cls._fields[len(values) :]
            known = {**cls._field_defaults, **named}
            missing = [field for field in left if field not in known]
            unknown = [field for field in named if field not in left]
            if missing or unknown or len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__}: missing {missing}, not expected {unknown}")
            return (*values, *(known[field] for field in left))

        @classmethod
        def _make(cls, values: object) -> tuple:
            return cls(*values)

        def _replace(self, **named: object) -> tuple:
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            shown = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self) -> tuple:
            return tuple(self)

    class NamedTuple(metaclass=_FromAnnotations):
        """Base class of immutable records, as :class:`typing.NamedTuple`."""


__all__ = ["NamedTuple"]
