"""A typed TOML reader that knows where it is.

:func:`read_toml` gives a :class:`Table`, whose methods return values of one type each, and whose
faults name file and key: ``pyproject.toml: tool.nixpy.extras[1]: expected a string, got an
integer``. A table raises at its first fault; :meth:`Table.collecting` gives the same table with
faults put on a list, so that all of them can be reported at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

from nixpy.errors import ManifestError

__all__ = ["Check", "Table", "read_toml"]

Check: TypeAlias = Callable[[str], "str | None"]
"""Says what is wrong with a text, or None."""

_T = TypeVar("_T")

_KINDS: tuple[tuple[type, str], ...] = (
    (str, "a string"),
    (bool, "a boolean"),  # before int, which it is
    (int, "an integer"),
    (float, "a float"),
    (list, "an array"),
    (dict, "a table"),
)


def read_toml(path: str, content: bytes, *, shown_as: str | None = None) -> Table:
    """Return the top table of a TOML file.

    Args:
        path: where the content comes from.
        content: the bytes of the file; a byte order mark at the start is passed over.
        shown_as: the name of the file in messages; the last part of ``path`` by default.

    Raises:
        ManifestError: the content is not TOML in UTF-8.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    name = os.path.basename(path) if shown_as is None else shown_as
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(
            f"expected UTF-8, got the byte 0x{content[error.start]:02x}", where=f"{name}:{line}"
        ) from None
    try:
        entries: dict[str, object] = tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ManifestError("nested too deeply to be read", where=name) from None
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        what, line_of_fault = _syntax_fault(str(error), text)
        where = name if line_of_fault is None else f"{name}:{line_of_fault}"
        raise ManifestError(f"malformed TOML: {what}", where=where) from None
    return Table(name, "", entries)


class Table:
    """A table of a TOML file. A key that is absent gives None, or nothing.

    Attributes:
        file: the name of the file in messages.
        path: the dotted key of the table; empty for the top of the file.
    """

    __slots__ = ("_entries", "_faults", "file", "path")

    def __init__(
        self,
        file: str,
        path: str,
        entries: dict[str, object],
        faults: list[str] | None = None,
    ) -> None:
        self.file = file
        self.path = path
        self._entries = entries
        self._faults = faults

    def __repr__(self) -> str:
        return f"Table({self.where!r})"

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    @property
    def where(self) -> str:
        """The file and the dotted key: ``pyproject.toml: tool.nixpy``."""
        return f"{self.file}: {self.path}" if self.path else self.file

    def keys(self) -> tuple[str, ...]:
        """Return the keys in the order of the file."""
        return tuple(self._entries)

    def collecting(self, faults: list[str]) -> Table:
        """Return the same table with faults appended to a list instead of raised."""
        return Table(self.file, self.path, self._entries, faults)

    def place(self, key: str, index: int | None = None) -> str:
        """Return the dotted key of an entry: ``tool.nixpy.extras[1]``."""
        place = f"{self.path}.{_shown_key(key)}" if self.path else _shown_key(key)
        return place if index is None else f"{place}[{index}]"

    def fault(self, what: str, key: str, index: int | None = None) -> None:
        """Report a fault of an entry.

        Raises:
            ManifestError: the table does not collect faults.
        """
        self._fault(what, self.place(key, index))

    def string(self, key: str, *, check: Check | None = None) -> str | None:
        """Return a string."""
        return self._scalar(key, str, "a string", check)

    def boolean(self, key: str) -> bool | None:
        """Return a boolean."""
        return self._scalar(key, bool, "a boolean", None)

    def is_false(self, key: str) -> bool:
        """Whether a key is there and false."""
        return self._entries.get(key) is False

    def is_table(self, key: str) -> bool:
        """Whether a key is there and a table."""
        return isinstance(self._entries.get(key), dict)

    def integer(self, key: str) -> int | None:
        """Return an integer; a boolean is none."""
        return self._scalar(key, int, "an integer", None)

    def strings(
        self, key: str, *, check: Check | None = None, or_one: bool = False
    ) -> tuple[str, ...]:
        """Return an array of strings, without its faulty elements.

        With ``or_one``, a single string may stand for an array of one.
        """
        if or_one and isinstance(self._entries.get(key), str):
            one = self.string(key, check=check)
            return () if one is None else (one,)
        return tuple(
            value
            for place, item in self._items(key, "an array of strings")
            if (value := self._typed(place, item, str, "a string", check)) is not None
        )

    def table(self, key: str) -> Table | None:
        """Return a table."""
        if key not in self._entries:
            return None
        return self._table(self.place(key), self._entries[key])

    def tables(self, key: str, *, or_one: bool = False) -> tuple[Table, ...]:
        """Return an array of tables, without its faulty elements.

        Args:
            key: the key of the array.
            or_one: whether a single table may stand for an array of one.
        """
        if or_one and isinstance(self._entries.get(key), dict):
            one = self.table(key)
            return () if one is None else (one,)
        return tuple(
            table
            for place, item in self._items(key, "an array of tables")
            if (table := self._table(place, item)) is not None
        )

    def arrays_of_tables(self, key: str) -> tuple[tuple[Table, ...], ...]:
        """Return an array of arrays of tables, without their faulty elements."""
        return tuple(
            tuple(
                table
                for inner_place, inner in self._elements(place, item, "an array of tables")
                if (table := self._table(inner_place, inner)) is not None
            )
            for place, item in self._items(key, "an array of arrays of tables")
        )

    def strings_and_tables(
        self, key: str, *, check: Check | None = None
    ) -> tuple[str | Table, ...]:
        """Return an array of strings and tables, without its faulty elements."""
        found: list[str | Table] = []
        for place, item in self._items(key, "an array"):
            if isinstance(item, dict):
                found.append(Table(self.file, place, item, self._faults))
            else:
                text = self._typed(place, item, str, "a string or a table", check)
                if text is not None:
                    found.append(text)
        return tuple(found)

    def strings_by_key(
        self, key: str, *, check_key: Check | None = None, check: Check | None = None
    ) -> tuple[tuple[str, str], ...]:
        """Return a table of strings as pairs, without its faulty entries."""
        return self._by_key(key, check_key, lambda table, name: table.string(name, check=check))

    def arrays_by_key(
        self, key: str, *, check_key: Check | None = None, check: Check | None = None
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return a table of arrays of strings as pairs, without its faulty entries."""
        return self._by_key(key, check_key, lambda table, name: table.strings(name, check=check))

    def _by_key(
        self, key: str, check_key: Check | None, read: Callable[[Table, str], _T | None]
    ) -> tuple[tuple[str, _T], ...]:
        table = self.table(key)
        pairs = []
        for name in table or ():
            assert table is not None
            what = check_key(name) if check_key is not None else None
            if what is not None:
                table.fault(what, name)
            value = read(table, name)
            if what is None and value is not None:
                pairs.append((name, value))
        return tuple(pairs)

    def _fault(self, what: str, place: str) -> None:
        where = f"{self.file}: {place}"
        if self._faults is None:
            raise ManifestError(what, where=where)
        self._faults.append(f"{where}: {what}")

    def _scalar(self, key: str, kind: type[_T], named: str, check: Check | None) -> _T | None:
        if key not in self._entries:
            return None
        return self._typed(self.place(key), self._entries[key], kind, named, check)

    def _typed(
        self, place: str, value: object, kind: type[_T], named: str, check: Check | None
    ) -> _T | None:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._fault(f"expected {named}, got {_kind_of(value)}", place)
            return None
        what = check(value) if check is not None and isinstance(value, str) else None
        if what is not None:
            self._fault(what, place)
            return None
        return value

    def _table(self, place: str, value: object) -> Table | None:
        if isinstance(value, dict):
            return Table(self.file, place, value, self._faults)
        self._fault(f"expected a table, got {_kind_of(value)}", place)
        return None

    def _items(self, key: str, named: str) -> Iterator[tuple[str, object]]:
        if key in self._entries:
            yield from self._elements(self.place(key), self._entries[key], named)

    def _elements(self, place: str, value: object, named: str) -> Iterator[tuple[str, object]]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield f"{place}[{index}]", item
        else:
            self._fault(f"expected {named}, got {_kind_of(value)}", place)


def _kind_of(value: object) -> str:
    for kind, named in _KINDS:
        if isinstance(value, kind):
            return named
    return "a date or time"


def _shown_key(key: str) -> str:
    """Return a key as TOML spells it: bare where that can be, else quoted."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", key):
        return key
    return '"' + "".join(_shown_character(character) for character in key) + '"'


def _shown_character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\u{ord(character):04X}"


def _syntax_fault(message: str, text: str) -> tuple[str, int | None]:
    """Split the reader's message into what it is and the line; all readers since 2.0 say both."""
    what, line = message, None
    if match := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        what, line = f"{message[: match.start()]} (column {match[2]})", int(match[1])
    elif message.endswith(" (at end of document)"):
        what = message.removesuffix(" (at end of document)") + " at the end of the file"
        line = text.rstrip("\n").count("\n") + 1
    elif message.startswith("Exceeds the limit"):
        what = "an integer with too many digits"
    return what[:1].lower() + what[1:], line
