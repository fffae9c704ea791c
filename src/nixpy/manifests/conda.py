"""Conda's manifests: ``environment.yml``.

Sources: docs.conda.io, "Managing environments: Creating an environment file manually"; the
``sel(…)`` selectors are micromamba's (mamba.readthedocs.io, "Specification files").
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.errors import ManifestError
from nixpy.manifests.yaml import read_yaml
from nixpy.option_keys import variable_name_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nixpy.files import Files
    from nixpy.manifests.toml import Table

__all__ = ["CondaManifest", "merged", "name_of", "read_conda_manifest"]

KEYS = frozenset({"name", "channels", "dependencies", "variables", "prefix", "platforms"})

_NAME = re.compile(r"\s*(?P<name>[A-Za-z0-9_*][A-Za-z0-9_.*-]*)")
_SELECTOR = re.compile(r"sel\((?P<system>[a-z0-9_-]+)\)")


@dataclass(frozen=True, slots=True)
class CondaManifest:
    """What conda manifests ask for.

    Attributes:
        name: name of the environment, or ``None``.
        channels: names or URLs, the first one first.
        specs: match specs, as they are written.
        pip: lines of a requirements file, each with the directory that it is relative to.
        variables: to set in the environment.
    """

    name: str | None = None
    channels: tuple[str, ...] = ()
    specs: tuple[str, ...] = ()
    pip: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def name_of(spec: str) -> str | None:
    """Return the package's name of a match spec, lower case; ``None`` where it has none.

    Of ``conda-forge::numpy>=2``, ``numpy``; of a URL the name that the archive's has.
    """
    spec = spec.rpartition("::")[2]
    if "://" in spec:
        stem = re.sub(r"\.(?:conda|tar\.bz2)(?:#.*)?$", "", spec.rpartition("/")[2])
        return "-".join(stem.split("-")[:-2]).lower() or None
    match = _NAME.match(spec.strip())
    return match["name"].lower() if match else None


def read_conda_manifest(path: str, files: Files, platform: str) -> CondaManifest:
    """Return what an ``environment.yml`` says for a platform (``linux-64``).

    Raises:
        ManifestError: it is malformed, or asks for a ``prefix``.
    """
    faults: list[str] = []
    top = read_yaml(path, files.read(path) or b"").collecting(faults)
    if "prefix" in top:
        raise ManifestError(
            "`prefix` is the path of somebody's machine, and not followed",
            where=top.file,
            next="Remove it; `venv` of [tool.nixpy] says where the environment lies.",
        )
    for key in top:
        if key not in KEYS:
            top.fault(f"unknown key; expected one of {', '.join(sorted(KEYS))}", key)
    specs: list[str] = []
    pip: list[str] = []
    for item in top.strings_and_tables("dependencies", check=_spec_fault):
        if isinstance(item, str):
            specs.append(item)
        else:
            _read_mapping(item, platform, specs, pip)
    directory = os.path.dirname(path)
    manifest = CondaManifest(
        name=top.string("name"),
        channels=top.strings("channels"),
        specs=tuple(specs),
        pip=tuple((line, directory) for line in pip),
        variables=top.strings_by_key("variables", check_key=variable_name_fault),
    )
    if faults:
        raise ManifestError(faults[0], next="\n".join(faults[1:]) or None)
    return manifest


def merged(manifests: Iterable[CondaManifest]) -> CondaManifest:
    """Return what several manifests ask for together; the last one's variables count."""
    found = tuple(manifests)
    variables: dict[str, str] = {}
    for one in found:
        variables.update(one.variables)
    return CondaManifest(
        name=next((one.name for one in found if one.name), None),
        channels=tuple(dict.fromkeys(name for one in found for name in one.channels)),
        specs=tuple(dict.fromkeys(spec for one in found for spec in one.specs)),
        pip=tuple(dict.fromkeys(line for one in found for line in one.pip)),
        variables=tuple(variables.items()),
    )


def _read_mapping(item: Table, platform: str, specs: list[str], pip: list[str]) -> None:
    """Read an element of ``dependencies`` that is a mapping: ``pip:``, or a selector."""
    for key in item:
        selector = _SELECTOR.fullmatch(key)
        if key == "pip":
            pip.extend(item.strings(key))
        elif selector:
            if selector["system"] in _systems(platform):
                specs.extend(item.strings(key, check=_spec_fault, or_one=True))
        else:
            item.fault("expected `pip` or a selector as in `sel(linux)`", key)


def _systems(platform: str) -> frozenset[str]:
    system = platform.partition("-")[0]
    return frozenset({system, platform, "unix" if system in {"linux", "osx"} else "win"})


def _spec_fault(spec: str) -> str | None:
    if spec.startswith("-") or name_of(spec) is None:
        return f"expected a match spec as in `numpy >=2`, got {spec!r}"
    return None
