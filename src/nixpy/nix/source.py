"""Which dev shell a project means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nixpy.files import Files
    from nixpy.options import Options

__all__ = ["Source", "find_source"]

NIX_FILES = ("flake.nix", "shell.nix", "default.nix")


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
