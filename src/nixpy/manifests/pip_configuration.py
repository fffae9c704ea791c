"""pip's configuration, as far as it says where packages come from.

uv ignores it: where a user has configured an index for pip alone, resolving by uv would silently
take packages from another one (a dependency-confusion hole). Source: pip's "Configuration"
(pip.pypa.io/en/stable/topics/configuration). The configuration of a single environment (``site``)
is left out: the environment is nixpy's own.
"""

from __future__ import annotations

import configparser
import os
import re
from typing import TYPE_CHECKING, NamedTuple

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
_USER = re.compile(r"//[^/?#\s]*@")


class PipSetting(NamedTuple):
    """A setting of pip's that is in force: its name, its value, and where it was made."""

    name: str
    value: str
    source: str


def pip_settings(
    *, environ: Mapping[str, str], files: Files, platform: str
) -> tuple[PipSetting, ...]:
    """Return the settings in force: of several sources of one, the strongest.

    A variable goes before ``[install]``, which goes before ``[global]`` whatever files they are
    in; within a section the later file wins.

    Raises:
        ManifestError: a configuration file is malformed.
    """
    by_section: dict[str, dict[str, PipSetting]] = {name: {} for name in SECTIONS}
    for path in configuration_files(environ=environ, files=files, platform=platform):
        content = files.read(path)
        if content is not None:
            for name, value, section in _read(path, content):
                by_section[section][name] = PipSetting(name, value, f"{path}: [{section}]")
    variables = {}
    for variable, value in environ.items():
        if variable.startswith("PIP_"):
            name = _normal(variable.removeprefix("PIP_"))
            variables[name] = PipSetting(name, value.strip(), f"variable {variable}")
    found: dict[str, PipSetting] = {}
    for settings in (*by_section.values(), variables):
        # An empty value takes back what its own section said before, no more.
        found.update({name: one for name, one in settings.items() if one.value})
    return tuple(
        one
        for name in SETTINGS
        if (one := found.get(name)) and not (name == "no-index" and one.value.lower() in _FALSE)
    )


def configuration_files(
    *, environ: Mapping[str, str], files: Files, platform: str
) -> tuple[str, ...]:
    """Return the files that pip reads, whether they exist or not, weakest first.

    A file that ``PIP_CONFIG_FILE`` names is the strongest, and if it exists, pip leaves out the
    user's own (tried: pip 23.2 and 26.3; the documentation has it the other way round).
    """
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    if not named:
        return (*_global_files(environ, platform), *_user_files(environ, files, platform))
    named = os.path.abspath(named)
    user = () if files.read(named) is not None else _user_files(environ, files, platform)
    return (*_global_files(environ, platform), *user, named)


def masked(value: str) -> str:
    """Return a value as it may be shown: without the user and password of a URL."""
    return _USER.sub("//****@", value)


def _global_files(environ: Mapping[str, str], platform: str) -> Iterator[str]:
    if platform == "darwin":
        yield "/Library/Application Support/pip/pip.conf"
        return
    directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    for directory in directories.split(os.pathsep):
        if directory.startswith("/"):
            yield os.path.join(directory, "pip/pip.conf")
    yield "/etc/pip.conf"


def _user_files(environ: Mapping[str, str], files: Files, platform: str) -> Iterator[str]:
    home = environ.get("HOME", "")
    if home:
        yield f"{home}/.pip/pip.conf"
    if platform == "darwin":
        if home:
            # pip asks whether the directory exists; an empty one says nothing either way.
            support = f"{home}/Library/Application Support/pip"
            yield f"{support if files.names(support) else home + '/.config/pip'}/pip.conf"
        return
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = f"{home}/.config" if home else ""
    if base:
        yield os.path.join(base, "pip/pip.conf")


def _normal(name: str) -> str:
    long = name.lower().replace("_", "-").removeprefix("--")
    return "index-url" if long == "pypi-url" else long


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
                long = _normal(name)
                if long in SETTINGS:
                    yield long, (value or "").strip(), section
