"""What is in a directory already, as far as ``nixpy init`` has to know it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ToolMissing
from nixpy.init.template import template_paths
from nixpy.manifests.pyproject import read_pyproject
from nixpy.manifests.survey import (
    CONDA_LOCKS,
    CONDA_MANIFESTS,
    FOREIGN_LOCKS,
    NIX_FILES,
    PIXI_LOCK,
    SETUP_FILES,
)
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.files import Files
    from nixpy.process import Runner

__all__ = ["Present", "look_around", "old_environments"]

_MANIFESTS = (
    *("uv.lock", "pylock.toml", *CONDA_LOCKS, PIXI_LOCK, *CONDA_MANIFESTS, *FOREIGN_LOCKS),
    *("requirements.txt", "Pipfile", *SETUP_FILES),
)
_UNIMPORTANT = re.compile(
    r"\.git|\.envrc.*|\.gitignore|\.direnv|\.python-version|README.*|LICEN[CS]E.*"
)
_OLD_ENVIRONMENTS = re.compile(r"\.?venv|env")
_TOOLS = frozenset({"pip", "setuptools", "wheel", "distribute"})
_METADATA = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)
_SUPPORTED = tuple(f"3.{minor}" for minor in range(14, 9, -1))


class Present(NamedTuple):
    """What is there.

    Attributes:
        directory: absolute path.
        names: of what is in it.
        texts: what the files say that a template has, too, by their paths.
        manifests: names of what declares or pins dependencies.
        requires_python: what ``pyproject.toml`` says of it.
        conda_name: ``name`` in ``environment.yml``, or empty.
        installed: packages of an old virtual environment that no manifest names, pinned.
        python: the newest Python on PATH, as in ``3.12``; empty for none.
        has_nix: whether Nix is installed, and nobody said that it is not for nixpy.
        in_git: whether a git tree holds the directory.
    """

    directory: str
    names: frozenset[str] = frozenset()
    texts: Mapping[str, str] = {}
    manifests: tuple[str, ...] = ()
    requires_python: str = ""
    conda_name: str = ""
    installed: tuple[str, ...] = ()
    python: str = ""
    has_nix: bool = False
    in_git: bool = False

    @property
    def is_new(self) -> bool:
        """Whether nothing of a project is there yet."""
        return not any(_UNIMPORTANT.fullmatch(name) is None for name in self.names)


def look_around(
    directory: str, *, files: Files, environ: Mapping[str, str], runner: Runner
) -> Present:
    """Return what is in ``directory``, an absolute path, which need not exist.

    Raises:
        ManifestError: something that counts cannot be read or is malformed.
    """
    names = frozenset(files.names(directory))
    texts = {}
    for name in dict.fromkeys((*NIX_FILES, *template_paths())):
        if (content := files.read(os.path.join(directory, name))) is not None:
            texts[name] = os.fsdecode(content)
    pyproject = read_pyproject(directory, files)
    declares = pyproject is not None and pyproject.declares_dependencies
    manifests = tuple(name for name in _MANIFESTS if name in names)
    if declares:
        manifests = ("pyproject.toml", *manifests)
    return Present(
        directory,
        names,
        texts,
        manifests,
        (pyproject.requires_python if pyproject else None) or "",
        _conda_name(directory, names, files),
        () if manifests else tuple(_installed(directory)),
        _newest_python(environ),
        _has_nix(environ),
        _in_git(directory, environ, runner),
    )


def _conda_name(directory: str, names: frozenset[str], files: Files) -> str:
    for name in CONDA_MANIFESTS:
        if name in names:
            text = os.fsdecode(files.read(os.path.join(directory, name)) or b"")
            match = re.search(r"^name:[ \t]*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
            return match[1] if match else ""
    return ""


def old_environments(directory: str) -> dict[str, dict[str, str]]:
    """Return what the virtual environments there hold, by their places: pins by names."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    places = [name for name in sorted(names) if _OLD_ENVIRONMENTS.fullmatch(name)]
    direnv = os.path.join(directory, ".direnv")
    if os.path.isdir(direnv):
        places += [f".direnv/{one}" for one in sorted(os.listdir(direnv)) if "python" in one]
    found = {}
    for place in places:
        path = os.path.join(directory, place)
        if os.path.isfile(os.path.join(path, "pyvenv.cfg")):
            library = os.path.join(path, "lib")
            versions = sorted(os.listdir(library)) if os.path.isdir(library) else []
            sites = (os.path.join(library, one, "site-packages") for one in versions)
            found[place] = dict(pair for site in sites for pair in _distributions(site))
    return found


def _installed(directory: str) -> list[str]:
    """Return what an old virtual environment holds: what somebody installed by hand."""
    found: dict[str, str] = {}
    for pins in old_environments(directory).values():
        found = {**pins, **found}
    return [found[name] for name in sorted(found)]


def _distributions(site: str) -> list[tuple[str, str]]:
    found = []
    for entry in os.listdir(site) if os.path.isdir(site) else ():
        if not entry.endswith(".dist-info") or os.path.exists(f"{site}/{entry}/direct_url.json"):
            continue  # A direct URL is a checkout or file that no version pins (PEP 610).
        try:
            with open(f"{site}/{entry}/METADATA", encoding="utf-8", errors="replace") as file:
                fields = dict(_METADATA.findall(file.read(100_000).partition("\n\n")[0]))
        except OSError:
            continue
        name = re.sub(r"[-_.]+", "-", fields.get("Name", "")).lower()
        if name and "Version" in fields and name not in _TOOLS:
            found.append((name, f"{name}=={fields['Version']}"))
    return found


def _newest_python(environ: Mapping[str, str]) -> str:
    path = environ.get("PATH", "")
    return next((one for one in _SUPPORTED if find_program(f"python{one}", path)), "")


def _has_nix(environ: Mapping[str, str]) -> bool:
    from nixpy.nix.command import find_nix

    if environ.get("NIXPY_FLAKE", "").lower() == "false":
        return False  # It is, but not for nixpy.
    try:
        find_nix(environ)
    except ToolMissing:
        return False
    return True


def _in_git(directory: str, environ: Mapping[str, str], runner: Runner) -> bool:
    git = find_program("git", environ.get("PATH", ""))
    if git is None or not os.path.isdir(directory):
        return False
    argv = [git, "rev-parse", "--is-inside-work-tree"]
    try:
        done = runner.capture(argv, cwd=directory, environ=environ)
    except OSError:
        return False
    return done.status == 0 and done.stdout.strip() == "true"
