"""Which dev shell a project means."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nixpy.files import Files
    from nixpy.options import Options

__all__ = ["LocalFlake", "Source", "find_source", "git_top", "local_flake"]

NIX_FILES = ("flake.nix", "shell.nix", "default.nix")

_SCHEME = re.compile(r"[a-z][a-z0-9+]*:")


class Source(NamedTuple):
    """A dev shell, as Nix is asked for it.

    Attributes:
        reference: a flake reference with its attribute (``nix flake --help``), or the absolute
            path of a Nix file, with ``#`` and an attribute if it has several shells.
        is_flake: which of the two.
        is_asked_for: whether an option names it; else it was found beside the manifests.
    """

    reference: str
    is_flake: bool
    is_asked_for: bool

    @property
    def installable(self) -> tuple[str, ...]:
        """The arguments that name it to ``nix``."""
        if self.is_flake:
            return (self.reference,)
        _, _, attribute = self.reference.partition("#")
        return ("--file", self.file, *([attribute] if attribute else []))

    @property
    def file(self) -> str:
        """The flake reference, or the path of the Nix file, without the attribute."""
        return self.reference.partition("#")[0] or "."


def find_source(directory: str, options: Options, files: Files) -> Source | None:
    """Return the dev shell of a project, or ``None`` where it has or wants none.

    Args:
        directory: real path of the project's root.
        options: ``flake`` is looked at: a reference, a Nix file, ``False``, or ``None`` for what
            there is, ``flake.nix`` before ``shell.nix`` before ``default.nix``.
        files: what to read with.

    Raises:
        ManifestError: one of these files cannot be read.
    """
    if options.flake is False:
        return None
    if options.flake:
        if options.flake.partition("#")[0].endswith(".nix"):
            path = os.path.join(directory, options.flake)
            return Source(path, is_flake=False, is_asked_for=True)
        return Source(options.flake, is_flake=True, is_asked_for=True)
    for name in NIX_FILES:
        path = os.path.join(directory, name)
        if files.read(path) is not None:
            is_flake = name == "flake.nix"
            return Source("." if is_flake else path, is_flake, is_asked_for=False)
    return None


class LocalFlake(NamedTuple):
    """A flake that lies on this machine.

    Attributes:
        directory: where its ``flake.nix`` is.
        tree: the directory that Nix copies for it.
        has_git: whether that is a git tree, of which Nix sees what git tracks and nothing else.
    """

    directory: str
    tree: str
    has_git: bool


def local_flake(source: Source, root: str) -> LocalFlake | None:
    """Return the flake that a source means, or ``None`` where it is none or lies elsewhere.

    Args:
        source: the dev shell.
        root: real path of the project, which relative references are relative to.

    Source: Nix manual, "nix3-flake" (Path-like syntax).
    """
    reference, _, query = source.file.partition("?")
    if not source.is_flake:
        return None
    match = _SCHEME.match(reference)
    scheme = match[0] if match else ""
    if scheme not in {"", "path:", "git+file:"}:
        return None
    if not scheme and not reference.startswith((".", "/")):
        return None  # an entry of a registry
    place = os.path.realpath(os.path.join(root, re.sub(r"^//", "", reference[len(scheme) :])))
    below = next((one[4:] for one in query.split("&") if one.startswith("dir=")), "")
    directory = os.path.normpath(f"{place}/{below}")
    if scheme == "path:":
        return LocalFlake(directory, place, has_git=False)
    top = git_top(place)
    while not scheme and not below and not os.path.isfile(f"{directory}/flake.nix"):
        if directory in {top, "/"}:
            break
        directory = os.path.dirname(directory)
    return LocalFlake(directory, top or directory, has_git=top is not None)


def git_top(directory: str) -> str | None:
    """Return the top of the git tree that a directory lies in; ``None`` for none."""
    while not os.path.lexists(f"{directory}/.git"):
        if directory == "/":
            return None
        directory = os.path.dirname(directory)
    return directory
