"""Attributes that are computed when they are first asked for, and once.

Unlike :func:`functools.cached_property` also where several threads ask (each attribute has a lock
of its own), and also where computing it came to :class:`~nixpy.doctor.finding.Absent`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from nixpy.doctor.finding import Absent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["once"]

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - used like ``property``
    """A property whose value, or absence, is kept in the instance's ``kept``."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.name = function.__name__
        self.__doc__ = function.__doc__
        self._lock = threading.Lock()

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> once[T] | T:
        """Return the value.

        Raises:
            Absent: it is not to be had.
        """
        if instance is None:
            return self
        kept: dict[str, tuple[T | None, Absent | None]] = instance.kept
        if self.name not in kept:
            with self._lock:
                if self.name not in kept:
                    kept[self.name] = self._computed(instance)
        value, absent = kept[self.name]
        if absent is not None:
            raise type(absent)(*absent.args)
        return value  # type: ignore[return-value]

    def _computed(self, instance: Any) -> tuple[T | None, Absent | None]:
        try:
            return self.function(instance), None
        except Absent as absent:
            return None, absent
