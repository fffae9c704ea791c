"""Conda's configuration in force: ``.condarc`` files and ``CONDA_*`` variables.

Source: docs.conda.io, "Using the .condarc conda configuration file" (search path, precedence) and
"Settings"; a list of a later file goes in front of an earlier one's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import quote, urlsplit

from nixpy.errors import ManifestError
from nixpy.manifests.yaml import is_true, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nixpy.files import Files
    from nixpy.manifests.toml import Table

__all__ = ["CondaConfiguration", "Priority", "conda_configuration", "without_credentials"]

Priority: TypeAlias = Literal["strict", "flexible", "disabled"]
"""How channels count against each other."""

DEFAULT_ALIAS = "https://conda.anaconda.org"
DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
WITHOUT_CHANNELS = ("conda-forge",)
"""The channels where nobody names any."""

LISTS = ("channels", "default_channels", "pkgs_dirs", "envs_dirs")
PATH_LISTS = frozenset({"pkgs_dirs", "envs_dirs"})
ALIASES = {"envs_path": "envs_dirs", "channel": "channels"}
"""Settings by the names that they also go by."""

_VARIABLE = re.compile(r"\$\{?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}?")
_SUBDIRECTORY = re.compile(r"/(?:noarch|(?:linux|osx|win|emscripten|wasi|freebsd)-[a-z0-9]+)/*$")
_TOKEN = re.compile(r"/t/[^/]+(?=/)")


@dataclass(frozen=True, slots=True)
class CondaConfiguration:
    """What the user's configuration says.

    Attributes:
        channels: names or URLs, the first one first.
        alias: what a channel's bare name is put behind.
        default_channels: what ``defaults`` stands for.
        custom_channels: base URLs by the channel's name.
        custom_multichannels: several channels by one name.
        priority: how channels count against each other, ``None`` if nobody says.
        is_offline: whether nothing may be fetched.
        verifies: whether certificates are checked, or the file of those that count.
        proxies: proxy URLs by scheme.
        caches: package caches, the first one first (``pkgs_dirs``).
        environments: directories of named environments, the first one first (``envs_dirs``).
        variables: names of the variables that the files refer to.
    """

    channels: tuple[str, ...] = ()
    alias: str = DEFAULT_ALIAS
    default_channels: tuple[str, ...] = DEFAULT_CHANNELS
    custom_channels: tuple[tuple[str, str], ...] = ()
    custom_multichannels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    priority: Priority | None = None
    is_offline: bool = False
    verifies: bool | str = True
    proxies: tuple[tuple[str, str], ...] = ()
    caches: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    def urls(self, named: Iterable[str], directory: str) -> tuple[str, ...]:
        """Return the URLs of channels, for those that a manifest or an option names.

        The configuration's own follow, unless ``nodefaults`` is among them.

        Args:
            named: names, URLs, or paths.
            directory: what a relative path is relative to.
        """
        wanted = list(named)
        if "nodefaults" in wanted:
            wanted = [name for name in wanted if name not in {"nodefaults", "defaults"}]
        else:
            wanted += self.channels
        found = [url for name in wanted or WITHOUT_CHANNELS for url in self._of(name, directory)]
        return tuple(dict.fromkeys(found))

    def _of(self, name: str, directory: str) -> Iterator[str]:
        multiple = dict(self.custom_multichannels)
        if name == "defaults":
            for one in multiple.get(name, self.default_channels):
                yield from self._one(one, directory)
        elif name in multiple:
            for one in multiple[name]:
                yield from self._one(one, directory)
        else:
            yield from self._one(name, directory)

    def _one(self, name: str, directory: str) -> Iterator[str]:
        name = _SUBDIRECTORY.sub("", name.rstrip("/"))
        custom = dict(self.custom_channels)
        if "://" in name:
            yield name
        elif name.startswith(("/", "./", "../", "~")) or name in {".", ".."}:
            path = os.path.normpath(os.path.join(directory, os.path.expanduser(name)))
            yield f"file://{quote(path)}"
        elif name.partition("/")[0] in custom:
            yield f"{custom[name.partition('/')[0]].rstrip('/')}/{name}"
        else:
            yield f"{self.alias.rstrip('/')}/{name}"


def without_credentials(url: str) -> str:
    """Return a URL without user, password and token (``/t/…``): as it may be shown and kept."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        url = url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)
    return _TOKEN.sub("", url, count=1)


def conda_configuration(
    *, environ: Mapping[str, str], files: Files, root: str | None = None
) -> CondaConfiguration:
    """Return the configuration in force.

    Args:
        environ: the variables.
        files: what to read with.
        root: where the conda installation in use lies (its ``base``), if that is known.

    Raises:
        ManifestError: a file is malformed.
    """
    settings = _Settings(environ)
    for path in _places(environ, root, files):
        content = files.read(path)
        if content:
            settings.read(read_yaml(path, content, shown_as=path))
    settings.read_variables()
    return settings.configuration()


def _places(environ: Mapping[str, str], root: str | None, files: Files) -> Iterator[str]:
    """Yield the files that may exist, each one before those that go before it."""
    home = environ.get("HOME", "")
    configuration = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    mamba_root = environ.get("MAMBA_ROOT_PREFIX", "")
    folders = [
        "/etc/conda",
        "/var/lib/conda",
        root or "",
        mamba_root if mamba_root != root else "",
        f"{configuration}/conda" if configuration else "",
        f"{home}/.conda" if home else "",
    ]
    for folder in filter(None, folders):
        yield f"{folder}/.condarc"
        yield f"{folder}/condarc"
        for name in files.names(f"{folder}/condarc.d"):
            if name.endswith((".yml", ".yaml")):
                yield f"{folder}/condarc.d/{name}"
    if mamba_root:
        yield f"{mamba_root}/.mambarc"
    if home:
        yield f"{home}/.condarc"
        yield f"{home}/.mambarc"
    for variable in ("CONDARC", "MAMBARC"):
        if environ.get(variable):
            yield os.path.expanduser(environ[variable])


@dataclass
class _Settings:
    """Settings as they are read, one source after the other."""

    environ: Mapping[str, str]
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)
    multiple: dict[str, tuple[str, ...]] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)

    def read(self, table: Table) -> None:
        """Read a ``.condarc``; settings that are nothing to us are passed over."""
        for key in table:
            name = ALIASES.get(key, key)
            if name in LISTS:
                self.add(name, map(self.expanded, table.strings(key, or_one=True)))
            elif name in {"channel_alias", "channel_priority", "offline", "ssl_verify"}:
                self.texts[name] = self.expanded(table.string(key) or "")
            elif name == "custom_channels":
                self.custom.update((n, self.expanded(u)) for n, u in table.strings_by_key(key))
            elif name == "custom_multichannels":
                one = table.table(key)
                for multichannel in one or ():
                    assert one is not None
                    names = one.strings(multichannel)
                    self.multiple[multichannel] = tuple(map(self.expanded, names))
            elif name == "proxy_servers":
                self.proxies.update((n, self.expanded(u)) for n, u in table.strings_by_key(key))

    def read_variables(self) -> None:
        """Read the ``CONDA_*`` variables, which go before all files."""
        for name in LISTS:
            also = [other for other, meant in ALIASES.items() if meant == name]
            for variable in (f"CONDA_{one.upper()}" for one in (*also, name)):
                text = self.environ.get(variable, "")
                separator = r"[,:]" if name in PATH_LISTS else ","
                values = [part.strip() for part in re.split(separator, text) if part.strip()]
                if values:
                    self.add(name, values)
        for name in ("channel_alias", "channel_priority", "offline", "ssl_verify"):
            text = self.environ.get(f"CONDA_{name.upper()}", "")
            if text:
                self.texts[name] = text

    def add(self, name: str, values: Iterable[str]) -> None:
        """Put the values of a later source in front."""
        self.lists[name] = tuple(dict.fromkeys((*values, *self.lists.get(name, ()))))

    def expanded(self, text: str) -> str:
        """Return a text with ``$NAME`` and ``${NAME}`` replaced; what is not set stays."""

        def value(match: re.Match[str]) -> str:
            self.variables.add(match["name"])
            return self.environ.get(match["name"], match[0])

        return _VARIABLE.sub(value, text)

    def configuration(self) -> CondaConfiguration:
        """Return what was read."""
        home = self.environ.get("HOME", "")

        def path(text: str) -> str:
            return f"{home}{text[1:]}" if text[:2] == "~/" else text

        return CondaConfiguration(
            channels=self.lists.get("channels", ()),
            alias=self.texts.get("channel_alias") or DEFAULT_ALIAS,
            default_channels=self.lists.get("default_channels", DEFAULT_CHANNELS),
            custom_channels=tuple(self.custom.items()),
            custom_multichannels=tuple(self.multiple.items()),
            priority=_priority(self.texts.get("channel_priority", "")),
            is_offline=is_true(self.texts.get("offline", "")),
            verifies=_verifies(self.texts.get("ssl_verify", "")),
            proxies=tuple(self.proxies.items()),
            caches=tuple(map(path, self.lists.get("pkgs_dirs", ()))),
            environments=tuple(map(path, self.lists.get("envs_dirs", ()))),
            variables=tuple(sorted(self.variables)),
        )


def _priority(text: str) -> Priority | None:
    if not text:
        return None
    lowered = text.lower()
    # It was a boolean once.
    meant = {"true": "flexible", "false": "disabled"}.get(lowered, lowered)
    if meant not in {"strict", "flexible", "disabled"}:
        raise ManifestError(
            f"expected strict, flexible or disabled, got {text!r}",
            where="channel_priority of conda's configuration",
        )
    return cast("Priority", meant)


def _verifies(text: str) -> bool | str:
    lowered = text.lower()
    if lowered in {"", "true", "yes", "on", "1", "truststore", "<system>"}:
        return True
    return False if lowered in {"false", "no", "off", "0", "<false>"} else text
