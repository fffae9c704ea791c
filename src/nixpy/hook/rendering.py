"""What the hooks source: answers as functions of bash, zsh and fish.

Each function fails at the first condition that does not hold. Only builtins are used, and nothing
is written but what direnv said, to stderr. Variables and functions begin with ``_nixpy_``; what
an answer changes is not among them.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from nixpy.hook.conditions import Condition
from nixpy.inputs import MASK
from nixpy.shells import bash, fish, zsh
from nixpy.stamp import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixpy.hook.answers import Answer, Answers, Direnv

__all__ = ["render_answers", "render_direnvs"]

STATE = ("DIRENV_DIFF", "DIRENV_DIR", "DIRENV_FILE", "DIRENV_WATCHES")
"""The variables by which direnv knows what is loaded."""

FEWEST = 3
"""Files that are absent in one directory, for which it is looked at first."""


def render_answers(shell: str, directory: str, answers: Answers) -> str:
    """Return what the hook of ``shell`` sources where ``directory`` is entered, left or stayed in.

    It defines ``_nixpy_watched``, ``_nixpy_enter`` and ``_nixpy_leave``, each of which takes the
    directory of reference files, and in the end sets ``_nixpy_answers`` to ``directory``.
    """
    dialect = _DIALECTS[shell]
    lines = [dialect.assignment("_nixpy_always", "always" if answers.always else "")]
    names = {"watched": len(answers.watched), "enter": len(answers.entering)}
    names["leave"] = len(answers.leaving)
    for number, watched in enumerate(answers.watched):
        loaded = Condition("is", "DIRENV_WATCHES", watched.watches)
        body = dialect.conditions((loaded, *watched.conditions))
        lines += dialect.function(f"_nixpy_watched_{number}", body)
    for kind, those in (("enter", answers.entering), ("leave", answers.leaving)):
        for number, answer in enumerate(those):
            lines += dialect.function(f"_nixpy_{kind}_{number}", dialect.answer(answer))
    for kind, count in names.items():
        lines += dialect.choice(f"_nixpy_{kind}", count)
    lines.append(dialect.assignment("_nixpy_answers", directory))
    return "\n".join(lines) + "\n"


def render_direnvs(shell: str, direnvs: Sequence[Direnv]) -> str:
    """Return what tells whether direnv is one that is known.

    It defines ``_nixpy_direnv``, which takes the directory of reference files and the number of
    variables ``DIRENV_…`` but for those of :data:`STATE`, and sets ``_nixpy_direnv_is`` to the
    identifier; and ``_nixpy_prompt``, which takes the same where nothing is to be evaluated.
    """
    dialect = _DIALECTS[shell]
    lines: list[str] = []
    for number, one in enumerate(direnvs):
        body = [
            dialect.second_is(one.names),
            *dialect.conditions(one.conditions),
            dialect.assignment("_nixpy_direnv_is", one.identifier),
        ]
        lines += dialect.function(f"_nixpy_direnv_{number}", body)
        body = [dialect.second_is(one.names), *dialect.conditions(one.prompting)]
        lines += dialect.function(f"_nixpy_prompt_{number}", body)
    for kind in ("direnv", "prompt"):
        lines += dialect.choice(f"_nixpy_{kind}", len(direnvs))
    return "\n".join(lines) + "\n"


class Dialect(ABC):
    """How one shell says it."""

    @abstractmethod
    def assignment(self, name: str, value: str) -> str:
        """Return the command that sets a variable of the shell's own."""

    @abstractmethod
    def function(self, name: str, body: Sequence[str]) -> list[str]:
        """Return the definition of a function that ends with success."""

    @abstractmethod
    def choice(self, name: str, count: int) -> list[str]:
        """Return the definition of a function that is the first of ``count`` that succeeds."""

    @abstractmethod
    def second_is(self, number: int) -> str:
        """Return the command that returns from a function where its second argument is another."""

    @abstractmethod
    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        """Return commands that return from a function where a condition does not hold."""

    @abstractmethod
    def answer(self, answer: Answer) -> list[str]:
        """Return the conditions of an answer, and what it does."""


class _Bash(Dialect):
    def assignment(self, name: str, value: str) -> str:
        return f"{name}={self.quote(value)}"

    def quote(self, value: str) -> str:
        return bash.quote(value)

    def function(self, name: str, body: Sequence[str]) -> list[str]:
        return [f"{name}() {{", *body, "return 0", "}"]

    def choice(self, name: str, count: int) -> list[str]:
        those = [f'{name}_{number} "$@"' for number in range(count)]
        return [f"{name}() {{", " || ".join((*those, "return 1")), "}"]

    def second_is(self, number: int) -> str:
        return f"(($2 == {number})) || return 1"

    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        variables: list[str] = []
        files: list[str] = []
        absent: list[Condition] = []
        commands: list[str] = []
        for one in conditions:
            if one.kind == "names":
                commands += self.number_of_names(one)
            elif one.kind == "before":
                commands += self.before(one)
            elif one.kind == "absent":
                absent.append(one)
            else:
                (variables if one.kind in _OF_VARIABLES else files).append(self.operand(one))
        # What looks at no file comes first: most answers that do not hold fail there.
        operands = [*variables, *self.references(conditions), *files, *self.absences(absent)]
        batches = (operands[at : at + BATCH] for at in range(0, len(operands), BATCH))
        return [*(f"[[ {' && '.join(batch)} ]] || return 1" for batch in batches), *commands]

    def references(self, conditions: Sequence[Condition]) -> list[str]:
        # Of two files that are not there, neither is newer or older.
        times = sorted({one.value for one in conditions if one.kind == "time"})
        return [f'-e "$1"/{mtime}' for mtime in times]

    def absences(self, absent: Sequence[Condition]) -> Iterator[str]:
        for directory, mtime, paths in _by_directory(absent):
            each = " && ".join(f"! -e {self.quote(path)}" for path in paths)
            if mtime:
                same = self.same_time(self.quote(directory), mtime)
                yield f'( -e "$1"/{mtime} && {same} || {each} )'
            else:
                yield each

    def operand(self, one: Condition) -> str:
        name, value = one.name, one.value
        if one.kind == "is":
            return f"{self.is_exported(name)} && ${name} == {self.quote(value)}"
        if one.kind == "like":
            pattern = "*".join(self.quote(part) if part else "" for part in value.split(MASK))
            return f"{self.is_exported(name)} && ${name} == {pattern}"
        if one.kind == "unset":
            return self.is_not_exported(name)
        if one.kind == "filled":
            return f"{self.is_exported(name)} && -n ${name}"
        path = self.quote(name)
        if one.kind == "time":
            return self.same_time(path, value)
        if one.kind == "target":
            return f"{path} -ef {self.quote(value)}"
        if one.kind == "file":
            return f"-f {path} && -r {path}"
        return f"{_TESTS[one.kind]} {path}"

    def same_time(self, path: str, mtime: str) -> str:
        # A file that is not there is older than a reference that is there.
        return f'! {path} -nt "$1"/{mtime} && ! {path} -ot "$1"/{mtime}'

    def is_exported(self, name: str) -> str:
        return f"-n ${{{name}+x}} && ${{{name}@a}} == *x*"

    def is_not_exported(self, name: str) -> str:
        return f"( -z ${{{name}+x}} || ${{{name}@a}} != *x* )"

    def number_of_names(self, one: Condition) -> list[str]:
        return [
            f'_nixpy_names=("${{!{one.name}@}}")',
            f"((${{#_nixpy_names[@]}} == {one.value})) || return 1",
        ]

    def before(self, one: Condition) -> list[str]:
        return ["printf -v _nixpy_now '%(%s)T' -1", f"((_nixpy_now < {one.value})) || return 1"]

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

    def same_time(self, path: str, mtime: str) -> str:
        # What is not there is neither newer nor older.
        return f"-e {path} && {super().same_time(path, mtime)}"

    def is_exported(self, name: str) -> str:
        return f"${{(t){name}}} == *export*"

    def is_not_exported(self, name: str) -> str:
        return f"${{(t){name}}} != *export*"

    def number_of_names(self, one: Condition) -> list[str]:
        count = f"${{#${{(@k)parameters[(I){one.name}*]}}}}"
        return [f"(( {count} == {one.value} )) || return 1"]

    def before(self, one: Condition) -> list[str]:
        return [f"(( EPOCHSECONDS < {one.value} )) || return 1"]


class _Fish(Dialect):
    def assignment(self, name: str, value: str) -> str:
        return f"set -g {name} {fish.quote(value)}"

    def function(self, name: str, body: Sequence[str]) -> list[str]:
        return [f"function {name}", *body, "return 0", "end"]

    def choice(self, name: str, count: int) -> list[str]:
        those = (f"{name}_{number} $argv; and return 0" for number in range(count))
        return [f"function {name}", *those, "return 1", "end"]

    def second_is(self, number: int) -> str:
        return f"test $argv[2] -eq {number}; or return 1"

    def conditions(self, conditions: Sequence[Condition]) -> list[str]:
        # What is not there is neither newer nor older.
        times = sorted({one.value for one in conditions if one.kind == "time"})
        absent = [one for one in conditions if one.kind == "absent"]
        others = [one for one in conditions if one.kind not in {"time", "absent"}]
        tests = [
            *(test for one in others for test in self._tests(one)),
            *(f"test -e $argv[1]/{mtime}" for mtime in times),
            *(test for one in conditions if one.kind == "time" for test in self._tests(one)),
            *self._absences(absent),
        ]
        return [f"{test}; or return 1" for test in tests]

    def _absences(self, absent: Sequence[Condition]) -> Iterator[str]:
        for directory, mtime, paths in _by_directory(absent):
            each = "; and ".join(f"not test -e {fish.quote(path)}" for path in paths)
            if mtime:
                same = self._tests(Condition("time", directory, mtime))
                quick = "; and ".join((f"test -e $argv[1]/{mtime}", *same))
                yield f"begin; {quick}; end; or begin; {each}; end"
            else:
                yield f"begin; {each}; end"

    def _tests(self, one: Condition) -> Iterator[str]:
        name, value = one.name, one.value
        path = fish.quote(name)
        if one.kind == "is":
            yield f"set -qx {name}"
            yield f'test "${name}" = {fish.quote(value)}'
        elif one.kind == "like":
            yield f"set -qx {name}"
            yield f'string match -rq -- {fish.quote(_pattern(value))} "${name}"'
        elif one.kind == "unset":
            yield f"not set -qx {name}"
        elif one.kind == "filled":
            yield f"set -qx {name}"
            yield f'test -n "${name}"'
        elif one.kind == "names":
            yield f"test (count (string match -- '{name}*' (set -nx))) -eq {value}"
        elif one.kind == "before":
            # The time since that of the answers, which is the epoch.
            yield f"test (path mtime -R -- $_nixpy_place/fish) -lt {value}"
        elif one.kind == "time":
            yield f"test -e {path}"
            yield f"not test {path} -nt $argv[1]/{value}"
            yield f"not test {path} -ot $argv[1]/{value}"
        elif one.kind == "target":
            yield f"test {path} -ef {fish.quote(value)}"
        elif one.kind == "file":
            yield f"test -f {path}"
            yield f"test -r {path}"
        else:
            yield f"test {_TESTS[one.kind]} {path}"

    def answer(self, answer: Answer) -> list[str]:
        lines = [
            f"test $_nixpy_direnv_is = {fish.quote(answer.direnv)}; or return 1",
            *self.conditions(answer.conditions),
        ]
        if answer.said:
            lines.append(f"printf '%s' {fish.quote(answer.said)} >&2")
        for name, value in answer.changes:
            if value is None:
                lines.append(f"set -e -g {name}")
            else:
                parts = value.split(":") if name == "PATH" else [value]
                lines.append(f"set -x -g {name} {' '.join(map(fish.quote, parts))}")
        return lines


_OF_VARIABLES = frozenset({"is", "like", "unset", "filled"})
_TESTS = {"exists": "-e", "runs": "-x"}


def _by_directory(absent: Sequence[Condition]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield absent files by their directories, with the time of those that have some of them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in absent:
        groups.setdefault((os.path.dirname(one.name), one.value), []).append(one.name)
    for (directory, mtime), paths in groups.items():
        yield directory, mtime if len(paths) >= FEWEST else "", paths


_SPECIAL = re.compile(r"[!-/:-@\[-^`{-~]")


def _pattern(value: str) -> str:
    """Return the regular expression (PCRE) for a value with masks.

    A wildcard of fish has no way to say a backslash in front of an asterisk.
    """
    parts = (_SPECIAL.sub(r"\\\g<0>", part) for part in value.split(MASK))
    return rf"\A(?s:{'.*'.join(parts)})\z"


_DIALECTS: dict[str, Dialect] = {"bash": _Bash(), "zsh": _Zsh(), "fish": _Fish()}
