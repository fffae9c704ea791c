r"""What is set, as a ``.env`` file: one ``NAME="value"`` for each variable.

There is no specification of these files. What counts here is that ``set -a; . file`` of a POSIX
shell reads exactly the value (XCU 2.2, "Quoting"); among the spellings that do, the one is chosen
that python-dotenv and Compose read alike:

* ``"value"``, with ``\"`` and ``\\`` where it holds those;
* ``'value'``, where it holds ``$`` or a backquote, which they escape differently in double quotes;
* where single quotes cannot hold it (an apostrophe, and for python-dotenv two backslashes or one at
  the end), double quotes with the shell's escapes, which the others read differently.

A newline is a newline in quotes. python-dotenv expands ``${NAME}`` in any quotes and needs UTF-8.
Such a file cannot unset: a variable to be unset is a comment.
"""

from __future__ import annotations

from nixpy.shells.difference import results
from nixpy.shells.names import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]

_SPECIAL = '\\"$`'


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return the lines of a ``.env`` file, with values computed from ``environ``."""
    check(operations)
    return "".join(
        f"# {name} is unset\n" if value is None else f"{name}={quote(value)}\n"
        for name, value in results(operations, environ).items()
    )


def quote(value: str) -> str:
    """Return ``value`` as one word of a POSIX shell."""
    expands = "$" in value or "`" in value
    if expands and not ("'" in value or "\\\\" in value or value.endswith("\\")):
        return f"'{value}'"
    for character in _SPECIAL:
        value = value.replace(character, f"\\{character}")
    return f'"{value}"'
