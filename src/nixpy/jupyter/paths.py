"""Where Jupyter keeps kernelspecs and what it writes at run time.

The same places as ``jupyter_core.paths`` gives (a test compares them), for any environment of
variables and any prefix, and without the price of importing that. docs.jupyter.org, "Common
Directories and File Locations".
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["data_directory", "kernel_directories", "runtime_directory"]

SYSTEM = ("/usr/local/share/jupyter", "/usr/share/jupyter")


def data_directory(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Return the user's data directory of Jupyter; ``None`` where ``HOME`` says nothing."""
    told = environ.get("JUPYTER_DATA_DIR")
    if told:
        return told
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        return None
    if platform == "darwin":
        return f"{home}/Library/Jupyter"
    base = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return f"{base}/jupyter"


def runtime_directory(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Return where servers leave word of themselves; ``None`` where ``HOME`` says nothing."""
    told = environ.get("JUPYTER_RUNTIME_DIR")
    if told:
        return told
    data = data_directory(environ, platform)
    return f"{data}/runtime" if data else None


def kernel_directories(
    environ: Mapping[str, str], prefixes: Sequence[str] = (), platform: str = sys.platform
) -> tuple[str, ...]:
    """Return the directories of kernelspecs in the order in which Jupyter looks into them.

    ``prefixes`` are environments that a Jupyter runs in; each Jupyter knows only its own.
    """
    found = [one for one in environ.get("JUPYTER_PATH", "").split(os.pathsep) if one]
    data = data_directory(environ, platform)
    found += [data] if data else []
    found += [f"{prefix}/share/jupyter" for prefix in prefixes]
    found += SYSTEM
    directories = [f"{one.rstrip('/')}/kernels" for one in found]
    home = environ.get("HOME", "")
    if home.startswith("/"):
        # jupyter_client: "IPYTHONDIR/kernels", where IPython 3 had them.
        directories.append(f"{environ.get('IPYTHONDIR') or home + '/.ipython'}/kernels")
    return tuple(dict.fromkeys(directories))
