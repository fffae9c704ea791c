"""Where a project's environment lies (DESIGN.md, sections 4 and 8)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.directories import nixpy_directory
from nixpy.errors import EnvironmentUnusable, UsageError
from nixpy.inputs import digest, is_text
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.manifests.conda_configuration import CondaConfiguration
    from nixpy.options import Options

__all__ = ["CONDA", "NAMED", "conda_prefix", "conda_root", "is_central", "virtual_prefix"]

CENTRAL = "central"
NAMED = "named"
CONDA = ".conda"
"""The place of a conda environment, relative to the project, where nobody names another one."""


def is_central(options: Options, root: str) -> bool:
    """Return whether the environment of ``root`` lies outside of the project.

    It has to where the project's path is not UTF-8: neither uv 0.13 nor venv can make one there.
    """
    return options.venv == CENTRAL or not is_text(root)


def virtual_prefix(options: Options, root: str, environ: Mapping[str, str], platform: str) -> str:
    """Return the real path of the virtual environment of a project or workspace.

    Raises:
        EnvironmentUnusable: it is central, and there is no place for that.
        UsageError: it is to be a named one, which only conda has.
    """
    if is_central(options, root):
        return _central_prefix(options, root, environ, platform)
    if options.venv == NAMED:
        raise UsageError(
            "only a conda environment can be a named one",
            where=options.origins["venv"],
            next='Say `venv = "central"` to keep a virtual environment outside of the project.',
        )
    return os.path.realpath(os.path.join(root, options.venv))


def conda_prefix(
    options: Options,
    root: str,
    name: str,
    configuration: CondaConfiguration,
    *,
    environ: Mapping[str, str],
    platform: str,
) -> str:
    """Return the real path of the conda environment of a project.

    Args:
        options: ``venv`` says which place it is.
        root: real path of the project.
        name: its name, if it is a named one.
        configuration: conda's own, for ``envs_dirs``.
        environ: the variables.
        platform: :data:`sys.platform`.

    Raises:
        EnvironmentUnusable: there is no place for it.
    """
    if options.venv == NAMED:
        return _named_prefix(options, name, configuration, environ)
    if is_central(options, root):
        return _central_prefix(options, root, environ, platform, "-conda")
    said = options.origins["venv"] not in {"default", "variable UV_PROJECT_ENVIRONMENT"}
    return os.path.realpath(os.path.join(root, options.venv if said else CONDA))


def conda_root(environ: Mapping[str, str]) -> str | None:
    """Return where the conda installation in use lies (its ``base``); ``None`` for none."""
    for name in ("conda", "mamba"):
        program = environ.get(f"{name.upper()}_EXE") or find_program(name, environ.get("PATH", ""))
        if program:
            root = os.path.dirname(os.path.dirname(os.path.realpath(program)))
            if os.path.isdir(f"{root}/conda-meta"):
                return root
    return None


def _central_prefix(
    options: Options, root: str, environ: Mapping[str, str], platform: str, suffix: str = ""
) -> str:
    data = nixpy_directory("data", environ, platform)
    if data is None:
        raise EnvironmentUnusable(
            "no place for the environment: neither XDG_DATA_HOME nor HOME is set",
            where=options.origins["venv"],
            next='Set HOME, or say `venv = ".venv"`.',
        )
    name = os.path.basename(root).encode("ascii", "replace").decode()
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name) or "root"
    unique = digest(os.fsencode(root))[:8]
    return os.path.realpath(f"{data}/environments/{name}-{unique}{suffix}")


def _named_prefix(
    options: Options, name: str, configuration: CondaConfiguration, environ: Mapping[str, str]
) -> str:
    directories = [*configuration.environments, *_default_directories(environ)]
    for directory in directories:
        if os.path.isdir(f"{directory}/{name}/conda-meta"):
            return os.path.realpath(f"{directory}/{name}")
    for directory in directories:
        if _can_be_made(directory):
            return os.path.realpath(f"{directory}/{name}")
    raise EnvironmentUnusable(
        f"no place for the environment {name}: none of envs_dirs can be written",
        where=options.origins["venv"],
        next="Set `envs_dirs` in .condarc, or another `venv`.",
    )


def _default_directories(environ: Mapping[str, str]) -> list[str]:
    """Return where mamba and conda look for named environments by themselves.

    The root prefix's ``envs``, and ``~/.conda/envs`` (docs.conda.io, "Settings: envs_dirs").
    """
    roots = (environ.get("MAMBA_ROOT_PREFIX"), environ.get("CONDA_ROOT"), conda_root(environ))
    found = [f"{root}/envs" for root in roots if root]
    home = environ.get("HOME")
    if home:
        found += [f"{home}/.local/share/mamba/envs"] if _has_micromamba(environ) else []
        found.append(f"{home}/.conda/envs")
    return list(dict.fromkeys(found))


def _has_micromamba(environ: Mapping[str, str]) -> bool:
    return find_program("micromamba", environ.get("PATH", "")) is not None


def _can_be_made(directory: str) -> bool:
    while not os.path.exists(directory) and directory != "/":
        directory = os.path.dirname(directory)
    return os.path.isdir(directory) and os.access(directory, os.W_OK)
