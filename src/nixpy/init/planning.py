"""Which files a project lacks, what they are to say and what each is for. Pure."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import UsageError
from nixpy.init.replacement import Surroundings
from nixpy.init.template import MANIFESTS, PYTHON, read_template, rendered
from nixpy.init.translation import says_nixpy, translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixpy.init.surroundings import Present
    from nixpy.init.translation import Translation

__all__ = ["Kind", "Plan", "Proposed", "Wishes", "plan", "template_for"]

NIX_FILES = ("flake.nix", "shell.nix", "default.nix")
_ORDER = (".envrc", "flake.nix", *MANIFESTS, ".python-version", ".gitignore")
_PYTHONS = (PYTHON, "3.14", "3.12", "3.11", "3.10")
_VERSION = re.compile(r"3\.\d+")


class Kind(Enum):
    """How a file that is proposed stands to what is there."""

    NEW = "new"
    APPEND = "append"
    TRANSLATE = "translate"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"


class Proposed(NamedTuple):
    """A file that a project is to have.

    Attributes:
        path: relative to the project.
        content: what it is to say, as a whole.
        why: what it is for.
        kind: how that stands to what is there.
        before: what it says now; ``None`` where it is not there.
    """

    path: str
    content: str
    why: str
    kind: Kind
    before: str | None = None

    @property
    def is_safe(self) -> bool:
        """Whether writing it loses nothing, so that nobody has to be asked again."""
        return self.kind in {Kind.NEW, Kind.APPEND, Kind.TRANSLATE}


class Wishes(NamedTuple):
    """What a user asked for; ``None`` leaves it to what is there."""

    template: str | None = None
    python: str | None = None
    nix: bool | None = None
    cuda: bool = False


class Plan(NamedTuple):
    """What is to be written.

    Attributes:
        template: name of the template that was followed.
        files: every file that was thought of, also those that stay.
        remarks: what was left out of the template, and why.
        translation: of the old ``.envrc``, where there was one.
    """

    template: str
    files: tuple[Proposed, ...]
    remarks: tuple[str, ...] = ()
    translation: Translation | None = None

    @property
    def to_write(self) -> tuple[Proposed, ...]:
        """The files that are not yet as proposed."""
        return tuple(one for one in self.files if one.kind is not Kind.UNCHANGED)


def template_for(present: Present) -> str:
    """Return the name of the template that fits what is there."""
    manifests = set(present.manifests)
    by_conda = {one for one in manifests if one.startswith(("environment.", "conda-lock", "pixi"))}
    if "uv.lock" in manifests or "pylock.toml" in manifests:
        return "uv"
    if by_conda:
        return "mamba"
    if "poetry.lock" in manifests or "[tool.poetry]" in present.texts.get("pyproject.toml", ""):
        return "poetry"
    if manifests == {"requirements.txt"} or (present.installed and not manifests):
        return "pip"
    if not manifests and any(name in present.names for name in NIX_FILES):
        return "nix-only"
    return "uv"


def plan(
    present: Present, wishes: Wishes, *, is_valid: Callable[[str], bool] = lambda _: True
) -> Plan:
    """Return what ``nixpy init`` is to write.

    Args:
        present: what is there.
        wishes: what the user asked for.
        is_valid: whether bash would read a text.

    Raises:
        UsageError: a template that is none, or a version that is none.
    """
    return _Planner(present, wishes, is_valid).plan()


class _Planner:
    def __init__(self, present: Present, wishes: Wishes, is_valid: Callable[[str], bool]) -> None:
        if wishes.python is not None and not _VERSION.fullmatch(wishes.python):
            raise UsageError(
                f"{wishes.python!r} is no version of Python",
                where="--python",
                next="Say one as in `--python 3.12`.",
            )
        self.present = present
        self.wishes = wishes
        self.is_valid = is_valid
        self.name = wishes.template or template_for(present)
        self.remarks: list[str] = []
        self.translation = self._translation()
        self.is_chosen = wishes.template is not None
        self.declares = bool(present.manifests or present.installed) or self._names_manifests()
        self.has_nix_files = any(name in present.names for name in NIX_FILES)
        # Without a template only what nothing else declares is added to what is there.
        self.writes_manifest = not self.declares and (
            self.is_chosen or not self.has_nix_files or wishes.nix is True
        )
        self.writes_example = not self.declares and (self.is_chosen or present.is_new)
        self.writes_flake = self._wants_flake()
        self.python = self._python()

    def plan(self) -> Plan:
        template = read_template(self.name)
        if not self.writes_example:
            template = template._replace(files=_without_example(template.files))
        files = rendered(
            template,
            python=self.python,
            name=os.path.basename(self.present.directory),
            cuda=self.wishes.cuda,
        )
        if self.present.installed and not self.present.manifests:
            files["requirements.txt"] = "".join(f"{one}\n" for one in self.present.installed)
        if self.wishes.python and self.name not in {"mamba", "nix-only"}:
            files[".python-version"] = f"{self.python}\n"
        found = [one for path, text in files.items() if (one := self._proposed(path, text))]
        left_out = [one for one in files if one in MANIFESTS and one not in {x.path for x in found}]
        if self.is_chosen and left_out:
            there = ", ".join(self.present.manifests or ["what is installed"])
            self.remarks.append(
                f"{', '.join(left_out)} of the template is left out: {there} says what to install"
            )
        found.sort(key=lambda one: _ORDER.index(one.path) if one.path in _ORDER else len(_ORDER))
        return Plan(self.name, tuple(found), tuple(self.remarks), self.translation)

    def _translation(self) -> Translation | None:
        before = self.present.texts.get(".envrc")
        if before is None or says_nixpy(before):
            return None
        name = os.path.basename(self.present.directory)
        beside = Surroundings(self.present.names, self.present.conda_name, name)
        return translate(before, beside, is_valid=self.is_valid)

    def _names_manifests(self) -> bool:
        """Whether the ``.envrc`` names files to install from."""
        text = self.translation.text if self.translation else self.present.texts.get(".envrc", "")
        return (
            re.search(r"^\s*use[ _]nixpy\b.* --(?:requirements|environment)\b", text, re.MULTILINE)
            is not None
        )

    def _wants_flake(self) -> bool:
        if self.wishes.nix is not None:
            return self.wishes.nix
        if self.wishes.cuda or self.wishes.template == "nix-only":
            return True
        is_new = not self.declares and not self.has_nix_files
        return is_new and self.present.has_nix and (self.is_chosen or self.present.is_new)

    def _python(self) -> str:
        there = self.present.texts.get(".python-version", "").strip()
        if self.wishes.python:
            return self.wishes.python
        if match := re.match(r"(3\.\d+)(?:\.\d+)?$", there):
            return match[1]
        if self.present.requires_python:
            from packaging.specifiers import InvalidSpecifier, SpecifierSet

            try:
                allowed = SpecifierSet(self.present.requires_python)
            except InvalidSpecifier:
                return PYTHON
            return next((one for one in _PYTHONS if allowed.contains(f"{one}.99")), PYTHON)
        # With a flake it comes from nixpkgs, without one what is there saves a download.
        is_found_here = not self.writes_flake and self.name != "mamba"
        return (self.present.python if is_found_here else "") or PYTHON

    def _proposed(self, path: str, text: str) -> Proposed | None:
        if path == ".envrc":
            return self._envrc(text)
        if path == ".gitignore":
            return self._gitignore(text)
        if path == "flake.nix":
            return self._flake(text)
        if path == "requirements.txt" and self.present.installed and not self.present.manifests:
            why = "pins what was installed by hand in the environment before"
            return self._compared(path, text, why)
        if path in MANIFESTS:
            return self._manifest(path, text) if self.writes_manifest else None
        if path == ".python-version":
            wanted = self.writes_manifest or bool(self.wishes.python)
            return self._compared(path, text, _WHY_PYTHON) if wanted else None
        return self._compared(path, text, "an example to begin with")

    def _compared(self, path: str, text: str, why: str) -> Proposed:
        before = self.present.texts.get(path)
        kind = Kind.NEW if before is None else Kind.DIFFERS
        if before == text or (before and path == ".python-version" and not self.wishes.python):
            kind, text = Kind.UNCHANGED, before
        return Proposed(path, text, why, kind, before)

    def _envrc(self, text: str) -> Proposed:
        why = "direnv loads the environment by it"
        before = self.present.texts.get(".envrc")
        if before is None:
            return Proposed(".envrc", text, why, Kind.NEW)
        if self.translation is None:
            return Proposed(".envrc", before, why, Kind.UNCHANGED, before)
        return Proposed(".envrc", self.translation.text, why, Kind.TRANSLATE, before)

    def _gitignore(self, text: str) -> Proposed:
        why = "keeps the environment out of git"
        before = self.present.texts.get(".gitignore")
        if before is None:
            return Proposed(".gitignore", text, why, Kind.NEW)
        there = {line.strip().strip("/") for line in before.splitlines()}
        missing = [line for line in text.splitlines() if line.strip("/") not in there]
        if not missing:
            return Proposed(".gitignore", before, why, Kind.UNCHANGED, before)
        gap = "" if before.endswith("\n") or not before else "\n"
        added = "".join(f"{line}\n" for line in missing)
        return Proposed(".gitignore", f"{before}{gap}{added}", why, Kind.APPEND, before)

    def _flake(self, text: str) -> Proposed | None:
        why = "interpreter, programs and libraries from nixpkgs"
        before = self.present.texts.get("flake.nix")
        if self.writes_flake:
            return self._compared("flake.nix", text, why)
        if before is not None:
            return Proposed("flake.nix", before, why, Kind.UNCHANGED, before)
        return None

    def _manifest(self, path: str, text: str) -> Proposed:
        why = "says which packages are installed"
        before = self.present.texts.get(path)
        if path != "pyproject.toml" or before is None or before == text:
            return self._compared(path, text, why)
        # It only configures tools so far.
        tables = re.compile(r"^\[+([^\]]+)\]+", re.MULTILINE)
        if not set(tables.findall(before)) & set(tables.findall(text)):
            gap = "\n" if before.endswith("\n") else "\n\n" if before else ""
            return Proposed(path, f"{before}{gap}{text}", why, Kind.APPEND, before)
        return Proposed(path, text, why, Kind.DIFFERS, before)


_WHY_PYTHON = "says which Python is meant"


def _without_example(files: dict[str, str]) -> dict[str, str]:
    """Return the files without the example, and without what only the example imports."""
    kept = {path: text for path, text in files.items() if path in _ORDER}
    if "pyproject.toml" in kept:
        kept["pyproject.toml"] = kept["pyproject.toml"].replace('["rich>=13"]', "[]")
    return kept
