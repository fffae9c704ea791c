"""What the private sources of a lock file ask for, handed to uv in a private file.

An export names files by their addresses, without credentials: it is kept on disk. uv finds these
in a netrc (docs.astral.sh/uv/concepts/authentication/http), whose format curl's manual describes.

Sources: python-poetry.org/docs/configuration ("http-basic.<name>", ``auth.toml``, and the
``POETRY_HTTP_BASIC_…`` variables); pdm-project.org, "Configure the package indexes";
pipenv.pypa.io, "Credentials": variables in the address of a source.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from nixpy.errors import ManifestError
from nixpy.manifests.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.managers.foreign.tools import Export
    from nixpy.manifests.toml import Table

__all__ = ["Credential", "credentials_of", "netrc"]

SOURCES = {
    "poetry": ("pyproject.toml", ("tool", "poetry", "source")),
    "pdm": ("pyproject.toml", ("tool", "pdm", "source")),
    "pipenv": ("Pipfile", ("source",)),
}
"""Where a tool's sources stand: the file, and the key of an array of tables."""

_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)\}|\$(?P<bare>\w+)")


class Credential(NamedTuple):
    """What a host asks for."""

    host: str
    user: str
    password: str


def credentials_of(export: Export, environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """Return the credentials for the sources of a lock file, as its tool finds them.

    Those in a keyring are not among them.
    """
    file, keys = SOURCES[export.tool]
    found = []
    for source in _sources(f"{export.directory}/{file}", keys):
        url = _expanded(source.string("url") or "", environ)
        parts = urlsplit(url)
        host, name = parts.hostname, source.string("name") or ""
        if not host:
            continue
        if parts.username:
            found.append(Credential(host, unquote(parts.username), unquote(parts.password or "")))
            continue
        given = _of_source(source, environ) or _of_poetry(name, environ)
        if given:
            found.append(Credential(host, *given))
    return tuple(dict.fromkeys(found))


@contextlib.contextmanager
def netrc(
    credentials: tuple[Credential, ...], environ: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Give an environment in which programs find credentials, beside the user's own netrc."""
    if not credentials:
        yield dict(environ)
        return
    theirs = environ.get("NETRC") or os.path.join(environ.get("HOME", ""), ".netrc")
    try:
        with open(theirs, encoding="utf-8") as file:
            text = file.read().rstrip("\n") + "\n"
    except (OSError, UnicodeDecodeError):
        text = ""
    lines = (f"machine {one.host} login {one.user} password {one.password}" for one in credentials)
    with tempfile.NamedTemporaryFile("w", prefix="nixpy-netrc-", encoding="utf-8") as file:
        file.write("\n".join((*lines, text)))
        file.flush()
        yield {**environ, "NETRC": file.name}


def _sources(path: str, keys: tuple[str, ...]) -> tuple[Table, ...]:
    try:
        with open(path, "rb") as file:
            table: Table | None = read_toml(path, file.read())
        for key in keys[:-1]:
            table = table.table(key) if table else None
        return table.tables(keys[-1]) if table else ()
    except (OSError, ManifestError):
        return ()


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return environ.get(match["braced"] or match["bare"], match[0])

    return _VARIABLE.sub(value, text)


def _of_source(source: Table, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what PDM has in a source itself."""
    if "username" not in source:
        return None
    user, password = (source.string(key) or "" for key in ("username", "password"))
    return _expanded(user, environ), _expanded(password, environ)


def _of_poetry(name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    variable = f"POETRY_HTTP_BASIC_{re.sub(r'[-.]', '_', name).upper()}"
    user, password = (environ.get(f"{variable}_{key}") for key in ("USERNAME", "PASSWORD"))
    if user is not None or password is not None:
        return user or "", password or ""
    home = environ.get("HOME", "")
    base = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    for folder in (
        environ.get("POETRY_CONFIG_DIR", ""),
        f"{base}/pypoetry",
        f"{home}/Library/Application Support/pypoetry",
    ):
        with contextlib.suppress(OSError, ManifestError):
            with open(f"{folder}/auth.toml", "rb") as file:
                basic = read_toml("auth.toml", file.read()).table("http-basic")
            one = basic.table(name) if basic else None
            if one:
                return one.string("username") or "", one.string("password") or ""
    return None
