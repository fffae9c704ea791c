"""Every error that a user can meet.

::

    NixpyError
    ├── UsageError              2  wrong usage or options
    │   └── OptionsError        2  every fault found in the options, at once
    ├── ManifestError           1  a manifest or lock file that cannot be read or is malformed
    ├── NothingToDo             1  no manifest, no dev shell
    ├── EnvironmentUnusable     1  the prefix cannot be made, used or put on PATH
    ├── SyncFailed              1  a manager ended with an error
    ├── DevShellFailed          1  Nix could not evaluate or build the dev shell
    ├── LibrariesFailed         1  shared libraries could not be supplied
    ├── KernelFailed            1  a kernel or its specification is not what Jupyter can start
    ├── ServerFailed            1  a Jupyter server could not be started or stopped
    ├── LockTimeout             1  somebody else syncs for too long
    ├── InterpreterNotFound     3  no candidate satisfies the request
    └── ToolMissing             3  a tool that is needed is not there

Each says what happened, where, and what to do next. What is a bug is an ordinary exception and
shows its traceback.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nixpy.inputs import Input

__all__ = [
    "DevShellFailed",
    "EnvironmentUnusable",
    "InterpreterNotFound",
    "KernelFailed",
    "LibrariesFailed",
    "LockTimeout",
    "ManifestError",
    "NixpyError",
    "NothingToDo",
    "OptionsError",
    "ServerFailed",
    "SyncFailed",
    "ToolMissing",
    "UsageError",
    "one_line",
    "unreadable",
]


class NixpyError(Exception):
    """A condition that the user can do something about.

    Args:
        what: what happened, in one clause without a full stop.
        where: the file (with line), variable or directory it happened in.
        next: what to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, next: str | None = None) -> None:  # noqa: A002
        super().__init__(what, where, next)
        self.what = what
        self.where = where
        self.next = next

    def __str__(self) -> str:
        first = f"{self.where}: {self.what}" if self.where else self.what
        return f"{first}\n{self.next}" if self.next else first


def one_line(error: NixpyError) -> str:
    """Return all that an error says on one line, for a variable or a table."""
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines())


class UsageError(NixpyError):
    """The call, a flag or a variable is wrong."""

    exit_code = 2


class OptionsError(UsageError):
    """The options of a project are wrong; ``faults`` holds all of them, one line each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__(faults[0], next="\n".join(faults[1:]) or None)
        self.faults = faults


class ManifestError(NixpyError):
    """A manifest or lock file cannot be read, or is not what its specification says."""


class NothingToDo(NixpyError):  # noqa: N818 - the sentence is the name
    """The directory holds nothing that nixpy recognises."""


class EnvironmentUnusable(NixpyError):  # noqa: N818
    """The prefix cannot be made, used or put on ``PATH``."""


class SyncFailed(NixpyError):  # noqa: N818
    """A manager ended with an error; the full log is at ``log``.

    ``is_dirty`` says that it may have changed the environment in part.
    """

    def __init__(
        self,
        what: str,
        *,
        log: str | None,
        next: str | None = None,  # noqa: A002
        is_dirty: bool = False,
    ) -> None:
        super().__init__(what, next=next)
        self.log = log
        self.is_dirty = is_dirty


class DevShellFailed(NixpyError):  # noqa: N818
    """Nix could not evaluate or build the dev shell; the full log is at ``log``.

    ``is_absent`` says that the flake is in order and has no dev shell; ``inputs`` are
    :class:`nixpy.inputs.Input` that mending it would change.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        log: str | None,
        next: str | None = None,  # noqa: A002
        is_absent: bool = False,
    ) -> None:
        super().__init__(what, where=where, next=next)
        self.log = log
        self.is_absent = is_absent
        self.inputs: tuple[Input, ...] = ()


class LibrariesFailed(NixpyError):  # noqa: N818
    """Shared libraries that packages need could not be supplied as the options ask for it."""


class KernelFailed(NixpyError):  # noqa: N818
    """A kernel cannot be started, or there is no such kernelspec."""


class ServerFailed(NixpyError):  # noqa: N818
    """A Jupyter server could not be started or stopped."""


class LockTimeout(NixpyError):  # noqa: N818
    """Another process holds the environment's lock for longer than we wait."""


class InterpreterNotFound(NixpyError):  # noqa: N818
    """No candidate satisfies the requested version."""

    exit_code = 3


class ToolMissing(NixpyError):  # noqa: N818
    """A program that is needed is not installed."""

    exit_code = 3


def unreadable(path: str, error: OSError) -> ManifestError:
    """Return the error for an input that exists and cannot be read."""
    return ManifestError(
        f"cannot be read: {error.strerror}",
        where=path,
        next="Make it readable, or remove it: what cannot be read never counts as unchanged.",
    )
