"""What installs: one module for each manager, all behind :class:`Manager`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from nixpy.errors import SyncFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.decision import Install
    from nixpy.managers.foreign.tools import Export
    from nixpy.manifests.conda import CondaManifest
    from nixpy.manifests.conda_configuration import CondaConfiguration
    from nixpy.manifests.requirements import Requirements
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["CondaPlan", "Manager", "Plan", "Session", "find_manager"]


@dataclass(frozen=True, slots=True)
class CondaPlan:
    """What a conda environment is to hold.

    Attributes:
        manifest: what the conda manifests ask for together.
        lock: absolute path of a conda lock file instead of that, or ``None``.
        requirements: what the requirements files ask for, where they do instead.
        python: match spec of the interpreter that is asked for besides; empty for none.
        configuration: conda's own, in force.
        platform: ``linux-64``.
        name: what the environment is called.
        shown_name: what conda calls it (``CONDA_DEFAULT_ENV``): its name where it is among conda's
            own, else its prefix.
        files: paths of the files that all this was read from.
    """

    manifest: CondaManifest
    lock: str | None
    requirements: Requirements
    python: str
    configuration: CondaConfiguration
    platform: str
    name: str
    shown_name: str = ""
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync is to bring about.

    Attributes:
        install: what is installed.
        directory: real path of the project, the working directory of the manager.
        root: real path of the workspace's root, or of the project.
        prefix: real path of the virtual environment.
        is_central: whether that lies outside of the project, which links to it.
        requirements: absolute paths of requirements files, or of ``pylock.toml``.
        whole_workspace: install every member of the workspace.
        exact: remove what is not asked for.
        reinstall: install also what is there already: its files may be gone.
        options: extras, groups and lock are taken from here.
        conda: what a conda environment is to hold; ``None`` for virtual environments.
        export: what of another tool's lock file is to be exported first, or ``None``.
    """

    install: Install
    directory: str
    root: str
    prefix: str
    is_central: bool
    requirements: tuple[str, ...]
    whole_workspace: bool
    exact: bool
    options: Options
    reinstall: bool = False
    conda: CondaPlan | None = None
    export: Export | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a manager works with.

    Attributes:
        runner: starts programs.
        environ: the complete environment for them, without any environment in force.
        log: gets everything they print.
        uv: path of the uv to use.
        cache: nixpy's cache directory, or ``None`` where there is none.
        keep_open: descriptors for them to inherit; the environment's lock is among them.
    """

    runner: Runner
    environ: Mapping[str, str]
    log: BinaryIO
    uv: str
    cache: str | None = None
    keep_open: tuple[int, ...] = ()

    def show(self, argv: list[str], *, cwd: str, environ: Mapping[str, str]) -> int:
        """Run a program where the user sees its progress; return its status."""
        self.log.write(os.fsencode(f"\n$ {' '.join(argv)}\n"))
        self.log.flush()
        return self.runner.show(
            argv, cwd=cwd, environ=environ, log=self.log, keep_open=self.keep_open
        )

    @property
    def log_path(self) -> str | None:
        """Where the log lies; ``None`` where it goes nowhere."""
        name = getattr(self.log, "name", None)
        return name if isinstance(name, str) else None

    def failure(self, what: str, *, advice: str = "", is_dirty: bool = False) -> SyncFailed:
        """Return the error that something failed, which names the log.

        Args:
            what: what happened, in one clause.
            advice: what to do about it, in one clause, if there is something.
            is_dirty: whether the environment may have changed in part.
        """
        self.log.flush()
        path = self.log_path
        where = f"the full log is at {path}" if path else "run `nixpy sync` to see what it says"
        following = f"{advice}; {where}" if advice else where
        return SyncFailed(
            what, log=path, next=following[:1].upper() + following[1:], is_dirty=is_dirty
        )


class Manager(Protocol):
    """Makes environments and installs into them."""

    makes: Literal["virtual", "conda"]
    """What kind of environment."""

    def create(self, interpreter: str, prefix: str, *, name: str, session: Session) -> int:
        """Make an environment in a directory that may exist; return the exit status.

        Args:
            interpreter: path of a base interpreter, or a request that the manager can satisfy;
                empty for a conda environment, whose interpreter is a package.
            prefix: where to make it.
            name: what a prompt shows.
            session: what to work with.
        """

    def install(self, plan: Plan, session: Session) -> int:
        """Install what the plan says into ``plan.prefix``, which exists; return the exit status.

        Raises:
            NixpyError: it failed, and the manager can say why better than its log does.
        """


def find_manager(name: str) -> Manager:
    """Return the manager of a name.

    Raises:
        KeyError: there is none of that name.
    """
    if name == "uv":
        from nixpy.managers.uv import Uv

        return Uv()
    if name == "pip":
        from nixpy.managers.pip import Pip

        return Pip()
    if name == "mamba":
        from nixpy.managers.mamba.manager import Mamba

        return Mamba()
    raise KeyError(name)
