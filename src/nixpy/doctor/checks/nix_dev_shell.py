"""Checks of the dev shell: its flake, the lock file, what was kept of it, and its gc roots."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import time
from typing import TYPE_CHECKING, NamedTuple

from nixpy.collect import collect
from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity, some
from nixpy.doctor.locks import is_locked
from nixpy.doctor.trees import size_of, size_of_all
from nixpy.errors import ManifestError
from nixpy.inputs import ABSENT, observe
from nixpy.lock import lock_path
from nixpy.logs import log_lines, log_path
from nixpy.nix.daemon import state_directory
from nixpy.nix.dev_shell import is_fresh
from nixpy.nix.lock_file import (
    Locked,
    MalformedLock,
    declared_inputs,
    differences,
    files_named,
    read_lock,
)
from nixpy.nix.log import Log
from nixpy.nix.problems import problem
from nixpy.nix.roots import owner_of
from nixpy.nix.source import git_top
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination
    from nixpy.inputs import Input

MOST_SHOWN = 5

BIG = 200_000_000
"""Bytes: to hash and copy them takes a second or two, each time that the flake is evaluated."""

MANY = 50_000
"""Files that take as long."""

OLD = 180 * 86_400
"""Seconds: a release of nixpkgs is maintained for seven months."""

INPUTS_TO_UPDATE = (2, 19)
"""The Nix since which ``nix flake update`` takes inputs; before it took a flake."""

FLAKES = "nix --extra-experimental-features 'nix-command flakes'"
"""How a command is given that works also where flakes are not switched on."""


def _flake_text(seen: Examination) -> str:
    text = seen.read(f"{seen.flake.directory}/flake.nix")
    if text is None:
        raise Absent(f"{seen.flake.directory}/flake.nix cannot be read")
    return text


def _lock_flags(seen: Examination) -> str:
    """Return the flake as an argument, where it is not that of the project's directory."""
    directory = seen.flake.directory
    return "" if directory == seen.project.root else f" {shlex.quote(directory)}"


@check(
    "nix.flake-untracked",
    title="git does not track a file of the flake, so Nix does not see it",
    severity=Severity.PROBLEM,
)
def flake_untracked(seen: Examination) -> Iterator[Found]:
    """Asks git whether it tracks flake.nix, flake.lock, and the files that they name.

    Symptom:
        `path '…' does not exist` or `is not tracked by git`, for a file that is there.

    Cause:
        Nix evaluates a flake in a git repository from what git tracks. The file is new, and was not
        added. An evaluation that is kept goes on until something changes.

    Remedy:
        Add the file; it need not be committed. `git add --intent-to-add` is enough.
    """
    flake = seen.flake
    if not flake.has_git:
        raise Absent(f"{flake.tree} is no git repository, or the flake is asked for by `path:`")
    manifest = f"{flake.directory}/flake.nix"
    named = files_named(manifest, seen.read)
    lock = f"{flake.directory}/flake.lock"
    # What lies outside of the tree, or in a submodule, is not for this repository to track.
    wanted = {
        path: by
        for path, by in {manifest: "", lock: "", **named}.items()
        if os.path.isfile(path) and git_top(os.path.dirname(path)) == flake.tree
    }
    tracked = set(_git(seen, "ls-files", "--cached", "-z", "--", *wanted))
    missing = {path: by for path, by in wanted.items() if path not in tracked}
    if not missing:
        return
    # A file that is ignored may be looked at only where it is there.
    others = ("--others", "--ignored", "--exclude-standard")
    ignored = set(_git(seen, "ls-files", *others, "-z", "--", *missing))
    own = {manifest, lock}
    missing = {path: by for path, by in missing.items() if path not in ignored - own}
    if missing:
        lines = [
            f"{seen.shown(path)}" + (f", which {seen.shown(by)} names" if by else "")
            for path, by in missing.items()
        ]
        force = " --force" if ignored & set(missing) else ""
        files = " ".join(shlex.quote(path) for path in missing)
        yield Found(
            *some(lines, MOST_SHOWN),
            severity=Severity.WARNING if _has_current_dev_shell(seen) else None,
            command=f"git -C {shlex.quote(flake.tree)} add{force} {files}",
        )


def _git(seen: Examination, *arguments: str) -> list[str]:
    """Return the absolute paths that git names."""
    top = seen.flake.tree
    done = seen.ask([seen.program("git"), *arguments], cwd=top)
    if done.status:
        raise Absent(f"git says: {(done.stderr.strip() or '?').splitlines()[-1]}")
    return [os.path.join(top, name) for name in done.stdout.split("\0") if name]


def _has_current_dev_shell(seen: Examination) -> bool:
    try:
        return is_fresh(seen.dev_shell, seen.resolver.dev_shells.environ)
    except Absent:
        return False


@check(
    "nix.lock-missing",
    title="the flake has inputs and no flake.lock",
    severity=Severity.WARNING,
)
def lock_missing(seen: Examination) -> Iterator[Found]:
    """Looks for flake.lock beside a flake.nix that asks for inputs.

    Symptom:
        The dev shell differs between machines and from day to day, and cannot be evaluated offline.

    Cause:
        Without a lock file each evaluation takes what the inputs are at that time. nixpy writes no
        file of yours, so it does not make one.

    Remedy:
        Make it, and add it to git.
    """
    declared = declared_inputs(_flake_text(seen))
    path = f"{seen.flake.directory}/flake.lock"
    if declared and not os.path.lexists(path):
        yield Found(
            f"{path} is not there; flake.nix asks for {', '.join(declared)}",
            command=f"{FLAKES} flake lock{_lock_flags(seen)}",
        )


def _lock(seen: Examination) -> dict[str, Locked]:
    text = seen.read(f"{seen.flake.directory}/flake.lock", most=20_000_000)
    if text is None:
        raise Absent("there is no flake.lock")
    try:
        return read_lock(text)
    except MalformedLock as error:
        raise Absent(f"flake.lock is malformed: {error}") from None


@check("nix.lock-malformed", title="flake.lock cannot be read", severity=Severity.PROBLEM)
def lock_malformed(seen: Examination) -> Iterator[Found]:
    """Reads flake.lock.

    Symptom:
        Nix says `parse error` or `syntax error while parsing value`, or names a missing attribute.

    Cause:
        Mostly a merge that left its marks in the file.

    Remedy:
        Take one side (`git checkout --ours flake.lock`), or have it made anew.
    """
    path = f"{seen.flake.directory}/flake.lock"
    text = seen.read(path, most=20_000_000)
    if text is None:
        raise Absent("there is no flake.lock")
    try:
        read_lock(text)
    except MalformedLock as error:
        lock = f"{FLAKES} flake lock{_lock_flags(seen)}"
        yield Found(f"{path}: {error}", command=f"rm {shlex.quote(path)} && {lock}")


@check(
    "nix.lock-outdated",
    title="flake.lock is not that of flake.nix",
    severity=Severity.WARNING,
)
def lock_outdated(seen: Examination) -> Iterator[Found]:
    """Compares the inputs of both files; with --deep, asks Nix itself, offline.

    Symptom:
        nixpy says "flake.lock is missing or not current"; an input that was added is another one
        from day to day, and cannot be evaluated offline.

    Cause:
        `flake.nix` was edited after `flake.lock` was written. nixpy writes no file of yours.

    Remedy:
        Bring it up to date: the inputs that did not change stay what they are.
    """
    lines = list(differences(declared_inputs(_flake_text(seen)), _lock(seen)))
    if not lines and seen.is_deep:
        lines = _asked(seen)
    if lines:
        yield Found(*some(lines, MOST_SHOWN), command=f"{FLAKES} flake lock{_lock_flags(seen)}")


def _asked(seen: Examination) -> list[str]:
    """Return what Nix says of a lock file that is not current."""
    reference = seen.source.file
    arguments = ("--json", "--no-update-lock-file", "--offline", "--option", "substitute", "false")
    features = ("--extra-experimental-features", "nix-command flakes")
    done = seen.ask(
        [seen.nix.path, *features, "flake", "metadata", reference, *arguments],
        cwd=seen.project.root,
    )
    return [line.strip() for line in done.stderr.splitlines() if "requires lock file" in line]


@check("nix.lock-old", title="the nixpkgs in flake.lock is old", severity=Severity.NOTE)
def lock_old(seen: Examination) -> Iterator[Found]:
    """Reads from flake.lock of what time its nixpkgs is; 180 days are old.

    Symptom:
        Programs and libraries of the dev shell lack corrections, and more is built that a cache of
        Nix' had once.

    Cause:
        A lock file stays as it is until somebody updates it: that is what it is for.

    Remedy:
        Update it when you have the time to see what that changes.
    """
    for name, locked in _lock(seen).items():
        if not locked.is_nixpkgs or locked.last_modified is None:
            continue
        age = seen.now() - locked.last_modified
        if age > OLD:
            day = time.strftime("%Y-%m-%d", time.gmtime(locked.last_modified))
            yield Found(
                f"{name} is of {day}, {int(age // 86_400)} days ago",
                command=_update(seen, name),
            )


def _update(seen: Examination, name: str) -> str:
    if seen.nix.release >= INPUTS_TO_UPDATE:
        flake = _lock_flags(seen)
        return f"{FLAKES} flake update {shlex.quote(name)}{' --flake' + flake if flake else ''}"
    return f"{FLAKES} flake lock --update-input {shlex.quote(name)}{_lock_flags(seen)}"


@check(
    "nix.flake-big",
    title="a lot is copied each time that the flake is evaluated",
    severity=Severity.WARNING,
)
def flake_big(seen: Examination) -> Iterator[Found]:
    """Adds up what Nix copies to the store: what git tracks, else the whole directory.

    Symptom:
        Evaluating the dev shell takes long (`copying '…' to the store`), and the store fills up.

    Cause:
        Nix copies the tree that a flake lies in to the store whenever it has changed. Without git,
        or by `path:`, that is everything: environments, `node_modules`, data.

    Remedy:
        Have the directory in git, with what is large ignored; or let the flake lie in a directory
        of its own (`flake = "./nix"`). `venv = "central"` has the environment elsewhere.
    """
    flake = seen.flake
    if flake.has_git:
        names = [path[len(flake.tree) + 1 :] for path in _git(seen, "ls-files", "--cached", "-z")]
        size = size_of_all(flake.tree, names, MANY)
    else:
        size = size_of(flake.tree, MANY)
    if size.bytes < BIG and size.files < MANY:
        return
    least = "" if size.is_whole else "at least "
    parts = [f"{name}: {count // 1_000_000} MB" for name, count in size.parts if count > BIG // 100]
    command = ""
    if not flake.has_git and not seen.source.file.startswith("path:"):
        own = ["flake.nix", "flake.lock", *files_named(f"{flake.directory}/flake.nix", seen.read)]
        files = " ".join(
            shlex.quote(os.path.relpath(os.path.join(flake.directory, one), flake.tree))
            for one in own
            if os.path.exists(os.path.join(flake.directory, one))
        )
        command = f"cd {shlex.quote(flake.tree)} && git init && git add {files}"
    yield Found(
        f"{flake.tree}: {least}{size.bytes // 1_000_000} MB in {size.files} files",
        *some(parts, MOST_SHOWN),
        command=command,
    )


class _Failure(NamedTuple):
    """What the log of an evaluation that failed says, and where it lies."""

    lines: list[str]
    log: str


def _failure(seen: Examination) -> _Failure | None:
    """Return why the last evaluation failed; ``None`` where it did not, or goes on."""
    root, source = seen.project.root, seen.source
    record = seen.resolver.dev_shells.record_path(root, source, seen.options)
    path = log_path(seen.state, record or "") or ""
    try:
        ended = os.stat(path).st_mtime_ns
    except OSError:
        return None
    with contextlib.suppress(OSError):
        if record and os.stat(record).st_mtime_ns >= ended:
            return None
    # What failed may have been taken back since: then what is kept holds again.
    if _has_current_dev_shell(seen):
        return None
    if is_locked(lock_path(seen.cache, root)):
        return None
    lines = log_lines(path)[1:]
    log = Log(io.BytesIO())
    starts = [number for number, line in enumerate(lines) if line.startswith("error:")]
    if starts:
        # Over several lines goes an error with the places that it comes from.
        log.errors.append("\n".join(lines[starts[0] :]))
        said = str(problem(log, 1, root, None)).splitlines()
    else:
        said = [f"it ended before it was done: {lines[-1] if lines else 'it said nothing'}"]
    return _Failure(said, path)


@check(
    "nix.evaluation-failed",
    title="the dev shell could not be evaluated the last time",
    severity=Severity.PROBLEM,
)
def evaluation_failed(seen: Examination) -> Iterator[Found]:
    """Reads the log of the last evaluation, where nothing was kept of it.

    Symptom:
        nixpy names an error of Nix', and "the last good dev shell stays in force", or there is
        none.

    Cause:
        The evidence has what Nix said.

    Remedy:
        Mend what it complains of; `nixpy sync` then shows whether that was all.
    """
    failure = _failure(seen)
    if failure:
        yield Found(*failure.lines, f"the whole log: {failure.log}", command="nixpy sync")


@check(
    "nix.dev-shell-stale",
    title="the dev shell that is kept is not today's",
    severity=Severity.NOTE,
)
def dev_shell_stale(seen: Examination) -> Iterator[Found]:
    """Compares all that the last evaluation rested on with what it is now.

    Symptom:
        What you have just changed in the dev shell is not there.

    Cause:
        Something of it has changed and nothing was loaded since; or syncing is manual, and then it
        stays until you ask.

    Remedy:
        Enter the directory, or run `nixpy sync`.
    """
    kept = seen.dev_shell
    if _failure(seen):
        raise Absent("evaluating it failed: see nix.evaluation-failed")
    environ = seen.resolver.dev_shells.environ
    lines = []
    if kept.version != __version__:
        lines.append(f"it was evaluated by nixpy {kept.version}; this is nixpy {__version__}")
    for one in kept.inputs:
        # Of what was collected nix.root-collected speaks.
        if one.kind == "root":
            continue
        try:
            now = observe(one, environ)
        except ManifestError as error:
            lines.append(str(error))
            continue
        if not now.is_same(one):
            lines.append(_changed(seen, one, now))
    if lines:
        manual = seen.options.sync == "manual"
        yield Found(
            *some(lines, MOST_SHOWN),
            severity=Severity.WARNING if manual else None,
            command="nixpy sync",
        )


def _changed(seen: Examination, then: Input, now: Input) -> str:
    what = f"the variable {then.name}" if then.kind == "variable" else seen.shown(then.name)
    if now.value == ABSENT:
        return f"{what} is gone"
    return f"{what} {'is new' if then.value == ABSENT else 'changed'}"


@check(
    "nix.root-collected",
    title="what the dev shell consists of was collected",
    severity=Severity.WARNING,
)
def root_collected(seen: Examination) -> Iterator[Found]:
    """Follows the links that protect the dev shell from Nix' garbage collection.

    Symptom:
        Programs of the dev shell are gone in shells that have it loaded; the next load evaluates
        and downloads it again.

    Cause:
        The links were removed, `nix-store --delete --ignore-liveness` was used, or the store was
        replaced.

    Remedy:
        Run `nixpy sync`.
    """
    roots = seen.dev_shell.roots
    if not roots:
        raise Absent("no dev shell was evaluated, so nothing has to be kept")
    link = f"{roots}/shell"
    if not os.path.lexists(link):
        yield Found(f"{link} is not there", command="nixpy sync")
    elif not os.path.exists(link):
        yield Found(
            f"{link} leads to {os.path.realpath(link)}, which is gone", command="nixpy sync"
        )
    else:
        yield Found(f"{link} leads to {os.path.realpath(link)}", severity=Severity.OK)


@check(
    "nix.root-unregistered",
    title="the link that protects the dev shell is unknown to Nix",
    severity=Severity.WARNING,
)
def root_unregistered(seen: Examination) -> Iterator[Found]:
    """Looks for the dev shell's links among the gc roots that Nix knows.

    Symptom:
        After the next `nix-collect-garbage`, programs of the dev shell are gone.

    Cause:
        Nix finds such links by entries in `/nix/var/nix/gcroots/auto`. That of this one was
        removed, or the state directory was moved or copied without the entries.

    Remedy:
        Run the command, which tells Nix of the links again; or `nixpy sync`, which evaluates anew.
    """
    roots = seen.dev_shell.roots
    if not roots or not os.path.exists(f"{roots}/shell"):
        raise Absent("there is no link to protect anything")
    remote = seen.environ.get("NIX_REMOTE", "")
    if not remote.startswith("unix://") and remote not in {"", "auto", "daemon", "local"}:
        raise Absent(f"NIX_REMOTE={remote}: that store has its roots elsewhere")
    state = state_directory(seen.environ)
    auto = f"{state}/gcroots/auto"
    if "NIX_STATE_DIR" not in seen.environ:
        auto = seen.root + auto
    try:
        known = {
            os.path.realpath(os.path.dirname(one)) + "/" + os.path.basename(one)
            for one in _targets(auto)
        }
    except OSError as error:
        raise Absent(f"{auto}: {error.strerror}") from None
    top = os.path.realpath(roots)
    # Nix makes `shell` a link to `shell-1-link`, which is the root.
    links = [
        f"{top}/{name}"
        for name in sorted(os.listdir(top))
        if os.path.islink(f"{top}/{name}") and "/" in os.readlink(f"{top}/{name}")
    ]
    unknown = [link for link in links if link not in known and os.path.exists(link)]
    if unknown:
        commands = (
            f"nix-store --add-root {shlex.quote(link)} --indirect --realise "
            f"{shlex.quote(os.readlink(link))}"
            for link in unknown
        )
        yield Found(
            *some([f"{link} is not in {auto}" for link in unknown], MOST_SHOWN),
            command=" && ".join(commands),
        )


def _targets(directory: str) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                yield os.readlink(entry.path)


@check(
    "nix.roots-orphaned",
    title="dev shells of projects that are gone are kept from being collected",
    severity=Severity.NOTE,
)
def roots_orphaned(seen: Examination) -> Iterator[Found]:
    """Looks whether the projects are there that nixpy keeps gc roots for.

    Symptom:
        `nix-collect-garbage` frees less than it might.

    Cause:
        Projects were removed or moved. Their roots stay until somebody asks.

    Remedy:
        Run `nixpy gc`; then `nix-collect-garbage` collects what nothing else uses.
    """
    folder = f"{seen.state}/roots"
    lines = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        owner = owner_of(f"{folder}/{name}")
        if owner is not None and not os.path.isdir(owner):
            lines.append(f"{folder}/{name}: {owner} is gone")
    if lines:

        def remove() -> None:
            collect(seen.environ)

        yield Found(
            *some(lines, MOST_SHOWN),
            command="nixpy gc",
            fix=Fix("remove what belongs to projects that are gone", remove),
        )
