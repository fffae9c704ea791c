"""What a project's directory holds: every manifest and lock file that a rule may look at.

A survey reads through :class:`~nixpy.files.Files`, so that everything looked at is an input, also
what is absent: a file that appears can change the decision.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy.errors import UsageError
from nixpy.manifests.conda_platform import PLATFORMS, conda_platform
from nixpy.manifests.pip_configuration import pip_settings
from nixpy.manifests.pyproject import local_dependencies, read_pyproject
from nixpy.manifests.python_version import find_python_request
from nixpy.manifests.requirements import read_requirements, unsupported_by_uv
from nixpy.manifests.uv_configuration import needs_pip, uv_settings
from nixpy.manifests.workspace import find_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixpy.files import Files
    from nixpy.manifests.pyproject import Pyproject
    from nixpy.manifests.requirements import Requirements
    from nixpy.manifests.workspace import Workspace
    from nixpy.options import Options

__all__ = ["Survey", "survey"]

CONDA_LOCKS = ("conda-lock.yml", "conda-lock.yaml")
EXPLICIT_LOCK = "conda-{}.lock"
"""What ``conda-lock render`` names the explicit lock of a platform."""

PIXI_LOCK = "pixi.lock"
CONDA_MANIFESTS = ("environment.yml", "environment.yaml")
FOREIGN_LOCKS = ("poetry.lock", "pdm.lock", "Pipfile.lock")
SETUP_FILES = ("setup.py", "setup.cfg")
NIX_FILES = ("flake.nix", "shell.nix", "default.nix")


@dataclass(frozen=True, slots=True)
class Survey:
    """What is there. Paths are absolute.

    Attributes:
        directory: real path of the project's root.
        pyproject: ``pyproject.toml``, read.
        workspace: the uv workspace that the project is part of.
        has_package_conflicts: whether its packages cannot all be installed at once.
        requires_python: what the project asks of Python, with all other members of a workspace that
            is installed as a whole (a version specifier), or ``None``.
        uv_lock: ``uv.lock`` of the project or its workspace.
        pylock: ``pylock.toml``.
        conda_locks: those for this platform; the first one counts.
        conda_manifests: those that the option ``environment`` names, or the first that exists.
        foreign_locks, nix_files: those that exist.
        setup_files: those that exist and describe a package.
        other_manifests: what no rule can use: locks for other platforms, say.
        requirements_files: the requirements files to use.
        requirements: what they and all they include say.
        other_requirements: names of requirements files that nobody asked for.
        python_version_file: the ``.python-version``, or the like of it, that is in force.
        python_request: what it asks for; ``None`` for any interpreter.
        pip_only: settings of pip's configuration that uv would not honour, as shown to a user.
        pip_options: options in the requirements files that uv would not honour.
    """

    directory: str
    pyproject: Pyproject | None
    workspace: Workspace | None
    requires_python: str | None
    has_package_conflicts: bool
    uv_lock: str | None
    pylock: str | None
    conda_locks: tuple[str, ...]
    conda_manifests: tuple[str, ...]
    foreign_locks: tuple[str, ...]
    setup_files: tuple[str, ...]
    other_manifests: tuple[str, ...]
    nix_files: tuple[str, ...]
    requirements_files: tuple[str, ...]
    requirements: Requirements
    other_requirements: tuple[str, ...]
    python_version_file: str | None
    python_request: str | None
    pip_only: tuple[str, ...]
    pip_options: tuple[str, ...]

    @property
    def root(self) -> str:
        """The directory whose environment it is: the workspace's root, or the project's."""
        return self.workspace.root if self.workspace else self.directory


def survey(
    directory: str, options: Options, *, files: Files, environ: Mapping[str, str], platform: str
) -> Survey:
    """Return what ``directory``, a real path, holds.

    Raises:
        ManifestError: something that counts cannot be read or is malformed.
    """

    def present(*names: str, below: str = directory) -> tuple[str, ...]:
        paths = (os.path.join(below, name) for name in names)
        return tuple(path for path in paths if files.read(path) is not None)

    pyproject = read_pyproject(directory, files)
    workspace = find_workspace(directory, files)
    root = workspace.root if workspace else directory
    at_root = read_pyproject(root, files) if workspace else pyproject
    required = [pyproject.requires_python] if pyproject else []
    has_conflicts = at_root is not None and at_root.has_package_conflicts
    for member in workspace.members if workspace else ():
        shown_as = os.path.relpath(f"{member}/pyproject.toml", directory)
        one = read_pyproject(member, files, shown_as=shown_as)
        if one:
            local_dependencies(one, files)
            required += () if has_conflicts else (one.requires_python,)
    if pyproject:
        local_dependencies(pyproject, files)
    conda_locks, other_locks = _conda_locks(present, environ, platform)
    conda_manifests = present(*(options.environment or CONDA_MANIFESTS))
    if options.environment:
        _check_present("environment", directory, options.environment, options, conda_manifests)
    setup_files = present(*SETUP_FILES)
    describing = tuple(one for one in setup_files if _describes_package(one, files))
    # pip and uv both ask for one of them (packaging.python.org, "setup.cfg" needs a build system).
    installable = f"{directory}/setup.py" in setup_files or pyproject is not None
    foreign_locks = present(*FOREIGN_LOCKS)
    requirements_files = present(*(options.requirements or ("requirements.txt",)))
    if options.requirements:
        _check_present("requirements", directory, options.requirements, options, requirements_files)
    if requirements_files and _is_explicit(files.read(requirements_files[0])):
        conda_locks, requirements_files = (*conda_locks, requirements_files[0]), ()
    requirements = read_requirements(
        requirements_files, files=files, environ=environ, directory=directory
    )
    for local in requirements.local_directories:
        present("pyproject.toml", *SETUP_FILES, below=local)
    for links in requirements.local_link_directories:
        files.names(links)
    python = find_python_request(files, dict.fromkeys((directory, root)))
    pip = pip_settings(environ=environ, files=files, platform=platform)
    uv = uv_settings(root=root, environ=environ, files=files, platform=platform)
    present("flake.lock")
    return Survey(
        directory=directory,
        pyproject=pyproject,
        workspace=workspace,
        # Alike for all members, in whose environment each of them is.
        requires_python=",".join(sorted({one for one in required if one})) or None,
        has_package_conflicts=has_conflicts,
        uv_lock=next(iter(present("uv.lock", below=root)), None),
        pylock=next(iter(present("pylock.toml")), None),
        conda_locks=conda_locks,
        conda_manifests=conda_manifests if options.environment else conda_manifests[:1],
        foreign_locks=foreign_locks,
        setup_files=describing if installable else (),
        other_manifests=(
            *other_locks,
            *(() if installable else describing),
            *(() if options.environment else conda_manifests[1:]),
            *(() if f"{directory}/Pipfile.lock" in foreign_locks else present("Pipfile")),
        ),
        nix_files=present(*NIX_FILES),
        requirements_files=requirements_files,
        requirements=requirements,
        other_requirements=_other_requirements(directory, requirements_files),
        python_version_file=python.path if python else None,
        python_request=python.text if python else None,
        pip_only=tuple(f"{one.name} ({one.source})" for one in needs_pip(pip, uv)),
        pip_options=tuple(
            f"{one.name} ({os.path.relpath(one.file, directory)}:{one.line})"
            for one in unsupported_by_uv(requirements)
        ),
    )


def _conda_locks(
    present: Callable[..., tuple[str, ...]],
    environ: Mapping[str, str],
    platform: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the conda lock files for this platform, and those for others alone."""
    here = EXPLICIT_LOCK.format(conda_platform(platform, environ))
    locks = present(*CONDA_LOCKS, here, PIXI_LOCK)
    others = present(*(name for name in map(EXPLICIT_LOCK.format, PLATFORMS) if name != here))
    return locks, others


def _check_present(
    option: str, directory: str, wanted: tuple[str, ...], options: Options, present: tuple[str, ...]
) -> None:
    for path in (os.path.join(directory, name) for name in wanted):
        if path not in present:
            raise UsageError(
                f"no such file: {path}",
                where=options.origins[option],
                next="Create it, or take it off the list.",
            )


def _describes_package(path: str, files: Files) -> bool:
    """Whether a ``setup.py``, or a ``setup.cfg`` that is more than linters' settings."""
    if not path.endswith(".cfg"):
        return True
    content = (files.read(path) or b"").decode("utf-8", "replace")
    return any(line.strip() in {"[metadata]", "[options]"} for line in content.splitlines())


def _is_explicit(content: bytes | None) -> bool:
    return content is not None and any(
        line.strip() == b"@EXPLICIT" for line in content.splitlines()[:20]
    )


def _other_requirements(directory: str, used: tuple[str, ...]) -> tuple[str, ...]:
    # Not an input: it is only mentioned, and the directory changes with each editor's swap file.
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    return tuple(
        name
        for name in names
        if "requirements" in name
        and name.endswith(".txt")
        and os.path.join(directory, name) not in used
    )
