"""What operations change in a known environment, for the formats that are data."""

from __future__ import annotations

from nixpy.environment import Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["difference", "results"]


def results(operations: Sequence[Operation], environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the value of each variable that is operated on, ``None`` for one that is unset."""
    environment = Environment(tuple(operations))
    after = environment.apply(environ)
    return {name: after.get(name) for name in environment.names}


def difference(
    operations: Sequence[Operation], environ: Mapping[str, str]
) -> dict[str, str | None]:
    """Return those of :func:`results` that are not what ``environ`` holds already."""
    return {
        name: value
        for name, value in results(operations, environ).items()
        if value != environ.get(name)
    }
