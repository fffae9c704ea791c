"""What libraries are asked for: an environment, and what may supply it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.inputs import digest, observe_program
from nixpy.libraries.record import LIBRARY_PATH
from nixpy.marker import interpreter_of, marker_mtime, packages_mtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixpy.environment import Environment
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["Caller", "Request", "state_of"]


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        runner: starts programs.
        report: is told what a user should see, one line a call.
        cache: nixpy's cache directory; ``None`` where there is none.
        state: nixpy's state directory; ``None`` where there is none.
        keep_open: descriptors for programs to inherit.
    """

    runner: Runner
    report: Callable[[str], None]
    cache: str | None
    state: str | None
    keep_open: tuple[int, ...] = ()


class Request(NamedTuple):
    """Whose libraries are asked for.

    Attributes:
        root: real path of the project.
        prefix: real path of its environment.
        options: ``libraries``, ``library_scope``, ``nixpkgs`` and ``cuda`` count.
        flake: reference of the flake whose lock file counts; ``None`` for none.
        dev_shell: what the dev shell changes.
        environ: the caller's environment, without what is changed here.
    """

    root: str
    prefix: str
    options: Options
    flake: str | None
    dev_shell: Environment
    environ: Mapping[str, str]

    @property
    def directories(self) -> tuple[str, ...]:
        """Those of the dev shell's own ``LD_LIBRARY_PATH`` and ``NIX_LD_LIBRARY_PATH``."""
        own = self.dev_shell.apply({})
        texts = (own.get(name, "") for name in (LIBRARY_PATH, "NIX_LD_LIBRARY_PATH"))
        return tuple(dict.fromkeys(one for text in texts for one in text.split(":") if one))

    @property
    def within(self) -> Mapping[str, str]:
        """The caller's environment in the dev shell, but for the libraries."""
        environ = self.dev_shell.apply(self.environ)
        if LIBRARY_PATH in self.environ:
            return {**environ, LIBRARY_PATH: self.environ[LIBRARY_PATH]}
        environ.pop(LIBRARY_PATH, None)
        return environ


def state_of(request: Request) -> str:
    """Return the digest over what an environment is, as far as its libraries go."""
    prefix = request.prefix
    parts = (
        str(marker_mtime(prefix)),
        str(packages_mtime(prefix)),
        observe_program(interpreter_of(prefix)).value,
        request.flake or "",
        *request.directories,
    )
    return digest(*map(os.fsencode, parts))
