"""Installing ``direnvrc`` where direnv looks for libraries.

On the path that a shell's start waits for: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os
import sys

from nixpy.direnv import library_path, library_text
from nixpy.errors import EnvironmentUnusable, UsageError
from nixpy.process import find_program
from nixpy.values import NamedTuple
from nixpy.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Setup", "install", "lasting_command", "own_command"]


class Setup(NamedTuple):
    """What a setup did, or would do.

    Attributes:
        path: the library.
        did: what was done, in words.
        in_order: whether it was there already as it should be.
        hint: what the user is still to do, or empty.
    """

    path: str
    did: str
    in_order: bool
    hint: str = ""


def install(environ: Mapping[str, str], *, check: bool = False, remove: bool = False) -> Setup:
    """Install, check or remove direnv's ``lib/nixpy.sh``.

    Raises:
        UsageError: there is no place for it, or nixpy runs from a place that will be gone.
        EnvironmentUnusable: it cannot be written.
    """
    path = library_path(environ)
    if path is None:
        raise UsageError("direnv's configuration has no place", next="Set HOME and try again.")
    text = library_text(lasting_command(environ), __version__)
    try:
        with open(path, encoding="utf-8") as file:
            there: str | None = file.read()
    except FileNotFoundError:
        there = None
    except (OSError, UnicodeDecodeError):
        there = ""
    try:
        if remove:
            return _remove(path, there)
        if there == text:
            return Setup(path, "in order", in_order=True, hint=_hint(environ))
        if check:
            did = "missing" if there is None else "not from this nixpy"
            return Setup(path, did, in_order=False, hint="Run `nixpy setup`.")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise EnvironmentUnusable(
            f"cannot be written: {error.strerror}",
            where=error.filename or path,
            next="If Home Manager or the like manages it, put the library there (docs/nix.md).",
        ) from None
    did = "installed" if there is None else "updated"
    return Setup(path, did, in_order=False, hint=_hint(environ))


def _remove(path: str, there: str | None) -> Setup:
    if there is None:
        return Setup(path, "was not there", in_order=True)
    os.unlink(path)
    return Setup(path, "removed", in_order=False)


def _replace(path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, os.path.realpath(path) if os.path.islink(path) else path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def own_command() -> list[str]:
    """Return the absolute command that calls this nixpy."""
    called = sys.argv[0]
    if os.path.basename(called) == "nixpy" and os.path.isfile(called):
        return [os.path.abspath(called)]
    beside = os.path.join(os.path.dirname(sys.executable), "nixpy")
    return [beside] if os.path.isfile(beside) else [sys.executable, "-I", "-m", "nixpy"]


def lasting_command(environ: Mapping[str, str]) -> list[str]:
    """Return the absolute command that calls this nixpy, and will call the next one, too."""
    command = own_command()
    if "/archive-v0/" in os.path.realpath(command[0]) or "/archive-v0/" in sys.prefix:
        raise UsageError(
            "this nixpy runs from uv's cache, which uv may empty at any time",
            where=command[0],
            next="Install it first: `uv tool install nixpy`, then `nixpy setup`.",
        )
    if "/nix/store/" in command[0]:
        # It goes with the next upgrade; the link in a profile that leads to it stays.
        found = find_program("nixpy", environ.get("PATH", ""))
        if found and os.path.realpath(found) == os.path.realpath(command[0]):
            command[0] = found
    return command


def _hint(environ: Mapping[str, str]) -> str:
    if find_program("direnv", environ.get("PATH", "")) is None:
        return "direnv is not on PATH: install it, and add its hook to your shell (direnv.net)."
    return "In a project, or for a new one: nixpy init"
