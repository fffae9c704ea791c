"""The scope ``python``: the environment's interpreter alone finds the libraries.

``bin/python`` becomes a small script that remembers the caller's ``LD_LIBRARY_PATH``, puts the
link farm in front of it and executes the interpreter under the script's own name, so that it finds
its ``pyvenv.cfg`` (PEP 405). The dynamic linker has read the variable by the time Python starts; a
line in a ``.pth`` file (``site``, "Site-specific configuration hook") then gives the caller's value
back to ``os.environ``: what Python starts sees that, unless it is this very interpreter, which is
the launcher again.
"""

from __future__ import annotations

import contextlib
import glob
import os
from typing import TYPE_CHECKING

from nixpy import cache
from nixpy.shells.bash import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.process import Runner

__all__ = [
    "CALLERS_VALUE",
    "PTH",
    "find_shell",
    "install_launcher",
    "remove_broken_launcher",
    "remove_launcher",
]

CALLERS_VALUE = "NIXPY_CALLERS_LIBRARY_PATH"
"""Holds ``=`` and the caller's value, or nothing where there was none."""

SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/run/current-system/sw/bin/bash")
"""Where a shell stays that can name the program which it executes; on NixOS ``/bin/sh`` is one."""

HEAD = "# nixpy: the environment's Python finds the libraries that its packages need\n"

PTH = "_nixpy.pth"
"""The file in ``site-packages`` that gives the caller's value back."""

RESTORE = (
    "import os; _nixpy = os.environ.pop('{name}', None); "
    "_nixpy is None or (os.environ.__setitem__('LD_LIBRARY_PATH', _nixpy[1:]) if _nixpy "
    "else os.environ.pop('LD_LIBRARY_PATH', None)); del _nixpy\n"
)

SCRIPT = """\
#!{shell} -p
{head}if [[ -z ${{{name}+x}} ]]; then
  export {name}=${{LD_LIBRARY_PATH+=$LD_LIBRARY_PATH}}
  export LD_LIBRARY_PATH={farm}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
fi
exec -a "$0" {interpreter} "$@"
"""


def find_shell(path: str, runner: Runner, environ: Mapping[str, str]) -> str | None:
    """Return a shell that the launcher can be written for; ``None`` if there is none.

    Args:
        path: a bash to fall back on, which may be collected: those that stay come first.
        runner: starts each, to see that it knows ``exec -a``.
        environ: the environment that they get.
    """
    for shell in (*SHELLS, path):
        if not shell or not os.access(shell, os.X_OK):
            continue
        argv = [shell, "-p", "-c", "exec -a named /bin/sh -c 'echo $0'"]
        with contextlib.suppress(OSError):
            if runner.capture(argv, cwd="/", environ=environ, timeout=10).stdout == "named\n":
                return shell
    return None


def install_launcher(prefix: str, farm: str, shell: str) -> None:
    """Make the interpreter of a virtual environment find a farm.

    Args:
        prefix: real path of the environment.
        farm: the directory with the libraries.
        shell: from :func:`find_shell`.

    Raises:
        OSError: it cannot be written.
    """
    kept = f"{prefix}/.nixpy"
    os.makedirs(kept, exist_ok=True)
    names = sorted(_outward(f"{prefix}/bin"))
    for name in names:
        # As deep as before, so that a relative link leads to where it did.
        _copy(f"{prefix}/bin/{name}", f"{kept}/was-{name}")
    if names:
        _link(f"was-{names[0]}", f"{kept}/python")
    script = SCRIPT.format(
        shell=shell,
        head=HEAD,
        name=CALLERS_VALUE,
        farm=quote(farm),
        interpreter=quote(f"{kept}/python"),
    )
    for name in names[:1] or list(_launchers(prefix)):
        new = f"{kept}/new"
        cache.write_private(new, os.fsencode(script))
        os.chmod(new, 0o755)  # noqa: S103 - a program
        os.replace(new, f"{prefix}/bin/{name}")
    for name in names[1:]:
        _link(names[0], f"{prefix}/bin/{name}")
    for site in glob.glob(f"{glob.escape(prefix)}/lib/python*/site-packages"):
        line = RESTORE.format(name=CALLERS_VALUE).encode()
        cache.write_private(f"{site}/{PTH}", line)


def remove_launcher(prefix: str) -> None:
    """Make ``bin/python`` of a virtual environment what it was.

    Raises:
        OSError: it cannot be written.
    """
    kept = f"{prefix}/.nixpy"
    for path in glob.glob(f"{glob.escape(prefix)}/lib/python*/site-packages/{PTH}"):
        os.unlink(path)
    names = os.listdir(kept) if os.path.isdir(kept) else []
    for name in names:
        if name.startswith("was-"):
            os.replace(f"{kept}/{name}", f"{prefix}/bin/{name.removeprefix('was-')}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{kept}/python")


def remove_broken_launcher(prefix: str) -> None:
    """Make ``bin/python`` what it was if the launcher's shell is gone: nothing could start it.

    Raises:
        OSError: it cannot be written.
    """
    for name in list(_launchers(prefix)):
        with open(f"{prefix}/bin/{name}", encoding="utf-8", errors="surrogateescape") as file:
            shell = file.readline().removeprefix("#!").split(" ")[0].strip()
        if not os.access(shell, os.X_OK):
            remove_launcher(prefix)


def _outward(directory: str) -> Iterator[str]:
    """Yield the names of the interpreters that are none of the links between them."""
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        suffix = name.removeprefix("python")
        if suffix == name or suffix.strip(".0123456789t"):
            continue
        if os.path.islink(path):
            if "/" in os.readlink(path):
                yield name
        elif not _is_launcher(path):
            yield name


def _launchers(prefix: str) -> Iterator[str]:
    directory = f"{prefix}/bin"
    for name in sorted(os.listdir(directory) if os.path.isdir(directory) else ()):
        path = f"{directory}/{name}"
        if name.startswith("python") and not os.path.islink(path) and _is_launcher(path):
            yield name


def _is_launcher(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(200).partition(b"\n")[2].startswith(HEAD.encode()[:20])


def _copy(path: str, to: str) -> None:
    """Have a link or file at another place of the same file system too."""
    if os.path.islink(path):
        _link(os.readlink(path), to)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(to)
        os.link(path, to)


def _link(target: str, path: str) -> None:
    """Make a link at once, whatever is there."""
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    os.symlink(target, new)
    os.replace(new, path)
