"""What all tests stand on: an environment that knows nothing of the machine's own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

KEPT = ("LANG", "SSL_CERT_FILE", "TERM")
"""Variables of the machine that tests may see; the package registry needs the certificates."""


def pytest_configure() -> None:
    # In a shell's background job it is ignored, and would be by every program that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The directory of the nixpy and uv under test."""
    return Path(sys.executable).parent


@pytest.fixture(scope="session")
def package_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of downloaded packages for all tests of a run, on all workers."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "package-cache"
    cache.mkdir(exist_ok=True)
    return cache


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty HOME."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def environ(home: Path, programs: Path, package_cache: Path) -> dict[str, str]:
    """A complete environment, isolated from the machine's configuration."""
    python = Path(sys.base_prefix) / "bin"
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "HOME": str(home),
        "PATH": f"{programs_on_path(home, programs)}:{python}:/usr/local/bin:/usr/bin:/bin",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(package_cache / "pip"),
        "UV_CACHE_DIR": str(package_cache / "uv"),
        "UV_LINK_MODE": "hardlink",
        "UV_PYTHON_DOWNLOADS": "never",
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
    }


def programs_on_path(home: Path, programs: Path) -> Path:
    """Return a directory with nixpy and uv alone, and not the python that they run on."""
    directory = home / "bin"
    directory.mkdir(exist_ok=True)
    for name in ("nixpy", "uv"):
        link = directory / name
        if not link.exists():
            link.symlink_to(programs / name)
    return directory
