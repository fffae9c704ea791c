"""What can change an environment, and the fingerprint over all of it.

An :class:`Input` is one observation: a file's content or its absence, the names in a directory,
the identity of a program, the value of a variable. :func:`observe` makes the same observation
again; an entry is fresh when every one of its inputs is observed alike (DESIGN.md, section 6).

This module is on the path that must start fast: it imports nothing that Python itself does not
load at start, but for ``_blake2``.
"""

from __future__ import annotations

import os
import stat

from nixpy.errors import ManifestError, unreadable
from nixpy.values import NamedTuple

try:
    # hashlib loads OpenSSL, which costs a quarter of a Python start.
    from _blake2 import blake2b
except ImportError:  # another implementation of Python
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    Kind = Literal["file", "directory", "program", "root", "variable", "variables", "text"]

__all__ = ["ABSENT", "MASK", "Input", "ObservedFiles", "fingerprint", "is_text", "observe"]

ABSENT = ""
"""The value of a file, directory or variable that is not there."""

MASK = "\x1a"
"""What stands for a secret in a variable's value, which is kept on disk: another secret does not
change what is installed."""

SECRET_NAMES = ("_PASSWORD", "_TOKEN", "_SECRET", "_KEY")
"""How the names of variables end that are secrets as a whole."""

NO_TIME = -1
CHUNK = 1 << 16
INVALID = 22  # errno.EINVAL, without importing that
DIGEST_SIZE = 20


class Input(NamedTuple):
    """One observation of something that can change the environment.

    Attributes:
        kind: ``file``, ``directory`` (its names), ``program`` (its identity), ``root`` (a gc
            root, and that what it protects is there), ``variable``, ``variables`` (the names of
            those set that begin with ``name``), or ``text`` (a fact that is handed in and cannot
            be observed again).
        name: the absolute path, the variable, the prefix of variables, or the fact's name.
        value: what was seen; :data:`ABSENT` where there was nothing, and without secrets.
        mtime: modification time in nanoseconds of what was read, or -1.
        target: the real path where ``name`` leads there through symbolic links, else empty.
        syncs: whether a change can change what is installed, and not only what is exported.
    """

    kind: Kind
    name: str
    value: str
    mtime: int = NO_TIME
    target: str = ""
    syncs: bool = True

    def is_same(self, other: Input) -> bool:
        """Whether both observed the same, whatever the modification times say."""
        return self[:3] == other[:3]


def digest(*parts: bytes) -> str:
    """Return the BLAKE2b digest (RFC 7693, 20 bytes, hexadecimal) over length-framed parts."""
    state = blake2b(digest_size=DIGEST_SIZE)
    for part in parts:
        state.update(b"%d:" % len(part))
        state.update(part)
    return state.hexdigest()


def observe(one: Input, environ: Mapping[str, str]) -> Input:
    """Return what is to be seen now where ``one`` was observed.

    Raises:
        ManifestError: it exists and cannot be read.
    """
    kind, name = one.kind, one.name
    if kind == "file":
        return observe_file(name)[0]._replace(syncs=one.syncs)
    if kind == "variable":
        return one._replace(value=_variable(name, environ))
    if kind == "variables":
        return one._replace(value=_variables(name, environ))
    if kind == "program":
        return observe_program(name)._replace(syncs=one.syncs)
    if kind == "directory":
        return observe_directory(name)[0]._replace(syncs=one.syncs)
    if kind == "root":
        return observe_root(name)._replace(syncs=one.syncs)
    return one


def observe_file(path: str) -> tuple[Input, bytes | None]:
    """Return the input that a file is, and its content; ``None`` where there is no file.

    The modification time is taken before the content is read, so that a write in between leaves
    an input that is stale, not one that is wrong.
    """
    try:
        # A pipe of this name would keep an open() that waits for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mtime, content = _read_all(descriptor)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return Input("file", path, ABSENT), None
    except OSError as error:
        raise unreadable(path, error) from None
    return Input("file", path, digest(content), mtime, _target(path)), content


def _read_all(descriptor: int) -> tuple[int, bytes]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(INVALID, "it is no regular file")
    content = os.read(descriptor, status.st_size + 1)
    while len(content) > status.st_size:  # it grows, or lies about its size as in /proc
        more = os.read(descriptor, CHUNK)
        if not more:
            break
        content += more
    return status.st_mtime_ns, content


def observe_directory(path: str) -> tuple[Input, tuple[str, ...]]:
    """Return the input that a directory's names are, and the names, sorted."""
    try:
        mtime = os.stat(path).st_mtime_ns
        names = tuple(sorted(os.listdir(path)))
    except (FileNotFoundError, NotADirectoryError):
        return Input("directory", path, ABSENT), ()
    except OSError as error:
        raise unreadable(path, error) from None
    value = digest(*map(os.fsencode, names))
    return Input("directory", path, value, mtime, _target(path)), names


def observe_program(path: str) -> Input:
    """Return the input that a program's identity is: real path, size and modification time."""
    try:
        status = os.stat(path)
    except OSError:
        return Input("program", path, ABSENT)
    target = os.path.realpath(path)
    value = f"{target}:{status.st_size}:{status.st_mtime_ns}"
    return Input("program", path, value, status.st_mtime_ns, target if target != path else "")


def observe_root(path: str) -> Input:
    """Return the input that a gc root is: it is there, and so is the store path it protects."""
    return Input("root", path, os.path.realpath(path) if os.path.exists(path) else ABSENT)


def observe_variable(name: str, environ: Mapping[str, str], *, syncs: bool = True) -> Input:
    """Return the input that a variable is."""
    return Input("variable", name, _variable(name, environ), syncs=syncs)


def observe_variables(
    prefix: str, environ: Mapping[str, str], *, syncs: bool = True
) -> tuple[Input, ...]:
    """Return the inputs that all variables are whose names begin with ``prefix``."""
    names = _variables(prefix, environ)
    return (
        Input("variables", prefix, names, syncs=syncs),
        *(observe_variable(name, environ, syncs=syncs) for name in names.split()),
    )


def fingerprint(inputs: Iterable[Input], root: str) -> str:
    """Return the digest over ``inputs``; paths below ``root`` count relative to it."""
    below = root.rstrip("/") + "/"

    def relative(name: str) -> str:
        return "./" + name[len(below) :] if name.startswith(below) else name

    lines = sorted({(one.kind, relative(one.name), one.value) for one in inputs})
    return digest(*(os.fsencode(part) for line in lines for part in line))


def is_text(path: str) -> bool:
    """Return whether the bytes of a path are UTF-8 (others are surrogates in a ``str``)."""
    return not any("\udc80" <= character <= "\udcff" for character in path)


class ObservedFiles:
    """Reads files (:class:`nixpy.files.Files`) and keeps what was looked at as inputs.

    A path is read once: whoever asks again is given the same content, so that all decisions rest
    on one and the same state.
    """

    def __init__(self) -> None:
        self._files: dict[str, tuple[Input, bytes | None]] = {}
        self._directories: dict[str, tuple[Input, tuple[str, ...]]] = {}
        self._faults: list[Input] = []

    def read(self, path: str) -> bytes | None:
        """See :meth:`nixpy.files.Files.read`."""
        if path not in self._files:
            try:
                self._files[path] = observe_file(path)
            except ManifestError:
                # What cannot be read is watched too: making it readable is the fix.
                self._faults.append(Input("file", path, "unreadable"))
                raise
        return self._files[path][1]

    def names(self, directory: str) -> tuple[str, ...]:
        """See :meth:`nixpy.files.Files.names`."""
        if directory not in self._directories:
            try:
                self._directories[directory] = observe_directory(directory)
            except ManifestError:
                self._faults.append(Input("directory", directory, "unreadable"))
                raise
        return self._directories[directory][1]

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Everything that was looked at so far."""
        return (
            *(seen for seen, _ in self._files.values()),
            *(seen for seen, _ in self._directories.values()),
            *self._faults,
        )


def _target(path: str) -> str:
    target = os.path.realpath(path)
    return target if target != path else ""


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        return ABSENT
    if name.endswith(SECRET_NAMES):
        return "=" + MASK
    return "=" + without_secrets(value)


def without_secrets(value: str) -> str:
    """Return a value with :data:`MASK` for the user and password, or the token, of each URL.

    A token is what conda channels have behind ``/t/``.
    """
    if "://" not in value:
        return value
    first, *others = value.split("://")
    return "://".join((first, *map(_without_secret, others)))


def _without_secret(rest: str) -> str:
    """Return what is behind a URL's scheme, without its secret."""
    end = min((at for at in map(rest.find, "/?#, \t\n") if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in authority:
        authority = MASK + authority[authority.rindex("@") :]
    if path.startswith("/t/"):
        token, slash, behind = path[3:].partition("/")
        if token and slash:
            path = f"/t/{MASK}/{behind}"
    return authority + path


def _variables(prefix: str, environ: Mapping[str, str]) -> str:
    return " ".join(
        sorted(name for name in environ if name.startswith(prefix) and name.isidentifier())
    )
