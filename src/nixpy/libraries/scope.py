"""Who finds a farm: every program, the environment's Python alone, or the files that need it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import LibrariesFailed
from nixpy.inputs import observe_program
from nixpy.libraries.host import broken_programs
from nixpy.libraries.launcher import find_shell, install_launcher, remove_launcher
from nixpy.libraries.patching import patch, restore
from nixpy.marker import (
    interpreter_of,
    is_conda,
    packages_mtime,
    read_marker,
    was_changed_by_hand,
    write_marker,
)
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.libraries.farm import Farm
    from nixpy.libraries.request import Caller, Request

__all__ = ["Chosen", "apply_scope", "choose_scope", "is_changed", "undo_scope"]


class Chosen(NamedTuple):
    """A scope: ``shell``, ``python``, ``rpath``, or empty for none; and why it is another one."""

    scope: str
    notice: str = ""


def choose_scope(request: Request, farm: Farm) -> Chosen:
    """Return the scope for a farm, which programs of the machine survive.

    Raises:
        LibrariesFailed: the scope asked for would break programs, or is not for conda.
    """
    asked = request.options.library_scope
    if not farm.path:
        return Chosen("")
    if asked == "python" and is_conda(request.prefix):
        raise LibrariesFailed(
            'library-scope "python" is for virtual environments, and this one is conda\'s',
            where=request.prefix,
            next='Say `library-scope = "shell"` or "rpath" in [tool.nixpy].',
        )
    if asked in {"python", "rpath"}:
        return Chosen(asked)
    sonames = [link.soname for link in farm.links]
    broken = next(broken_programs(request.within.get("PATH", ""), farm.path, sonames), None)
    if broken is None:
        return Chosen("shell")
    if asked == "shell":
        raise LibrariesFailed(
            f'library-scope "shell" would break programs: {broken}',
            next='Say `library-scope = "python"` or "rpath" in [tool.nixpy].',
        )
    if is_conda(request.prefix):
        return Chosen("", f"libraries are left out: {broken}")
    return Chosen("python", f'libraries are for Python alone (library-scope "python"): {broken}')


def apply_scope(
    scope: str,
    farm: Farm,
    needing: Mapping[str, tuple[str, ...]],
    request: Request,
    caller: Caller,
    patchelf: str,
) -> tuple[str, ...]:
    """Bring the files of an environment into a scope, and out of every other.

    Args:
        scope: which one.
        farm: the farm.
        needing: by sonames the files that need them.
        request: whose environment it is.
        caller: who asks.
        patchelf: the program, for the scope ``rpath``.

    Returns:
        Lines that a user should see.

    Raises:
        LibrariesFailed: there is no shell for a launcher.
        OSError: files cannot be written.
    """
    prefix = request.prefix
    changes = scope in {"python", "rpath"}
    with _marked(prefix, f"{scope} {farm.path}" if changes else ""):
        if scope == "python":
            _launch(request, farm.path, caller)
        else:
            remove_launcher(prefix)
        if scope != "rpath":
            restore(prefix)
            return ()
        files = {file for link in farm.links for file in needing.get(link.soname, ())}
        refusals = patch(
            prefix,
            {file: farm.path for file in sorted(files) if file.startswith("/")},
            patchelf=patchelf,
            runner=caller.runner,
            environ=request.environ,
        )
    return tuple(f"{refusal.file} is not patched: {refusal.why}" for refusal in refusals)


def undo_scope(prefix: str) -> tuple[str, ...]:
    """Make the files of an environment what they were, whatever the scope; return their paths.

    Raises:
        OSError: it cannot be written.
    """
    if not is_changed(prefix):
        return ()
    with _marked(prefix, ""):
        launched = os.path.lexists(f"{prefix}/.nixpy/python")
        remove_launcher(prefix)
        return (*restore(prefix), *((f"{prefix}/bin/python",) if launched else ()))


def is_changed(prefix: str) -> bool:
    """Return whether a launcher or patched files are in an environment."""
    return any(os.path.lexists(f"{prefix}/.nixpy/{name}") for name in ("python", "patched"))


def _launch(request: Request, farm: str, caller: Caller) -> None:
    own = find_program("bash", request.within.get("PATH", "")) or ""
    shell = find_shell(own, caller.runner, request.environ)
    if shell is None:
        raise LibrariesFailed(
            'library-scope "python" needs bash, and there is none',
            next='Install it, or say `library-scope = "shell"` or "rpath".',
        )
    install_launcher(request.prefix, farm, shell)


@contextlib.contextmanager
def _marked(prefix: str, scope: str) -> Iterator[None]:
    """Change files of a prefix, and say so in its marker: it was not changed by hand."""
    was_changed = was_changed_by_hand(prefix)
    yield
    marker = read_marker(prefix)
    if marker is None:
        return
    interpreter = observe_program(interpreter_of(prefix)).value
    packages = marker.packages_mtime if was_changed else packages_mtime(prefix)
    now = marker._replace(interpreter=interpreter, packages_mtime=packages, scope=scope)
    if now != marker:
        write_marker(now)
