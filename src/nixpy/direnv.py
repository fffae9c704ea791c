"""What nixpy says to direnv: the list of what is watched, and the library in its ``lib``.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from nixpy.process import Runner

__all__ = [
    "WATCHES",
    "before_direnv",
    "configuration_directories",
    "difference",
    "library_path",
    "library_text",
    "unpacked",
    "watches_after",
]

WATCHES = "DIRENV_WATCHES"

USERS_LIBRARIES = "zz-user.sh"
"""NixOS' library for direnv that sources those of the user."""

_TEMPLATE_COMMAND = "_nixpy_command=(nixpy)"
_TEMPLATE_VERSION = "# nixpy-version: development"


def watches_after(
    direnv: str, paths: Sequence[str], *, runner: Runner, environ: Mapping[str, str]
) -> str | None:
    """Return ``DIRENV_WATCHES`` with ``paths`` added, as direnv itself prints it.

    ``None`` where direnv fails, or prints what is no ``export`` of that variable.
    """
    try:
        done = runner.ask([direnv, "watch", "bash", *paths], environ=environ)
    except OSError:
        return None
    head, tail = f"export {WATCHES}=$'", "'"
    text = done.stdout.strip().rstrip(";")
    if done.status or not text.startswith(head) or not text.endswith(tail):
        return None
    value = text[len(head) : -len(tail)]
    # URL-safe base64 (RFC 4648): nothing in it was quoted.
    return value if value.replace("-", "").replace("_", "").replace("=", "").isalnum() else None


def before_direnv(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` as it was before direnv loaded an ``.envrc`` into it.

    Where ``DIRENV_DIFF`` does not say, ``environ`` is returned as it is.
    """
    found = difference(environ.get("DIRENV_DIFF", ""))
    if found is None:
        return dict(environ)
    before, after = found
    kept = {name: value for name, value in environ.items() if name not in after}
    return {**kept, **before}


def difference(text: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return what ``DIRENV_DIFF`` holds: what each variable was before, and what it is after.

    A variable that is not in one of them was, or is, not set. ``None`` where it is not that.
    """
    try:
        found = unpacked(text) if text else None
        return None if found is None else (dict(found["p"]), dict(found["n"]))
    except (ValueError, KeyError, TypeError):
        return None


def unpacked(text: str) -> Any:
    """Return what direnv packed into a variable: URL-safe base64 of zlib of JSON (its ``gzenv``).

    Raises:
        ValueError: it is not that.
    """
    import base64
    import json
    import zlib

    try:
        return json.loads(zlib.decompress(base64.urlsafe_b64decode(text)))
    except zlib.error as error:
        raise ValueError(str(error)) from None


def library_path(environ: Mapping[str, str]) -> str | None:
    """Return where direnv looks for the library (direnv(1), FILES), or ``None`` without HOME.

    On NixOS ``DIRENV_CONFIG`` is the system's own ``/etc/direnv``, whose ``lib/zz-user.sh`` goes on
    to the user's libraries (nixpkgs, ``nixos/modules/programs/direnv.nix``), unless the system has
    placed this one.
    """
    configured = environ.get("DIRENV_CONFIG", "")
    goes_on = bool(configured) and os.path.exists(f"{configured}/lib/{USERS_LIBRARIES}")
    own = f"{configured}/lib/nixpy.sh"
    if configured and (not goes_on or os.path.exists(own)):
        return own
    if goes_on and environ.get("DIRENV_CONFIG_HOME"):
        return f"{environ['DIRENV_CONFIG_HOME']}/lib/nixpy.sh"
    users = _users_directory(environ)
    return f"{users}/lib/nixpy.sh" if users else None


def configuration_directories(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where direnv's configuration lies (direnv.toml(1), FILES); nowhere without HOME.

    That is one directory; on NixOS it is followed by the user's, which the first one goes on to.
    """
    configured = environ.get("DIRENV_CONFIG", "")
    users = _users_directory(environ)
    if not configured:
        return (users,) if users else ()
    if not os.path.exists(f"{configured}/lib/{USERS_LIBRARIES}"):
        return (configured,)
    users = environ.get("DIRENV_CONFIG_HOME") or users
    return (configured, users) if users else (configured,)


def _users_directory(environ: Mapping[str, str]) -> str | None:
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base:
        home = environ.get("HOME", "")
        if not home:
            return None
        base = f"{home}/.config"
    return f"{base}/direnv"


def library_text(command: Sequence[str], version: str) -> str:
    """Return ``direnvrc`` with the absolute command to call and the version filled in.

    Raises:
        FileNotFoundError: the installation lacks the file.
    """
    from nixpy.shells.bash import quote

    here = os.path.dirname(os.path.abspath(__file__))
    shipped = f"{here}/direnvrc"
    if not os.path.exists(shipped):  # a checkout, where it lies at the top level
        shipped = os.path.join(here, os.pardir, os.pardir, "direnvrc")
    with open(shipped, encoding="utf-8") as file:
        text = file.read()
    words = " ".join(quote(word) for word in command)
    text = text.replace(_TEMPLATE_COMMAND, f"_nixpy_command=({words})", 1)
    return text.replace(_TEMPLATE_VERSION, f"# nixpy-version: {version}", 1)
