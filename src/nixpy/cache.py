"""Entries on disk: what the cache keeps for a project and its options.

An entry lies at ``<cache>/projects/<the absolute path>/@nixpy/<schema>/<slot>/entry``. The tree
mirrors the directories, so that ``direnvrc`` reaches it by plain concatenation; the schema's
number is in the path, so that an entry of another version is a miss. Directories are 0700, files
0600 and the user's own; anything else is refused.

On the path that must start fast: see :mod:`nixpy.inputs`.
"""

from __future__ import annotations

import os

from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.inputs import Input, digest
from nixpy.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "SCHEMA",
    "Entry",
    "decode",
    "encode",
    "entry_directory",
    "input_fields",
    "is_private",
    "make_private_directory",
    "operation_fields",
    "read_entry",
    "read_inputs",
    "read_operations",
    "read_record",
    "read_strings",
    "slot",
    "string_fields",
    "write_entry",
    "write_private",
    "write_record",
]

SCHEMA = "3"
"""The version of everything in this tree; ``direnvrc`` has the same number."""

LONGEST_SLOT = 200
LONGEST_PATH = 3500
"""Below PATH_MAX (4096) by what a stamp's reference files add."""

_MAGIC = "nixpy-entry"


class Entry(NamedTuple):
    """What a resolution came to, with everything that must be as it was for it to hold.

    Attributes:
        version: the nixpy that wrote it.
        root: real path of the project.
        fingerprint: digest over all inputs.
        manager: the decision's manager.
        reason: the decision's reason, one sentence.
        rests_on: the manifests that the decision rests on.
        passed_over: manifests that another rule would have chosen.
        prefix: real path of the virtual environment, or empty.
        synced: the fingerprint that the prefix must be marked with, or empty.
        marker_mtime: modification time of that marker in nanoseconds, or -1.
        inputs: everything observed.
        operations: the environment.
        scope: what the marker must say of libraries.
        watches: pairs of ``DIRENV_WATCHES`` before and after, as direnv printed them for these
            very modification times.
    """

    version: str
    root: str
    fingerprint: str
    manager: str
    reason: str
    rests_on: tuple[str, ...]
    passed_over: tuple[str, ...]
    prefix: str
    synced: str
    marker_mtime: int
    inputs: tuple[Input, ...]
    operations: Environment
    watches: tuple[tuple[str, str], ...] = ()
    scope: str = ""


def slot(arguments: Sequence[str]) -> str | None:
    """Return the name of the entry for ``use nixpy ARGUMENTS``, or ``None`` if it grew too long.

    ``direnvrc`` computes the same with parameter expansion; different arguments never share one.
    """
    name = "@" + "".join(
        "%+" + argument.replace("%", "%25").replace("/", "%2F") for argument in arguments
    )
    return name if len(os.fsencode(name)) <= LONGEST_SLOT else None


def entry_directory(cache: str, directory: str, arguments: Sequence[str]) -> str | None:
    """Return where the entry of ``directory`` lies, or ``None`` where the path grew too long."""
    name = slot(arguments)
    path = f"{cache}/projects{directory}/@nixpy/{SCHEMA}/{name}"
    return path if name and len(os.fsencode(path)) <= LONGEST_PATH else None


def encode(fields: Iterable[str]) -> bytes:
    """Return fields as bytes: NUL-separated, since no path and no variable can hold a NUL."""
    body = b"\0".join(map(os.fsencode, fields))
    return b"\0".join((_MAGIC.encode(), SCHEMA.encode(), digest(body).encode(), body))


def decode(content: bytes) -> tuple[str, ...] | None:
    """Return what :func:`encode` was given, or ``None`` where the content is damaged."""
    head = content.split(b"\0", 3)
    if len(head) != 4:  # noqa: PLR2004 - magic, schema, digest, body
        return None
    magic, schema, checksum, body = head
    if magic != _MAGIC.encode() or schema != SCHEMA.encode():
        return None
    if digest(body).encode() != checksum:
        return None
    return tuple(map(os.fsdecode, body.split(b"\0")))


def is_private(path: str) -> bool:
    """Whether a file or directory is the user's own and nobody else can write it."""
    try:
        stat = os.lstat(path)
    except OSError:
        return False
    return stat.st_uid == os.geteuid() and not stat.st_mode & 0o022


def make_private_directory(path: str, top: str) -> None:
    """Create ``path`` and what is missing above it, all with mode 0700.

    Raises:
        OSError: it cannot be created, or a directory from ``top`` downwards is not private.
    """
    if path == top:
        parent = os.path.dirname(path)
        if parent != path and not os.path.isdir(parent):
            os.makedirs(parent, 0o700, exist_ok=True)
    else:
        make_private_directory(os.path.dirname(path), top)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not is_private(path):
            raise PermissionError(
                1, "belongs to somebody else, or others can write to it", path
            ) from None


def write_private(path: str, content: bytes, *, mtime: int | None = None) -> None:
    """Write a file with mode 0600 so that at any instant the old or the new one is there.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if mtime is not None:
                os.utime(descriptor, ns=(mtime, mtime))
            if content:
                os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def read_record(path: str, parse: Callable[[Iterator[str]], T]) -> T | None:
    """Return what ``parse`` makes of a record's fields.

    A record is a file of its own that :func:`encode` made. A missing, damaged or foreign one is
    ``None``.

    Args:
        path: where the record lies.
        parse: takes the fields in their order; may raise what a field that is absent or malformed
            leads to.
    """
    if not is_private(path):
        return None
    try:
        with open(path, "rb") as file:
            fields = decode(file.read())
        return None if fields is None else parse(iter(fields))
    except (OSError, StopIteration, RuntimeError, ValueError, TypeError):
        # RuntimeError: what StopIteration becomes within a generator (PEP 479).
        return None


def write_record(path: str, top: str, fields: Iterable[str]) -> None:
    """Write a record, in a directory that is created below ``top`` where it is missing.

    Raises:
        OSError: it cannot be written, or a directory from ``top`` downwards is not private.
    """
    make_private_directory(os.path.dirname(path), top)
    write_private(path, encode(fields))


def read_entry(directory: str) -> Entry | None:
    """Return the entry in its directory; a missing, damaged or foreign one is ``None``."""
    return read_record(f"{directory}/entry", _entry) if is_private(directory) else None


def write_entry(directory: str, entry: Entry) -> None:
    """Write an entry into its directory, which exists.

    Raises:
        OSError: it cannot be written.
    """
    write_private(f"{directory}/entry", encode(_fields(entry)))


_SET, _UNSET, _PREPEND = "=", "-", "+"


def _fields(entry: Entry) -> Iterator[str]:
    yield from entry[:5]
    yield from string_fields(entry.rests_on)
    yield from string_fields(entry.passed_over)
    yield from (entry.prefix, entry.synced, entry.scope, str(entry.marker_mtime))
    yield from input_fields(entry.inputs)
    yield from operation_fields(entry.operations)
    yield str(len(entry.watches))
    for pair in entry.watches:
        yield from pair


def _entry(fields: Iterator[str]) -> Entry:
    version, root, fingerprint, manager, reason = (next(fields) for _ in range(5))
    rests_on, passed_over = read_strings(fields), read_strings(fields)
    prefix, synced, scope = (next(fields) for _ in range(3))
    marker_mtime = int(next(fields))
    inputs = read_inputs(fields)
    operations = read_operations(fields)
    watches = tuple((next(fields), next(fields)) for _ in range(int(next(fields))))
    return Entry(
        version,
        root,
        fingerprint,
        manager,
        reason,
        rests_on,
        passed_over,
        prefix,
        synced,
        marker_mtime,
        inputs,
        operations,
        watches,
        scope,
    )


def string_fields(strings: Sequence[str]) -> Iterator[str]:
    """Yield strings as fields; :func:`read_strings` reads them back, as the others do."""
    yield str(len(strings))
    yield from strings


def read_strings(fields: Iterator[str]) -> tuple[str, ...]:
    """Read strings back."""
    return tuple(next(fields) for _ in range(int(next(fields))))


def input_fields(inputs: Sequence[Input]) -> Iterator[str]:
    """Yield inputs as fields."""
    yield str(len(inputs))
    for one in inputs:
        yield from (one.kind, one.name, one.value, str(one.mtime), one.target, "s"[: one.syncs])


def read_inputs(fields: Iterator[str]) -> tuple[Input, ...]:
    """Read inputs back."""
    inputs = []
    for _ in range(int(next(fields))):
        kind, name, value, mtime, target, syncs = (next(fields) for _ in range(6))
        inputs.append(Input(kind, name, value, int(mtime), target, syncs == "s"))  # type: ignore[arg-type]
    return tuple(inputs)


def operation_fields(environment: Environment) -> Iterator[str]:
    """Yield the operations of an environment as fields."""
    yield str(len(environment.operations))
    for operation in environment.operations:
        if isinstance(operation, Set):
            yield from (_SET, operation.name, operation.value)
        elif isinstance(operation, Unset):
            yield from (_UNSET, operation.name)
        else:
            yield from (_PREPEND, operation.name)
            yield from string_fields(operation.elements)
            yield from string_fields(operation.removed)


def read_operations(fields: Iterator[str]) -> Environment:
    """Read an environment back."""
    operations: list[Set | Unset | Prepend] = []
    for _ in range(int(next(fields))):
        code, name = next(fields), next(fields)
        if code == _SET:
            operations.append(Set(name, next(fields)))
        elif code == _UNSET:
            operations.append(Unset(name))
        else:
            operations.append(Prepend(name, read_strings(fields), read_strings(fields)))
    return Environment(tuple(operations))
