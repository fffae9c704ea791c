"""Poetry's constraints on Python, as version specifiers.

Source: python-poetry.org/docs/dependency-specification, "Version constraints".
"""

from __future__ import annotations

import re

__all__ = ["python_specifier"]

_RELEASE = re.compile(r"(?P<operator>\^|~)?\s*v?(?P<release>\d+(?:\.\d+)*)(?P<wildcard>\.\*)?")


def python_specifier(constraint: str) -> str | None:
    """Return the version specifier of a constraint; ``None`` where it allows any, or says ``||``.

    ``^3.10`` is ``>=3.10,<4``, ``~3.10`` is ``>=3.10,<3.11``, ``3.10`` and ``3.10.*`` are
    ``==3.10.*``.

    Raises:
        ValueError: it is none of Poetry's.
    """
    if "|" in constraint or constraint.strip() == "*":
        return None
    found = [_one(part.strip()) for part in constraint.split(",")]
    return ",".join(found)


def _one(part: str) -> str:
    match = _RELEASE.fullmatch(part)
    if match is None:
        from packaging.specifiers import InvalidSpecifier, Specifier

        try:
            return str(Specifier(part))
        except InvalidSpecifier:
            raise ValueError(f"no constraint of Poetry's: {part!r}") from None
    release = [int(number) for number in match["release"].split(".")]
    if match["operator"] is None:
        return f"=={match['release']}.*"
    if match["operator"] == "~":
        kept = min(len(release), 2) - 1
    else:
        # The first number that is not zero may not change, or else the last.
        kept = next((i for i, number in enumerate(release) if number), len(release) - 1)
    limit = [*release[:kept], release[kept] + 1]
    return f">={match['release']},<{'.'.join(map(str, limit))}"
