r"""Environments as tcsh, 6.20 or later.

Quoting: tcsh(1), "Lexical structure" and "Command substitution". The usual call is

    eval `nixpy export tcsh`

where tcsh breaks the text into words at blanks and newlines, expands braces in them and a leading
``~`` or ``=``, quoted or not, and joins them with single spaces before it parses them. So
statements end with ``;``, a space is followed by ``''``, ``!`` has a backslash (history reaches
into quotes), a backslash stands outside of quotes (``backslash_quote``), and braces and control
characters come from the builtin ``echo``, the only spelling of them that survives; this alone
forks.

A newline survives in no spelling: such a value is a :class:`ValueError`. Since no loop can be
written on one line, what is prepended is prepended to the value in ``environ``, which under
``eval`` is the shell's own.
"""

from __future__ import annotations

from itertools import groupby

from nixpy.shells.difference import results
from nixpy.shells.names import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]

_PLAIN = {"'": "'\\''", "!": "'\\!'", "\\": "'\\\\'", " ": " ''"}
_NEEDS_ECHO = frozenset("{}\x7f") | {chr(code) for code in range(1, 0x20)}


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return tcsh to be evaluated by ``eval`` or by ``source``."""
    check(operations)
    return "".join(
        f"unsetenv {name};\n" if value is None else f"setenv {name} {_quote(name, value)};\n"
        for name, value in results(operations, environ).items()
    )


def quote(value: str) -> str:
    """Return ``value``, which holds no newline, as one word of tcsh."""
    parts = []
    for needs_echo, run in groupby(value, _NEEDS_ECHO.__contains__):
        if needs_echo:
            octal = "".join(f"\\{ord(character):03o}" for character in run)
            parts.append(f"\"`set echo_style=both; echo '{octal}'`\"")
        else:
            parts.append("'" + "".join(_PLAIN.get(char, char) for char in run) + "'")
    return "".join(parts) or "''"


def _quote(name: str, value: str) -> str:
    if "\n" in value:
        raise ValueError(f"{name}: tcsh cannot be given a newline")
    return quote(value)
