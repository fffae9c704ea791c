"""Checks of Nix itself: its program, settings, daemon and store, and what NixOS lacks."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.checks.nixpy import LITTLE_ROOM, NETWORK, NO_ROOM, mount_of
from nixpy.doctor.finding import Absent, Found, Severity
from nixpy.libraries.elf import DamagedElf, read_elf
from nixpy.nix.daemon import NoDaemon, daemon_socket, greet, state_directory, store_directory
from nixpy.nix.lock_file import files_named, lookup_names
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

OLDEST_NIX = (2, 4)

PATIENCE = 1.0
"""Seconds that a daemon has to answer: it takes a few milliseconds."""

MOST_PROGRAMS = 300
MOST_LINKS = 10

DEFAULT_LOADER = "/run/current-system/sw/share/nix-ld/lib/ld.so"
"""What nix-ld takes where no variable names another (nix-ld, README)."""

_BAD_LINE = re.compile(r"configuration line '(?P<line>.*)' in '(?P<file>[^']*)'")


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


@check(
    "nix.missing",
    title="the dev shell needs Nix, which is not installed",
    severity=Severity.WARNING,
)
def missing(seen: Examination) -> Iterator[Found]:
    """Looks for Nix on PATH and where installers put it, if the project has a dev shell.

    Symptom:
        nixpy says "Nix is not installed, so the dev shell is left out".

    Cause:
        The project has a `flake.nix` or a `shell.nix`, or an option names a dev shell, and there is
        no Nix to evaluate it.

    Remedy:
        Install Nix (nixos.org/download). Where the dev shell is not meant for you, say
        `flake = false` in `[tool.nixpy]`, or set `NIXPY_FLAKE=false`.
    """
    source = seen.source
    try:
        path = seen.nix_program
    except Absent:
        named = source.reference if source.is_asked_for or not source.is_flake else "flake.nix"
        yield Found(
            f"the project has a dev shell: {seen.shown(named)}",
            f"PATH={seen.environ.get('PATH', '')}",
            severity=Severity.PROBLEM if source.is_asked_for else None,
        )
    else:
        yield Found(f"{path}, version {seen.nix.version or '?'}", severity=Severity.OK)


@check("nix.not-on-path", title="the Nix that is installed is not on PATH", severity=Severity.NOTE)
def not_on_path(seen: Examination) -> Iterator[Found]:
    """Looks whether the Nix that nixpy found is one that the shell finds too.

    Symptom:
        `nix: command not found`, though nixpy loads the dev shell.

    Cause:
        The installer's line in the shell's startup file is missing, or an update of the system
        removed it from the file in /etc.

    Remedy:
        Add the command to your shell's startup file.
    """
    _ = seen.source
    if find_program("nix", seen.environ.get("PATH", "")) is None:
        directory = os.path.dirname(seen.nix_program)
        yield Found(
            f"{seen.nix_program} is there",
            f"PATH={seen.environ.get('PATH', '')}",
            command=f'export PATH={shlex.quote(directory)}:"$PATH"',
        )


@check(
    "nix.does-not-run",
    title="each command of Nix' ends with an error at once",
    severity=Severity.PROBLEM,
)
def does_not_run(seen: Examination) -> Iterator[Found]:
    """Asks Nix for its version.

    Symptom:
        Every command of Nix' ends with the same error, and so does the dev shell.

    Cause:
        A line of `nix.conf`, of `~/.config/nix/nix.conf` or of the variable `NIX_CONFIG` is none
        that Nix reads, or names a file that is gone; or the program itself is damaged.

    Remedy:
        Correct the line that the evidence shows, or take it out. `NIX_CONF_DIR` and
        `NIX_USER_CONF_FILES` say where Nix looks for these files.
    """
    _ = seen.source
    path, done = seen.nix
    if done.status == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("Try '")]
    evidence = [f"{path} ends with status {done.status}", *lines[-3:]]
    match = _BAD_LINE.search(done.stderr)
    for number, line in (
        enumerate((seen.read(match["file"]) or "").splitlines(), 1) if match else ()
    ):
        if match and line.partition("#")[0].strip() == match["line"].strip():
            evidence.append(f"{match['file']}:{number}: {line}")
    yield Found(*evidence)


@check(
    "nix.setting-unknown",
    title="a setting or a feature is unknown to Nix",
    severity=Severity.NOTE,
)
def setting_unknown(seen: Examination) -> Iterator[Found]:
    """Asks Nix for its version, and listens to what it warns of.

    Symptom:
        Each command of Nix' begins with `warning: unknown setting` or `unknown experimental
        feature`, and the setting has no effect.

    Cause:
        A setting in `nix.conf` or `NIX_CONFIG` is misspelt, or is for another version of Nix.

    Remedy:
        Correct it, or take it out. nixpy needs no setting: it switches on flakes for its own calls.
    """
    _ = seen.source
    warnings = dict.fromkeys(
        line for line in seen.nix.said.stderr.splitlines() if line.startswith("warning: unknown ")
    )
    if warnings:
        yield Found(*warnings)


@check(
    "nix.too-old", title="the Nix that is used is too old for dev shells", severity=Severity.PROBLEM
)
def too_old(seen: Examination) -> Iterator[Found]:
    """Compares the version of Nix with the oldest that nixpy works with, 2.4.

    Symptom:
        nixpy says "this Nix is older than 2.4, which dev shells need".

    Cause:
        A distribution's package of Nix can be years old, and hides a newer one behind it on PATH.

    Remedy:
        Install a newer Nix (nixos.org/download) in front on PATH.
    """
    _ = seen.source
    if () < seen.nix.release < OLDEST_NIX:
        yield Found(f"{seen.nix.path} is Nix {seen.nix.version}, and 2.4 is needed")


def _daemon(seen: Examination) -> str:
    _ = (seen.source, seen.nix_program)
    path = daemon_socket(seen.environ, seen.root)
    if path is None:
        raise Absent("Nix uses the store without a daemon here")
    return path


@check("nix.daemon-unreachable", title="the Nix daemon does not answer", severity=Severity.PROBLEM)
def daemon_unreachable(seen: Examination) -> Iterator[Found]:
    """Greets the daemon that Nix would ask, and waits for a second.

    Symptom:
        `cannot connect to socket`, `cannot connect to daemon`, or Nix waits for ever.

    Cause:
        The daemon is not running, the variable `NIX_REMOTE` names another one, or you may not use
        its socket (the group of `/nix/var/nix/daemon-socket`, `allowed-users` in `nix.conf`).

    Remedy:
        Start the daemon. Where there is none, as in a container, unset `NIX_REMOTE`.
    """
    path = _daemon(seen)
    try:
        version = greet(path, PATIENCE)
    except NoDaemon as why:
        remote = seen.environ.get("NIX_REMOTE", "")
        yield Found(
            f"{path}: {why}",
            f"NIX_REMOTE={remote}",
            command="unset NIX_REMOTE" if remote.startswith("unix://") else _start(seen),
        )
    else:
        yield Found(f"{path} answers, version {version or '?'}", severity=Severity.OK)


def _start(seen: Examination) -> str:
    if seen.platform == "darwin":
        return "sudo launchctl kickstart -k system/org.nixos.nix-daemon"
    if os.path.isdir(f"{seen.root}/run/systemd/system"):
        return "sudo systemctl start nix-daemon.socket nix-daemon.service"
    program = os.path.join(os.path.dirname(seen.nix_program), "nix-daemon")
    return f"sudo {shlex.quote(program)} >/dev/null 2>&1 &"


@check(
    "nix.daemon-differs",
    title="the Nix daemon is of another version than your Nix",
    severity=Severity.NOTE,
)
def daemon_differs(seen: Examination) -> Iterator[Found]:
    """Compares the version that the daemon greets with and that of the program.

    Symptom:
        A setting, a feature or a bug that is mended in your Nix is not in what it builds.

    Cause:
        One was updated and the other not: the daemon runs until it is started again, and a Nix in
        your profile, from nixpkgs say, is none of the daemon's.

    Remedy:
        Update the older one, and start the daemon again. They work together across versions, so
        that nothing has to be done where nothing is amiss.
    """
    path = _daemon(seen)
    try:
        version = greet(path, PATIENCE)
    except NoDaemon as why:
        raise Absent(f"{path}: {why}") from None
    if version and seen.nix.release and _release(version) != seen.nix.release:
        yield Found(f"{seen.nix.path} is {seen.nix.version}; the daemon at {path} is {version}")


def _store(seen: Examination) -> str:
    _ = (seen.source, seen.nix_program)
    path = store_directory(seen.environ)
    if "NIX_STORE_DIR" not in seen.environ:
        path = seen.root + path
    if not os.path.isdir(path):
        raise Absent(f"{path} is not there")
    return path


@check("nix.store-full", title="there is hardly any room for the store", severity=Severity.WARNING)
def store_full(seen: Examination) -> Iterator[Found]:
    """Looks at the free space where the store lies.

    Symptom:
        Nix fails with `No space left on device`, or `database or disk is full`.

    Cause:
        The store grows until somebody collects what nothing uses any more.

    Remedy:
        Collect it. `nixpy gc` before that lets go of the dev shells of projects that are gone.
    """
    store = _store(seen)
    status = os.statvfs(store)
    free = status.f_bavail * status.f_frsize
    if free < LITTLE_ROOM:
        yield Found(
            f"{store} has {free // 1_000_000} MB left",
            severity=Severity.PROBLEM if free < NO_ROOM else None,
            command="nixpy gc && nix-collect-garbage",
        )


@check(
    "nix.store-on-network",
    title="the store lies on a network file system",
    severity=Severity.WARNING,
)
def store_on_network(seen: Examination) -> Iterator[Found]:
    """Looks at the type of the file system that the store lies on.

    Symptom:
        Each program of the dev shell starts slowly, its Python above all.

    Cause:
        Each file that a program opens costs a round trip to a server. That the store is on another
        *local* file system than the environment costs nothing: nothing is linked between them.

    Remedy:
        Have the store on a disk of this machine.
    """
    store = _store(seen)
    mountinfo = seen.read(f"{seen.root}/proc/self/mountinfo")
    if mountinfo is None:
        raise Absent("there is no /proc/self/mountinfo to read")
    real = os.path.realpath(store)
    below = f"{seen.root}/"
    point, kind = mount_of("/" + real.removeprefix(below) if seen.root else real, mountinfo)
    if NETWORK.fullmatch(kind):
        yield Found(f"{store} is on {point}, which is {kind}")


@check(
    "nix.search-path",
    title="the shell.nix looks for something that NIX_PATH does not have",
    severity=Severity.PROBLEM,
)
def search_path(seen: Examination) -> Iterator[Found]:
    """Reads which names in angle brackets a Nix file looks up, and where NIX_PATH leads.

    Symptom:
        `file 'nixpkgs' was not found in the Nix search path`.

    Cause:
        `<nixpkgs>` is looked up in the variable `NIX_PATH`, which names what is gone, or in the
        channels of a user who has none.

    Remedy:
        Correct `NIX_PATH`, add a channel (`nix-channel --add`), or pin nixpkgs in the file.
    """
    source = seen.source
    if source.is_flake:
        raise Absent("a flake does not look at NIX_PATH")
    file = source.file
    texts = {path: seen.read(path) or "" for path in (file, *files_named(file, seen.read))}
    wanted = {name: path for path, text in texts.items() for name in lookup_names(text)}
    if not wanted:
        return
    value = seen.environ.get("NIX_PATH")
    elements = _default_search_path(seen) if value is None else value.split(":")
    for name, path in wanted.items():
        if name != "nix" and not any(_leads(element, name, value or "") for element in elements):
            shown = f"NIX_PATH={value}" if value is not None else "NIX_PATH is not set"
            yield Found(
                f"{seen.shown(path)} looks up <{name}>",
                shown,
                *(f"{element} leads nowhere" for element in elements if element.startswith(name)),
                # A setting in nix.conf, nix-path, may have it all the same.
                severity=Severity.WARNING if value is None else None,
            )


def _default_search_path(seen: Examination) -> list[str]:
    state = state_directory(seen.environ)
    state = state if "NIX_STATE_DIR" in seen.environ else seen.root + state
    home = seen.environ.get("HOME", "")
    channels = f"{state}/profiles/per-user/root/channels"
    return [f"{home}/.nix-defexpr/channels", f"nixpkgs={channels}/nixpkgs", channels]


def _leads(element: str, name: str, value: str) -> bool:
    """Whether an element of ``NIX_PATH`` leads somewhere for a name.

    An address has a colon itself, and is two elements then: which are taken as they come.
    """
    prefix, equals, path = element.rpartition("=")
    if equals and prefix != name:
        return False
    if equals and (path in {"flake", "channel", "http", "https", "git+https"}):
        return f"{element}:" in value
    return os.path.exists(path if equals else f"{path}/{name}")


def _links(path: str, root: str) -> tuple[str, ...]:
    """Return what a path leads to, link by link."""
    found = [path]
    while len(found) < MOST_LINKS and os.path.islink(root + found[-1]):
        target = os.readlink(root + found[-1])
        found.append(os.path.normpath(os.path.join(os.path.dirname(found[-1]), target)))
    return tuple(found)


def _foreign_programs(seen: Examination) -> dict[str, str]:
    """Return the environment's programs that another distribution's loader runs, with that."""
    if seen.platform != "linux":
        raise Absent("only Linux runs programs by a loader that they name")
    prefix = seen.prefix.path
    store = store_directory(seen.environ) + "/"
    found: dict[str, str] = {}
    try:
        names = sorted(os.listdir(f"{prefix}/bin"))[:MOST_PROGRAMS]
    except OSError as error:
        raise Absent(f"{prefix}/bin: {error.strerror}") from None
    for path in (seen.prefix.python, *(f"{prefix}/bin/{name}" for name in names)):
        real = os.path.realpath(path)
        if real in found or (path != seen.prefix.python and not real.startswith(prefix + "/")):
            continue
        try:
            elf = read_elf(real)
        except (DamagedElf, OSError):
            continue
        if elf and elf.interpreter and not elf.interpreter.startswith(store):
            found[real] = elf.interpreter
    return found


def _is_nix_ld(seen: Examination, loader: str) -> bool:
    return any("nix-ld" in link for link in _links(loader, seen.root)[1:])


@check(
    "nix.no-loader",
    title="programs for other distributions cannot run on this NixOS",
    severity=Severity.WARNING,
)
def no_loader(seen: Examination) -> Iterator[Found]:
    """Looks at the loader that the environment's Python and the programs of wheels name.

    Symptom:
        `Could not start dynamically linked executable: … NixOS cannot run dynamically linked
        executables intended for generic linux environments out of the box`, or `No such file or
        directory` for a program that is there.

    Cause:
        A Python that uv has downloaded, and programs in wheels (ruff, cmake, node), name the loader
        `/lib64/ld-linux-x86-64.so.2`. NixOS has none there, or a stub that only says so.

    Remedy:
        Take the Python of the dev shell or of the system: it is preferred where it fits. For
        programs, take those of nixpkgs in the dev shell, or have nix-ld
        (`programs.nix-ld.enable = true;` in configuration.nix, then `nixos-rebuild switch`).
    """
    python = os.path.realpath(seen.prefix.python)
    for path, loader in _foreign_programs(seen).items():
        links = _links(loader, seen.root)
        is_stub = any("stub-ld" in link for link in links)
        if is_stub or not os.path.lexists(f"{seen.root}{loader}"):
            what = f"NixOS' stub ({links[-1]})" if is_stub else "not there"
            yield Found(
                f"{path} wants {loader}, which is {what}",
                severity=Severity.PROBLEM if path == python else None,
            )


@check(
    "nix.nix-ld-incomplete",
    title="nix-ld is there, and what it is told leads nowhere",
    severity=Severity.PROBLEM,
)
def nix_ld_incomplete(seen: Examination) -> Iterator[Found]:
    """Looks where NIX_LD and NIX_LD_LIBRARY_PATH lead, if nix-ld runs the environment's programs.

    Symptom:
        `nix-ld: NIX_LD is not set`, `cannot execute`, or a library that is not found in one
        terminal and is in another.

    Cause:
        The variables are set at login: the session is older than `programs.nix-ld.enable`, a
        service or `env -i` does not have them, or they name store paths that were collected.

    Remedy:
        Log in again, or unset them: nix-ld then takes what the system has.
    """
    programs = _foreign_programs(seen)
    if not any(_is_nix_ld(seen, loader) for loader in set(programs.values())):
        raise Absent("no program here is run by nix-ld")
    environ = seen.inside
    loader = environ.get("NIX_LD") or DEFAULT_LOADER
    if not os.path.exists(seen.root + loader):
        said = f"NIX_LD={environ['NIX_LD']}" if environ.get("NIX_LD") else "NIX_LD is not set"
        there = os.path.exists(seen.root + DEFAULT_LOADER)
        yield Found(
            said,
            f"{loader} is not there",
            command="unset NIX_LD" if there else "",
        )
    elements = [one for one in environ.get("NIX_LD_LIBRARY_PATH", "").split(":") if one]
    gone = [one for one in elements if not os.path.isdir(seen.root + one)]
    if gone:
        yield Found(
            *(f"NIX_LD_LIBRARY_PATH names {one}, which is not there" for one in gone),
            severity=Severity.WARNING,
        )
