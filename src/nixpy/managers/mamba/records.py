"""What a conda prefix says of itself: ``conda-meta``, and what nixpy asked for last.

Sources: docs.conda.io, "conda-meta" (a record for each package, ``history``), "Managing
environments: Setting environment variables" (``state``).
"""

from __future__ import annotations

import ast
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nixpy import cache
from nixpy.manifests.conda import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Asked",
    "Record",
    "added_by_hand",
    "read_asked",
    "read_records",
    "write_asked",
    "write_variables",
]

_HISTORY = re.compile(r"^# (?P<did>update|install|remove|neutered) specs?:\s*(?P<specs>\[.*\])\s*$")


@dataclass(frozen=True, slots=True)
class Record:
    """A package that a prefix holds.

    Attributes:
        name, version, build: what it is.
        url: where it came from.
        sha256, md5: digests of its archive, hexadecimal; empty where they are not known.
        specs: the match specs by which somebody asked for it.
    """

    name: str
    version: str
    build: str
    url: str
    sha256: str
    md5: str
    specs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What nixpy asked for when it synced a prefix last.

    Attributes:
        engine: name of the engine.
        specs: match specs of the manifests.
        by_uv: requirements that uv installed, one line each.
        installed_by_uv: names of all distributions that it installed.
        variables: of the manifests, each as ``NAME=value``.
    """

    engine: str = ""
    specs: tuple[str, ...] = ()
    by_uv: tuple[str, ...] = ()
    installed_by_uv: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


def read_records(prefix: str) -> tuple[Record, ...]:
    """Return the packages of a prefix; a damaged record counts as none."""
    try:
        names = sorted(os.listdir(f"{prefix}/conda-meta"))
    except OSError:
        return ()
    found = (_record(f"{prefix}/conda-meta/{name}") for name in names if name.endswith(".json"))
    return tuple(one for one in found if one is not None)


def added_by_hand(prefix: str, asked: Asked) -> tuple[str, ...]:
    """Return match specs of what a user added to a prefix with a tool of their own.

    That is what somebody asked for, by the records or the ``history``, and nixpy did not.
    """
    ours = {name_of(spec) for spec in asked.specs}
    wanted = _history(prefix)
    present = read_records(prefix)
    for one in present:
        if one.specs:
            wanted.setdefault(one.name, one.specs[-1])
    names = {one.name for one in present}
    return tuple(spec for name, spec in wanted.items() if name in names and name not in ours)


def read_asked(prefix: str) -> Asked:
    """Return what nixpy asked for last; nothing where it never did."""
    values = _json(_asked_path(prefix))

    def texts(name: str) -> tuple[str, ...]:
        given = values.get(name)
        return tuple(map(str, given)) if isinstance(given, list) else ()

    return Asked(
        engine=str(values.get("engine", "")),
        specs=texts("specs"),
        by_uv=texts("by_uv"),
        installed_by_uv=texts("installed_by_uv"),
        variables=texts("variables"),
    )


def write_asked(prefix: str, asked: Asked) -> None:
    """Keep what nixpy asked for.

    Raises:
        OSError: it cannot be written.
    """
    path = _asked_path(prefix)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    cache.write_private(path, json.dumps(asdict(asked)).encode())


def write_variables(prefix: str, variables: Mapping[str, str], asked: Asked) -> None:
    """Put variables into a prefix's ``state``, where conda and mamba look for them.

    Those that nixpy put there last go; what a user put there stays.

    Raises:
        OSError: it cannot be written.
    """
    path = f"{prefix}/conda-meta/state"
    state = _json(path)
    there = state.get("env_vars")
    kept = {
        name: value
        for name, value in (there if isinstance(there, dict) else {}).items()
        if f"{name}={value}" not in asked.variables
    }
    after = {**kept, **variables}
    if after != (there or {}):
        cache.write_private(path, json.dumps({**state, "env_vars": after}).encode())
        os.chmod(path, 0o644)


def _asked_path(prefix: str) -> str:
    return f"{prefix}/.nixpy/asked.json"


def _record(path: str) -> Record | None:
    values = _json(path)
    name, version, build = (values.get(key) for key in ("name", "version", "build"))
    if not (isinstance(name, str) and isinstance(version, str) and isinstance(build, str)):
        return None
    specs = values.get("requested_specs") or [values.get("requested_spec")]
    return Record(
        name=name,
        version=version,
        build=build,
        url=str(values.get("url") or ""),
        sha256=str(values.get("sha256") or ""),
        md5=str(values.get("md5") or ""),
        # mamba writes the text "None" where nobody asked.
        specs=tuple(one for one in specs if isinstance(one, str) and one not in {"", "None"}),
    )


def _history(prefix: str) -> dict[str, str]:
    """Return the match specs that the history says are asked for, by name."""
    wanted: dict[str, str] = {}
    try:
        with open(f"{prefix}/conda-meta/history", encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError:
        return wanted
    for line in lines:
        match = _HISTORY.match(line)
        if match is None:
            continue
        try:
            specs = ast.literal_eval(match["specs"])
        except (ValueError, SyntaxError):
            continue
        for spec in specs:
            name = name_of(spec) if isinstance(spec, str) else None
            if name is None:
                continue
            if match["did"] == "remove":
                wanted.pop(name, None)
            else:
                wanted[name] = spec
    return wanted


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            values = json.load(file)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
