"""Writing what ``nixpy init`` proposes: whole files or none, and never over a user's unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.errors import EnvironmentUnusable

if TYPE_CHECKING:
    from nixpy.init.planning import Proposed

__all__ = ["BACKUP", "back_up", "write"]

BACKUP = ".envrc.before-nixpy"
_MOST_BACKUPS = 1000


def write(directory: str, proposed: Proposed) -> None:
    """Write a file as proposed.

    Raises:
        EnvironmentUnusable: it cannot be written, or changed since it was looked at.
    """
    path = os.path.join(directory, proposed.path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                file.write(os.fsencode(proposed.content))
            if proposed.before is None:
                _put(temporary, path)
            else:
                _check(path, proposed.before)
                os.chmod(temporary, os.stat(path).st_mode & 0o7777)
                # A symbolic link is replaced, and what it leads to stays as it is.
                os.replace(temporary, path)
        finally:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except FileExistsError:
        raise _changed(path) from None
    except OSError as error:
        raise _cannot(path, error) from None


def back_up(directory: str, content: str) -> str:
    """Keep the old ``.envrc`` beside the new one; return the path of the copy.

    Raises:
        EnvironmentUnusable: it cannot be written.
    """
    for number in range(_MOST_BACKUPS):
        path = os.path.join(directory, f"{BACKUP}.{number}" if number else BACKUP)
        try:
            with open(path, "xb") as file:
                file.write(os.fsencode(content))
        except FileExistsError:
            if _holds(path, content):
                return path
        except OSError as error:
            raise _cannot(path, error) from None
        else:
            return path
    raise EnvironmentUnusable(
        "there are too many copies of old ones", where=path, next="Remove some of them."
    )


def _put(temporary: str, path: str) -> None:
    """Give a file its name, unless somebody else has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        if os.path.lexists(path):
            raise FileExistsError from None
        os.rename(temporary, path)


def _check(path: str, before: str) -> None:
    if not _holds(path, before):
        raise FileExistsError


def _holds(path: str, content: str) -> bool:
    with open(path, "rb") as file:
        return file.read() == os.fsencode(content)


def _changed(path: str) -> EnvironmentUnusable:
    return EnvironmentUnusable(
        "changed while nixpy looked at it, and is left as it is",
        where=path,
        next="Run `nixpy init` again.",
    )


def _cannot(path: str, error: OSError) -> EnvironmentUnusable:
    return EnvironmentUnusable(
        f"cannot be written: {error.strerror}",
        where=path,
        next="Make the directory writable; what was there is as it was.",
    )
