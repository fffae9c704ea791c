"""The one list of what options there are.

Validation, variables, flags, the JSON Schema (``nixpy.options_schema``) and docs/options.md are
derived from :data:`OPTION_KEYS`.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

__all__ = [
    "CUDA_VERSION",
    "EXTRA_NAME",
    "OPTION_KEYS",
    "VARIABLE_NAME",
    "VARIABLE_VALUE",
    "CondaEngine",
    "ExtrasByVersion",
    "LibraryScope",
    "Lock",
    "Manager",
    "OptionKey",
    "ShellHook",
    "Sync",
    "Value",
    "variable_name_fault",
]

Manager: TypeAlias = Literal["auto", "uv", "pip", "mamba", "none"]
CondaEngine: TypeAlias = Literal["auto", "command", "rattler"]
Lock: TypeAlias = Literal["update", "locked", "frozen"]
Sync: TypeAlias = Literal["auto", "manual"]
ShellHook: TypeAlias = Literal["cache", "skip"]
LibraryScope: TypeAlias = Literal["auto", "shell", "python", "rpath"]
ExtrasByVersion: TypeAlias = "tuple[tuple[str, tuple[str, ...]], ...]"
Kind: TypeAlias = Literal[
    "choice", "text", "text or false", "texts", "boolean", "variables", "choice or extras"
]
Value: TypeAlias = "str | bool | tuple[str, ...] | tuple[tuple[str, str], ...] | ExtrasByVersion"


class OptionKey(NamedTuple):
    """One option.

    ``pattern`` is what a text (or each text of several) must match, in the common ground of
    Python's and ECMAScript's regular expressions, and ``expected`` says so in words.
    ``separator`` divides the texts of a variable or of a flag given as one text; with ``or_one`` a
    file may give one text instead of an array of one.
    """

    name: str
    kind: Kind
    default: Value | None
    help: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    expected: str = ""
    separator: str = ","
    or_one: bool = False

    @property
    def variable(self) -> str:
        """The variable that sets this option."""
        return f"NIXPY_{self.name.upper().replace('-', '_')}"

    @property
    def flag(self) -> str:
        """The flag that sets this option."""
        return f"--{self.name}"


_ANY_TEXT = r"^[^\u0000]+(?![\s\S])"
_NAME = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?![\s\S])"
_NOT_EMPTY = "expected a text that is not empty and without NUL"
_ATTRIBUTE = r"^[A-Za-z_][A-Za-z0-9_'-]*(?:\.[A-Za-z_][A-Za-z0-9_'-]*)*(?![\s\S])"

EXTRA_NAME = _NAME
CUDA_VERSION = r"^(?:[0-9]+(?:\.[0-9]+)?|none)(?![\s\S])"

VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*(?![\s\S])"
VARIABLE_VALUE = r"^[^\u0000]*(?![\s\S])"

OPTION_KEYS: tuple[OptionKey, ...] = (
    OptionKey(
        "manager",
        "choice",
        "auto",
        "What installs; auto decides by the manifests and lock files.",
        choices=("auto", "uv", "pip", "mamba", "none"),
    ),
    OptionKey(
        "python",
        "text",
        None,
        "The interpreter: a version, a version range, a name or a path.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "extras",
        "texts",
        (),
        'Extras to install; "all" alone means all of them.',
        pattern=_NAME,
        expected="expected the name of an extra",
    ),
    OptionKey(
        "groups",
        "texts",
        (),
        'Dependency groups to install beside the default ones; "all" alone means all of them.',
        pattern=_NAME,
        expected="expected the name of a dependency group",
    ),
    OptionKey(
        "requirements",
        "texts",
        (),
        "Requirements files to install from, relative to the project.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "environment",
        "texts",
        (),
        "Conda manifests to install from, relative to the project; what several of them say is "
        "added up.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "channels",
        "texts",
        (),
        "Conda channels, the first one first, before those of the conda manifests.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "conda-engine",
        "choice",
        "auto",
        "What solves and links conda packages: mamba, micromamba or conda (command), py-rattler "
        "(rattler), or the first of them that is there (auto).",
        choices=("auto", "command", "rattler"),
    ),
    OptionKey(
        "exporter",
        "texts",
        (),
        "Requirements for what exports poetry.lock, pdm.lock or Pipfile.lock, or a requirements "
        "file of them, instead of the pinned ones.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "lock",
        "choice",
        "update",
        "What happens to a lock file that no longer matches: it is updated, it is an error, "
        "or it is not looked at (frozen).",
        choices=("update", "locked", "frozen"),
    ),
    OptionKey(
        "exact",
        "boolean",
        None,
        "Whether packages that nothing asks for are removed; by default where a lock file rules.",
    ),
    OptionKey(
        "venv",
        "text",
        ".venv",
        "The directory of the environment, relative to the project or its workspace (for conda "
        '`.conda`); "central" keeps it outside of the project, "named" among conda\'s own.',
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "flake",
        "text or false",
        None,
        "The Nix dev shell: a flake reference with its attribute (`.#ci`), a Nix file, or false "
        "for none; by default that of `flake.nix`, else of `shell.nix` or `default.nix`.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "shell-hook",
        "choice",
        "cache",
        "Whether the dev shell's shellHook is evaluated, once, and what it does to variables kept "
        "(cache), or not at all (skip).",
        choices=("cache", "skip"),
    ),
    OptionKey(
        "shell-exclude",
        "texts",
        (),
        "Further variables, as globs, to leave out of the dev shell's; `!NAME` keeps one that is "
        "left out by default.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "nix-options",
        "texts",
        (),
        "Options for Nix, one word each, as in `--impure`, `--override-input`, `nixpkgs`, "
        "`path:../nixpkgs`.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
        separator=" ",
    ),
    OptionKey(
        "libraries",
        "texts",
        ("auto",),
        "Shared libraries for packages that miss them: what the nixpkgs in flake.lock has of them "
        "(auto), none (off), or those of the attributes of nixpkgs that are named; with `auto` "
        "among them, both.",
        pattern=_ATTRIBUTE,
        expected="expected auto, off or an attribute of nixpkgs",
        or_one=True,
    ),
    OptionKey(
        "library-scope",
        "choice",
        "auto",
        "Who finds them: every program (shell: LD_LIBRARY_PATH), the environment's Python alone "
        "(python), the files that need them alone (rpath: patched); auto is shell, and python "
        "where host programs would break.",
        choices=("auto", "shell", "python", "rpath"),
    ),
    OptionKey(
        "nixpkgs",
        "text",
        None,
        "The flake input that libraries are taken from, as flake.lock names it; `a/b` is the input "
        "b of a; by default `nixpkgs`.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "cuda",
        "choice or extras",
        "auto",
        "Whether CUDA's driver libraries are found (auto) or left out (off); or extras by the "
        'highest CUDA version that the driver can do: `{ "12.8" = ["cu128"], none = ["cpu"] }`.',
        choices=("auto", "off"),
    ),
    OptionKey("env", "variables", (), "Variables to set in the environment.", separator="\n"),
    OptionKey(
        "path",
        "texts",
        (),
        "Directories to put in front of PATH, relative to the project.",
        pattern=r"^[^\u0000:]+(?![\s\S])",
        expected="expected a directory that is not empty and without colon and NUL",
        separator=":",
    ),
    OptionKey(
        "watch",
        "texts",
        (),
        "Further files that the environment depends on, as globs relative to the project.",
        pattern=_ANY_TEXT,
        expected=_NOT_EMPTY,
    ),
    OptionKey(
        "sync",
        "choice",
        "auto",
        "Whether loading the environment installs (auto) or only nixpy sync does (manual).",
        choices=("auto", "manual"),
    ),
)


def variable_name_fault(name: str) -> str | None:
    """Return what is wrong with the name of a variable, or ``None``."""
    if re.search(VARIABLE_NAME, name):
        return None
    return f"expected the name of a variable (letters, digits, underscores), got {name!r}"
