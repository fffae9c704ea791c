"""Environments for nushell, as data: ``nixpy export nushell | from json | load-env``.

Nushell has no ``eval``; ``load-env`` takes a record (the Nushell book, "Environment"). ``PATH`` is
a list there, and a variable that is ``null`` is not exported.

Raises :class:`ValueError` for values that are not UTF-8, which nushell's strings cannot hold.
"""

from __future__ import annotations

import json

from nixpy.environment import SEPARATOR
from nixpy.shells.difference import difference
from nixpy.shells.names import check, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["render"]


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return the difference to ``environ`` as a JSON object on one line."""
    check(operations)
    record: dict[str, str | list[str] | None] = {}
    for name, value in difference(operations, environ).items():
        if value is not None:
            check_text(name, value, "nushell")
        if name == "PATH" and value is not None:
            record[name] = value.split(SEPARATOR) if value else []
        else:
            record[name] = value
    return json.dumps(record) + "\n"
