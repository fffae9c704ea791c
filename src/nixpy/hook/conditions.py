"""What must be as it was for an answer of direnv's to hold, checkable by a shell's builtins.

Files are compared as in :mod:`nixpy.stamp`: by a *reference file* that carries the modification
time, to the nanosecond.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.inputs import ABSENT, observe_variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Condition",
    "absence",
    "file_conditions",
    "lasting",
    "observed_condition",
    "references",
    "variable_condition",
]


class Condition(NamedTuple):
    """One thing that must hold.

    Attributes:
        kind: ``time`` (a file has the modification time ``value``, in nanoseconds), ``target`` (a
            path leads to the same file as ``value``), ``absent`` (and its directory has the time
            ``value``, or nothing is known of that), ``exists``, ``file`` (a regular file that can
            be read), ``runs`` (a file that can be executed); ``is`` (an exported
            variable with that value), ``like`` (the same, with :data:`nixpy.inputs.MASK` for any
            text), ``unset`` (not exported), ``filled`` (not empty), ``names`` (the variables
            that begin with ``name`` are those of ``value``); ``before`` (the time, in seconds since
            the epoch).
        name: an absolute path, a variable, or how variables begin.
        value: what it is compared with.
    """

    kind: str
    name: str
    value: str = ""


def variable_condition(name: str, environ: Mapping[str, str]) -> Condition:
    """Return that a variable is what it is in ``environ``."""
    if name not in environ:
        return Condition("unset", name)
    return Condition("is", name, environ[name])


def observed_condition(name: str, environ: Mapping[str, str]) -> Condition:
    """Return the same without any secret in the value, which does not count."""
    value = observe_variable(name, environ).value
    if value == ABSENT:
        return Condition("unset", name)
    value = value.removeprefix("=")
    return Condition("like" if value != environ[name] else "is", name, value)


def file_conditions(path: str) -> Iterator[Condition]:
    """Yield that a file is the one that it is now, or that there is none.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        mtime = os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        yield absence(path)
        return
    yield Condition("time", path, str(mtime))
    target = os.path.realpath(path)
    if target != path:
        yield Condition("target", path, target)
    if os.path.islink(path):
        # No builtin tells when a link itself was made; its directory changes with it.
        directory = os.path.dirname(path)
        yield Condition("time", directory, str(os.stat(directory).st_mtime_ns))


def absence(path: str) -> Condition:
    """Return that there is no file.

    Where its directory has the time that it has now, nothing was made in it.
    """
    directory = os.path.dirname(path)
    try:
        mtime = str(os.stat(directory).st_mtime_ns)
    except OSError:
        mtime = ""
    # A link that leads nowhere may do so tomorrow, and one to a directory to another.
    if os.path.lexists(path) or os.path.realpath(directory) != directory:
        mtime = ""
    return Condition("absent", path, mtime)


def lasting(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Return conditions without the times of directories in which a file is absent.

    They change with every other file that is made there, as in a home directory.
    """
    return tuple(one._replace(value="") if one.kind == "absent" else one for one in conditions)


def references(conditions: tuple[Condition, ...]) -> set[str]:
    """Return the modification times that conditions compare with."""
    return {one.value for one in conditions if one.kind in {"time", "absent"} and one.value}
