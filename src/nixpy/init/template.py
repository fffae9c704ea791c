"""The templates: folders of files as they stand, which ``nix flake init`` copies, too.

What a user chooses is filled in by replacing what the files say; a test holds that each of these
texts is there.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import UsageError
from nixpy.options import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MANIFESTS",
    "PYTHON",
    "TEMPLATES",
    "Template",
    "read_template",
    "rendered",
    "template_paths",
]

TEMPLATES: dict[str, str] = {
    "uv": "pyproject.toml, installed by uv",
    "pip": "requirements.txt",
    "mamba": "environment.yml, from conda's channels",
    "ml": "PyTorch, with CUDA where the machine has it",
    "jupyter": "JupyterLab and a notebook",
    "poetry": "a project of Poetry's",
    "nix-only": "Python and its packages from nixpkgs alone",
}
"""Names of templates, and what they are."""

PYTHON = "3.13"
"""The Python that the files name."""

NAME = "example"
"""The name that the files give to a project."""

MANIFESTS = ("pyproject.toml", "requirements.txt", "environment.yml")

_WITH_UNFREE = """(
        system:
        make (
          import nixpkgs {
            inherit system;
            # CUDA's licence is not a free one.
            config.allowUnfree = true;
          }
        )
      )"""

CUDA = (
    ("# pkgs.cudaPackages.cudatoolkit", "pkgs.cudaPackages.cudatoolkit"),
    ("(system: make nixpkgs.legacyPackages.${system})", _WITH_UNFREE),
)
"""What a flake says, and what it says with the CUDA toolkit."""


class Template(NamedTuple):
    """A template: its name, and the texts of its files by their paths."""

    name: str
    files: dict[str, str]


def read_template(name: str) -> Template:
    """Return a template.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in TEMPLATES:
        raise UsageError(
            f"there is no template {name!r}{did_you_mean(name, list(TEMPLATES))}",
            where="--template",
            next=f"There are {', '.join(TEMPLATES)}.",
        )
    top = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "templates")
    return Template(name, dict(sorted(_files(os.path.join(top, name)))))


def template_paths() -> tuple[str, ...]:
    """Return the paths of all files that any template has."""
    return tuple(dict.fromkeys(path for name in TEMPLATES for path in read_template(name).files))


def _files(top: str) -> Iterator[tuple[str, str]]:
    for directory, below, names in os.walk(top):
        below[:] = [one for one in below if one != "__pycache__"]
        for name in names:
            path = os.path.join(directory, name)
            with open(path, encoding="utf-8") as file:
                yield os.path.relpath(path, top), file.read()


def rendered(template: Template, *, python: str, name: str, cuda: bool) -> dict[str, str]:
    """Return the files of a template with what was chosen filled in.

    Args:
        template: the template.
        python: version of Python, as in ``3.12``.
        name: of the project; made a name of a distribution (PEP 508) of.
        cuda: whether the CUDA toolkit is wanted.
    """
    made = dict(template.files)
    named = _distribution_name(name)
    for path in MANIFESTS:
        if path in made:
            text = made[path].replace(f'name = "{NAME}"', f'name = "{named}"', 1)
            text = text.replace(f"name: {NAME}", f"name: {named}", 1)
            made[path] = text.replace(f"python ={PYTHON}", f"python ={python}", 1)
    if ".python-version" in made:
        made[".python-version"] = f"{python}\n"
    attribute = python.replace(".", "")
    flake = made["flake.nix"].replace(f"python{PYTHON.replace('.', '')}", f"python{attribute}")
    if cuda:
        for said, wanted in CUDA:
            flake = flake.replace(said, wanted, 1)
    made["flake.nix"] = flake
    return made


def _distribution_name(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return found or NAME
