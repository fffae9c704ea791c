r"""What changes as one JSON object: a value for each variable, ``null`` for one to be unset.

RFC 8259, in ASCII. A byte that is not UTF-8 is a lone surrogate, ``\udc80`` to ``\udcff``
(section 8.2; PEP 383), which Python's ``json`` and :func:`os.fsencode` turn into that byte again.
"""

from __future__ import annotations

import json

from nixpy.shells.difference import difference
from nixpy.shells.names import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["render"]


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return the difference to ``environ`` as a JSON object on one line."""
    check(operations)
    return json.dumps(difference(operations, environ)) + "\n"
