"""Checks of the environment's interpreter: that it is there, runs, and is the one that is meant."""

from __future__ import annotations

import errno
import glob
import os
import platform
import re
import stat
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Found, Severity
from nixpy.doctor.shells import startup_lines, used_shells
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

LONGEST_CHAIN = 20

MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
"""``e_machine`` of an ELF header (System V ABI, "ELF Header")."""

SHIMS = (
    ("/.pyenv/shims", "pyenv"),
    ("/pyenv/shims", "pyenv"),
    ("/.asdf/shims", "asdf"),
    ("/asdf/shims", "asdf"),
    ("/mise/shims", "mise"),
    ("/mise/installs/", "mise"),
    ("/.rye/shims", "rye"),
    ("conda", "conda"),
    ("mamba", "mamba"),
)

NAMES = ("python", "python3")

_ALIAS = re.compile(
    r"(?:^|[;&|]\s*)(?:alias\s+(?:-\w+\s+)*(?P<alias>python3?|pip3?)(?:=|\s+\S)"
    r"|function\s+(?P<function>python3?|pip3?)\b|(?P<posix>python3?|pip3?)\s*\(\)"
    r"|fn\s+(?P<elvish>python3?|pip3?)\b|def\s+(?:--\S+\s+)*(?P<nu>python3?|pip3?)\b)"
)


def _chain(path: str) -> list[str]:
    """Return a path and all that it leads to through symbolic links."""
    found = [path]
    while os.path.islink(found[-1]) and len(found) < LONGEST_CHAIN:
        found.append(
            os.path.normpath(os.path.join(os.path.dirname(found[-1]), os.readlink(found[-1])))
        )
    return found


@check(
    "interpreter.dangling",
    title="the environment's interpreter is gone",
    severity=Severity.PROBLEM,
)
def dangling(seen: Examination) -> Iterator[Found]:
    """Follows the link that the environment's bin/python is.

    Symptom:
        `python: No such file or directory`, or `bad interpreter` from the environment's scripts.

    Cause:
        A virtual environment has a link to the interpreter that it was made with. That one was
        removed: an upgrade, `uv python uninstall`, `brew upgrade`; or Nix collected it, which it
        does with whatever no gc root protects.

    Remedy:
        Sync: the environment is made anew with an interpreter that is there.
    """
    prefix = seen.prefix
    if prefix.runs() or os.path.exists(prefix.python):
        return
    if not os.path.lexists(prefix.python):
        evidence, cause = f"{prefix.python} is not there", ""
    else:
        chain = _chain(prefix.python)
        evidence = f"{' -> '.join(chain)}, which is not there"
        collected = "Nix collected the interpreter: no gc root protected it."
        cause = collected if chain[-1].startswith("/nix/store/") else ""
    yield Found(evidence, cause=cause, command="nixpy sync", fix=seen.sync_fix())


def _machine(path: str) -> str | None:
    """Return what machine an ELF file is for, or ``None`` where it is none."""
    try:
        with open(path, "rb") as file:
            header = file.read(20)
    except OSError:
        return None
    if header[:4] != b"\x7fELF" or len(header) < 20:  # noqa: PLR2004 - up to e_machine
        return None
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return MACHINES.get(number, f"machine {number}")


def _start(seen: Examination) -> str | None:
    """Return why the environment's interpreter does not start; ``None`` where it does."""
    try:
        done = seen.ask([seen.python, "-I", "-c", ""])
    except Absent as reason:
        if "cannot be started" not in str(reason):
            raise
        return str(reason)
    if done.status == 0:
        return None
    last = (done.stderr.strip() or "no message").splitlines()[-1]
    ended = f"status {done.status}" if done.status > 0 else f"signal {-done.status}"
    return f"{seen.python} ends with {ended}: {last}"


@check(
    "interpreter.wrong-architecture",
    title="the environment's interpreter is for another machine",
    severity=Severity.PROBLEM,
)
def wrong_architecture(seen: Examination) -> Iterator[Found]:
    """Reads the ELF header of the interpreter.

    Symptom:
        `Exec format error`, or Python is very slow because it is emulated.

    Cause:
        The environment was copied or mounted from another machine, or the interpreter was
        installed for another platform.

    Remedy:
        Remove the environment and sync; name an interpreter of this machine if there are several.
    """
    machine = _machine(os.path.realpath(seen.python))
    here = platform.machine()
    if machine is None:
        raise Absent(f"{seen.python} is no ELF file")
    alike = {"armv7l": "arm", "armv6l": "arm", "i686": "i386", "ppc64le": "ppc64"}
    if machine == alike.get(here, here) or (machine == "i386" and here == "x86_64"):
        return
    why = _start(seen)
    yield Found(
        f"{os.path.realpath(seen.python)} is for {machine}; this is {here}",
        *([why] if why else ["it runs, so it is emulated"]),
        severity=None if why else Severity.WARNING,
        command="nixpy sync --force",
    )


@check(
    "interpreter.does-not-run",
    title="the environment's interpreter does not start",
    severity=Severity.PROBLEM,
)
def does_not_run(seen: Examination) -> Iterator[Found]:
    """Starts the interpreter, isolated.

    Symptom:
        Each `python` in the environment fails at once.

    Cause:
        Its standard library or a shared library that it needs is gone, or its dynamic linker is
        not where it expects it (a foreign binary on NixOS).

    Remedy:
        Sync: the environment is made anew. If that does not help, install that Python anew.
    """
    why = _start(seen)
    machine = _machine(os.path.realpath(seen.python))
    if why and machine in {None, platform.machine()}:
        yield Found(why, command="nixpy sync --force", fix=seen.sync_fix())


def _managed_directory(seen: Examination) -> str:
    named = seen.environ.get("UV_PYTHON_INSTALL_DIR")
    data = seen.environ.get("XDG_DATA_HOME") or f"{seen.environ.get('HOME', '')}/.local/share"
    return os.path.realpath(named or f"{data}/uv/python")


@check(
    "interpreter.managed-cannot-run",
    title="a Python that uv downloaded cannot run on NixOS",
    severity=Severity.PROBLEM,
)
def managed_cannot_run(seen: Examination) -> Iterator[Found]:
    """Looks on NixOS whether the environment rests on a Python that uv manages.

    Symptom:
        `Could not start dynamically linked executable`, or `No such file or directory` for a file
        that is there.

    Cause:
        uv's Pythons expect the dynamic linker of other distributions. On NixOS there is a stub in
        its place, unless nix-ld is switched on.

    Remedy:
        Take a Python of nixpkgs, in the dev shell or on PATH, and set
        `UV_PYTHON_DOWNLOADS=never`; or switch on nix-ld (`programs.nix-ld.enable = true`).
    """
    if not os.path.exists(f"{seen.root}/etc/NIXOS"):
        raise Absent("this is not NixOS")
    real = os.path.realpath(seen.prefix.python)
    if not (real + "/").startswith(_managed_directory(seen) + "/"):
        return
    why = _start(seen)
    if why:
        yield Found(why, f"{seen.prefix.python} leads to {real}", "NIX_LD is not set")


@check(
    "interpreter.version-unfit",
    title="the environment's Python is not what the project asks for",
    severity=Severity.PROBLEM,
)
def version_unfit(seen: Examination) -> Iterator[Found]:
    """Compares the environment's version with requires-python and with what was asked for.

    Symptom:
        A sync fails, or makes the environment anew; a tool refuses the project.

    Cause:
        `requires-python`, `.python-version` or the option `python` changed, or no such Python was
        found at the last sync.

    Remedy:
        Sync. Where no such Python is found, install one, or change what is asked for.
    """
    request = seen.derivation.request
    version = seen.prefix.version()
    if version is None:
        raise Absent(f"{seen.prefix.path} does not say which version it has")
    lines = []
    if request.requires and not request._replace(text=None).accepts(version):
        lines.append(f"{request.requires_origin} is {request.requires}")
    text = request.text or ""
    is_version = text.replace(".", "").isdigit() or text[:1] in "<>=~!"
    if text and is_version and not request._replace(requires=None).accepts(version):
        lines.append(f"{request.origin} asks for {text}")
    if lines:
        yield Found(*lines, f"{seen.prefix.path} has Python {version}", command="nixpy sync")


@check(
    "interpreter.replaced",
    title="the base interpreter is of another version than the environment",
    severity=Severity.PROBLEM,
)
def replaced(seen: Examination) -> Iterator[Found]:
    """Compares what the interpreter says of itself with what the environment was made with.

    Symptom:
        `ModuleNotFoundError` for everything that is installed.

    Cause:
        An upgrade has put another version in the place of the base interpreter; the packages lie
        in `lib/python3.X` of the old one.

    Remedy:
        Sync: the environment is made anew with the new one.
    """
    made_with = seen.prefix.version()
    done = seen.ask([seen.python, "-I", "-c", "import platform; print(platform.python_version())"])
    runs = done.stdout.strip()
    if done.status or not made_with or not runs:
        raise Absent(f"{seen.python} does not say which version it has")
    if made_with.split(".")[:2] != runs.split(".")[:2]:
        yield Found(
            f"{seen.prefix.path} was made with Python {made_with}",
            f"{' -> '.join(_chain(seen.prefix.python))} is Python {runs} now",
            command="nixpy sync",
            fix=seen.sync_fix(),
        )


@check(
    "interpreter.moved",
    title="the environment was moved, and its scripts call another place",
    severity=Severity.PROBLEM,
)
def moved(seen: Examination) -> Iterator[Found]:
    """Compares where the environment was made with where it lies, and reads its scripts.

    Symptom:
        `bad interpreter: No such file or directory` from `pytest`, `pip` and others, or they run
        in the environment of another copy of the project.

    Cause:
        Scripts name their interpreter by an absolute path. The directory was renamed, moved or
        copied with the environment in it.

    Remedy:
        Sync: the environment is made anew at its place.
    """
    prefix = seen.prefix
    lines = []
    marker = prefix.read_marker()
    if marker and marker.prefix != prefix.path:
        lines.append(f"{prefix.path} was made at {marker.prefix}")
    for path in sorted(glob.glob(f"{glob.escape(prefix.path)}/bin/*")):
        called = _called_by(path)
        if called and _is_elsewhere(called, prefix.path):
            lines.append(f"{path} calls {called}")
            break
    if lines:
        yield Found(*lines, command="nixpy sync --force", fix=seen.sync_fix())


def _is_elsewhere(python: str, prefix: str) -> bool:
    """Return whether a Python is, or was, that of another environment than the prefix."""
    other = os.path.dirname(os.path.dirname(python))
    if os.path.realpath(other) == prefix:
        return False
    # A script of the user's own may call any interpreter that is none of an environment.
    return os.path.exists(f"{other}/pyvenv.cfg") or not (
        os.path.exists(python) or python.startswith("/nix/store/")
    )


def _called_by(path: str) -> str | None:
    """Return the Python of an environment that a script calls, or ``None``."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o100:
            return None
        with open(path, "rb") as file:
            head = os.fsdecode(file.read(1024))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    # A path that is too long for the kernel, or has blanks, is called by way of sh (pip, uv).
    match = re.match(r"#!(?:/bin/sh\n'''exec' )?[\"']?(/[^\n\"']*/bin/python[\d.]*)", head)
    return match[1] if match else None


@check(
    "interpreter.shadowed",
    title="`python` in this shell is not the environment's",
    severity=Severity.PROBLEM,
)
def shadowed(seen: Examination) -> Iterator[Found]:
    """Looks which python is the first one on PATH where the environment is loaded.

    Symptom:
        `python` cannot import what is installed; `which python` names another place.

    Cause:
        Something was put in front of PATH after direnv had loaded the environment: shims of pyenv,
        asdf or mise, conda's base, a startup file that a nested shell reads again.

    Remedy:
        Initialise that tool before direnv's hook in the startup file; the hook comes last.
    """
    if not seen.is_in_force:
        raise Absent("the environment is not loaded in this shell")
    own = f"{seen.prefix.path}/bin"
    path = seen.environ.get("PATH", "")
    for name in NAMES:
        found = find_program(name, path)
        if not os.path.exists(f"{own}/{name}") or found is None:
            continue
        if os.path.realpath(os.path.dirname(found)) == own:
            continue
        tool = next((tool for part, tool in SHIMS if part in found), None)
        directory = os.path.dirname(found)
        place = path.split(os.pathsep).index(directory) + 1
        of = f", which is {tool}'s" if tool else ""
        yield Found(
            f"`{name}` is {found}{of}",
            f"{directory} is element {place} of PATH, "
            + (
                f"{own} is element {path.split(os.pathsep).index(own) + 1}"
                if own in path.split(os.pathsep)
                else f"and {own} is not on it"
            ),
        )
        return


@check(
    "interpreter.alias",
    title="an alias or a function of the shell goes before the environment's python or pip",
    severity=Severity.WARNING,
)
def alias(seen: Examination) -> Iterator[Found]:
    """Looks for aliases and functions named python or pip in startup files and exported ones.

    Symptom:
        `which python` names the environment's, and `python` is another one all the same.

    Cause:
        Aliases and functions go before PATH.

    Remedy:
        Remove the line from the startup file, and `unalias` or `unset -f` it in this shell.
    """
    found = {
        f"{path}:{number}: {line}": None
        for shell in used_shells(seen)
        for path, number, line in startup_lines(seen, shell)
        if _ALIAS.search(line)
    }
    exported = [
        f"the environment has the function {name}"
        for name in seen.environ
        if re.fullmatch(r"BASH_FUNC_(?:python3?|pip3?)(?:%%|\(\))", name)
    ]
    if found or exported:
        yield Found(*found, *exported)
