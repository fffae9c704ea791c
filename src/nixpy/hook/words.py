"""Words of bash that come to the same whoever reads them, and the variables in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "NAME",
    "assignments",
    "is_assignable",
    "is_dynamic",
    "value",
    "variables_in",
    "words",
]

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""What a variable is called."""

_VARIABLE = rf"\$(?:{NAME}|\{{{NAME}\}})"
# What stands for itself anywhere in a word: no pattern, no brace, no `~` but a leading `~/`.
_PLAIN = r"(?:[\w./:=@%+,-]|\\[ \w./:=@%+,~$'\"\\-])"
_SINGLE = r"'[^'\n]*'"
_DOUBLE = rf'"(?:[^"\\$`\n]|\\["\\$`]|{_VARIABLE})*"'
_WORD = re.compile(rf"(?:~/)?(?:{_PLAIN}|{_SINGLE}|{_DOUBLE})+|~")
_ASSIGNMENT = re.compile(rf"({NAME})=(?:~/)?(?:{_PLAIN}|{_SINGLE}|{_DOUBLE}|{_VARIABLE})*")
_PIECE = re.compile(
    rf"(?P<single>{_SINGLE})|(?P<double>{_DOUBLE})|\\(?P<escaped>.)|(?P<variable>{_VARIABLE})"
    r"|(?P<plain>[^'\"\\$]+)"
)
_PIECE_IN_DOUBLE = re.compile(
    rf'\\(?P<escaped>["\\$`])|(?P<variable>{_VARIABLE})|(?P<plain>[^\\$]+)'
)
_SEPARATOR = re.compile(r"[ \t]+")

_DYNAMIC = frozenset(
    {
        "BASH", "BASHOPTS", "BASHPID", "BASH_ALIASES", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0",
        "BASH_CMDS", "BASH_COMMAND", "BASH_COMPAT", "BASH_ENV", "BASH_EXECUTION_STRING",
        "BASH_LINENO", "BASH_LOADABLES_PATH", "BASH_MONOSECONDS", "BASH_REMATCH", "BASH_SOURCE",
        "BASH_SUBSHELL", "BASH_TRAPSIG", "BASH_VERSINFO", "BASH_VERSION", "BASH_XTRACEFD",
        "COLUMNS", "COPROC", "DIRENV_BASH", "DIRENV_CONFIG", "DIRENV_DIFF", "DIRENV_DIR",
        "DIRENV_DUMP_FILE_PATH", "DIRENV_FILE", "DIRENV_IN_ENVRC", "DIRENV_LOG_FORMAT",
        "DIRENV_WATCHES", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME",
        "FUNCNEST", "GROUPS", "HISTCMD", "HOSTNAME", "HOSTTYPE", "LINENO", "LINES", "MACHTYPE",
        "MAPFILE", "OLDPWD", "OPTARG", "OPTERR", "OPTIND", "OSTYPE", "PIPESTATUS", "PPID",
        "RANDOM", "REPLY", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "_", "direnv",
        "direnv_config_dir", "lib",
    }
)  # fmt: skip
"""Variables that bash or direnv's stdlib gives values of their own."""

_DYNAMIC_PREFIXES = ("COMP_", "READLINE_", "_nixpy_")

_WITH_DEFAULT = frozenset({"DIRENV_LOG_FORMAT"})
"""Those among them that keep a value which they were given."""

_SPECIAL = frozenset(
    {"CDPATH", "EXECIGNORE", "GLOBIGNORE", "HOME", "IFS", "POSIXLY_CORRECT", "PWD"}
)
"""Variables by which an assignment changes what the lines after it mean."""


def is_dynamic(name: str) -> bool:
    """Whether a variable has a value that its environment does not give it."""
    return name in _DYNAMIC or name.startswith(_DYNAMIC_PREFIXES)


def is_assignable(name: str) -> bool:
    """Whether an assignment to a variable is just that, and changes nothing else."""
    return name in _WITH_DEFAULT or (not is_dynamic(name) and name not in _SPECIAL)


def words(text: str) -> list[str] | None:
    """Return the words of a line as they are written, or ``None`` where it is not plain."""
    return _split(text, _WORD)


def assignments(text: str) -> list[tuple[str, str]] | None:
    """Return assignments as names and words, or ``None`` where the text is anything else.

    No word of theirs is split, whatever the variables in it hold (bash(1), PARAMETERS; and
    BUILTINS, of ``export``).
    """
    found = _split(text, _ASSIGNMENT)
    if found is None:
        return None
    pairs = (word.partition("=") for word in found)
    return [(name, text) for name, _, text in pairs]


def _split(text: str, pattern: re.Pattern[str]) -> list[str] | None:
    found: list[str] = []
    at = 0
    while at < len(text):
        gap = _SEPARATOR.match(text, at)
        if gap:
            at = gap.end()
        elif found:
            return None
        if at == len(text) or text[at] == "#":
            break
        matched = pattern.match(text, at)
        if matched is None:
            return None
        found.append(matched[0])
        at = matched.end()
    return found


def variables_in(word: str) -> set[str]:
    """Return the variables that a word or the value of an assignment refers to."""
    return {text for text, is_variable in _pieces(word) if is_variable}


def value(word: str, known: Mapping[str, str]) -> str | None:
    """Return what a word comes to where ``known`` are the variables with their values.

    ``None`` where it holds another one. ``~`` is ``HOME``.
    """
    found: list[str] = []
    if word == "~" or word.startswith("~/"):
        if "HOME" not in known:
            return None
        found.append(known["HOME"])
        word = word[1:]
    for text, is_variable in _pieces(word):
        if is_variable and text not in known:
            return None
        found.append(known[text] if is_variable else text)
    return "".join(found)


def _pieces(word: str) -> Iterator[tuple[str, bool]]:
    """Yield the text and the names of the variables that a word is made of."""
    for piece in _PIECE.finditer(word):
        if piece["single"] is not None:
            yield piece["single"][1:-1], False
        elif piece["double"] is not None:
            for inner in _PIECE_IN_DOUBLE.finditer(piece["double"][1:-1]):
                yield _piece(inner)
        else:
            yield _piece(piece)


def _piece(piece: re.Match[str]) -> tuple[str, bool]:
    if piece["variable"] is not None:
        return piece["variable"].strip("${}"), True
    return piece["plain"] if piece["escaped"] is None else piece["escaped"], False
