"""uv's configuration, as far as it is a counterpart of pip's.

Source: uv's "Configuration files" and "Environment variables" (docs.astral.sh/uv/concepts and
docs.astral.sh/uv/reference/environment).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.files import Files
    from nixpy.manifests.pip_configuration import PipSetting
    from nixpy.manifests.toml import Table

__all__ = ["UvSettings", "needs_pip", "uv_settings"]

INDEX = frozenset({"index-url", "extra-index-url", "no-index"})
"""Whoever told uv where its index is has answered all of these."""

VARIABLES: Mapping[str, frozenset[str]] = {
    "UV_INDEX": INDEX,
    "UV_DEFAULT_INDEX": INDEX,
    "UV_INDEX_URL": INDEX,
    "UV_EXTRA_INDEX_URL": INDEX,
    "UV_NO_INDEX": INDEX,
    "UV_FIND_LINKS": frozenset({"find-links"}),
    "UV_INSECURE_HOST": frozenset({"trusted-host"}),
    "UV_CONSTRAINT": frozenset({"constraint"}),
}

KEYS: Mapping[str, frozenset[str]] = {
    "index": INDEX,
    "index-url": INDEX,
    "extra-index-url": INDEX,
    "no-index": INDEX,
    "find-links": frozenset({"find-links"}),
    "allow-insecure-host": frozenset({"trusted-host"}),
    "constraint-dependencies": frozenset({"constraint"}),
}

_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})


@dataclass(frozen=True, slots=True)
class UvSettings:
    """What uv was told of the things that pip's configuration may say.

    Attributes:
        counterparts: names of pip's settings that uv has an answer to.
        files: configuration files in force or looked for, absolute paths.
    """

    counterparts: frozenset[str]
    files: tuple[str, ...]


def uv_settings(
    *, root: str, environ: Mapping[str, str], files: Files, platform: str
) -> UvSettings:
    """Return what uv was told, by variables and by its configuration files.

    Args:
        root: absolute path of the project or workspace.
        environ: the caller's environment.
        files: what to read with.
        platform: :data:`sys.platform`; uv looks in the same places on Linux and macOS.

    Raises:
        ManifestError: a configuration file is malformed.
    """
    found: set[str] = set()
    for variable, settings in VARIABLES.items():
        if environ.get(variable):
            found |= settings
    looked_at = []
    for path, key in _candidates(root, environ, platform):
        looked_at.append(path)
        content = files.read(path)
        if content is None:
            continue
        table: Table | None = read_toml(path, content)
        for name in key:
            table = table.table(name) if table else None
        for one in (table, table.table("pip") if table else None):
            for name in one.keys() if one else ():
                found |= KEYS.get(name, frozenset())
    return UvSettings(frozenset(found), tuple(looked_at))


def needs_pip(pip: Sequence[PipSetting], uv: UvSettings) -> tuple[PipSetting, ...]:
    """Return the settings of pip that uv would pass over in silence."""
    return tuple(one for one in pip if one.name not in uv.counterparts)


def _candidates(
    root: str, environ: Mapping[str, str], platform: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the files that uv reads, with the key of their table."""
    del platform
    if environ.get("UV_NO_CONFIG", "").lower() not in _FALSE:
        return
    named = environ.get("UV_CONFIG_FILE")
    if named:
        yield os.path.abspath(named), ()
        return
    # A uv.toml goes before the table beside it; the nearest of either upwards is the project's.
    yield f"{root}/uv.toml", ()
    yield f"{root}/pyproject.toml", ("tool", "uv")
    home = environ.get("HOME", "")
    user = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    if user:
        yield f"{user}/uv/uv.toml", ()
    for directory in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        if directory:
            yield f"{directory}/uv/uv.toml", ()
    yield "/etc/uv/uv.toml", ()
