"""What every shell asks of names, values and elements, in one place.

A name is what a POSIX shell can assign to (XCU 2.10.2, rule 7; XBD 3.216, "Name"). A value cannot
hold a NUL byte, since the kernel ends each variable there (:manpage:`execve(2)`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nixpy.environment import Operation

__all__ = ["RESERVED", "check", "check_text", "front", "is_name"]

RESERVED = "_nixpy_"
"""The prefix of the variables that rendered programs use, and unset, themselves."""


def is_name(name: str) -> bool:
    """Tell whether ``name`` is ``[A-Za-z_][A-Za-z0-9_]*``."""
    return name.isascii() and name.isidentifier()


def check(operations: Sequence[Operation]) -> None:
    """Raise :class:`ValueError` for a name or a value that no environment can hold."""
    for operation in operations:
        name, values = operation[0], operation[1:]
        if not is_name(name):
            raise ValueError(f"not a name that a shell can export: {name!r}")
        if name.startswith(RESERVED):
            raise ValueError(f"{name}: names that begin with {RESERVED} are nixpy's own")
        for value in values:
            for text in (value,) if isinstance(value, str) else value:
                if "\0" in text:
                    raise ValueError(f"{name}: a variable cannot hold a NUL byte")


def check_text(name: str, value: str, form: str) -> None:
    """Raise :class:`ValueError` if ``value`` is not text, which ``form`` holds alone."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name}: {form} cannot hold bytes that are not UTF-8") from None


def front(elements: Iterable[str]) -> list[str]:
    """Return ``elements`` as they are put in front: none empty, and none of them twice."""
    return list(dict.fromkeys(element for element in elements if element))
