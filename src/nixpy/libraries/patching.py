"""Patching an environment's ELF files, so that they find libraries by themselves: ``rpath``.

A directory is appended to what ``DT_RUNPATH`` or ``DT_RPATH`` of a file has (ld.so(8)), on a copy
that then takes the file's place: other names of its inode, in uv's cache and in other
environments, never change. What is needed to undo that lies in ``<prefix>/.nixpy/patched``::

    originals/<path of the file below the prefix>   another name of the original's inode
    records/<digest of that path>                   what was made of it, as JSON

Each file has a record of its own, and the original's place says where it belongs: a record that is
damaged costs no other, and not even its own file is lost with it. The order of steps is original,
copy, record, rename: killed at any instant, a file is the original or patched, and has a record
that knows its patched state before it is in that state.

One process at a time patches or restores an environment: the caller holds its lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from nixpy.cache import write_private
from nixpy.inputs import DIGEST_SIZE, digest
from nixpy.libraries.elf import DamagedElf, Elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nixpy.process import Runner

__all__ = ["Patched", "Refusal", "patch", "patched_files", "restore"]

SCHEMA = 1
CHUNK = 1 << 20
MOST_LOADS = 500
"""Files that one process loads: their paths are its arguments, whose length has a limit."""

LIMIT = 30.0
"""Seconds that a file has to load: some hundred megabytes, from a disk that is cold."""

CHECK = """\
import ctypes, json, os, resource, select, signal, sys

def load(path, answer):
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        try:
            ctypes.CDLL(path)
            said = b"+"
        except Exception:
            # What the linker says has names in it, which ctypes may fail to decode: it is asked
            # for the bytes.
            own = ctypes.CDLL(None)
            dlopen, dlerror = own.dlopen, own.dlerror
            dlerror.restype = ctypes.c_char_p
            dlopen(os.fsencode(path), os.RTLD_NOW)
            said = b"-" + (dlerror() or b"")
        os.write(answer, said[:4096])
    finally:
        os._exit(0)

limit = float(sys.argv[1])
for path in sys.argv[2:]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        load(path, writing)
    os.close(writing)
    in_time = select.select([reading], [], [], limit)[0]
    said = os.read(reading, 4096) if in_time else b""
    os.close(reading)
    for kill in os.killpg, os.kill:
        try:
            kill(child, signal.SIGKILL)
        except OSError:
            pass
    status = os.waitpid(child, 0)[1]
    if said:
        outcome = "loaded" if said[:1] == b"+" else "said"
        text = os.fsdecode(said[1:])
    else:
        outcome = "ended"
        if not in_time:
            text = "it does not load within %g s" % limit
        elif os.WIFSIGNALED(status):
            text = "loading it crashes, with signal %d" % os.WTERMSIG(status)
        else:
            text = "loading it ends the interpreter"
    print(json.dumps([path, outcome, text]), flush=True)
"""
"""Loads files, each in a process of its own; what libraries print is not to be mixed with it."""


class Refusal(NamedTuple):
    """A file that is not patched as it was wanted, and why."""

    file: str
    why: str


class Patched(NamedTuple):
    """How a file is patched.

    Attributes:
        directory: what was appended; empty where that is unknown.
        original: path of what it was before.
    """

    directory: str
    original: str


class _Record(NamedTuple):
    """What was made of a file.

    Attributes:
        path: of the file, below the prefix; the original has the same below ``originals``.
        before: digest of the original.
        after: digest of what took its place.
        directory: what was appended.
        inode: with size and modification time, of what took its place.
        is_verified: whether it was seen to load no worse than before.
    """

    path: str
    before: str
    after: str
    directory: str
    inode: tuple[int, int, int]
    is_verified: bool = False


class _Outcome(NamedTuple):
    """What came of loading a file: ``said`` is an answer of the dynamic linker."""

    kind: Literal["loaded", "said", "ended"]
    text: str = ""


class _RefusedError(Exception):
    """A file cannot be patched; the text says why."""


_Tool: TypeAlias = "tuple[str, Runner, Mapping[str, str]]"
_Loading: TypeAlias = "tuple[Runner, Mapping[str, str], float]"


def patch(
    prefix: str,
    wanted: Mapping[str, str],
    *,
    patchelf: str,
    runner: Runner,
    environ: Mapping[str, str],
    limit: float = LIMIT,
) -> tuple[Refusal, ...]:
    """Make the files of an environment be patched exactly as wanted, and return those that are not.

    A file that is patched so already is not touched; one that is patched in another way is made
    the original first. Each that is new is loaded by the environment's interpreter, and put back
    if it does not load; a file that its original, given the directory by ``LD_LIBRARY_PATH``, makes
    the linker say the same about (another library that is missing, a symbol that something loaded
    before has, a program) is none that patching broke, and stays.

    Args:
        prefix: path of the environment.
        wanted: by absolute paths of ELF files the directory that each finds libraries in as well.
        patchelf: the program.
        runner: starts programs.
        environ: the environment of programs that are started.
        limit: seconds that a file has to load.
    """
    journal = _Journal(prefix)
    refused: list[Refusal] = []
    goals = dict(_goals(journal, wanted, refused))
    names = {journal.file(path): asked for path, (asked, _) in goals.items()}
    fresh: dict[str, _Record] = {}
    for path in journal.kept():
        record = journal.read(path)
        try:
            if not journal.is_patched(path, record):
                journal.forget(path)
            elif record is None or goals.get(path, ("", ""))[1] != record.directory:
                journal.put_back(path, record)
            else:
                del goals[path]
                if not record.is_verified:
                    fresh[path] = record
        except OSError as error:
            asked, _ = goals.pop(path, (journal.file(path), ""))
            refused.append(Refusal(asked, f"cannot be put back: {error.strerror}"))
    for path, (asked, directory) in goals.items():
        made = _attempted(journal, path, directory, (patchelf, runner, environ))
        if isinstance(made, _Record):
            fresh[path] = made
        elif made:
            refused.append(Refusal(asked, made))
    for file, why in _verified(journal, fresh, (runner, environ, limit)):
        refused.append(Refusal(names.get(file, file), why))
    journal.tidy()
    return tuple(refused)


def restore(prefix: str) -> tuple[str, ...]:
    """Put every original back, and return the paths of those files.

    A file that was replaced or removed since it was patched is left as it is, and its original is
    dropped. One that cannot be put back stays patched: :func:`patched_files` still has it.
    """
    journal = _Journal(prefix)
    restored = []
    for path in journal.kept():
        with contextlib.suppress(OSError):
            record = journal.read(path)
            if journal.is_patched(path, record):
                journal.put_back(path, record)
                restored.append(journal.file(path))
            else:
                journal.forget(path)
    journal.tidy()
    return tuple(restored)


def patched_files(prefix: str) -> dict[str, Patched]:
    """Return how files are patched now, by their real paths, without those replaced since."""
    journal = _Journal(prefix)
    found = {}
    for path in journal.kept():
        with contextlib.suppress(OSError):
            record = journal.read(path)
            if journal.is_patched(path, record):
                original = journal.original(path)
                directory = record.directory if record else journal.appended(path)
                found[journal.file(path)] = Patched(directory or "", original)
    return found


class _Journal:
    """The originals of an environment's patched files, and their records."""

    def __init__(self, prefix: str) -> None:
        self.prefix = os.path.realpath(prefix)
        self._top = f"{self.prefix}/.nixpy/patched"
        self._originals = f"{self._top}/originals"
        self._records = f"{self._top}/records"

    def file(self, path: str) -> str:
        return f"{self.prefix}/{path}"

    def original(self, path: str) -> str:
        return f"{self._originals}/{path}"

    def aside(self, path: str) -> str:
        """Return where a copy of a file is made: beside it, for one file system and ``$ORIGIN``."""
        return f"{self.prefix}/{os.path.dirname(path)}/.nixpy-{digest(os.fsencode(path))}"

    def kept(self) -> tuple[str, ...]:
        """Return the paths of all files that there is an original of."""
        start = len(self._originals) + 1
        return tuple(
            f"{directory}/{name}"[start:]
            for directory, _, names in os.walk(self._originals)
            for name in names
        )

    def read(self, path: str) -> _Record | None:
        """Return a file's record; ``None`` where it is not there or damaged."""
        try:
            with open(self._record(path), "rb") as file:
                record = _decoded(file.read())
        except OSError:
            return None
        return record if record and record.path == path else None

    def write(self, record: _Record) -> None:
        os.makedirs(self._records, exist_ok=True)
        write_private(self._record(record.path), _encoded(record))

    def keep(self, path: str) -> None:
        """Give the file's inode a second name; a copy is kept where that cannot be."""
        os.makedirs(os.path.dirname(self.original(path)), exist_ok=True)
        try:
            os.link(self.file(path), self.original(path))
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise
            # Half a copy would look like an original.
            temporary = f"{self._top}/copy"
            shutil.copy2(self.file(path), temporary)
            _sync(temporary)
            os.rename(temporary, self.original(path))

    def is_patched(self, path: str, record: _Record | None) -> bool:
        """Whether a file is what it was patched to, and not replaced since.

        Raises:
            OSError: that cannot be found out.
        """
        file = self.file(path)
        try:
            now = os.lstat(file)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISREG(now.st_mode) or os.path.realpath(file) != file:
            return False
        if record is None:
            return self.appended(path) is not None
        if now.st_size != record.inode[1]:
            return False
        # The number of an inode is used again, but for a file of this very size and time it is not.
        if _inode(now) == record.inode and now.st_size != os.stat(self.original(path)).st_size:
            return True
        return _digest(file) == record.after

    def appended(self, path: str) -> str | None:
        """Return what a file has behind its original's search path, if all else is the same.

        Only patching makes that difference: it tells a patched file where the record does not.
        """
        try:
            before, after = read_elf(self.original(path)), read_elf(self.file(path))
        except DamagedElf:
            return None
        last = (after.runpath or after.rpath)[-1:] if after else ()
        return last[0] if before and last and _with(before, last[0]) == after else None

    def put_back(self, path: str, record: _Record | None) -> None:
        """Make a patched file the original again.

        Raises:
            OSError: it cannot be done; the file is as it was.
        """
        original, file, aside = self.original(path), self.file(path), self.aside(path)
        if record and _digest(original) != record.before:
            raise OSError(errno.EIO, "its original was changed since", original)
        _remove(aside)
        try:
            os.rename(original, file)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copy2(original, aside)
            os.rename(aside, file)
        self.forget(path)

    def forget(self, path: str) -> None:
        """Drop the original of a file that is not patched (any more), and the record."""
        for name in (self.aside(path), self._record(path), self.original(path)):
            _remove(name)

    def tidy(self) -> None:
        """Remove what belongs to no original: records that a kill left, and empty directories."""
        belonging = {os.path.basename(self._record(path)) for path in self.kept()}
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self._records)) - belonging:
                _remove(f"{self._records}/{name}")
        with contextlib.suppress(OSError):
            _remove(f"{self._top}/copy")
        for directory, _, _ in os.walk(self._top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    def _record(self, path: str) -> str:
        return f"{self._records}/{digest(os.fsencode(path))}"


def _goals(
    journal: _Journal, wanted: Mapping[str, str], refused: list[Refusal]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield paths below the prefix with the path that was asked for, and the directory."""
    seen: dict[str, str] = {}
    for asked, directory in wanted.items():
        real = os.path.realpath(asked)
        path = os.path.relpath(real, journal.prefix)
        if path.split("/")[0] in ("..", ".nixpy"):
            refused.append(Refusal(asked, f"it lies outside of the environment: {real}"))
        elif not directory.startswith("/") or set(":$\0") & set(directory):
            refused.append(Refusal(asked, f"no search path can hold the directory {directory!r}"))
        elif seen.setdefault(path, directory) != directory:
            refused.append(Refusal(asked, f"another name of it is to find {seen[path]}"))
        else:
            yield path, (asked, directory)


def _attempted(journal: _Journal, path: str, directory: str, tool: _Tool) -> _Record | str | None:
    """Patch a file as :func:`_patched` does; a text says why it is as it was."""
    try:
        return _patched(journal, path, directory, tool)
    except (_RefusedError, DamagedElf, OSError) as error:
        with contextlib.suppress(OSError):
            journal.forget(path)
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        file = journal.file(path)
        return str(error).replace(journal.aside(path), file).removeprefix(f"{file}: ")


def _patched(journal: _Journal, path: str, directory: str, tool: _Tool) -> _Record | None:
    """Patch a file and return its record; ``None`` where it has the directory by itself.

    Raises:
        DamagedElf, OSError, _RefusedError: it cannot be done; the file is as it was.
    """
    patchelf, runner, environ = tool
    file, aside = journal.file(path), journal.aside(path)
    before = read_elf(file)
    if before is None or not before.is_dynamic:
        raise _RefusedError("it is no ELF file that the dynamic linker loads")
    if directory in (before.runpath or before.rpath):
        return None
    journal.keep(path)
    # Copying onto what a killed check has left here would write into the original's inode.
    _remove(aside)
    shutil.copy2(file, aside)
    os.chmod(aside, stat.S_IMODE(os.stat(aside).st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    # patchelf(1): without it a DT_RPATH becomes a DT_RUNPATH, which the libraries that this one
    # loads do not inherit. What is appended leads on from the text that is there, $ORIGIN and all.
    force = ("--force-rpath",) if before.rpath else ()
    argv = (patchelf, *force, "--add-rpath", directory, aside)
    done = runner.capture(argv, cwd="/", environ=environ)
    if done.status != 0:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.status}"])[-1]
        raise _RefusedError(f"patchelf: {said.removeprefix('patchelf: ')}")
    shutil.copystat(file, aside)
    if read_elf(aside) != _with(before, directory):
        raise _RefusedError("patchelf made something else of it than was asked for")
    _sync(aside)
    inode = _inode(os.stat(aside))
    record = _Record(path, _digest(file), _digest(aside), directory, inode)
    journal.write(record)
    os.rename(aside, file)
    return record


def _verified(
    journal: _Journal, fresh: Mapping[str, _Record], loading: _Loading
) -> Iterator[Refusal]:
    """Load files that were patched; put back, and yield, those that fail for having been."""
    outcomes = _load(journal, map(journal.file, fresh), "", loading)
    failed: dict[str, list[str]] = {}
    for path, record in fresh.items():
        if outcomes[journal.file(path)].kind == "said":
            failed.setdefault(record.directory, []).append(path)
    excused = {
        path
        for directory, paths in failed.items()
        for path, outcome in _load_originals(journal, paths, directory, loading)
        if outcome == outcomes[journal.file(path)]
    }
    for path, record in fresh.items():
        outcome = outcomes[journal.file(path)]
        try:
            if outcome.kind == "loaded" or path in excused:
                journal.write(record._replace(is_verified=True))
                continue
            journal.put_back(path, record)
            yield Refusal(journal.file(path), outcome.text)
        except OSError as error:
            why = outcome.text or "whether it loads cannot be kept"
            yield Refusal(journal.file(path), f"{why}; it stays patched: {error.strerror}")


def _load_originals(
    journal: _Journal, paths: Iterable[str], directory: str, loading: _Loading
) -> Iterator[tuple[str, _Outcome]]:
    """Load originals, beside the patched files: there ``$ORIGIN`` leads to the same."""
    asides = {}
    try:
        for path in paths:
            with contextlib.suppress(OSError):
                aside = journal.aside(path)
                _remove(aside)
                asides[path] = aside
                try:
                    os.link(journal.original(path), aside)
                except OSError:
                    shutil.copy2(journal.original(path), aside)
        outcomes = _load(journal, asides.values(), directory, loading)
    finally:
        for aside in asides.values():
            with contextlib.suppress(OSError):
                _remove(aside)
    for path, aside in asides.items():
        kind, text = outcomes[aside]
        yield path, _Outcome(kind, text.replace(aside, journal.file(path)))


def _load(
    journal: _Journal, files: Iterable[str], library_path: str, loading: _Loading
) -> dict[str, _Outcome]:
    """Load files with the environment's interpreter, and return what came of each."""
    runner, environ, limit = loading
    environ = {name: value for name, value in environ.items() if name != "LD_LIBRARY_PATH"}
    if library_path:
        environ["LD_LIBRARY_PATH"] = library_path
    found: dict[str, _Outcome] = {}
    pending = list(files)
    while pending:
        batch, pending = pending[:MOST_LOADS], pending[MOST_LOADS:]
        # Without site, whose .pth files are programs of the environment.
        argv = [f"{journal.prefix}/bin/python", "-I", "-S", "-c", CHECK, f"{limit:g}", *batch]
        try:
            done = runner.capture(argv, cwd="/", environ=environ, timeout=60 + limit * len(batch))
        except OSError as error:
            lines, why = [], error.strerror
        else:
            lines = done.stdout.splitlines()
            why = (done.stderr.strip().splitlines() or [f"status {done.status}"])[-1]
        untried = _Outcome("ended", f"whether it loads could not be found out: {why}")
        found.update(dict.fromkeys(batch, untried))
        found.update((file, _Outcome(kind, text)) for file, kind, text in map(json.loads, lines))
    return found


def _with(elf: Elf, directory: str) -> Elf:
    """Return what a file has to say once a directory is appended."""
    if elf.rpath:
        return elf._replace(rpath=(*elf.rpath, directory))
    return elf._replace(runpath=(*elf.runpath, directory))


def _encoded(record: _Record) -> bytes:
    text = json.dumps(record)
    document = {"schema": SCHEMA, "digest": digest(text.encode()), "record": text}
    return json.dumps(document).encode()


def _decoded(content: bytes) -> _Record | None:
    """Return what :func:`_encoded` was given; ``None`` for anything else."""
    try:
        document = json.loads(content)
        text = document["record"]
        if document["schema"] != SCHEMA or document["digest"] != digest(text.encode()):
            return None
        path, before, after, directory, inode, is_verified = json.loads(text)
        return _Record(path, before, after, directory, tuple(inode), is_verified)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _digest(path: str) -> str:
    state = blake2b(digest_size=DIGEST_SIZE)
    with open(path, "rb") as file:
        while content := file.read(CHUNK):
            state.update(content)
    return state.hexdigest()


def _inode(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _sync(path: str) -> None:
    """Write a file to the disk: a record must not tell of contents that a power cut takes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
