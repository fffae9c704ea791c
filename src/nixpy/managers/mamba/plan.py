"""What a project's conda environment is to hold, by its manifests and conda's configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nixpy.errors import UsageError
from nixpy.managers import CondaPlan
from nixpy.managers.mamba.by_uv import absolute_line
from nixpy.manifests.conda import merged, read_conda_manifest
from nixpy.manifests.conda_configuration import conda_configuration
from nixpy.manifests.conda_platform import conda_platform
from nixpy.manifests.requirements import read_requirements
from nixpy.manifests.survey import SETUP_FILES
from nixpy.places import conda_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.decision import Decision
    from nixpy.files import Files
    from nixpy.interpreter import Request
    from nixpy.manifests.conda import CondaManifest
    from nixpy.manifests.survey import Survey

__all__ = ["conda_plan", "python_spec"]


def conda_plan(
    found: Survey,
    decision: Decision,
    request: Request,
    *,
    files: Files,
    environ: Mapping[str, str],
    platform: str,
) -> CondaPlan:
    """Return what a conda environment is to hold.

    Raises:
        ManifestError: a conda manifest or a ``.condarc`` is malformed.
        UsageError: the interpreter that is asked for is none that conda has.
    """
    here = conda_platform(platform, environ)
    files = _Noted(files)
    is_manifest = decision.install == "conda manifest"
    paths = found.conda_manifests if is_manifest else ()
    manifest = merged(read_conda_manifest(path, files, here) for path in paths)
    lock = decision.rests_on[0] if decision.install == "conda lock" else None
    name = manifest.name
    if not name and found.conda_manifests:
        # A lock file has no name; the manifest that it was made of does.
        name = read_conda_manifest(found.conda_manifests[0], files, here).name
    configuration = conda_configuration(environ=environ, files=files, root=conda_root(environ))
    if lock:
        files.read(lock)
    _read_pip_section(manifest, files, environ)
    for path in (*found.requirements.files, *_project_files(found, decision)):
        files.read(path)
    return CondaPlan(
        manifest=manifest,
        lock=lock,
        requirements=found.requirements,
        python="" if lock else python_spec(request, is_manifest=is_manifest),
        configuration=configuration,
        platform=here,
        name=name or os.path.basename(found.directory) or "root",
        files=frozenset(files.seen),
    )


class _Noted:
    """Reads files (:class:`nixpy.files.Files`) and notes which."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.seen: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """See :meth:`nixpy.files.Files.read`."""
        self.seen.add(path)
        return self.files.read(path)

    def names(self, directory: str) -> tuple[str, ...]:
        """See :meth:`nixpy.files.Files.names`."""
        return self.files.names(directory)


def _read_pip_section(manifest: CondaManifest, files: Files, environ: Mapping[str, str]) -> None:
    """Read what the lines of a ``pip:`` section include: it counts as the manifest itself."""
    for line, directory in manifest.pip:
        flag, _, value = absolute_line(line, directory).partition(" ")
        if flag in {"-r", "--requirement", "-c", "--constraint"}:
            read_requirements((value,), files=files, environ=environ)
        elif flag in {"-e", "--editable"}:
            for name in ("pyproject.toml", *SETUP_FILES):
                files.read(f"{value.partition('[')[0]}/{name}")


def _project_files(found: Survey, decision: Decision) -> tuple[str, ...]:
    if decision.install != "editable":
        return ()
    own = (found.pyproject.path,) if found.pyproject else ()
    return (*own, *found.setup_files)


def python_spec(request: Request, *, is_manifest: bool) -> str:
    """Return the match spec of the interpreter that is asked for; empty for any.

    Beside a conda manifest ``requires-python`` describes a package, and not the environment.

    Raises:
        UsageError: it is a path or another implementation, which conda does not have.
    """
    versions = []
    text = request.text
    if text:
        for prefix in ("cpython@", "cpython-", "cpython", "python"):
            text = text.removeprefix(prefix)
        if text.replace(".", "").isdigit():
            versions.append(f"{text}.*" if text.count(".") < 2 else f"=={text}")  # noqa: PLR2004
        elif text[:1] in "<>=~!":
            versions.append(text)
        else:
            raise UsageError(
                f"conda has no interpreter {request.text!r}",
                where=request.origin,
                next="Ask for a version as in `3.12`, or for the package in environment.yml.",
            )
    if request.requires and not is_manifest:
        versions.append(request.requires)
    return f"python {','.join(versions)}".replace(" ,", " ") if versions else ""
