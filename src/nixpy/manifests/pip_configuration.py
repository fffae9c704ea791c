"""pip's configuration, as far as it says where packages come from.

uv ignores it: where a user has configured an index for pip alone, resolving by uv would silently
take packages from another one (a dependency-confusion hole). Source: pip's "Configuration"
(pip.pypa.io/en/stable/topics/configuration). The configuration of a single environment (``site``)
is left out: the environment is nixpy's own.
"""

from __future__ import annotations

import configparser
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from nixpy.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.files import Files

__all__ = ["SETTINGS", "PipSetting", "configuration_files", "masked", "pip_settings"]

SETTINGS = (
    "index-url",
    "extra-index-url",
    "no-index",
    "find-links",
    "trusted-host",
    "constraint",
)
"""The settings that matter; ``PIP_INDEX_URL`` and the like are their variables."""

SECTIONS = ("global", "install")
_FALSE = frozenset({"", "0", "false", "f", "no", "n", "off"})


class PipSetting(NamedTuple):
    """A setting of pip's that is in force: its name, its value, and where it was made."""

    name: str
    value: str
    source: str


def pip_settings(
    *, environ: Mapping[str, str], files: Files, platform: str
) -> tuple[PipSetting, ...]:
    """Return the settings in force; a later source overrides an earlier one.

    Raises:
        ManifestError: a configuration file is malformed.
    """
    found: dict[str, PipSetting] = {}
    for path in configuration_files(environ=environ, platform=platform):
        content = files.read(path)
        if content is not None:
            for name, value, section in _read(path, content):
                found[name] = PipSetting(name, value, f"{path}: [{section}]")
    for name in SETTINGS:
        variable = f"PIP_{name.upper().replace('-', '_')}"
        if environ.get(variable):
            found[name] = PipSetting(name, environ[variable], f"variable {variable}")
    return tuple(
        one
        for name in SETTINGS
        if (one := found.get(name)) and not (name == "no-index" and one.value.lower() in _FALSE)
    )


def configuration_files(*, environ: Mapping[str, str], platform: str) -> tuple[str, ...]:
    """Return the files that pip reads, whether they exist or not, weakest first."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    return (*_candidates(environ, platform), *([os.path.abspath(named)] if named else []))


def masked(value: str) -> str:
    """Return a value as it may be shown: without the user and password of a URL."""
    return " ".join(_masked_url(word) for word in value.split())


def _candidates(environ: Mapping[str, str], platform: str) -> Iterator[str]:
    home = environ.get("HOME", "")
    if platform == "darwin":
        yield "/Library/Application Support/pip/pip.conf"
    else:
        # The strongest of several directories comes first in the variable.
        directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        for directory in reversed(directories.split(os.pathsep)):
            if directory:
                yield f"{directory}/pip/pip.conf"
        yield "/etc/pip.conf"
    if home:
        yield f"{home}/.pip/pip.conf"
    if platform == "darwin" and home:
        support = f"{home}/Library/Application Support/pip"
        yield f"{support if os.path.isdir(support) else home + '/.config/pip'}/pip.conf"
    elif platform != "darwin":
        base = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
        if base:
            yield f"{base}/pip/pip.conf"


def _read(path: str, content: bytes) -> Iterator[tuple[str, str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ManifestError("expected UTF-8", where=path, next="Save it as UTF-8.") from None
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        if line is None and getattr(error, "errors", None):
            line = error.errors[0][0]  # type: ignore[attr-defined]
        raise ManifestError(
            "expected pip's configuration: [sections] of `name = value`",
            where=f"{path}:{line}" if line else path,
            next="Mend it, or remove it.",
        ) from None
    for section in SECTIONS:
        if parser.has_section(section):
            for name, value in parser.items(section):
                long = name.lower().replace("_", "-").removeprefix("--")
                if long in SETTINGS and value.strip():
                    yield long, value.strip(), section


def _masked_url(word: str) -> str:
    try:
        parts = urlsplit(word)
    except ValueError:
        return word
    if not parts.scheme or "@" not in parts.netloc:
        return word
    return urlunsplit(parts._replace(netloc="****@" + parts.netloc.rpartition("@")[2]))
