"""The lines of a requirements file: their text, and the options on them.

Source of every rule: pip's "Requirements File Format"
(pip.pypa.io/en/stable/reference/requirements-file-format). Options are read as
:mod:`optparse` reads them, which pip uses.
"""

from __future__ import annotations

import codecs
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Option", "decoded", "logical_lines", "split"]

WITH_VALUE = {
    "-r": "--requirement",
    "--requirement": "--requirement",
    "-c": "--constraint",
    "--constraint": "--constraint",
    "-e": "--editable",
    "--editable": "--editable",
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--pypi-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
    "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
    "--all-releases": "--all-releases",
    "--only-final": "--only-final",
    "--trusted-host": "--trusted-host",
    "--use-feature": "--use-feature",
    "--hash": "--hash",
    "-C": "--config-settings",
    "--config-setting": "--config-settings",
    "--config-settings": "--config-settings",
    "--global-option": "--global-option",
}
"""Spelling and canonical name of each option that takes a value (pip 26.3, and what it dropped)."""

WITHOUT_VALUE = {
    "--no-index": "--no-index",
    "--pre": "--pre",
    "--prefer-binary": "--prefer-binary",
    "--require-hashes": "--require-hashes",
    "--no-require-hashes": "--no-require-hashes",
}
UNKNOWN_TO_UV = frozenset({"--pypi-url"})
"""Spellings that are syntax errors to uv, though it honours the option (tried: uv 0.13.8)."""

_COMMENT = re.compile(r"(?:^|\s)#.*")
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Option(NamedTuple):
    """An option on a line: its long name, its value, and whether uv reads it as pip does."""

    name: str
    value: str
    is_portable: bool


def decoded(content: bytes, shown: str) -> tuple[str, str]:
    """Decode as pip does: by a BOM, by a coding line (PEP 263) in the first two, else UTF-8.

    The second value is the encoding if it is one that uv does not read, else empty.
    """
    encoding, is_read_by_uv = "utf-8", True
    for bom, named in _BOMS:
        if content.startswith(bom):
            content, encoding = content[len(bom) :], named
            is_read_by_uv = not named.startswith("utf-32")
            break
    else:
        for head in content.split(b"\n", maxsplit=2)[:2]:
            match = _CODING.search(head) if head.startswith(b"#") else None
            if match:
                encoding = match[1].decode("ascii")
                is_read_by_uv = content.isascii()
                break
    try:
        text = content.decode(encoding)
        is_read_by_uv = is_read_by_uv or text.encode() == content
    except LookupError:
        raise ManifestError(f"expected a known encoding, got {encoding!r}", where=shown) from None
    except ValueError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise ManifestError(
            f"expected text in {encoding}, got bytes that are none",
            where=f"{shown}:{line}",
            next="Save it as UTF-8, or say `# -*- coding: … -*-` in its first line.",
        ) from None
    return text, "" if is_read_by_uv else encoding


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that says something, continuations joined."""
    joined: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not joined:
            start = number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            joined.append(line.strip("\\"))
            continue
        # A comment ends what a backslash continued; it needs a blank before it to be one.
        joined.append(" " + line if is_comment else line)
        said = _COMMENT.sub("", "".join(joined)).strip()
        joined.clear()
        if said:
            yield start, said
    said = _COMMENT.sub("", "".join(joined)).strip()
    if said:
        yield start, said


def split(line: str, where: str) -> tuple[str, list[Option]]:
    """Return the requirement that a line begins with, and its options with their values."""
    words = line.split(" ")
    cut = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    requirement = " ".join(words[:cut]).strip()
    text = " ".join(words[cut:])
    try:
        rest = shlex.split(text)
    except ValueError as error:
        raise ManifestError(f"{str(error).lower()} in {text!r}", where=where) from None
    options = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if word == "-" or not word.startswith("-"):
            continue  # pip passes over what is neither an option nor its value
        spelling, value = _option(word)
        name = _full_name(spelling, where)
        is_portable = name == spelling or not spelling.startswith("--")
        is_portable = is_portable and name not in UNKNOWN_TO_UV
        if name in WITHOUT_VALUE:
            if value is not None:
                raise ManifestError(f"expected no value for {name}, got {value!r}", where=where)
            options.append(Option(WITHOUT_VALUE[name], "", is_portable))
            continue
        if value is None:
            if not rest:
                raise ManifestError(f"expected a value after {spelling}", where=where)
            value = rest.pop(0)
        elif not spelling.startswith("--"):
            is_portable = is_portable and word[2] == "="  # uv wants a blank or `=` in between
            value = value.removeprefix("=")
        # To uv the value goes on to the end of the line.
        is_portable = is_portable and not any(one.startswith("-") for one in rest)
        options.append(Option(WITH_VALUE[name], value, is_portable))
    return requirement, options


def _option(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:] or None


def _full_name(spelling: str, where: str) -> str:
    """Return the spelling in our tables; pip takes the beginning of a long one for it."""
    if spelling in WITH_VALUE or spelling in WITHOUT_VALUE:
        return spelling
    known = [*WITH_VALUE, *WITHOUT_VALUE] if spelling.startswith("--") else []
    found = [one for one in known if one.startswith(spelling)]
    if len(found) != 1:
        raise ManifestError(
            f"expected a requirement or an option of pip, got {spelling!r}",
            where=where,
            next=f"It could be {' or '.join(found)}."
            if found
            else "See pip's reference: Requirements File Format.",
        )
    return found[0]
