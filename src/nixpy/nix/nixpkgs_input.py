"""Which input of a flake is its nixpkgs (Nix manual, ``nix flake``, "Lock files")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NIXPKGS", "find_input"]

NIXPKGS = "nixpkgs"

MOST_STEPS = 100
"""Inputs that are followed one after the other: a damaged lock file may lead in a circle."""

Path = tuple[str, ...]


def find_input(locks: Mapping[str, Any], name: str | None) -> Path | None:
    """Return the names of inputs that lead from a flake to the one meant; ``None`` for none.

    Args:
        locks: the content of a ``flake.lock``.
        name: the input, with ``/`` between it and the one whose input it is; ``None`` for the
            flake's own ``nixpkgs``, or else that of the nearest input that has one.

    Raises:
        ValueError: the lock file is malformed.
    """
    try:
        nodes, root = locks["nodes"], locks["root"]
        if name is not None:
            path = tuple(name.split("/"))
            return path if _node(nodes, root, path) else None
        return _nearest(nodes, root)
    except (KeyError, TypeError, AttributeError):
        raise ValueError("malformed lock file") from None


def _nearest(nodes: Mapping[str, Any], root: str) -> Path | None:
    level: list[tuple[str, Path]] = [(root, ())]
    seen = {root}
    while level:
        for node, path in level:
            if NIXPKGS in nodes[node].get("inputs", {}):
                return (*path, NIXPKGS)
        below = [one for node, path in level for one in _inputs(nodes, root, node, path)]
        level = []
        for node, path in below:
            if node not in seen:
                seen.add(node)
                level.append((node, path))
    return None


def _inputs(
    nodes: Mapping[str, Any], root: str, node: str, path: Path
) -> Iterator[tuple[str, Path]]:
    for name in nodes[node].get("inputs", {}):
        found = _node(nodes, root, (name,), start=node)
        if found is not None:
            yield found, (*path, name)


def _node(nodes: Mapping[str, Any], root: str, path: Path, *, start: str = "") -> str | None:
    """Return the node that names of inputs lead to; an input that follows another is a path."""
    node, rest = start or root, list(path)
    for _ in range(MOST_STEPS):
        if not rest:
            return node
        leads = nodes[node].get("inputs", {}).get(rest.pop(0))
        if leads is None:
            return None
        if isinstance(leads, str):
            node = leads
        else:
            node, rest = root, [*leads, *rest]
    return None
