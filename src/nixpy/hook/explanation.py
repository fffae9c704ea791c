"""Whether the hook answers for a directory, in which shells, and why not: ``explain --hook``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.directories import nixpy_directory
from nixpy.direnv import before_direnv
from nixpy.hook.answers import Answers, read_answers
from nixpy.hook.places import SHELLS, answers_place, hook_directory
from nixpy.hook.reading import Reason
from nixpy.hook.recording import CHATTY, reasons
from nixpy.hook.script import prepare
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nixpy.process import Runner

__all__ = ["Explanation", "ShellFound", "explain"]

EXACT, NOT_EXACT, TOO_OLD = 0, 3, 4
"""Exit statuses of what a shell is asked."""

_IN_BASH = f"""
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || exit {TOO_OLD}
[[ $1/1 -ot $1/2 && $1/2 -nt $1/1 ]] || exit {NOT_EXACT}
"""
_IN_ZSH = f"""
zmodload -F zsh/stat b:zstat && zstat -g -F %S.%9. -A times +mtime -- $1/1 $1/2 &&
[[ "$times" == "01.000000001 01.000000002" ]] || exit {NOT_EXACT}
"""
_IN_FISH = f"""
test $argv[1]/1 -ot $argv[1]/2 2>/dev/null
and test $argv[1]/2 -nt $argv[1]/1 2>/dev/null
or exit {NOT_EXACT}
"""
_ASKED = {
    "bash": ("--norc", "--noprofile", "-c", _IN_BASH, "bash"),
    "zsh": ("-f", "-c", _IN_ZSH, "zsh"),
    "fish": ("--no-config", "-c", _IN_FISH),
}
"""The same that the hooks look at before they wrap direnv's."""

_WHY = {
    EXACT: "",
    NOT_EXACT: "it does not compare modification times to the nanosecond, so it asks direnv",
    TOO_OLD: "it is older than bash 4.4, so it asks direnv",
}


class ShellFound(NamedTuple):
    """A shell of this machine.

    Attributes:
        shell: its name.
        path: its program.
        exact: whether the hook works in it; ``None`` where that cannot be found out.
        why: why not; else empty.
        startup: file and line that evaluate the hook; empty where none does.
    """

    shell: str
    path: str
    exact: bool | None
    why: str
    startup: str


class Explanation(NamedTuple):
    """What the hook does for a directory.

    Attributes:
        envrc: the file that direnv loads there; empty where there is none.
        reasons: why direnv is always asked; empty where its answers are replayed.
        answers: what is kept.
        shells: those that there is a hook for.
    """

    envrc: str
    reasons: tuple[Reason, ...]
    answers: Answers
    shells: tuple[ShellFound, ...]


def explain(
    directory: str,
    environ: Mapping[str, str],
    *,
    runner: Runner,
    startup: Callable[[str], str],
) -> Explanation:
    """Return what the hook does for a directory.

    Args:
        directory: an absolute path.
        environ: the variables.
        runner: starts the shells.
        startup: returns file and line that evaluate the hook of a shell, or nothing.
    """
    envrc = _envrc_of(directory)
    top = nixpy_directory("cache", environ)
    answers = Answers()
    if envrc and top:
        answers = read_answers(answers_place(hook_directory(top), os.path.dirname(envrc)))
    return Explanation(
        envrc,
        tuple(_reasons(envrc, environ)) if envrc else (),
        answers,
        tuple(_shells(top, environ, runner, startup)),
    )


def _envrc_of(directory: str) -> str:
    while not os.path.exists(os.path.join(directory, ".envrc")):
        if directory == "/":
            return ""
        directory = os.path.dirname(directory)
    return os.path.join(directory, ".envrc")


def _reasons(envrc: str, environ: Mapping[str, str]) -> Iterator[Reason]:
    yield from reasons(envrc, environ)
    if envrc == "/.envrc":
        yield Reason(envrc, 0, "", "direnv is always asked about it")
    for name in sorted(filter(environ.get, CHATTY)):
        yield Reason(name, 0, "", "with it direnv has more to do, or to say")


def _shells(
    top: str | None, environ: Mapping[str, str], runner: Runner, startup: Callable[[str], str]
) -> Iterator[ShellFound]:
    # A dev shell may bring another bash than that of the terminal.
    path = before_direnv(environ).get("PATH", "")
    own = environ.get("SHELL", "")
    for shell in SHELLS:
        is_own = os.path.basename(own) == shell and os.access(own, os.X_OK)
        program = own if is_own else find_program(shell, path)
        if program:
            exact, why = _exactness(shell, program, top, runner)
            yield ShellFound(shell, program, exact, why, startup(shell))


def _exactness(
    shell: str, program: str, top: str | None, runner: Runner
) -> tuple[bool | None, str]:
    if top is None:
        return None, "there is no place for nixpy's cache"
    root = hook_directory(top)
    try:
        prepare(root, top)
        times = [os.stat(f"{root}/@exact/{name}").st_mtime_ns for name in ("1", "2")]
        if times[1] - times[0] != 1:
            return False, "the cache's file system keeps no nanoseconds, so direnv is asked"
        environ = {"HOME": "/nonexistent", "LC_ALL": "C"}
        argv = [program, *_ASKED[shell], f"{root}/@exact"]
        status = runner.capture(argv, cwd="/", environ=environ, timeout=10).status
    except OSError as error:
        return None, f"it cannot be found out: {(error.strerror or str(error)).lower()}"
    if status in _WHY:
        return status == EXACT, _WHY[status]
    return None, f"it cannot be found out: it ended with status {status}"
