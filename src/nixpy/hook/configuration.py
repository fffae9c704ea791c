"""direnv's configuration: where it lies, and whether it is the same for every evaluation.

direnv sources its libraries and ``direnvrc`` in front of each ``.envrc`` (direnv(1), FILES).
Nothing is said against those that define functions, which none of the commands that are understood
calls, and set variables to what stands there.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixpy.direnv import USERS_LIBRARIES, configuration_directories
from nixpy.hook.reading import Reason, is_pure, text_of
from nixpy.hook.words import NAME, assignments, is_assignable, value, variables_in, words
from nixpy.init.bash_commands import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.init.bash_commands import Chunk

__all__ = ["Configuration", "read_configuration"]

DEEPEST = 10
"""How many files may source one another."""

_KNOWN = frozenset(
    {
        "PATH_add", "__dump_at_exit", "__env_strictness", "__main__", "_nixpy_ask", "_nixpy_hit",
        "_nixpy_warm", "_source_up", "bash", "builtin", "cd", "command", "cygpath", "declare",
        "direnv", "dotenv", "dotenv_if_exists", "echo", "env", "env_vars_required", "eval", "exec",
        "exit", "expand_path", "export", "false", "find_up", "grep", "has", "join_args", "local",
        "log_error", "log_status", "mktemp", "path_add", "popd", "printf", "pushd", "pwd", "read",
        "realpath.absolute", "realpath.basename", "realpath.dirname", "return", "rm", "set",
        "shift", "shopt", "source", "source_env", "source_env_if_exists", "source_up",
        "source_up_if_exists", "strict_env", "test", "trap", "true", "type", "unset", "use",
        "use_nixpy", "user_rel_path", "watch_file",
    }
)  # fmt: skip
"""What the commands that are understood are made of: nobody else may define these."""

_DEFAULT = re.compile(rf"""(["']?)\$\{{({NAME}):?=[\w./:@%+,-]*\}}\1""")

_HOME_OF_USER = "direnv_config_dir_home"
_GOES_ON = {
    f'{_HOME_OF_USER}="${{DIRENV_CONFIG_HOME:-${{XDG_CONFIG_HOME:-$HOME/.config}}/direnv}}"': (
        _HOME_OF_USER
    ),
    f'for lib in "${_HOME_OF_USER}/lib/"*.sh; do source "$lib" done': "lib",
    f"if [[ -f ${_HOME_OF_USER}/direnvrc ]]; then"
    f' source "${_HOME_OF_USER}/direnvrc" >&2'
    " elif [[ -f $HOME/.direnvrc ]]; then"
    ' source "$HOME/.direnvrc" >&2'
    " fi": "",
}
"""How NixOS goes on to the user's configuration (nixpkgs, ``nixos/modules/programs/direnv.nix``),
and the variable that is assigned."""


@dataclass
class Configuration:
    """What direnv is configured by.

    Attributes:
        files: all that it may lie in, whether they are there or not, and directories.
        variables: the names of those whose values count.
        reasons: why direnv is always asked; empty where it need not be.
        loads_dotenv: whether a ``.env`` may take the place of an ``.envrc``.
    """

    files: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    reasons: list[Reason] = field(default_factory=list)
    loads_dotenv: bool = False


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Return what direnv is configured by in an environment."""
    found = Configuration()
    for name, why in (
        ("BASH_ENV", "bash evaluates that file first"),
        ("CDPATH", "files are looked for in other directories"),
    ):
        if environ.get(name):
            found.reasons.append(Reason(name, 0, "", why))
    home = environ.get("HOME", "")
    for directory in configuration_directories(environ):
        library = f"{directory}/lib"
        found.files += [f"{directory}/direnv.toml", f"{directory}/config.toml", library]
        libraries = sorted(glob.glob(f"{glob.escape(library)}/*.sh"))
        goes_on = f"{library}/{USERS_LIBRARIES}" in libraries
        for path in (*libraries, f"{directory}/direnvrc"):
            _file(path, found, home, goes_on=goes_on)
    if home:
        _file(f"{home}/.direnvrc", found, home)
    for path in found.files:
        if path.endswith(".toml") and _loads_dotenv(path):
            found.loads_dotenv = True
            found.reasons.append(Reason(path, 0, "load_dotenv", "any .env may be loaded"))
    return found


def _loads_dotenv(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "dotenv" in file.read()
    except OSError:
        return False


def _file(
    path: str, found: Configuration, home: str, *, goes_on: bool = False, depth: int = 0
) -> None:
    """Read a file that is sourced."""
    found.files.append(path)
    if not os.path.lexists(path):
        return
    text = text_of(path) if depth <= DEEPEST else None
    if text is None:
        found.reasons.append(Reason(path, 0, "", "it cannot be read"))
        return
    if os.path.basename(path) == "nixpy.sh" and "\n# nixpy-version: " in text:
        return
    declared = is_pure(text)
    if "\r" in text and not declared:
        found.reasons.append(Reason(path, 0, "", "its line ends are none for bash"))
    for chunk in chunks(text):
        sourced = _sourced(chunk, home)
        if sourced:
            _file(sourced, found, home, depth=depth + 1)
            continue
        why = _chunk(chunk, found, goes_on=goes_on)
        if why and not declared:
            line = chunk.lines[0].strip()
            found.reasons.append(Reason(path, chunk.first + 1, line, why))


def _sourced(chunk: Chunk, home: str) -> str | None:
    """Return the file that a chunk does nothing but source."""
    found = words(chunk.text.strip()) or []
    if len(found) != 2 or found[0] not in {"source", "."}:  # noqa: PLR2004 - command, file
        return None
    path = value(found[1], {"HOME": home} if home else {})
    return path if path and path.startswith("/") else None


def _chunk(chunk: Chunk, found: Configuration, *, goes_on: bool) -> str:
    """Take lines that belong together; return why they are not understood, or nothing."""
    if chunk.function in _KNOWN:
        return f"it changes what {chunk.function} does"
    if chunk.is_definition or chunk.is_blank:
        return ""
    names = _assigned(chunk.text.strip())
    if names is None and goes_on:
        lines = (line.split("#")[0] for line in chunk.lines)
        name = _GOES_ON.get(" ".join(" ".join(lines).split()))
        names = name if name is None else {name} - {""}
    if names is None:
        return "it runs each time"
    found.variables |= names
    return ""


def _assigned(text: str) -> set[str] | None:
    """Return the variables that a command does nothing but give values of its own."""
    found = assignments(text.removeprefix("export "))
    if found:
        names = {name for name, word in found if not variables_in(word)}
        is_plain = len(names) == len({name for name, _ in found})
        return names if is_plain and all(map(is_assignable, names)) else None
    command, _, rest = text.partition(" ")
    if command == ":" and (default := _DEFAULT.fullmatch(rest.strip())):
        return {default[2]} if is_assignable(default[2]) else None
    if command == "unset":
        unset = words(rest) or [""]
        if all(re.fullmatch(NAME, name) and is_assignable(name) for name in unset):
            return set(unset)
    return None
