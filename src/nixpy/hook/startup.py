"""The line in a shell's startup file that evaluates the hook: adding it, and taking it out again.

Startup files are bytes here: nobody says in which encoding they are. They are changed where they
are, and never replaced by another file: they may be links into a repository, have hard links, and
have owners, modes and attributes.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from nixpy.direnv import before_direnv
from nixpy.errors import EnvironmentUnusable, UsageError
from nixpy.hook.places import SHELLS
from nixpy.hook.script import QUOTE
from nixpy.process import find_program
from nixpy.project import open_at_once
from nixpy.setup import lasting_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Startup",
    "evaluates",
    "evaluation",
    "find_line",
    "hook_shell",
    "install_hook",
    "startup_path",
]

MARK = "# by nixpy setup --hook"
NEW_FILE = " (a new file)"
LINE_ENDED = " (it ended the line before)"
"""What else was done is said behind the mark, so that it can be undone."""

_OURS = re.compile(
    rb"[^\s#].*%s(?P<note>%s|%s|)\r?"
    % tuple(re.escape(text.encode()) for text in (MARK, NEW_FILE, LINE_ENDED))
)


class Startup(NamedTuple):
    """What became of a startup file, or would.

    Attributes:
        path: the file.
        did: what was done, in words.
        in_order: whether nothing was to be done.
        hint: what the user is still to do, or empty.
        shell: whose file it is.
        line: the line that evaluates the hook.
    """

    path: str
    did: str
    in_order: bool
    hint: str
    shell: str
    line: str


class Line(NamedTuple):
    """A line of a startup file that evaluates the hook.

    Attributes:
        number: from 1.
        text: what it says.
        is_ours: whether it is one of :func:`install_hook`.
    """

    number: int
    text: str
    is_ours: bool


def hook_shell(name: str, environ: Mapping[str, str]) -> str:
    """Return the shell that is meant by a name; by an empty one, the user's own.

    Raises:
        UsageError: there is no hook for it.
    """
    shell = name or os.path.basename(environ.get("SHELL", ""))
    if shell in SHELLS:
        return shell
    what = f"there is no hook for {shell}" if shell else "SHELL does not name your shell"
    raise UsageError(what, next=f"Name one of {', '.join(SHELLS)}: `nixpy setup --hook bash`.")


def startup_path(shell: str, environ: Mapping[str, str]) -> str:
    """Return the file that a shell reads whenever it starts for a person.

    From the shells' manuals: bash(1), "INVOCATION"; zsh(1), "STARTUP/SHUTDOWN FILES"; fish(1),
    "Configuration files".

    Raises:
        UsageError: it has no place.
    """
    home = environ.get("HOME", "")
    if shell == "bash":
        directory, name = home, ".bashrc"
    elif shell == "zsh":
        directory, name = environ.get("ZDOTDIR") or home, ".zshrc"
    else:
        configuration = environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
        directory, name = configuration and f"{configuration}/fish", "config.fish"
    if not os.path.isabs(directory):
        raise UsageError(f"{shell}'s startup file has no place", next="Set HOME and try again.")
    return f"{directory}/{name}"


def evaluation(shell: str, command: str) -> str:
    """Return what evaluates the hook that a command prints."""
    if shell == "fish":
        return f"{command} hook fish | source"
    return f'eval "$({command} hook {shell})"'


def evaluates(line: bytes, shell: str) -> bool:
    """Return whether a line of a startup file evaluates the hook of a shell, whoever wrote it."""
    return re.match(rb"[^#\n]*\bnixpy['\"]?\s+hook\s+%s\b" % shell.encode(), line) is not None


def find_line(path: str, shell: str) -> Line | None:
    """Return the line of a startup file that evaluates the hook, whoever wrote it.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            return _find(file.read(), shell)
    except FileNotFoundError:
        return None


def install_hook(
    shell: str, environ: Mapping[str, str], *, check: bool = False, remove: bool = False
) -> Startup:
    """Add the line to a shell's startup file, look whether it is there, or take it out again.

    A line that somebody else wrote is left as it is.

    Raises:
        UsageError: the file has no place, or nixpy runs from a place that will be gone.
        EnvironmentUnusable: the file cannot be changed.
    """
    path = startup_path(shell, environ)
    line, called = _todays_line(shell, environ)
    hint = f"Start a new shell, or in this one: {evaluation(shell, called)}"
    try:
        found = find_line(path, shell)
        if remove:
            return _remove(path, shell, line, found)
        if found and (not found.is_ours or found.text == line):
            where = "" if found.is_ours else f": line {found.number} is yours"
            return Startup(path, f"in order{where}", True, "", shell, found.text)
        if check:
            did = "not from this nixpy" if found else "missing"
            return Startup(path, did, False, f"Run `nixpy setup --hook {shell}`.", shell, line)
        _change(path, lambda content: _with_line(content, line))
    except OSError as error:
        said = (error.strerror or "it cannot be read").lower()
        raise EnvironmentUnusable(
            f"cannot be changed: {said}",
            where=path,
            next=f"{'Take out' if remove else 'Put'} this line where the file is made: {line}",
        ) from None
    return Startup(path, "updated" if found else "added", False, hint, shell, line)


def _remove(path: str, shell: str, line: str, found: Line | None) -> Startup:
    if found is None:
        return Startup(path, "was not there", True, "", shell, line)
    if not found.is_ours:
        hint = f"Take it out yourself: {path}:{found.number}"
        return Startup(path, "left as it is: the line is yours", False, hint, shell, found.text)
    _change(path, _without_lines)
    return Startup(path, "removed", False, "", shell, found.text)


def _todays_line(shell: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the line, and how nixpy is called in it.

    It does nothing where that nixpy is not there, nor in a shell that is not for a person.
    """
    command = lasting_command(environ)
    if _is_found_by_name(environ):
        called = "nixpy"
        guard = "command -q nixpy" if shell == "fish" else "command -v nixpy >/dev/null"
    else:
        called = " ".join(map(QUOTE[shell], command))
        program = QUOTE[shell](command[0])
        guard = f"test -x {program}" if shell == "fish" else f"[[ -x {program} ]]"
        if "\n" in called:
            raise UsageError("a line cannot name it", where=command[0], next="Put it on PATH.")
    does = evaluation(shell, called)
    if shell == "fish":
        return f"if status is-interactive; and {guard}; {does}; end {MARK}", called
    guard = f"[[ $- == *i* ]] && {guard}" if shell == "bash" else guard
    return f"if {guard}; then {does}; fi {MARK}", called


def _is_found_by_name(environ: Mapping[str, str]) -> bool:
    """Whether a new shell will have a ``nixpy`` on its PATH, as far as this one can tell."""
    outside = before_direnv(environ)
    activated = f"{outside.get('VIRTUAL_ENV') or '/'}/bin"
    places = [place for place in outside.get("PATH", "").split(":") if place != activated]
    return find_program("nixpy", ":".join(places)) is not None


def _find(content: bytes, shell: str) -> Line | None:
    found = None
    for number, line in enumerate(content.split(b"\n"), 1):
        if ours := _OURS.fullmatch(line):
            text = os.fsdecode(line.rstrip(b"\r")).removesuffix(ours["note"].decode())
            return Line(number, text, is_ours=True)
        if found is None and evaluates(line, shell):
            found = Line(number, os.fsdecode(line).strip(), is_ours=False)
    return found


def _with_line(content: bytes | None, line: str) -> bytes:
    """Return a startup file with the line: in the place of one that is there, else at its end."""
    text = os.fsencode(line)
    if content is None:
        return text + NEW_FILE.encode() + b"\n"
    lines = content.split(b"\n")
    for number, one in enumerate(lines):
        if ours := _OURS.fullmatch(one):
            end = b"\r" if one.endswith(b"\r") else b""
            return b"\n".join((*lines[:number], text + ours["note"] + end, *lines[number + 1 :]))
    if content.rstrip(b"\r\n").endswith(b"\\"):
        raise OSError(0, "its last line goes on behind a backslash")
    # What stands behind a comment, a carriage return among it, does no harm.
    end = b"\r\n" if b"\r\n" in content else b"\n"
    if content and not content.endswith(b"\n"):
        return content + end + text + LINE_ENDED.encode() + end
    return content + text + end


def _without_lines(content: bytes | None) -> bytes | None:
    """Return a startup file without our lines; ``None`` where it was made for them alone."""
    kept: list[bytes] = []
    is_new = False
    ended = b""
    for line in re.findall(rb"[^\n]*\n|[^\n]+", content or b""):
        ours = _OURS.fullmatch(line.removesuffix(b"\n"))
        if ours is None:
            kept.append(line)
            ended = b""
        elif ours["note"] == NEW_FILE.encode():
            is_new = True
        elif ours["note"] == LINE_ENDED.encode():
            ended = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    text = b"".join(kept).removesuffix(ended)
    return None if is_new and not text else text


def _change(path: str, changed: Callable[[bytes | None], bytes | None]) -> None:
    """Change a file where it is, from the first byte on that is another.

    Raises:
        OSError: it cannot be; it is then as it was.
    """
    path = os.path.realpath(path)
    if path.startswith("/nix/store/"):
        raise OSError(0, "it lies in the Nix store")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _create(path, changed(None))
        return
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(0, "it is no regular file")
        if not state.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            # root could all the same.
            raise OSError(0, "it is read-only")
        with open(descriptor, "rb", closefd=False) as file:
            before = file.read()
        after = changed(before)
        if after is None:
            os.unlink(path)
        elif after != before:
            try:
                _overwrite(descriptor, before, after)
            except OSError:
                with contextlib.suppress(OSError):
                    _overwrite(descriptor, after, before)
                raise
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int, before: bytes, after: bytes) -> None:
    pairs = enumerate(zip(before, after, strict=False))
    at = next((at for at, (a, b) in pairs if a != b), min(len(before), len(after)))
    while at < len(after):
        at += os.pwrite(descriptor, after[at:], at)
    os.ftruncate(descriptor, len(after))
    os.fsync(descriptor)


def _create(path: str, content: bytes | None) -> None:
    if content is None:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb") as file:
        file.write(content)
