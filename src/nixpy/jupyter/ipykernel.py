"""Whether an environment has ipykernel, and installing it there.

It goes into the environment alone: no manifest and no lock file is touched. So an exact sync, to
which it is a package that nobody asked for, takes it out again; whoever starts the kernel then
finds it gone.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.resolver import Resolution, Resolver

__all__ = ["find_package", "has_ipykernel", "resources", "with_ipykernel"]

LAUNCHER = "ipykernel_launcher.py"

ASKS = (
    "import importlib.util, sys; sys.exit(importlib.util.find_spec('ipykernel_launcher') is None)"
)


def find_package(prefix: str, name: str) -> str | None:
    """Return the path of a file or folder in an environment's ``site-packages``."""
    try:
        versions = os.listdir(f"{prefix}/lib")
    except OSError:
        return None
    for version in versions:
        if version.startswith(("python", "pypy")):
            path = f"{prefix}/lib/{version}/site-packages/{name}"
            if os.path.exists(path):
                return path
    return None


def has_ipykernel(prefix: str) -> bool:
    """Return whether ipykernel lies in an environment; no process is started for that."""
    return find_package(prefix, LAUNCHER) is not None


def resources(prefix: str) -> tuple[str, ...]:
    """Return the paths of the logos that ipykernel brings; none where it brings none."""
    package = find_package(prefix, "ipykernel")
    folder = f"{package}/resources"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    return tuple(f"{folder}/{name}" for name in names if name.startswith("logo-"))


def with_ipykernel(
    resolver: Resolver,
    resolution: Resolution,
    flags: Mapping[str, object],
    *,
    install: bool,
) -> Resolution:
    """Return the resolution of an environment that has ipykernel.

    Args:
        resolver: made the resolution, and makes the next one.
        resolution: of an environment that is there.
        flags: the values of the project's arguments.
        install: whether to install it where it is missing.

    Raises:
        NixpyError: it has none, and gets none.
    """
    from nixpy.errors import KernelFailed

    if resolution.prefix and has_ipykernel(resolution.prefix):
        return resolution
    if _imports(resolver, resolution):
        return resolution
    place = resolution.prefix or resolution.project.directory
    if not install or not resolution.prefix:
        raise KernelFailed(
            "the environment has no ipykernel, which runs notebooks",
            where=place,
            next="Add it to what the project declares (`uv add --dev ipykernel`, or a line in its "
            "manifest), then restart the kernel.",
        )
    resolver.report(f"installing ipykernel into {place}; no manifest and no lock file is touched")
    _install(resolver, resolution)
    # What it links against may be missing too, and the entry is to be today's.
    found = resolver.resolve(resolution.project, flags)
    return resolution if found.environment is None else found


def _imports(resolver: Resolver, resolution: Resolution) -> bool:
    """Return whether the environment's interpreter finds ipykernel, wherever that lies."""
    from nixpy.activation import base_environment
    from nixpy.process import find_program

    assert resolution.environment is not None
    environ = resolution.environment.apply(base_environment(resolver.environ))
    python: str | None = f"{resolution.prefix}/bin/python"
    if not resolution.prefix:
        python = find_program("python", environ.get("PATH", ""))
    if python is None:
        return False
    try:
        return resolver.runner.capture([python, "-c", ASKS], cwd="/", environ=environ).status == 0
    except OSError:
        return False


def _install(resolver: Resolver, resolution: Resolution) -> None:
    from nixpy.directories import nixpy_directory
    from nixpy.direnv import before_direnv
    from nixpy.errors import SyncFailed
    from nixpy.logs import cause_of, log_lines, log_path, open_log
    from nixpy.managers.prefix import Prefix
    from nixpy.managers.uv import find_uv
    from nixpy.marker import was_changed_by_hand

    prefix = Prefix(resolution.prefix, resolution.project.root)
    environ = before_direnv(resolver.environ)
    # uv would take an environment of the caller's for the one that is meant.
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT", "PYTHONHOME"):
        environ.pop(name, None)
    if resolution.manager == "pip":
        argv = [f"{prefix.path}/bin/python", "-m", "pip", "install", "ipykernel"]
    else:
        uv = find_uv(resolver.environ, prefix.path)
        argv = [uv, "pip", "install", "--python", f"{prefix.path}/bin/python", "ipykernel"]
    state = nixpy_directory("state", resolver.environ, resolver.platform)
    path = log_path(state, f"{prefix.path}#ipykernel")
    with resolver.locked(prefix.path) as held, open_log(path, prefix.path) as log:
        marker = prefix.read_marker()
        by_hand = was_changed_by_hand(prefix.path)
        keep_open = () if held.descriptor < 0 else (held.descriptor,)
        cwd = resolution.project.root
        status = resolver.runner.show(argv, cwd=cwd, environ=environ, log=log, keep_open=keep_open)
        log.flush()
        cause = cause_of(log_lines(path)) if status and path else ""
        if status and argv[1] == "pip":
            # Without a network: uv's cache has what an earlier start has installed.
            offline = [*argv, "--offline"]
            status = resolver.runner.show(
                offline, cwd=cwd, environ=environ, log=log, keep_open=keep_open
            )
        if status:
            raise SyncFailed(
                f"ipykernel cannot be installed into {prefix.path}: {cause}",
                log=path,
                next=f"Add it to the project's own dependencies; the full log: {path}",
            )
        if marker and marker.state == "synced" and not by_hand:
            # What we installed ourselves is no change that somebody made by hand.
            prefix.write_marker("synced", marker.fingerprint, marker.manager)
