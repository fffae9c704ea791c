"""The record of what an environment lacks, and of what supplies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.environment import Environment, Prepend, Set
from nixpy.libraries.farm import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nixpy.inputs import Input

__all__ = ["LIBRARY_PATH", "NOTHING", "Supply", "read_supply", "write_supply"]

LIBRARY_PATH = "LD_LIBRARY_PATH"


class Supply(NamedTuple):
    """What an environment lacks, and what supplies it.

    Attributes:
        version: the nixpy that found out.
        state: digest over the environment that was looked at.
        scope: ``shell``, ``python`` or ``rpath``; empty where nothing is supplied.
        farm: the link farm; empty where there is none.
        links: what is in it.
        missing: sonames that nothing supplies.
        outputs: attributes of nixpkgs that were realised, and their store paths.
        roots: directory of their gc roots; empty where there are none.
        inputs: what all this rests on besides the environment.
        variables: further variables to set.
        notices: lines that a user should see.
    """

    version: str
    state: str
    scope: str = ""
    farm: str = ""
    links: tuple[Link, ...] = ()
    missing: tuple[str, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    roots: str = ""
    inputs: tuple[Input, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def environment(self) -> Environment:
        """What it changes in a shell."""
        variables = tuple(Set(name, value) for name, value in self.variables)
        if self.scope == "shell" and self.farm:
            return Environment((Prepend(LIBRARY_PATH, (self.farm,)), *variables))
        return Environment(variables)


NOTHING = Supply("", "")
"""The record of an environment that was never looked at."""


def read_supply(path: str) -> Supply | None:
    """Return the record at a path; a missing, damaged or foreign one is ``None``."""
    return cache.read_record(path, _supply)


def write_supply(path: str, top: str, supply: Supply) -> None:
    """Write a record, in a directory below nixpy's cache directory ``top``.

    Raises:
        OSError: it cannot be written.
    """
    cache.write_record(path, top, _fields(supply))


def _fields(one: Supply) -> Iterator[str]:
    yield from (one.version, one.state, one.scope, one.farm, one.roots)
    yield from cache.string_fields(_flat(one.links))
    yield from cache.string_fields(one.missing)
    yield from cache.string_fields(_flat(one.outputs))
    yield from cache.string_fields(_flat(one.variables))
    yield from cache.string_fields(one.notices)
    yield from cache.input_fields(one.inputs)


def _supply(fields: Iterator[str]) -> Supply:
    version, state, scope, farm, roots = (next(fields) for _ in range(5))
    links = [Link(*one) for one in _groups(cache.read_strings(fields), 3)]
    missing = cache.read_strings(fields)
    outputs = [(a, b) for a, b in _groups(cache.read_strings(fields), 2)]
    variables = [(a, b) for a, b in _groups(cache.read_strings(fields), 2)]
    return Supply(
        version=version,
        state=state,
        scope=scope,
        farm=farm,
        roots=roots,
        links=tuple(links),
        missing=missing,
        outputs=tuple(outputs),
        variables=tuple(variables),
        notices=cache.read_strings(fields),
        inputs=cache.read_inputs(fields),
    )


def _flat(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(text for group in groups for text in group)


def _groups(texts: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(iter(texts),) * size)  # noqa: B905 - the last one is whole
