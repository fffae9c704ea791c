"""YAML as a typed table (:class:`nixpy.manifests.toml.Table`), every scalar a string.

YAML 1.1 makes a number of ``3.10`` and a boolean of ``on``; what manifests mean by them is text.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.errors import ManifestError
from nixpy.manifests.toml import Table

if TYPE_CHECKING:
    import yaml

__all__ = ["is_true", "read_yaml"]

NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "yes", "on", "1"})
DEEPEST = 50
MOST_NODES = 1_000_000


def is_true(text: str) -> bool:
    """Return whether a text is one of YAML's true (or 1, as variables have it)."""
    return text.strip().lower() in TRUE


def read_yaml(path: str, content: bytes, *, shown_as: str | None = None) -> Table:
    """Return the mapping that a YAML file is; an empty file is an empty one.

    A key without a value is as good as absent.

    Raises:
        ManifestError: it is no YAML, or no mapping; the error has the line.
    """
    import yaml

    name = os.path.basename(path) if shown_as is None else shown_as
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        node = yaml.compose(content.removeprefix(b"\xef\xbb\xbf"), Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
        raise ManifestError(f"malformed YAML: {problem}", where=f"{name}{line}") from None
    values = _Values(name).of(node, 0) if node is not None else {}
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ManifestError("expected a mapping at the top", where=f"{name}:1")
    return Table(name, "", values)


class _Values:
    """Makes values of nodes; a node that an alias names again is the same value again."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.made: dict[int, object] = {}
        self.count = 0

    def of(self, node: yaml.Node, depth: int) -> object:
        """Return a mapping, a list, a text, or ``None`` for null."""
        self.count += 1
        if depth > DEEPEST or self.count > MOST_NODES:
            raise self.fault("nested too deeply to be read", node)
        key = id(node)
        if key not in self.made:
            self.made[key] = self.make(node, depth)
        return self.made[key]

    def make(self, node: yaml.Node, depth: int) -> object:
        """Return the value of a node that was not met before."""
        import yaml

        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, object] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise self.fault("expected a text as key", key)
                made = self.of(value, depth + 1)
                if made is not None:
                    mapping[key.value] = made
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [one for one in (self.of(n, depth + 1) for n in node.value) if one is not None]
        plain = getattr(node, "style", None) is None
        return None if plain and node.value in NULL else node.value

    def fault(self, what: str, node: yaml.Node) -> ManifestError:
        """Return the error about a node."""
        return ManifestError(what, where=f"{self.file}:{node.start_mark.line + 1}")
