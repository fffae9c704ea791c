"""Shells with nixpy's hook beside shells with direnv's alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ..conftest import Shell, World, closing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Start(Protocol):
        """What the fixture ``start`` is."""

        def __call__(self, kind: str, under: tuple[str, ...] = ()) -> Shell: ...


HOOK = {
    "bash": 'eval "$(nixpy hook bash)"',
    "zsh": 'eval "$(nixpy hook zsh)"',
    "fish": "nixpy hook fish | source",
}
"""nixpy's line."""

COUNTED = {
    "bash": (
        "eval \"_nixpy_asked$(declare -f _nixpy_known | sed '1s/^_nixpy_known//')\"",
        "hits=0 misses=0",
        "_nixpy_known() { if _nixpy_asked; then ((hits += 1)); else ((misses += 1)); false; fi; }",
    ),
    "zsh": (
        "functions[_nixpy_asked]=$functions[_nixpy_known]",
        "hits=0 misses=0",
        "_nixpy_known() { if _nixpy_asked; then ((hits += 1)); else ((misses += 1)); false; fi; }",
    ),
    "fish": (
        "functions --copy _nixpy_known _nixpy_asked",
        "set -g hits 0; set -g misses 0",
        "function count_one; set -g $argv[1] (math $$argv[1] + 1); end",
        "function count_miss; count_one misses; return 1; end",
        "function _nixpy_known; _nixpy_asked; and count_one hits; or count_miss; end",
    ),
}
"""What counts in the variables ``hits`` and ``misses`` how often direnv need not be asked."""


def counted(shell: Shell) -> Shell:
    """Have a hooked shell count."""
    for line in COUNTED[shell.kind]:
        shell.run(line)
    return shell


def counts(shell: Shell) -> tuple[int, int]:
    """How often direnv need not, and had to be, asked."""
    hits, misses = re.findall(r"(\d+) (\d+)", shell.run('echo "$hits $misses"'))[-1]
    return int(hits), int(misses)


def hooked(shell: Shell) -> Shell:
    """Put nixpy's hook into a shell that has direnv's."""
    shell.run(HOOK[shell.kind])
    return shell


@pytest.fixture
def start(world: World) -> Iterator[Start]:
    """Starts interactive shells by name that are typed into without any delay."""

    def start(kind: str, under: tuple[str, ...] = ()) -> Shell:
        shell = Shell(kind, world, under)
        shell.process.delaybeforesend = None
        return shell

    with closing(start) as noted:
        yield noted
