"""What an engine is asked for, and what it promises: the seam between nixpy and conda's tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nixpy.manifests.conda_configuration import Priority
from nixpy.manifests.conda_lock import Package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.managers import Session

__all__ = ["Channels", "Engine", "Package", "Priority", "Transaction"]


@dataclass(frozen=True, slots=True)
class Channels:
    """Where packages come from.

    Attributes:
        urls: base URLs of channels, without the platform's subdirectory, the first one first. They
            may hold credentials, which are shown to nobody.
        priority: how they count against each other.
        platform: the subdirectory: ``linux-64``.
        caches: package caches (conda's ``pkgs_dirs``), the first one first; none for the engine's
            own default.
        is_offline: whether nothing may be fetched.
        verifies: ``ssl_verify``: whether certificates are checked, or the file of those that count.
        proxies: proxy URLs by scheme.
        runs_link_scripts: whether a package's own ``post-link`` script may run.
    """

    urls: tuple[str, ...]
    priority: Priority
    platform: str
    caches: tuple[str, ...] = ()
    is_offline: bool = False
    verifies: bool | str = True
    proxies: tuple[tuple[str, str], ...] = ()
    runs_link_scripts: bool = True


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a conda prefix is to hold afterwards.

    Either ``specs``, to be solved, or ``packages``, to be linked as they are.

    Attributes:
        prefix: real path of the prefix, which may be absent.
        specs: match specs that hold afterwards (conda.io, "Package match specifications").
        packages: exactly what is there afterwards, but for what ``exact`` leaves.
        removed: names that were asked for by an earlier transaction and no longer are.
        exact: remove also what a user added by hand.
        reinstall: link every package again: files of some may be gone.
    """

    prefix: str
    specs: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    removed: tuple[str, ...] = ()
    exact: bool = False
    reinstall: bool = False


class Engine(Protocol):
    """Solves, fetches, links and unlinks conda packages."""

    name: str
    """What it is called: ``micromamba``, ``mamba``, ``conda`` or ``rattler``."""

    version: str
    """Its version: ``2.8.1``."""

    def carry_out(self, transaction: Transaction, channels: Channels, session: Session) -> None:
        """Bring a prefix to what a transaction says.

        What the engine says of itself goes to the session's log and terminal. Its status is not
        believed: whoever calls compares ``conda-meta`` with what was asked for.

        Raises:
            SyncFailed: it could not; the message says why in the engine's own words, shortened.
        """

    def known(self, names: Sequence[str], channels: Channels, session: Session) -> frozenset[str]:
        """Return those of ``names``, of conda packages, that the channels have.

        Raises:
            SyncFailed: a channel cannot be read.
        """
