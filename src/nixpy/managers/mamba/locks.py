"""Lock files of conda environments, read when they are synced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.errors import ToolMissing
from nixpy.files import DiskFiles
from nixpy.managers.mamba.rattler import Rattler
from nixpy.manifests.conda_lock import Locked, read_conda_lock, read_explicit

if TYPE_CHECKING:
    from nixpy.managers import CondaPlan, Plan, Session
    from nixpy.managers.mamba.engine import Channels

__all__ = ["read_lock"]

PIXI_ENVIRONMENT = "default"


def read_lock(plan: Plan, conda: CondaPlan, channels: Channels, session: Session) -> Locked:
    """Return what a conda lock file pins for this platform.

    Raises:
        ManifestError: it is malformed, or not for this platform.
        SyncFailed: a ``pixi.lock`` cannot be read.
        ToolMissing: it is a ``pixi.lock``, and py-rattler, which reads it, is not installed.
    """
    path = conda.lock or ""
    name = os.path.relpath(path, plan.directory)
    if path.endswith("pixi.lock"):
        if not Rattler.is_installed():
            raise ToolMissing(
                "pixi.lock is read by py-rattler, which is not installed",
                where=name,
                next="Install it beside nixpy: `pip install 'nixpy[conda]'`.",
            )
        environment = (*plan.options.groups, PIXI_ENVIRONMENT)[0]
        return Locked(*Rattler().read_lock(path, environment, channels, session))
    content = DiskFiles().read(path) or b""
    if path.endswith((".yml", ".yaml")):
        chosen = (*plan.options.groups, *plan.options.extras)
        categories = None if "all" in chosen else frozenset(chosen)
        return read_conda_lock(name, content, platform=conda.platform, categories=categories)
    return read_explicit(name, content)
