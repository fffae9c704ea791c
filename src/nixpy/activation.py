"""Entering and leaving an environment without direnv.

What ``eval "$(nixpy export bash)"`` changes can be undone: ``NIXPY_RESTORE`` holds what each
variable was. A further ``export``, of this project or another one, undoes it first.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy.environment import SEPARATOR, Environment, Prepend, Set, Unset, prepended
from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.environment import Operation

__all__ = ["RESTORE", "activation", "base_environment", "deactivation"]

RESTORE = "NIXPY_RESTORE"

OWNED = "UV_PROJECT_ENVIRONMENT"


class _Changed(NamedTuple):
    """One variable that an activation changed: what it was, what was prepended, what removed."""

    name: str
    before: str | None
    elements: tuple[str, ...]
    removed: tuple[str, ...] = ()


def activation(environment: Environment, environ: Mapping[str, str]) -> tuple[Operation, ...]:
    """Return the operations that enter an environment, whatever is in force in ``environ``."""
    base = base_environment(environ)
    changed = []
    for name in environment.names:
        own = [one for one in environment.operations if one.name == name]
        # What was also set is restored as it was: an edit since cannot be told from it.
        alone = own[0] if len(own) == 1 and isinstance(own[0], Prepend) else Prepend(name, ())
        changed.append(_Changed(name, base.get(name), alone.elements, alone.removed))
    return (
        *deactivation(environ)[:-1],
        *environment.operations,
        Set(RESTORE, _encode(changed)),
    )


def deactivation(environ: Mapping[str, str]) -> tuple[Operation, ...]:
    """Return the operations that leave the environment in force; none where there is none.

    What the user prepended or appended to a path-like variable since stays.
    """
    operations: list[Operation] = []
    changed = _decode(environ.get(RESTORE, ""))
    for one in changed:
        before, now = one.before, environ.get(one.name)
        if one.elements and now is not None:
            entered = prepended(one.elements, before or "", one.removed)
            if now != entered:
                kept = (before or "").split(SEPARATOR)
                left = [e for e in now.split(SEPARATOR) if e not in one.elements or e in kept]
                left += [e for e in kept if e in one.removed and e not in left]
                before = SEPARATOR.join(left) or None
        operations.append(Unset(one.name) if before is None else Set(one.name, before))
    if RESTORE in environ:
        operations.append(Unset(RESTORE))
    return tuple(operations)


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` as it was before nixpy entered an environment in it.

    ``UV_PROJECT_ENVIRONMENT`` is the user's own wish, unless it names the very environment that
    nixpy has put in force, for a project further up or in the shell that direnv has loaded.
    """
    base = Environment(deactivation(environ)).apply(environ)
    named, prefix = base.get(OWNED, ""), base.get("VIRTUAL_ENV", "")
    if named and "NIXPY_PROJECT" in base and (prefix == named or prefix.endswith("/" + named)):
        del base[OWNED]
    return base


def _encode(changed: list[_Changed]) -> str:
    fields = []
    for one in changed:
        before = "-" if one.before is None else "=" + one.before
        fields += [one.name, before]
        for elements in (one.elements, one.removed):
            fields += [str(len(elements)), *elements]
    body = b"\0".join(map(os.fsencode, fields))
    import binascii

    return binascii.b2a_base64(body, newline=False).decode("ascii")


def _decode(text: str) -> tuple[_Changed, ...]:
    if not text:
        return ()
    import binascii

    try:
        fields = iter(map(os.fsdecode, binascii.a2b_base64(text).split(b"\0")))
        changed = []
        for name in fields:
            before = next(fields)
            elements = tuple(next(fields) for _ in range(int(next(fields))))
            removed = tuple(next(fields) for _ in range(int(next(fields))))
            value = before[1:] if before[:1] == "=" else None
            changed.append(_Changed(name, value, elements, removed))
    except (ValueError, RuntimeError, StopIteration):
        return ()
    return tuple(changed)
