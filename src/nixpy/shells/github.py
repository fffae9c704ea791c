"""Environments for GitHub Actions: the files that ``GITHUB_ENV`` and ``GITHUB_PATH`` name.

"Workflow commands for GitHub Actions", sections "Setting an environment variable" (multiline
strings) and "Adding a system path". They are data, read by the runner after the step as UTF-8, so
values are computed from ``environ``, but for what is prepended to ``PATH``: that is
:func:`path_lines`.

The runner cannot unset: a variable that ``environ`` holds is made empty, which is the nearest.
Raises :class:`ValueError` for what the files cannot hold: bytes that are not UTF-8, and a newline
in an element of ``PATH``.
"""

from __future__ import annotations

from nixpy.environment import Prepend
from nixpy.shells.difference import results
from nixpy.shells.names import check, check_text, front

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.environment import Operation

__all__ = ["path_lines", "render"]

_FORM = "GitHub's files"


def render(operations: Sequence[Operation], environ: Mapping[str, str]) -> str:
    """Return text to append to the file that ``GITHUB_ENV`` names."""
    check(operations)
    others = [
        operation
        for operation in operations
        if not (isinstance(operation, Prepend) and operation.name == "PATH")
    ]
    return "".join(
        _assignment(name, value or "")
        for name, value in results(others, environ).items()
        if value is not None or name in environ
    )


def path_lines(operations: Sequence[Operation]) -> str:
    """Return text to append to the file that ``GITHUB_PATH`` names.

    The runner puts each line in front of those before it, so the first element is last.
    """
    check(operations)
    ahead: list[str] = []
    for operation in operations:
        if isinstance(operation, Prepend) and operation.name == "PATH":
            new = front(operation.elements)
            ahead = new + [element for element in ahead if element not in new]
    for element in ahead:
        check_text("PATH", element, _FORM)
        if "\n" in element or "\r" in element:
            raise ValueError(f"PATH: a line of GITHUB_PATH cannot hold {element!r}")
    return "".join(f"{element}\n" for element in reversed(ahead))


def _assignment(name: str, value: str) -> str:
    check_text(name, value, _FORM)
    delimiter = "EOF"
    while delimiter in value:
        delimiter += "_"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
