"""What undoes the patching of files: their originals, and a record of each.

They lie in ``<prefix>/.nixpy/patched``::

    originals/<path of the file below the prefix>   another name of the original's inode
    records/<digest of that path>                   what was made of it, as JSON

Each file has a record of its own, and the original's place says where it belongs: a record that is
damaged costs no other, and not even its own file is lost with it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from hashlib import blake2b
from typing import NamedTuple

from nixpy.cache import write_private
from nixpy.inputs import DIGEST_SIZE, digest
from nixpy.libraries.elf import DamagedElf, Elf, read_elf

__all__ = [
    "Journal",
    "Record",
    "decoded",
    "digest_of",
    "encoded",
    "inode_of",
    "remove",
    "sync",
    "with_directory",
]

SCHEMA = 1
CHUNK = 1 << 20


class Record(NamedTuple):
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


class Journal:
    """The originals of an environment's patched files, and their records."""

    def __init__(self, prefix: str) -> None:
        self.prefix = os.path.realpath(prefix)
        self._top = f"{self.prefix}/.nixpy/patched"
        self._originals = f"{self._top}/originals"
        self._records = f"{self._top}/records"

    def file(self, path: str) -> str:
        """Return the absolute path of a file."""
        return f"{self.prefix}/{path}"

    def original(self, path: str) -> str:
        """Return where a file's original is kept."""
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

    def read(self, path: str) -> Record | None:
        """Return a file's record; ``None`` where it is not there or damaged."""
        try:
            with open(self._record(path), "rb") as file:
                record = decoded(file.read())
        except OSError:
            return None
        return record if record and record.path == path else None

    def write(self, record: Record) -> None:
        """Keep a file's record."""
        os.makedirs(self._records, exist_ok=True)
        write_private(self._record(record.path), encoded(record))

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
            sync(temporary)
            os.rename(temporary, self.original(path))

    def is_patched(self, path: str, record: Record | None) -> bool:
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
        if inode_of(now) == record.inode and now.st_size != os.stat(self.original(path)).st_size:
            return True
        return digest_of(file) == record.after

    def appended(self, path: str) -> str | None:
        """Return what a file has behind its original's search path, if all else is the same.

        Only patching makes that difference: it tells a patched file where the record does not.
        """
        try:
            before, after = read_elf(self.original(path)), read_elf(self.file(path))
        except DamagedElf:
            return None
        last = (after.runpath or after.rpath)[-1:] if after else ()
        return last[0] if before and last and with_directory(before, last[0]) == after else None

    def put_back(self, path: str, record: Record | None) -> None:
        """Make a patched file the original again.

        Raises:
            OSError: it cannot be done; the file is as it was.
        """
        original, file, aside = self.original(path), self.file(path), self.aside(path)
        if record and digest_of(original) != record.before:
            raise OSError(errno.EIO, "its original was changed since", original)
        remove(aside)
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
            remove(name)

    def tidy(self) -> None:
        """Remove what belongs to no original: records that a kill left, and empty directories."""
        belonging = {os.path.basename(self._record(path)) for path in self.kept()}
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self._records)) - belonging:
                remove(f"{self._records}/{name}")
        with contextlib.suppress(OSError):
            remove(f"{self._top}/copy")
        for directory, _, _ in os.walk(self._top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    def _record(self, path: str) -> str:
        return f"{self._records}/{digest(os.fsencode(path))}"


def with_directory(elf: Elf, directory: str) -> Elf:
    """Return what a file has to say once a directory is appended."""
    if elf.runpath:
        return elf._replace(runpath=(*elf.runpath, directory))
    return elf._replace(rpath=(*elf.rpath, directory))


def encoded(record: Record) -> bytes:
    """Return a record as it is kept."""
    text = json.dumps(record)
    document = {"schema": SCHEMA, "digest": digest(text.encode()), "record": text}
    return json.dumps(document).encode()


def decoded(content: bytes) -> Record | None:
    """Return what :func:`encoded` was given; ``None`` for anything else."""
    try:
        document = json.loads(content)
        text = document["record"]
        if document["schema"] != SCHEMA or document["digest"] != digest(text.encode()):
            return None
        path, before, after, directory, inode, is_verified = json.loads(text)
        return Record(path, before, after, directory, tuple(inode), is_verified)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def digest_of(path: str) -> str:
    """Return the digest over a file's content."""
    state = blake2b(digest_size=DIGEST_SIZE)
    with open(path, "rb") as file:
        while content := file.read(CHUNK):
            state.update(content)
    return state.hexdigest()


def inode_of(status: os.stat_result) -> tuple[int, int, int]:
    """Return what tells a file from another one: inode, size and modification time."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def sync(path: str) -> None:
    """Write a file to the disk: a record must not tell of contents that a power cut takes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
