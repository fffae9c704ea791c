"""Requirements files, as pip's reference defines them.

Source of every rule: pip's "Requirements File Format"
(pip.pypa.io/en/stable/reference/requirements-file-format): encodings, line continuations,
comments, environment variables, options, and includes relative to the including file.
"""

from __future__ import annotations

import codecs
import enum
import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from nixpy.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.files import Files

__all__ = [
    "Entry",
    "Kind",
    "OptionLine",
    "Requirements",
    "read_requirements",
    "unsupported_by_uv",
]

NESTED = {
    "-r": "--requirement",
    "--requirement": "--requirement",
    "-c": "--constraint",
    "--constraint": "--constraint",
}
EDITABLE = {"-e": "--editable", "--editable": "--editable"}
WITH_VALUE = {
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
}
WITHOUT_VALUE = {
    "--no-index": "--no-index",
    "--pre": "--pre",
    "--prefer-binary": "--prefer-binary",
    "--require-hashes": "--require-hashes",
}
PER_REQUIREMENT = {
    "--hash": "--hash",
    "-C": "--config-settings",
    "--config-setting": "--config-settings",
    "--config-settings": "--config-settings",
    "--global-option": "--global-option",
}

HONOURED_BY_UV = frozenset(
    {
        "--index-url",
        "--extra-index-url",
        "--no-index",
        "--find-links",
        "--no-binary",
        "--only-binary",
        "--require-hashes",
        "--hash",
    }
)
"""What uv takes from a requirements file; the rest it passes over or rejects (tried: 0.13.8)."""

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://|^(?:git|hg|svn|bzr)\+")
_EXTRAS = re.compile(r"\[[^\]/]*\]$")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Kind(enum.Enum):
    """What a line asks for."""

    NAMED = "named"
    EDITABLE = "editable"
    PATH = "path"
    URL = "url"


@dataclass(frozen=True, slots=True)
class Entry:
    """One requirement.

    Attributes:
        kind: what it asks for.
        text: the requirement as written, without its options.
        name: the distribution's name as written, or ``None`` where only a build could tell.
        file: absolute path of the file it stands in.
        line: number of its (first) line, from 1.
        path: absolute path of a local directory or archive, else ``None``.
        hashes: the values of its ``--hash`` options.
        is_constraint: whether it only limits a version.
        is_exact: whether it is pinned by one ``==`` without a wildcard, or by ``===``.
    """

    kind: Kind
    text: str
    name: str | None
    file: str
    line: int
    path: str | None = None
    hashes: tuple[str, ...] = ()
    is_constraint: bool = False
    is_exact: bool = False


class OptionLine(NamedTuple):
    """An option in a requirements file: its long name, value, file and line."""

    name: str
    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Requirements:
    """What requirements files and all that they include say.

    Attributes:
        files: absolute paths of all files read, in the order of reading.
        entries: requirements and constraints.
        options: options that stand alone, and those of single requirements but hashes.
        remote: addresses of included files, which are not read here.
        variables: names of the environment variables that the files refer to.
    """

    files: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    options: tuple[OptionLine, ...] = ()
    remote: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()

    @property
    def local_directories(self) -> tuple[str, ...]:
        """The absolute directories that requirements lead to, as projects to build."""
        paths = (one.path for one in self.entries if one.path is not None)
        return tuple(dict.fromkeys(path for path in paths if not path.endswith(_ARCHIVES)))

    @property
    def is_pinned(self) -> bool:
        """Whether every requirement of a name is pinned to one version."""
        named = [one for one in self.entries if one.kind is Kind.NAMED and not one.is_constraint]
        return bool(named) and all(one.is_exact for one in named)


def read_requirements(
    paths: Sequence[str], *, files: Files, environ: Mapping[str, str], directory: str | None = None
) -> Requirements:
    """Return what requirements files say, with all that they include.

    Args:
        paths: absolute paths.
        files: what to read with.
        environ: values for ``${NAME}``; a name that is not set stays as it is written.
        directory: where pip is run, which relative paths of requirements are relative to; by
            default the directory of the first file.

    Raises:
        ManifestError: a file is malformed, includes itself, or includes one that is not there.
    """
    base = directory or (os.path.dirname(paths[0]) if paths else "/")
    reader = _Reader(files, environ, base)
    for path in paths:
        reader.read(os.path.normpath(path), (), included_at="", is_constraint=False)
    return Requirements(
        tuple(reader.files),
        tuple(reader.entries),
        tuple(reader.options),
        tuple(dict.fromkeys(reader.remote)),
        tuple(dict.fromkeys(reader.variables)),
    )


def unsupported_by_uv(requirements: Requirements) -> tuple[OptionLine, ...]:
    """Return the options that uv would not honour."""
    return tuple(one for one in requirements.options if one.name not in HONOURED_BY_UV)


@dataclass
class _Reader:
    files_: Files
    environ: Mapping[str, str]
    base: str
    files: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    options: list[OptionLine] = field(default_factory=list)
    remote: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)

    def read(
        self, path: str, chain: tuple[str, ...], *, included_at: str, is_constraint: bool
    ) -> None:
        if path in chain:
            names = " → ".join(self._shown(one) for one in (*chain[chain.index(path) :], path))
            raise ManifestError(
                f"includes itself: {names}", where=included_at, next="Take one of the includes out."
            )
        content = self.files_.read(path)
        if content is None:
            raise ManifestError(
                f"the requirements file {self._shown(path)} does not exist",
                where=included_at or self._shown(path),
                next="Create it, or take the line out.",
            )
        if path not in self.files:
            self.files.append(path)
        chain = (*chain, path)
        for number, line in _logical_lines(_decoded(content, self._shown(path))):
            self._line(self._expanded(line), path, number, chain, is_constraint)

    def _shown(self, path: str) -> str:
        below = self.base.rstrip("/") + "/"
        return path.removeprefix(below)

    def _expanded(self, line: str) -> str:
        def value(match: re.Match[str]) -> str:
            self.variables.append(match[1])
            return self.environ.get(match[1]) or match[0]

        return _VARIABLE.sub(value, line)

    def _line(
        self, line: str, path: str, number: int, chain: tuple[str, ...], is_constraint: bool
    ) -> None:
        where = f"{self._shown(path)}:{number}"
        requirement, options = _split(line, where)
        if requirement:
            hashes = []
            for name, value in options:
                if name not in PER_REQUIREMENT:
                    raise ManifestError(
                        f"expected an option of one requirement, got {name}",
                        where=where,
                        next="Give it a line of its own.",
                    )
                if PER_REQUIREMENT[name] == "--hash":
                    hashes.append(_hash(value, where))
                else:
                    self.options.append(OptionLine(PER_REQUIREMENT[name], value, path, number))
            self.entries.append(
                self._entry(requirement, path, number, tuple(hashes), is_constraint, where)
            )
            return
        for name, value in options:
            if name in NESTED:
                self._nested(NESTED[name], value, path, chain, is_constraint, where)
            elif name in EDITABLE:
                local = None if _URL.match(value) else self._local(value)
                name_ = _egg(value)
                self.entries.append(
                    Entry(Kind.EDITABLE, value, name_, path, number, local, (), is_constraint)
                )
            elif name in PER_REQUIREMENT:
                raise ManifestError(f"expected a requirement before {name}", where=where)
            else:
                long = WITH_VALUE.get(name) or WITHOUT_VALUE[name]
                self.options.append(OptionLine(long, value, path, number))

    def _nested(
        self,
        name: str,
        value: str,
        path: str,
        chain: tuple[str, ...],
        is_constraint: bool,
        where: str,
    ) -> None:
        scheme = urlsplit(value).scheme if _URL.match(value) else ""
        if scheme == "file" or value.startswith("file:"):
            value = unquote(urlsplit(value).path)
        elif scheme:
            self.remote.append(value)
            return
        target = os.path.normpath(os.path.join(os.path.dirname(path), value))
        self.read(
            target, chain, included_at=where, is_constraint=is_constraint or name == "--constraint"
        )

    def _entry(
        self,
        text: str,
        path: str,
        number: int,
        hashes: tuple[str, ...],
        is_constraint: bool,
        where: str,
    ) -> Entry:
        if _URL.match(text) or text.startswith("file:"):
            local = unquote(urlsplit(text).path) if text.startswith("file:") else None
            return Entry(Kind.URL, text, _egg(text), path, number, local, hashes, is_constraint)
        bare = _EXTRAS.sub("", text.split(";", maxsplit=1)[0].strip())
        if "@" not in text and ("/" in bare or bare.startswith(".") or bare.endswith(_ARCHIVES)):
            local = self._local(bare)
            return Entry(Kind.PATH, text, None, path, number, local, hashes, is_constraint)
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            parsed = Requirement(text)
        except InvalidRequirement as error:
            reason = " ".join(str(error).split("\n")[0].split())
            raise ManifestError(
                f"expected a requirement (PEP 508), got {text!r}: {reason}",
                where=where,
                next="Write `name`, `name==1.0`, `name @ URL`, a path or an option.",
            ) from None
        local = None
        if parsed.url:
            parts = urlsplit(parsed.url)
            local = unquote(parts.path) if parts.scheme == "file" else None
        exact = [one for one in parsed.specifier if one.operator in {"==", "==="}]
        is_exact = len(exact) == 1 and not exact[0].version.endswith(".*")
        kind = Kind.URL if parsed.url else Kind.NAMED
        return Entry(kind, text, parsed.name, path, number, local, hashes, is_constraint, is_exact)

    def _local(self, text: str) -> str:
        text = _EXTRAS.sub("", text.split("#", maxsplit=1)[0])
        if text.startswith("file:"):
            text = unquote(urlsplit(text).path)
        return os.path.normpath(os.path.join(self.base, text))


def _decoded(content: bytes, shown: str) -> str:
    """Decode as pip does: by a BOM, by a coding line (PEP 263) in the first two, else UTF-8."""
    encoding = "utf-8"
    for bom, named in _BOMS:
        if content.startswith(bom):
            content, encoding = content[len(bom) :], named
            break
    else:
        for head in content.split(b"\n")[:2]:
            match = _CODING.match(head)
            if match:
                encoding = match[1].decode("ascii")
                break
    try:
        return content.decode(encoding)
    except LookupError:
        raise ManifestError(f"expected a known encoding, got {encoding!r}", where=shown) from None
    except ValueError as error:
        start = getattr(error, "start", 0)
        line = content.count(b"\n", 0, start) + 1
        raise ManifestError(
            f"expected text in {encoding}, got bytes that are none",
            where=f"{shown}:{line}",
            next="Save it as UTF-8, or say `# -*- coding: … -*-` in its first line.",
        ) from None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that says something, continuations joined."""
    joined: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not joined:
            start = number
        if line.endswith("\\") and not _COMMENT.match(line):
            joined.append(line.rstrip("\\"))
            continue
        # A comment ends what a backslash continued; it needs a blank before it to be one.
        joined.append(" " + line if _COMMENT.match(line) else line)
        said = _COMMENT.sub("", "".join(joined)).strip()
        joined.clear()
        if said:
            yield start, said
    said = _COMMENT.sub("", "".join(joined)).strip()
    if said:
        yield start, said


def _split(line: str, where: str) -> tuple[str, list[tuple[str, str]]]:
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
        name, value = _option(rest.pop(0))
        if name in WITHOUT_VALUE and value is None:
            options.append((name, ""))
        elif name in NESTED or name in EDITABLE or name in WITH_VALUE or name in PER_REQUIREMENT:
            if value is None:
                if not rest:
                    raise ManifestError(f"expected a value after {name}", where=where)
                value = rest.pop(0)
            options.append((name, value))
        else:
            raise ManifestError(
                f"expected a requirement or an option of pip, got {name!r}",
                where=where,
                next="See pip's reference: Requirements File Format.",
            )
    return requirement, options


def _option(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    short = word[:2]
    return (short, word[2:].removeprefix("=")) if len(word) > 2 else (short, None)  # noqa: PLR2004


def _hash(value: str, where: str) -> str:
    algorithm, colon, digest = value.partition(":")
    if not colon or algorithm not in {"sha256", "sha384", "sha512"} or not digest:
        raise ManifestError(
            f"expected --hash=ALGORITHM:DIGEST with sha256, sha384 or sha512, got {value!r}",
            where=where,
        )
    return value


def _egg(text: str) -> str | None:
    match = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", text)
    return match[1] if match else None
