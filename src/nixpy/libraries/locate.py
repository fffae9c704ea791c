"""Which attribute of nixpkgs has a soname, by the index of ``nix-locate`` where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.process import Runner

__all__ = ["located_attribute"]

LONGEST = 30.0
"""Seconds that one search has."""


def located_attribute(soname: str, environ: Mapping[str, str], runner: Runner) -> str | None:
    """Return the attribute that has a soname; ``None`` where nothing says.

    Of several the shortest one counts. Those in parentheses are no attributes: they are only what
    others rest on (github.com/nix-community/nix-index, ``nix-locate --help``).
    """
    program = find_program("nix-locate", environ.get("PATH", ""))
    if program is None:
        return None
    argv = [program, "--minimal", "--at-root", "--whole-name", f"/lib/{soname}"]
    try:
        done = runner.capture(argv, cwd="/", environ=environ, timeout=LONGEST)
    except OSError:
        return None
    found = [line.strip() for line in done.stdout.splitlines() if done.status == 0]
    attributes = [line for line in found if line and not line.startswith("(")]
    return min(attributes, key=lambda name: (len(name), name), default=None)
