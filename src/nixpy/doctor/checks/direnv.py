"""Checks of direnv: its program, its hook, nixpy's library in it, and the ``.envrc``."""

from __future__ import annotations

import glob
import os
import re
import shlex
from typing import TYPE_CHECKING

from nixpy.direnv import library_path, library_text
from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity
from nixpy.doctor.shells import HOOKS, login_shell, startup_lines, used_shells
from nixpy.envrc import double_lines
from nixpy.process import find_program
from nixpy.setup import install
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

OLDEST_DIRENV = (2, 32)
OLDEST_BASH = (4, 4)

LONGEST_STRING = 131_072
"""Bytes that Linux takes for one argument or variable (execve(2), MAX_ARG_STRLEN: 32 pages)."""

NEARLY = 0.75
"""The part of a limit from which on it is worth a warning."""

HOOK = re.compile(r"\bdirenv\b|\bnixpy['\"]?\s+hook\s")
"""direnv's own hook, or nixpy's, which installs it where it is not."""

DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|0")
"""Go's ``time.ParseDuration``, which direnv reads the variable with."""

EXPORT_LINES = {
    "fish": "direnv export fish | source",
    "tcsh": "eval `direnv export tcsh`",
}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _has_envrc(seen: Examination) -> bool:
    try:
        return seen.has_envrc
    except Absent:
        return False


@check("direnv.missing", title="direnv is not installed", severity=Severity.NOTE)
def missing(seen: Examination) -> Iterator[Found]:
    """Looks for direnv on PATH.

    Symptom:
        Nothing happens on `cd`, or the shell says `direnv: command not found`.

    Cause:
        direnv is not installed, or its directory is not on the PATH of this shell.

    Remedy:
        Install direnv (direnv.net, "Installation") and put its hook into your shell's startup file.
        Without direnv, `nixpy run`, `nixpy shell` and `nixpy export` give the same environment.
    """
    if find_program("direnv", seen.environ.get("PATH", "")):
        yield Found(f"{seen.direnv.path}, version {seen.direnv.version}", severity=Severity.OK)
        return
    path = seen.environ.get("PATH", "")
    severity = Severity.PROBLEM if _has_envrc(seen) else None
    yield Found(f"PATH={path}", severity=severity)


@check("direnv.too-old", title="direnv is too old for nixpy", severity=Severity.PROBLEM)
def too_old(seen: Examination) -> Iterator[Found]:
    """Compares direnv's version with the oldest that nixpy works with, 2.32.

    Symptom:
        `use nixpy` fails, or the environment is not loaded.

    Cause:
        A distribution's package of direnv can be years old.

    Remedy:
        Install a newer direnv (direnv.net, "Installation") in front on PATH.
    """
    version = _version(seen.direnv.version)
    if version and version < OLDEST_DIRENV:
        yield Found(f"{seen.direnv.path} is direnv {seen.direnv.version}, and 2.32 is needed")


@check("direnv.bash-too-old", title="direnv runs a bash that is too old", severity=Severity.PROBLEM)
def bash_too_old(seen: Examination) -> Iterator[Found]:
    """Asks the bash that direnv evaluates an .envrc with for its version; 4.4 is needed.

    Symptom:
        `use nixpy` says that it needs bash 4.4 or later.

    Cause:
        macOS ships bash 3.2, and direnv uses the bash that it was built with, or the first on PATH.

    Remedy:
        Install a newer bash (Homebrew's or Nix's) in front on PATH, or name it as `bash_path` in
        direnv.toml.
    """
    bash = seen.direnv_status.get("bash_path", "")
    if not bash:
        raise Absent("direnv does not say which bash it runs")
    said = seen.ask([bash, "--version"]).stdout
    match = re.search(r"version (\d+)\.(\d+)", said)
    if match and (int(match[1]), int(match[2])) < OLDEST_BASH:
        yield Found(f"{bash} is bash {match[1]}.{match[2]}, and 4.4 is needed")


@check(
    "direnv.hook-missing",
    title="direnv's hook is not in your shell's startup files",
    severity=Severity.PROBLEM,
)
def hook_missing(seen: Examination) -> Iterator[Found]:
    """Looks for direnv's hook in the environment and in the startup files of your login shell.

    Symptom:
        Nothing happens on `cd` into a project: no line of direnv's, no environment.

    Cause:
        direnv works by a hook that the shell calls at each prompt. It was never put into the
        startup file, or into that of another shell.

    Remedy:
        Add the hook to the startup file (direnv.net, "Setup"), and start a new shell.
    """
    shell = login_shell(seen)
    if "DIRENV_DIR" in seen.environ:
        yield Found("the environment has DIRENV_DIR: the hook has run", severity=Severity.OK)
        return
    if shell is None:
        raise Absent(f"SHELL is {seen.environ.get('SHELL') or 'not set'}")
    seen.program("direnv")
    files: dict[str, None] = {}
    for path, number, line in startup_lines(seen, shell):
        files[path] = None
        if HOOK.search(line):
            yield Found(f"{path}:{number}: {line}", severity=Severity.OK)
            return
    looked = ", ".join(files) or "none is there"
    yield Found(
        f"SHELL={seen.environ['SHELL']}",
        f"startup files that were read, none of which names direnv: {looked}",
        severity=None if _has_envrc(seen) else Severity.NOTE,
        command=HOOKS.get(shell, ""),
    )


@check(
    "direnv.hook-missing-elsewhere",
    title="another shell that you use has no hook of direnv's",
    severity=Severity.NOTE,
)
def hook_missing_elsewhere(seen: Examination) -> Iterator[Found]:
    """Looks for direnv's hook in the startup files of all other shells that you have some for.

    Symptom:
        The environment is loaded in one shell and not in another.

    Cause:
        Each shell has startup files of its own, and the hook is in those of one alone.

    Remedy:
        Add the hook there too, if you use that shell (direnv.net, "Setup").
    """
    shells = used_shells(seen)
    login = login_shell(seen)
    seen.program("direnv")
    hooked = {
        shell: any(HOOK.search(line) for _, _, line in startup_lines(seen, shell))
        for shell in shells
    }
    if not any(hooked.values()):
        raise Absent("no shell has the hook: see direnv.hook-missing")
    for shell, has_hook in hooked.items():
        if not has_hook and shell != login:
            yield Found(
                f"{shell}: no startup file names direnv",
                command=HOOKS.get(shell, ""),
            )


def _library(seen: Examination) -> str:
    path = library_path(seen.environ)
    if path is None:
        raise Absent("HOME is not set, so direnv's libraries have no place")
    return path


def _setup(seen: Examination) -> Fix:
    return Fix(
        f"install nixpy's library for direnv as {_library(seen)}",
        lambda: void(install(seen.environ)),
    )


def void(_: object) -> None:
    """Return nothing."""


@check(
    "direnv.library-missing",
    title="direnv does not know `use nixpy`",
    severity=Severity.PROBLEM,
)
def library_missing(seen: Examination) -> Iterator[Found]:
    """Looks for nixpy's library where direnv looks for libraries.

    Symptom:
        direnv says `use_nixpy: command not found`.

    Cause:
        `nixpy setup` was not run, or direnv's configuration has moved since
        (`DIRENV_CONFIG`, `XDG_CONFIG_HOME`).

    Remedy:
        Run `nixpy setup`.
    """
    path = _library(seen)
    seen.program("direnv")
    other = _defined_elsewhere(seen, path)
    if other:
        yield Found(f"{other} defines use_nixpy", severity=Severity.OK)
    elif not os.path.exists(path):
        broken = f", a link to {os.readlink(path)}" if os.path.islink(path) else ""
        yield Found(
            f"{path} is not there{broken}",
            severity=None if _has_envrc(seen) else Severity.NOTE,
            command="nixpy setup",
            fix=_setup(seen),
        )


def _defined_elsewhere(seen: Examination, library: str) -> str | None:
    """Return the file of direnv's configuration, other than the library, that has `use_nixpy`."""
    top = os.path.dirname(os.path.dirname(library))
    files = [f"{top}/direnvrc", *sorted(glob.glob(f"{glob.escape(top)}/lib/*.sh"))]
    for path in files:
        if path != library and re.search(r"^use_nixpy\s*\(\)", seen.read(path) or "", re.MULTILINE):
            return path
    return None


def _library_text(seen: Examination, path: str) -> str:
    text = seen.read(path)
    if text is None:
        raise Absent(f"{path} is not there, or cannot be read")
    return text


def _library_command(text: str) -> list[str]:
    match = re.search(r"^_nixpy_command=\((.*)\)$", text, re.MULTILINE)
    try:
        return shlex.split(match[1]) if match else []
    except ValueError:
        return []


@check(
    "direnv.library-outdated",
    title="direnv's library of nixpy is not that of this nixpy",
    severity=Severity.WARNING,
)
def library_outdated(seen: Examination) -> Iterator[Found]:
    """Compares the installed library with the one that this nixpy brings.

    Symptom:
        What the documentation says of `use nixpy` does not hold, or each `cd` takes as long as a
        Python start: library and cache are of different versions.

    Cause:
        nixpy was updated, and `nixpy setup` was not run again; or the file was edited.

    Remedy:
        Run `nixpy setup`. Where Home Manager places the library, update it there.
    """
    path = _library(seen)
    text = _library_text(seen, path)
    command = _library_command(text)
    if command and text == library_text(command, __version__):
        return
    match = re.search(r"^# nixpy-version: (.*)$", text, re.MULTILINE)
    of = f"of nixpy {match[1]}" if match else "of no known version"
    if match and match[1] == __version__:
        of += ", and was changed since"
    yield Found(
        f"{path} is {of}; this is nixpy {__version__}", command="nixpy setup", fix=_setup(seen)
    )


@check(
    "direnv.library-command-gone",
    title="direnv's library calls a nixpy that is gone",
    severity=Severity.PROBLEM,
)
def library_command_gone(seen: Examination) -> Iterator[Found]:
    """Looks whether the command that the library calls can be run.

    Symptom:
        Each `cd` into a project says `No such file or directory`; an environment whose inputs did
        not change is loaded all the same.

    Cause:
        nixpy was installed anew at another place, or the environment that it was in was removed.

    Remedy:
        Run `nixpy setup` with the nixpy that is there.
    """
    path = _library(seen)
    command = _library_command(_library_text(seen, path))
    if not command:
        raise Absent(f"{path} names no command")
    program = command[0]
    if "/" not in program:
        program = find_program(program, seen.environ.get("PATH", "")) or ""
    if not os.access(program, os.X_OK):
        yield Found(
            f"{path} calls {command[0]}, which is not there or cannot be executed",
            command="nixpy setup",
            fix=_setup(seen),
        )


@check(
    "direnv.envrc-missing",
    title="no .envrc says `use nixpy`",
    severity=Severity.NOTE,
)
def envrc_missing(seen: Examination) -> Iterator[Found]:
    """Looks whether the project is one that direnv loads nixpy for.

    Symptom:
        Nothing happens on `cd` into a project that has manifests.

    Cause:
        direnv loads what an `.envrc` says, and there is none, or it does not say `use nixpy`.

    Remedy:
        Add the line, and allow the file. Where you do not use direnv here, nothing is to be done.
    """
    seen.program("direnv")
    if seen.has_envrc:
        return
    path = f"{seen.project.directory}/.envrc"
    there = os.path.exists(path)
    yield Found(
        f"{path} {'has no line `use nixpy`' if there else 'is not there'}",
        command="echo 'use nixpy' >> .envrc && direnv allow",
    )


@check(
    "direnv.envrc-not-allowed",
    title="direnv is not allowed to load the .envrc",
    severity=Severity.PROBLEM,
)
def envrc_not_allowed(seen: Examination) -> Iterator[Found]:
    """Asks direnv whether the project's .envrc is allowed.

    Symptom:
        direnv says `.envrc is blocked`.

    Cause:
        direnv loads an `.envrc` only after you allowed that very content at that very path: it is
        new, was edited, moved, or you denied it.

    Remedy:
        Read the file, then run `direnv allow`. `nixpy doctor --fix` never does that for you.
    """
    if not seen.has_envrc:
        raise Absent("no .envrc says `use nixpy`")
    path = f"{seen.project.directory}/.envrc"
    said = seen.direnv_status
    if os.path.realpath(said.get("Found RC path", "")) != os.path.realpath(path):
        raise Absent(f"direnv does not name {path} as the one in force")
    # Up to 2.32: true or false; since 2.33: 0 allowed, 1 not allowed, 2 denied.
    allowed = said.get("Found RC allowed", "")
    if allowed not in {"true", "0"}:
        what = "is denied" if allowed == "2" else "is not allowed"
        yield Found(f"{path} {what}", command=f"direnv allow {shlex.quote(path)}")


@check(
    "direnv.double-layout",
    title="the .envrc does twice what `use nixpy` does",
    severity=Severity.WARNING,
)
def double_layout(seen: Examination) -> Iterator[Found]:
    """Looks for lines beside `use nixpy` that load a dev shell or a virtual environment too.

    Symptom:
        `cd` is slow, or `python` is not the project's: two environments are in front of PATH.

    Cause:
        `use flake`, `use nix` and `layout python` load what `use nixpy` merges by itself.

    Remedy:
        Remove the lines from the `.envrc`, and run `direnv allow`.
    """
    if not seen.has_envrc:
        raise Absent("no .envrc says `use nixpy`")
    path = f"{seen.project.directory}/.envrc"
    lines = [f"{path}:{number}: {line}" for number, line in double_lines(seen.project.directory)]
    if lines:
        yield Found(*lines)


@check(
    "direnv.warn-timeout",
    title="DIRENV_WARN_TIMEOUT makes direnv warn for nothing, or is no duration",
    severity=Severity.NOTE,
)
def warn_timeout(seen: Examination) -> Iterator[Found]:
    """Reads DIRENV_WARN_TIMEOUT as direnv does.

    Symptom:
        direnv says that the `.envrc` "is taking a while to execute" at each sync.

    Cause:
        The variable is shorter than any sync takes, or is no duration as Go writes them (`20s`):
        then direnv takes its default of 5 s.

    Remedy:
        Set it to something like `30s`, or unset it.
    """
    value = seen.environ.get("DIRENV_WARN_TIMEOUT")
    if value is None:
        return
    if not DURATION.fullmatch(value):
        yield Found(f"DIRENV_WARN_TIMEOUT={value} is no duration", command=_UNSET_TIMEOUT)
    elif "m" not in value.replace("ms", "") and "h" not in value:
        seconds = sum(
            float(number) * {"s": 1, "ms": 1e-3}.get(unit, 1e-6)
            for number, unit in re.findall(r"(\d+(?:\.\d*)?)(ms|s|us|µs|ns)", value)
        )
        if 0 < seconds < 1:
            yield Found(f"DIRENV_WARN_TIMEOUT={value}", command=_UNSET_TIMEOUT)


_UNSET_TIMEOUT = "unset DIRENV_WARN_TIMEOUT"


@check(
    "direnv.environment-too-big",
    title="the environment is bigger than programs can be started with",
    severity=Severity.PROBLEM,
)
def environment_too_big(seen: Examination) -> Iterator[Found]:
    """Adds up the variables of the environment, and compares them with the kernel's limits.

    Symptom:
        `Argument list too long` from every command in the directory.

    Cause:
        Linux starts no program with a variable of 128 KiB or more (execve(2), MAX_ARG_STRLEN), nor
        with all of them and the arguments above ARG_MAX (`getconf ARG_MAX`). direnv's own
        `DIRENV_DIFF` holds all that it changed.

    Remedy:
        Make the variables that the evidence names shorter: keep long lists in files.
    """
    environ = seen.inside
    sizes = {
        name: len(os.fsencode(name)) + len(os.fsencode(value)) + 2
        for name, value in environ.items()
    }
    limit = os.sysconf("SC_ARG_MAX")
    # Each string also costs a pointer.
    total = sum(sizes.values()) + 8 * len(sizes)
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    named = ", ".join(f"{name} ({sizes[name]} bytes)" for name in largest)
    if seen.platform == "linux":
        for name in largest:
            if sizes[name] >= NEARLY * LONGEST_STRING:
                beyond = sizes[name] > LONGEST_STRING
                yield Found(
                    f"{name} has {sizes[name]} bytes; one variable can have {LONGEST_STRING}",
                    severity=None if beyond else Severity.WARNING,
                )
    if total >= NEARLY * limit:
        yield Found(
            f"all variables together have {total} bytes; ARG_MAX is {limit}; the largest: {named}",
            severity=None if total >= limit else Severity.WARNING,
        )


@check(
    "direnv.stale-environment",
    title="direnv's environment of another directory is in force here",
    severity=Severity.WARNING,
)
def stale_environment(seen: Examination) -> Iterator[Found]:
    """Compares DIRENV_DIR with the directory.

    Symptom:
        `python` and other variables are those of a project that you have left.

    Cause:
        The shell was started inside that project without the hook, by tmux, an editor or
        `nohup`, and the hook that would have unloaded it never ran.

    Remedy:
        Let direnv look again, with its hook in that shell's startup file, or by the command.
    """
    loaded = seen.environ.get("DIRENV_DIR", "").removeprefix("-")
    if not loaded:
        return
    here = os.path.realpath(seen.directory)
    nearest: str | None = here
    while nearest and not os.path.isfile(f"{nearest}/.envrc"):
        nearest = os.path.dirname(nearest) if nearest != "/" else None
    if nearest and os.path.realpath(loaded) == nearest:
        return
    gone = "" if os.path.isdir(loaded) else ", which is gone"
    shell = login_shell(seen) or "bash"
    yield Found(
        f"DIRENV_DIR={seen.environ['DIRENV_DIR']}{gone}; this is {seen.directory}",
        command=EXPORT_LINES.get(shell, f'eval "$(direnv export {shell})"'),
    )
