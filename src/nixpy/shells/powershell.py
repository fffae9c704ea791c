"""Environments as PowerShell: ``nixpy export powershell | Out-String | Invoke-Expression``.

Quoting: about_Quoting_Rules, "Single and double-quoted strings". PowerShell reads the typographic
apostrophes as apostrophes too, and decodes what a program prints by the console's encoding, so
everything but printable ASCII is written as ``[char]`` of its UTF-16 code unit.

Raises :class:`ValueError` for values that are not UTF-8, which .NET's strings cannot hold. An
empty value removes the variable before PowerShell 7.5 (.NET 9): until then, .NET knows no empty
variable.
"""

from __future__ import annotations

from nixpy.environment import Prepend, Set
from nixpy.shells.names import check, check_text, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["quote", "render"]


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:  # noqa: ARG001
    """Return PowerShell, one statement on each line."""
    check(operations)
    return "".join(_statement(operation) for operation in operations)


def quote(value: str) -> str:
    """Return ``value`` as one expression of PowerShell, in ASCII, on one line."""
    if value.isascii() and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    units = value.encode("utf-16-le")
    codes = (int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2))
    return "(-join [char[]](" + ",".join(map(str, codes)) + "))"


def _statement(operation: Operation) -> str:
    name = operation.name
    if isinstance(operation, Set):
        check_text(name, operation.value, "PowerShell")
        return _assign(name, quote(operation.value))
    if isinstance(operation, Prepend):
        gone = front((*operation.elements, *operation.removed))
        for element in gone:
            check_text(name, element, "PowerShell")
        words = _strings(front(operation.elements))
        # IndexOf compares code units; -contains and -eq compare as a culture does.
        rest = (
            f'[string[]]@("${{Env:{name}}}".Split([char]58) | Where-Object '
            f"{{ $_.Length -and [array]::IndexOf({_strings(gone)}, $_) -lt 0 }})"
        )
        return _assign(name, f"[string]::Join(':', [string[]]({words} + {rest}))")
    return f"Remove-Item -LiteralPath Env:{name} -ErrorAction Ignore\n"


def _strings(elements: Sequence[str]) -> str:
    return "[string[]]@(" + ",".join(quote(element) for element in elements) + ")"


def _assign(name: str, expression: str) -> str:
    return f"[Environment]::SetEnvironmentVariable('{name}', {expression})\n"
