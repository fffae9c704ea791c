"""uv's configuration, as far as it is a counterpart of pip's.

Source: uv's "Configuration files" and "Environment variables" (docs.astral.sh/uv/concepts and
docs.astral.sh/uv/reference/environment).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.errors import ManifestError
from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.files import Files
    from nixpy.manifests.pip_configuration import PipSetting
    from nixpy.manifests.toml import Table

__all__ = ["UvSettings", "needs_pip", "uv_settings"]

VARIABLES: Mapping[str, str] = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX_URL": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "UV_INSECURE_HOST": "trusted-host",
    "UV_CONSTRAINT": "constraint",
}
"""uv's variables and what they are to pip. There is no ``UV_NO_INDEX`` (tried: uv 0.13.8)."""

KEYS: Mapping[str, str] = {
    "index-url": "index-url",
    "extra-index-url": "extra-index-url",
    "find-links": "find-links",
    "allow-insecure-host": "trusted-host",
    "constraint-dependencies": "constraint",
}
"""uv's keys, at the top or in the table ``pip``; ``index`` and ``no-index`` say more."""

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
    del platform
    found = {name for variable, name in VARIABLES.items() if environ.get(variable)}
    reader = _Reader(files)
    named = environ.get("UV_CONFIG_FILE")
    answers: Sequence[frozenset[str] | None] = ()
    if named:  # also under UV_NO_CONFIG, which is about what would be discovered
        answers = (reader.uv_toml(os.path.abspath(named)),)
    elif not _is_set(environ, "UV_NO_CONFIG"):
        # The three are merged, arrays too; an answer in any of them is one.
        answers = (reader.project(root), reader.user(environ), reader.system(environ))
    for answer in answers:
        found.update(answer or ())
    return UvSettings(frozenset(found), tuple(reader.looked_at))


def needs_pip(pip: Sequence[PipSetting], uv: UvSettings) -> tuple[PipSetting, ...]:
    """Return the settings of pip that uv would pass over in silence."""
    return tuple(one for one in pip if one.name not in uv.counterparts)


def _counterparts(table: Table) -> Iterator[str]:
    for one in (table, table.table("pip")):
        if one:
            yield from (KEYS[key] for key in one if key in KEYS)
            if one.boolean("no-index"):
                # Where no index is asked, none is asked by mistake.
                yield from ("no-index", "index-url", "extra-index-url")
    for index in table.tables("index"):
        if not index.boolean("explicit"):  # which is for the packages that name it
            yield "index-url" if index.boolean("default") else "extra-index-url"


def _is_set(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "").lower() not in _FALSE


class _Reader:
    """Reads what the files answer, and keeps their names; no answer where there is no file."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.looked_at: list[str] = []

    def uv_toml(self, path: str) -> frozenset[str] | None:
        self.looked_at.append(path)
        content = self.files.read(path)
        if content is None:
            return None
        return frozenset(_counterparts(read_toml(path, content, shown_as=path)))

    def tool_uv(self, path: str) -> frozenset[str] | None:
        self.looked_at.append(path)
        content = self.files.read(path)
        if content is None:
            return None
        try:
            tool = read_toml(path, content, shown_as=path).table("tool")
            table = tool.table("uv") if tool else None
            return frozenset(_counterparts(table)) if table else None
        except ManifestError:
            return None  # uv warns and goes on to the parent

    def project(self, root: str) -> frozenset[str] | None:
        """Read the nearest ``uv.toml`` or ``[tool.uv]``, the former before the latter."""
        directory = root
        while True:
            found = self.uv_toml(os.path.join(directory, "uv.toml"))
            if found is None:
                found = self.tool_uv(os.path.join(directory, "pyproject.toml"))
            parent = os.path.dirname(directory)
            if found is not None or parent == directory:
                return found
            directory = parent

    def user(self, environ: Mapping[str, str]) -> frozenset[str] | None:
        base, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
        if not base.startswith("/"):
            base = f"{home}/.config" if home else ""
        return self.uv_toml(os.path.join(base, "uv/uv.toml")) if base else None

    def system(self, environ: Mapping[str, str]) -> frozenset[str] | None:
        """Read the first file there is; the others do not count."""
        if _is_set(environ, "UV_NO_SYSTEM_CONFIG"):
            return None
        directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        for directory in (*filter(None, directories.split(os.pathsep)), "/etc"):
            found = self.uv_toml(os.path.abspath(os.path.join(directory, "uv/uv.toml")))
            if found is not None:
                return found
        return None
