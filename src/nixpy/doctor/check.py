"""Checks: functions with an identifier, and the list of them all.

A check's docstring is what ``nixpy doctor explain`` and ``docs/doctor.md`` show: a first line, and
the sections ``Symptom``, ``Cause`` and ``Remedy``. Third parties add checks by an entry point in
the group ``nixpy.doctor`` that names a module which defines some, or a :class:`Check`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nixpy.doctor.examination import Examination
    from nixpy.doctor.finding import Found, Severity

    Function = Callable[[Examination], Iterable[Found]]

__all__ = ["GROUPS", "Broken", "Check", "all_checks", "check", "load_plugins"]

ENTRY_POINTS = "nixpy.doctor"

GROUPS: dict[str, str] = {
    "direnv": "direnv",
    "hook": "The hook",
    "nix": "Nix",
    "manifests": "Manifests and options",
    "interpreter": "Interpreter",
    "environment": "Environment",
    "libraries": "Shared libraries",
    "jupyter": "Jupyter",
    "nixpy": "nixpy itself",
    "doctor": "The doctor",
}
"""Titles of the groups, in the order in which they are shown; others follow by name."""

SECTIONS = ("Symptom", "Cause", "Remedy")

_IDENTIFIER = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        identifier: group and name, ``direnv.hook-missing``.
        title: what it looks for, as a claim that holds where it found something.
        group: what it is about, a key of :data:`GROUPS` or a new one.
        severity: of what it finds, unless that says otherwise.
        function: looks.
        summary, symptom, cause, remedy: from the function's docstring, paragraphs on one line each.
        is_deep: whether it takes long, and runs only with ``--deep``.
    """

    identifier: str
    title: str
    group: str
    severity: Severity
    function: Function
    summary: str
    symptom: str
    cause: str
    remedy: str
    is_deep: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded: its entry point, and why."""

    name: str
    why: str


_checks: dict[str, Check] = {}


def check(
    identifier: str, *, title: str, severity: Severity, group: str = "", is_deep: bool = False
) -> Callable[[Function], Function]:
    """Make a function a check.

    Raises:
        ValueError: the identifier is none, or taken, or the docstring lacks a section.
    """
    if not _IDENTIFIER.fullmatch(identifier):
        raise ValueError(f"{identifier!r}: expected group.name in lower case")

    def register(function: Function) -> Function:
        known = _checks.get(identifier)
        if known and known.function.__module__ != function.__module__:
            raise ValueError(f"{identifier} is taken by {known.function.__module__}")
        summary, sections = read_docstring(inspect.getdoc(function) or "")
        missing = [name for name in SECTIONS if not sections.get(name)]
        if missing:
            raise ValueError(f"{identifier}: the docstring lacks {', '.join(missing)}")
        _checks[identifier] = Check(
            identifier,
            title,
            group or identifier.partition(".")[0],
            severity,
            function,
            summary,
            symptom=sections["Symptom"],
            cause=sections["Cause"],
            remedy=sections["Remedy"],
            is_deep=is_deep,
        )
        return function

    return register


def all_checks() -> tuple[Check, ...]:
    """Return every check, nixpy's own and those of plugins that are loaded, in their order."""
    from nixpy.doctor import checks

    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    order = list(GROUPS)

    def place(one: Check) -> tuple[int, str]:
        return (order.index(one.group) if one.group in order else len(order), one.group)

    # Within a group: as they stand in their modules, from what everything rests on to details.
    return tuple(sorted(_checks.values(), key=place))


@functools.cache
def load_plugins() -> tuple[Broken, ...]:
    """Load the checks of third parties; return those that cannot be."""
    return tuple(_load_each())


def _load_each() -> Iterator[Broken]:
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            loaded = point.load()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's module does
            yield Broken(point.name, f"{point.value}: {type(error).__name__}: {error}")
            continue
        if isinstance(loaded, Check):
            _checks.setdefault(loaded.identifier, loaded)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the first line of a docstring, and its sections; paragraphs are on one line each."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", text, flags=re.MULTILINE)
    sections = {
        name: _paragraphs(body) for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    return _paragraphs(parts[0]), sections


def _paragraphs(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text).strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
