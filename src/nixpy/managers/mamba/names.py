"""Requirements as match specs: what conda calls a distribution, and how it writes versions.

conda-forge names most packages as PyPI does, in lower case; :data:`CONDA_NAMES` has the common
ones that it does not (source: each feedstock's recipe, github.com/conda-forge/NAME-feedstock).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nixpy.manifests.requirements import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

    from nixpy.manifests.requirements import Entry

__all__ = ["CONDA_NAMES", "Candidate", "candidates", "conda_names"]

CONDA_NAMES: dict[str, str] = {
    "antlr4-python3-runtime": "antlr-python-runtime",
    "blosc": "python-blosc",
    "brotli": "brotli-python",
    "build": "python-build",
    "confluent-kafka": "python-confluent-kafka",
    "docker": "docker-py",
    "duckdb": "python-duckdb",
    "flatbuffers": "python-flatbuffers",
    "graphviz": "python-graphviz",
    "kaleido": "python-kaleido",
    "levenshtein": "python-levenshtein",
    "lmdb": "python-lmdb",
    "msgpack": "msgpack-python",
    "opencv-contrib-python": "py-opencv",
    "opencv-contrib-python-headless": "py-opencv",
    "opencv-python": "py-opencv",
    "opencv-python-headless": "py-opencv",
    "psycopg2-binary": "psycopg2",
    "pyqt5": "pyqt",
    "tables": "pytables",
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
    "xxhash": "python-xxhash",
}
"""Conda's name of a distribution, by its normalized name, where the two differ."""

ABOUT_PYTHON = ("python_version", "python_full_version", "implementation")
"""Markers that only the interpreter that is yet to be installed can answer."""


class Candidate(NamedTuple):
    """A requirement that a channel may have.

    Attributes:
        text: the requirement as it is written.
        names: what conda may call it, the likeliest first.
        versions: conda's version specification; empty for any.
    """

    text: str
    names: tuple[str, ...]
    versions: str

    def spec(self, name: str) -> str:
        """Return the match spec by one of its names."""
        return f"{name} {self.versions}".rstrip()


def conda_names(name: str) -> tuple[str, ...]:
    """Return what conda may call a distribution, the likeliest first."""
    from packaging.utils import canonicalize_name

    normalized = canonicalize_name(name)
    if normalized in CONDA_NAMES:
        return (CONDA_NAMES[normalized],)
    return tuple(dict.fromkeys((normalized, normalized.replace("-", "_"), name.lower())))


def candidates(entries: Iterable[Entry]) -> tuple[Candidate, ...]:
    """Return those requirements that a channel may have, by their names and versions alone.

    Those with a URL, with extras (which conda does not have), with hashes (which are a wheel's) or
    with a marker about the interpreter are left to uv; those whose marker excludes this platform
    are nobody's.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for entry in entries:
        if entry.kind is not Kind.NAMED or entry.is_constraint or entry.hashes:
            continue
        try:
            requirement = Requirement(entry.text)
        except InvalidRequirement:
            continue
        if _is_plain(requirement):
            versions = ",".join(sorted(str(one) for one in requirement.specifier))
            found.append(Candidate(entry.text, conda_names(requirement.name), versions))
    return tuple(found)


def _is_plain(requirement: Requirement) -> bool:
    if requirement.url or requirement.extras:
        return False
    if any(one.operator == "===" for one in requirement.specifier):
        return False
    marker = requirement.marker
    if marker is None:
        return True
    return not any(word in str(marker) for word in ABOUT_PYTHON) and marker.evaluate()
