"""What the hooks source: answers as functions of bash, zsh and fish.

Each function fails at the first condition that does not hold. Only builtins are used, and nothing
is written but what direnv said, to stderr. Variables and functions begin with ``_nixpy_``; what
an answer changes is not among them.
"""

from __future__ import annotations

import itertools
import os
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nixpy.inputs import MASK, digest
from nixpy.shells import bash, fish, zsh
from nixpy.stamp import BATCH, NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nixpy.hook.answers import Answer, Answers, Direnv
    from nixpy.hook.conditions import Condition

__all__ = ["render_answers", "render_direnvs"]

T = TypeVar("T")

STATE = ("DIRENV_DIFF", "DIRENV_DIR", "DIRENV_FILE", "DIRENV_WATCHES")
"""The variables by which direnv knows what is loaded."""

FEWEST = 3
"""Files that are absent in one directory, for which it is looked at first."""

LONG = 60
"""Characters from which on a value is looked up and not compared."""

SHORT = 16
"""Hexadecimal digits that stand for a long value."""


def render_answers(shell: str, directory: str, end: str, answers: Answers) -> str:
    """Return what the hook of ``shell`` sources where ``directory`` is entered, left or stayed in.

    It defines ``_nixpy_watched_…``, ``_nixpy_enter_…`` and ``_nixpy_leave_…``, each of which takes
    the directory of reference files, and in the end notes that their names ``end`` so.
    """
    dialect = _DIALECTS[shell]
    lines = [dialect.assignment("_nixpy_always", "always" if answers.always else "")]
    lines += dialect.values([one.watches for one in answers.watched])
    lines += dialect.values(_compared(*answers.entering, *answers.leaving))
    watched = (
        [*dialect.watches_are(one.watches), *dialect.conditions(one.conditions)]
        for one in answers.watched
    )
    lines += dialect.choice(f"_nixpy_watched_{end}", watched)
    lines += dialect.choice(f"_nixpy_enter_{end}", map(dialect.answer, answers.entering))
    lines += dialect.choice(f"_nixpy_leave_{end}", map(dialect.answer, answers.leaving))
    lines += dialect.note(directory, end)
    return dialect.whole(lines)


def render_direnvs(shell: str, direnvs: Sequence[Direnv]) -> str:
    """Return what tells whether direnv is one that is known.

    It defines ``_nixpy_direnv``, which takes the directory of reference files and what is loaded,
    and sets ``_nixpy_direnv_is`` to the identifier; and ``_nixpy_prompt``, which takes the same
    where nothing is to be evaluated.
    """
    dialect = _DIALECTS[shell]
    evaluating = (
        [
            *dialect.names_are(one.names),
            *dialect.conditions(one.conditions),
            dialect.assignment("_nixpy_direnv_is", one.identifier),
        ]
        for one in direnvs
    )
    idle = ([*dialect.names_are(one.names), *dialect.conditions(one.prompting)] for one in direnvs)
    lines = dialect.values(_compared(*direnvs))
    lines += dialect.choice("_nixpy_direnv", evaluating)
    lines += dialect.choice("_nixpy_prompt", idle)
    return dialect.whole(lines)


class Dialect(ABC):
    """How one shell says it."""

    both = " && "
    """What stands between two tests that are to hold."""

    @abstractmethod
    def quote(self, value: str) -> str:
        """Return a value as one word."""

    @abstractmethod
    def whole(self, lines: Sequence[str]) -> str:
        """Return the text that is sourced: one block, of which a shell runs all or nothing.

        So what is cut off does nothing.
        """

    @abstractmethod
    def assignment(self, name: str, value: str) -> str:
        """Return the command that sets a variable of the shell's own."""

    @abstractmethod
    def note(self, directory: str, end: str) -> list[str]:
        """Return the commands by which the hook finds the functions for a directory."""

    def values(self, values: Iterable[str]) -> list[str]:  # noqa: ARG002
        """Return the commands that are needed for variables to be compared with ``values``."""
        return []

    @abstractmethod
    def function(self, name: str, body: Iterable[str]) -> list[str]:
        """Return the definition of a function that ends with success."""

    @abstractmethod
    def first(self, name: str, others: Sequence[str]) -> list[str]:
        """Return the definition of a function that is the first of others that succeeds."""

    def choice(self, name: str, bodies: Iterable[Sequence[str]]) -> list[str]:
        """Return the definition of a function that does the first of ``bodies`` that succeeds."""
        those = list(bodies)
        if len(those) == 1:  # A call costs as much as looking at two files.
            return self.function(name, those[0])
        names = [f"{name}_{number}" for number in range(len(those))]
        each = (self.function(one, body) for one, body in zip(names, those, strict=True))
        return [*itertools.chain.from_iterable(each), *self.first(name, names)]

    @abstractmethod
    def names_are(self, names: Sequence[str]) -> list[str]:
        """Return what returns from a function where other variables begin with ``DIRENV_``.

        Its second argument is empty where none of :data:`STATE` is to be among them.
        """

    @abstractmethod
    def watches_are(self, value: str) -> list[str]:
        """Return what returns from a function where ``DIRENV_WATCHES``, exported, is another."""

    @abstractmethod
    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        """Return commands that return from a function where a condition does not hold."""

    def file(self, kind: str, name: str, value: str) -> str:
        """Return the test of a condition about a file, but for its time."""
        path = self.quote(name)
        if kind == "target":
            return f"{path} -ef {self.quote(value)}"
        if kind == "file":
            return f"-f {path}{self.both}-r {path}"
        return f"{_TESTS[kind]} {path}"

    def are_absent(self, paths: Sequence[str]) -> str:
        """Return the test that none of these files is there."""
        return self.both.join(f"! -e {self.quote(path)}" for path in paths)

    @abstractmethod
    def answer(self, answer: Answer) -> list[str]:
        """Return the conditions of an answer, and what it does."""


class _Bash(Dialect):
    def whole(self, lines: Sequence[str]) -> str:
        return "\n".join(("{", *lines, "}", ""))

    def assignment(self, name: str, value: str) -> str:
        return f"{name}={self.quote(value)}"

    def quote(self, value: str) -> str:
        # Each character of a word costs, and so do quotes.
        return value if _PLAIN.fullmatch(value) else bash.quote(value)

    def note(self, directory: str, end: str) -> list[str]:
        return [
            self.assignment("_nixpy_value", directory),
            f'_nixpy_functions["=$_nixpy_value"]={end}',
            "unset -v _nixpy_value",
        ]

    def function(self, name: str, body: Iterable[str]) -> list[str]:
        return [f"{name}() {{", *body, "return 0", "}"]

    def first(self, name: str, others: Sequence[str]) -> list[str]:
        those = (f'{other} "$@"' for other in others)
        return [f"{name}() {{", " || ".join((*those, "return 1")), "}"]

    def values(self, values: Iterable[str]) -> list[str]:
        those = sorted(filter(_is_long, {*values}))
        return [f"_nixpy_values[={value}]={_short(value)}" for value in those]

    def names_are(self, names: Sequence[str]) -> list[str]:
        idle, loaded = (self.names_with("DIRENV_", those) for those in (names, (*names, *STATE)))
        return [f"[[ -n $2 && {loaded} || -z $2 && {idle} ]] || return 1"]

    def watches_are(self, value: str) -> list[str]:
        return [*_returning([self.is_value("DIRENV_WATCHES", value)])]

    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        by = _by_kind(conditions)
        # What looks at no file comes first: most answers that do not hold fail there.
        operands = [
            *self.exported([one.name for kind in _WITH_VALUES for one in by[kind]]),
            *(self.has_value(*one) for kind in _WITH_VALUES for one in by[kind]),
            *self.not_exported([one.name for one in by["unset"]]),
            *(self.file(*one) for kind in _OF_FILES for one in by[kind]),
        ]
        return [
            *_returning(operands),
            *self.times(by["time"], _by_directory(by["absent"])),
            *_returning([self.names_with(one.name, one.value.split()) for one in by["names"]]),
            *(command for one in by["before"] for command in self.before(one.value)),
        ]

    def has_value(self, kind: str, name: str, value: str) -> str:
        if kind == "filled":
            return f"-n ${name}"
        if kind == "like":
            parts = value.split(MASK)
            return f"${name} == {'*'.join(self.quote(part) if part else '' for part in parts)}"
        return self.is_value(name, value)

    def is_value(self, name: str, value: str) -> str:
        if _is_long(value):
            # A fraction of what it costs to compare the two.
            return f"${{_nixpy_values[=${name}]-}} == {_short(value)}"
        return f"${name} == {self.quote(value)}"

    def times(self, times: Sequence[Condition], absent: Sequence[_Absent]) -> Iterator[str]:
        """Yield what returns where a file has another time, or one is not absent."""
        # Of two files that are not there neither is newer or older. The references are there as
        # long as nothing was removed from their directory.
        if len(times) >= FEWEST:
            yield "[[ -e $1 && $1 -ot $_nixpy_exact/1 ]] || return 1"
        else:
            yield from _returning([f"-e {self.quote(one.name)}" for one in times])
        yield from _returning([self.has_time(self.quote(one.name), one.value) for one in times])
        for directory, mtime, paths in absent:
            each = self.are_absent(paths)
            if mtime:
                # Where there is no directory there are no files, either.
                each = f"{self.has_time(self.quote(directory), mtime)} || {each}"
            yield f"[[ {each} ]] || return 1"

    def has_time(self, path: str, mtime: str) -> str:
        # A file that is not there is older than a reference that is there.
        return f"! {path} -nt $1/{mtime} && ! {path} -ot $1/{mtime}"

    def exported(self, names: Sequence[str]) -> Iterator[str]:
        # An expansion costs less than a test. Attributes are letters.
        if names:
            yield f"{''.join(f'${{{name}+x}}' for name in names)} == {'x' * len(names)}"
            attributes = ",".join(f"${{{name}@a}}" for name in names)
            yield f"{attributes} == {','.join(['*x*'] * len(names))}"

    def not_exported(self, names: Sequence[str]) -> Iterator[str]:
        # Nearly always none of them is set at all.
        if names:
            each = " && ".join(f"( -z ${{{name}+x}} || ${{{name}@a}} != *x* )" for name in names)
            yield f"( -z {''.join(f'${{{name}+x}}' for name in names)} || {each} )"

    def names_with(self, start: str, names: Sequence[str]) -> str:
        # The separator is the first character of IFS, which may be none.
        pattern = "?(?)".join(sorted(names)) or "''"
        return f"${{!{start}*}} == {pattern}"

    def before(self, value: str) -> list[str]:
        return ["printf -v _nixpy_now '%(%s)T' -1", f"((_nixpy_now < {value})) || return 1"]

    def answer(self, answer: Answer) -> list[str]:
        quote = self.quote
        unset = [name for name, value in answer.changes if value is None]
        exported = [f"{name}={quote(value)}" for name, value in answer.changes if value is not None]
        lines = [
            f"[[ $_nixpy_direnv_is == {quote(answer.direnv)} ]] || return 1",
            *self.conditions(answer.conditions),
        ]
        if answer.said:
            lines.append(f"printf '%s' {quote(answer.said)} >&2")
        # Between the old environment and the new one nothing interrupts: direnv's hook does so.
        lines.append("trap -- '' INT")
        if unset:
            lines.append(f"unset {self.unset_flag}{' '.join(unset)}")
        if exported:
            lines.append(f"export {' '.join(exported)}")
        lines.append("trap - INT")
        return lines

    unset_flag = "-v "


class _Zsh(_Bash):
    unset_flag = ""

    def quote(self, value: str) -> str:
        return zsh.quote(value)

    def note(self, directory: str, end: str) -> list[str]:
        return [f"_nixpy_functions+=({self.quote(directory)} {end})"]

    def values(self, values: Iterable[str]) -> list[str]:  # noqa: ARG002
        return []

    def is_value(self, name: str, value: str) -> str:
        return f"${name} == {self.quote(value)}"

    def times(self, times: Sequence[Condition], absent: Sequence[_Absent]) -> Iterator[str]:
        # One command looks at all of them, once each.
        directories = [(directory, mtime) for directory, mtime, _ in absent if mtime]
        paths = [*(one.name for one in times), *(directory for directory, _ in directories)]
        if paths:
            those = " ".join(map(self.quote, paths))
            look = f"zstat -g -F {_ZSH_TIME} -A _nixpy_times +mtime"
            yield f"{look} -- {those} 2>/dev/null || return 1"
        if times:
            expected = " ".join(_zsh_time(one.value) for one in times)
            found = f"${{(j: :)_nixpy_times[1,{len(times)}]}}"
            yield f'[[ "{found}" == "{expected}" ]] || return 1'
        at = len(times)
        for _, mtime, those_absent in absent:
            each = self.are_absent(those_absent)
            if mtime:
                at += 1
                each = f"$_nixpy_times[{at}] == {_zsh_time(mtime)} || {each}"
            yield f"[[ {each} ]] || return 1"

    def exported(self, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            yield f"${{(t){name}}} == *export*"

    def not_exported(self, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            yield f"${{(t){name}}} != *export*"

    def names_with(self, start: str, names: Sequence[str]) -> str:
        return f"${{#${{(@k)parameters[(I){start}*]}}}} -eq {len(names)}"

    def before(self, value: str) -> list[str]:
        return [f"(( EPOCHSECONDS < {value} )) || return 1"]


class _Fish(Dialect):
    both = " -a "

    def quote(self, value: str) -> str:
        return fish.quote(value)

    def whole(self, lines: Sequence[str]) -> str:
        return "\n".join(("begin", *lines, "end", ""))

    def assignment(self, name: str, value: str) -> str:
        return f"set -g {name} {self.quote(value)}"

    def note(self, directory: str, end: str) -> list[str]:
        return [f"set -ga _nixpy_functions {self.quote(directory)} {end}"]

    def function(self, name: str, body: Iterable[str]) -> list[str]:
        return [f"function {name}", *body, "return 0", "end"]

    def first(self, name: str, others: Sequence[str]) -> list[str]:
        those = (f"{other} $argv; and return 0" for other in others)
        return [f"function {name}", *those, "return 1", "end"]

    def names_are(self, names: Sequence[str]) -> list[str]:
        return [
            'if test -n "$argv[2]"',
            f"{self._others('DIRENV_', (*names, *STATE))}; and return 1",
            f"else; {self._others('DIRENV_', names)}; and return 1",
            "end",
        ]

    def _others(self, start: str, names: Sequence[str]) -> str:
        """Return what succeeds where more exported variables begin so (a substitution is slow)."""
        known = "|".join(re.escape(name.removeprefix(start)) for name in names)
        return (
            f"set -nx | string match -qr '^{start}(?!(?:{known})$)'"
            if names
            else f"set -nx | string match -q '{start}*'"
        )

    def watches_are(self, value: str) -> list[str]:
        return [f"test {self._value('is', 'DIRENV_WATCHES', value)}; or return 1"]

    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        by = _by_kind(conditions)
        exported = [one.name for kind in _WITH_VALUES for one in by[kind]]
        exported += [name for one in by["names"] for name in one.value.split()]
        tests = [
            *(self._all_exported(some) for some in _batches([*dict.fromkeys(exported)])),
            *(self._none_exported([one.name for one in some]) for some in _batches(by["unset"])),
            *self._together(self._value(*one) for kind in ("is", "filled") for one in by[kind]),
            *(self._like(one) for one in by["like"]),
            *self._together(self.file(*one) for kind in _OF_FILES for one in by[kind]),
            *self._times(by["time"], by["absent"]),
            *self._absences(by["absent"]),
            *(f"not {self._others(one.name, one.value.split())}" for one in by["names"]),
            # The time since that of the reference files' directory, which is the epoch.
            *(f"test (path mtime -R -- $argv[1]) -lt {one.value}" for one in by["before"]),
        ]
        return [f"{test}; or return 1" for test in tests]

    def _together(self, tests: Iterable[str]) -> Iterator[str]:
        """Yield commands: what a command costs is more than what a test does."""
        for some in _batches(list(tests)):
            yield f"test {self.both.join(some)}"

    def _all_exported(self, names: Sequence[str]) -> str:
        return f"set -qx {' '.join(names)}"

    def _none_exported(self, names: Sequence[str]) -> str:
        # Its status is how many are not.
        return f"begin; set -qx {' '.join(names)}; test $status -eq {len(names)}; end"

    def _value(self, kind: str, name: str, value: str) -> str:
        if kind == "filled":
            return f'-n "${name}"'
        # Behind a letter nothing is an operator.
        return f'"x${name}" = {self.quote("x" + value)}'

    def _like(self, one: Condition) -> str:
        return f'string match -rq -- {self.quote(_pattern(one.value))} "${one.name}"'

    def _times(self, times: Sequence[Condition], absent: Sequence[Condition]) -> Iterator[str]:
        # What is not there is neither newer nor older. The references are there as long as nothing
        # was removed from their directory.
        if times or any(one.value for one in absent):
            yield "test -e $argv[1] -a $argv[1] -ot $_nixpy_exact/1"
        yield from self._together(self._time(self.quote(one.name), one.value) for one in times)

    def _time(self, path: str, mtime: str) -> str:
        reference = f"$argv[1]/{mtime}"
        return f"-e {path} -a ! {path} -nt {reference} -a ! {path} -ot {reference}"

    def _absences(self, absent: Sequence[Condition]) -> Iterator[str]:
        for directory, mtime, paths in _by_directory(absent):
            each = f"test {self.are_absent(paths)}"
            if mtime:
                each = f"begin; test {self._time(self.quote(directory), mtime)}; or {each}; end"
            yield each

    def answer(self, answer: Answer) -> list[str]:
        lines = [
            f"test $_nixpy_direnv_is = {self.quote(answer.direnv)}; or return 1",
            *self.conditions(answer.conditions),
        ]
        if answer.said:
            lines.append(f"printf '%s' {self.quote(answer.said)} >&2")
        for name, value in answer.changes:
            if value is None:
                lines.append(f"set -e -g {name}")
            else:
                parts = value.split(":") if name == "PATH" else [value]
                lines.append(f"set -x -g {name} {' '.join(map(self.quote, parts))}")
        return lines


_WITH_VALUES = ("is", "like", "filled")
_OF_FILES = ("exists", "file", "runs", "target")
_TESTS = {"exists": "-e", "runs": "-x"}

_PLAIN = re.compile(r"[A-Za-z0-9_/.,:%@+-]+", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_/.,:%@+=-]+", re.ASCII)

_ZSH_TIME = "%Y%m%d%H%M%S.%9."
"""How zsh is to write a modification time, in UTC: ``%s`` goes through the local time zone."""


def _zsh_time(mtime: str) -> str:
    seconds, nanoseconds = divmod(int(mtime), NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y%m%d%H%M%S}.{nanoseconds:09d}"


def _is_long(value: str) -> bool:
    """Whether a value is worth a table, in which it can stand without quotes."""
    return len(value) >= LONG and _KEY.fullmatch(value) is not None


def _short(value: str) -> str:
    """Return what a long value stands for in the table."""
    return digest(value.encode())[:SHORT]


def _compared(*those: Answer | Direnv) -> Iterator[str]:
    """Yield the values that variables are compared with."""
    return (one.value for each in those for one in each.conditions if one.kind == "is")


def _by_kind(conditions: Sequence[Condition]) -> defaultdict[str, list[Condition]]:
    found: defaultdict[str, list[Condition]] = defaultdict(list)
    for one in conditions:
        found[one.kind].append(one)
    return found


def _batches(those: Sequence[T]) -> Iterator[Sequence[T]]:
    return (those[at : at + BATCH] for at in range(0, len(those), BATCH))


def _returning(operands: Sequence[str]) -> Iterator[str]:
    """Yield the commands that return from a function where one of ``operands`` is false."""
    for some in _batches(operands):
        yield f"[[ {' && '.join(some)} ]] || return 1"


class _Absent(NamedTuple):
    """Files that are absent in a directory.

    ``mtime`` is its modification time where it is looked at first, because there are many of them.
    """

    directory: str
    mtime: str
    paths: list[str]


def _by_directory(absent: Sequence[Condition]) -> list[_Absent]:
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in absent:
        groups[os.path.dirname(one.name), one.value].append(one.name)
    return [
        _Absent(directory, mtime if len(paths) >= FEWEST else "", paths)
        for (directory, mtime), paths in groups.items()
    ]


_SPECIAL = re.compile(r"[!-/:-@\[-^`{-~]")


def _pattern(value: str) -> str:
    """Return the regular expression (PCRE) for a value with masks.

    A wildcard of fish has no way to say a backslash in front of an asterisk.
    """
    parts = (_SPECIAL.sub(r"\\\g<0>", part) for part in value.split(MASK))
    return rf"\A(?s:{'.*'.join(parts)})\z"


_DIALECTS: dict[str, Dialect] = {"bash": _Bash(), "zsh": _Zsh(), "fish": _Fish()}
