"""An ``.envrc`` from before nixpy, said anew with ``use nixpy``. Pure.

Each chunk of lines is *translated* (``use nixpy`` does it; flags keep what was chosen), *moved* (a
setting of a manager that stood behind ``use flake`` goes in front of ``use nixpy``), *left* (it is
about environments, and only its author can say what is meant) or *kept*. What is left and kept
stays as it is, where it is. What the commands mean is in :mod:`nixpy.init.replaced`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from nixpy.init.bash_commands import chunks, is_assignment
from nixpy.init.replaced import concerns_environments, replaced, variables_set
from nixpy.init.replacement import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nixpy.init.bash_commands import Chunk
    from nixpy.init.replacement import Replaced

__all__ = ["Fate", "Line", "Translation", "says_nixpy", "translate"]

_SAYS_NIXPY = re.compile(r"^[ \t]*use[ _]nixpy(?:\s|$)", re.MULTILINE)
_OF_MANAGERS = re.compile(r"(?:UV|PIP|CONDA|MAMBA|NIXPY|NIX)_")
_ON_PATH = frozenset({"PATH_add", "path_add", "PATH_rm"})
_HARMLESS = frozenset(
    {
        *("[", "[[", "test", "has", "command", "type", "which", "true", "false", ":"),
        *("echo", "printf", "log_status", "log_error", "return", "exit", "mkdir", "local"),
        *("nix_direnv_version", "direnv_version", "expand_path"),
    }
)
"""Commands that only ask or say something: they go with what is asked or said for."""

REFUSED = "# before nixpy: "


class Fate(Enum):
    """What becomes of a line."""

    TRANSLATED = "translated"
    MOVED = "moved"
    LEFT = "left"
    KEPT = "kept"


class Line(NamedTuple):
    """A line of the old file.

    Attributes:
        number: from 1.
        text: what it said.
        fate: what became of it.
        note: why, in words; empty for what is kept.
    """

    number: int
    text: str
    fate: Fate
    note: str = ""


@dataclass(frozen=True, slots=True)
class Translation:
    """A new ``.envrc``, and an account of every line of the old one."""

    text: str
    lines: tuple[Line, ...]
    arguments: tuple[str, ...] = ()
    changed: bool = True

    @property
    def done(self) -> tuple[Line, ...]:
        """The lines that ``use nixpy`` stands for now, or that were moved."""
        return tuple(one for one in self.lines if one.fate in {Fate.TRANSLATED, Fate.MOVED})

    @property
    def left(self) -> tuple[Line, ...]:
        """The lines that could not be translated."""
        return tuple(one for one in self.lines if one.fate is Fate.LEFT)


def says_nixpy(text: str) -> bool:
    """Whether an ``.envrc`` says ``use nixpy`` already."""
    return _SAYS_NIXPY.search(text) is not None


def translate(
    text: str,
    surroundings: Surroundings | None = None,
    *,
    is_valid: Callable[[str], bool] = lambda _: True,
) -> Translation:
    """Return an ``.envrc`` that says ``use nixpy`` for what ``text`` does.

    Args:
        text: the old one.
        surroundings: what is beside it.
        is_valid: whether bash would read a text; what it would not is not built upon: then every
            line becomes a comment, and counts as left.
    """
    old = _lines(text)
    if says_nixpy(text):
        kept = tuple(Line(number, one, Fate.KEPT) for number, one in enumerate(old, 1))
        return Translation(text, kept, changed=False)
    made = _Translator(text, surroundings or Surroundings()).translation()
    if is_valid(made.text):
        return made
    note = "bash cannot read this file as it stands, so that it is kept as comments"
    lines = tuple(Line(number, one, Fate.LEFT, note) for number, one in enumerate(old, 1))
    comments = "".join(f"{REFUSED}{one}".rstrip(" ") + "\n" for one in old)
    return Translation(f"use nixpy\n{comments}", lines)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


@dataclass
class _Judged:
    """A chunk, and what becomes of it."""

    chunk: Chunk
    fate: Fate
    note: str = ""
    meanings: Sequence[Replaced] = field(default_factory=tuple)


class _Translator:
    def __init__(self, text: str, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.judged = [self._judge(chunk) for chunk in chunks(text)]
        self._keep_functions_in_use()
        self._keep_hooks_in_use()

    def translation(self) -> Translation:
        place = self.place = self._place()
        self._move(place)
        arguments = self._arguments()
        new: list[str] = []
        for index, one in enumerate(self.judged):
            if index == place:
                new += [line for x in self.judged if x.fate is Fate.MOVED for line in x.chunk.lines]
                new.append(" ".join(("use nixpy", *map(shlex.quote, arguments))))
            if one.fate in {Fate.LEFT, Fate.KEPT} and not self._is_gap(index, new):
                new += one.chunk.lines
        if place == len(self.judged):
            new.append("use nixpy")
        accounted = tuple(
            Line(one.chunk.first + offset + 1, line, one.fate, one.note)
            for one in self.judged
            for offset, line in enumerate(one.chunk.lines)
        )
        return Translation("\n".join(new) + "\n", accounted, arguments)

    def _is_gap(self, index: int, new: list[str]) -> bool:
        """Whether it is an empty line that only kept something apart that is gone."""
        stays = {Fate.LEFT, Fate.KEPT}
        if not index or any(map(_is_visible, self.judged[index].chunk.lines)):
            return False
        is_behind_gone = self.judged[index - 1].fate not in stays
        rest = self.judged[index + 1 :]
        is_last = not any(x.fate in stays and any(map(_is_visible, x.chunk.lines)) for x in rest)
        return (is_behind_gone and not (new and _is_visible(new[-1]))) or (
            is_last and index >= self.place
        )

    def _judge(self, chunk: Chunk) -> _Judged:
        if not chunk.is_complete:
            return _Judged(chunk, Fate.LEFT, "something in it is not closed")
        if chunk.function:
            return self._judge_function(chunk)
        found: list[Replaced] = []
        unknown = False
        for command in chunk.commands:
            meaning = replaced(command, self.surroundings)
            if meaning is not None and not meaning.obstacle:
                found.append(meaning)
            elif meaning is not None:
                return _Judged(chunk, Fate.LEFT, meaning.obstacle)
            elif not (chunk.is_compound and command[0] in _HARMLESS):
                unknown = True
        concerned = bool(found) or any(map(concerns_environments, chunk.commands))
        if not concerned:
            return _Judged(chunk, Fate.KEPT)
        if unknown or not found:
            return _Judged(chunk, Fate.LEFT, "nixpy cannot tell what it is for")
        if chunk.has_alternatives and len({one.arguments for one in found}) > 1:
            return _Judged(chunk, Fate.LEFT, "it chooses between environments")
        notes = dict.fromkeys(one.note for one in found if one.note)
        return _Judged(chunk, Fate.TRANSLATED, "; ".join(notes), found)

    def _judge_function(self, chunk: Chunk) -> _Judged:
        name = chunk.function.partition("_")
        words = (name[0], name[2]) if name[1] else (chunk.function,)
        meaning = replaced(words, self.surroundings) if name[0] in {"layout", "use"} else None
        if meaning is not None:
            return _Judged(chunk, Fate.TRANSLATED, "`use nixpy` takes the function's place")
        if any(map(concerns_environments, chunk.commands)):
            return _Judged(chunk, Fate.LEFT, "a function of your own")
        return _Judged(chunk, Fate.KEPT)

    def _keep_functions_in_use(self) -> None:
        """Keep the functions that something calls which stays."""
        for one in self.judged:
            if not one.chunk.function or one.fate is not Fate.TRANSLATED:
                continue
            kind, _, rest = one.chunk.function.partition("_")
            call = re.compile(rf"\b{re.escape(kind)}[ \t_]+{re.escape(rest)}(?![\w-])")
            for other in self.judged:
                if other is not one and other.fate in {Fate.LEFT, Fate.KEPT}:
                    code = "\n".join(" ".join(words) for words in other.chunk.commands)
                    if call.search(code):
                        one.fate, one.note = Fate.LEFT, "something that stays calls it"

    def _keep_hooks_in_use(self) -> None:
        """Keep what makes ``conda activate`` a command where one stays."""
        stays = any(
            words[:1] and words[0] in {"conda", "mamba", "micromamba"}
            for one in self.judged
            if one.fate is Fate.LEFT
            for words in one.chunk.commands
        )
        for one in self.judged:
            if stays and one.meanings and all(x.is_hook for x in one.meanings):
                one.fate, one.note, one.meanings = Fate.LEFT, "something that stays needs it", ()

    def _place(self) -> int:
        """Return the index of the chunk that ``use nixpy`` goes before."""

        def first(holds: Callable[[_Judged], bool]) -> int | None:
            return next((at for at, one in enumerate(self.judged) if holds(one)), None)

        # Functions and hooks are only prepared; what uses them says where.
        for holds in (
            lambda one: (
                one.fate is Fate.LEFT
                or (one.fate is Fate.TRANSLATED and any(not x.is_hook for x in one.meanings))
            ),
            lambda one: one.fate is Fate.TRANSLATED,
            lambda one: any(words[0] in _ON_PATH for words in one.chunk.commands),
        ):
            at = first(holds)
            if at is not None:
                return at
        return len(self.judged)

    def _move(self, place: int) -> None:
        """Move settings that a manager reads before ``use nixpy``, which is where it runs now."""
        installs = [at for at, one in enumerate(self.judged) if any(x.syncs for x in one.meanings)]
        last = max(installs, default=place)
        for one in self.judged[place:last]:
            names = _only_variables(one.chunk)
            if one.fate is Fate.KEPT and names and all(map(_OF_MANAGERS.match, names)):
                one.fate, one.note = Fate.MOVED, "the sync reads it, so it goes before `use nixpy`"

    def _arguments(self) -> tuple[str, ...]:
        """Return the flags, of those that can be said once the first."""
        found: dict[str, tuple[str, ...]] = {}
        meanings = [one for x in self.judged if x.fate is Fate.TRANSLATED for one in x.meanings]
        for meaning in meanings:
            for flag in meaning.arguments:
                name = flag[0]
                if name in _REPEATED and flag not in _split(found.get(name, ()), len(flag)):
                    found[name] = (*found.get(name, ()), *flag)
                else:
                    found.setdefault(name, flag)
        # What was only activated may hold what somebody installed by hand.
        activates = any(one.activates for one in meanings)
        if activates and not any(one.syncs for one in meanings):
            found.setdefault("--no-exact", ("--no-exact",))
        return tuple(word for words in found.values() for word in words)


_REPEATED = frozenset(
    {
        *("--extras", "--groups", "--requirements", "--environment", "--channels", "--watch"),
        *("--nix-options", "--override-input", "--option", "--arg", "--argstr", "--update-input"),
    }
)


def _split(words: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    return [words[at : at + size] for at in range(0, len(words), size)]


def _only_variables(chunk: Chunk) -> list[str]:
    """Return the variables that a chunk sets, if it does nothing else."""
    names: list[str] = []
    for command in chunk.commands:
        words = command[1:] if command[0] == "export" else command
        if not all(map(is_assignment, words)):
            return []
        names += variables_set(command)
    return names


def _is_visible(line: str) -> bool:
    return bool(line.strip(" \t\r"))
