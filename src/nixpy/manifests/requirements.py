"""Requirements files, as pip's reference defines them.

Source of every rule: pip's "Requirements File Format"
(pip.pypa.io/en/stable/reference/requirements-file-format): encodings, line continuations,
comments, environment variables, options, and includes relative to the including file.
"""

from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from nixpy.errors import ManifestError
from nixpy.manifests.pip_configuration import masked
from nixpy.manifests.requirements_lines import decoded, logical_lines, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.files import Files

__all__ = [
    "Entry",
    "Kind",
    "OptionLine",
    "Requirements",
    "read_requirements",
    "unsupported_by_uv",
]

INCLUDES = frozenset({"--requirement", "--constraint"})
PER_REQUIREMENT = frozenset({"--hash", "--config-settings", "--global-option"})

HONOURED_BY_UV = frozenset(
    {
        "--requirement",
        "--constraint",
        "--editable",
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
"""What uv takes from a requirements file (tried: uv 0.13.8).

It warns of ``--pre``, ``--prefer-binary``, ``--trusted-host`` and ``--use-feature`` and goes on
without them; the others are syntax errors to it.
"""

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://|(?:git|hg|svn|bzr)\+|file:", re.IGNORECASE)
_NAMED_URL = re.compile(r"([a-zA-Z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*@\s*(.+)")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ARCHIVES = (
    *(".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz"),
    *(".tar.xz", ".txz", ".tar.lz", ".tlz", ".tar.lzma"),
)
_DEEPEST = 100


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
    """An option in a requirements file.

    Attributes:
        name: its canonical long name; ``coding`` for an encoding that uv does not read.
        value: its value; empty where it takes none.
        file: absolute path of the file it stands in.
        line: number of its (first) line, from 1.
        is_portable: whether it is written, and stands, where uv reads it as pip does.
    """

    name: str
    value: str
    file: str
    line: int
    is_portable: bool = True


@dataclass(frozen=True, slots=True)
class Requirements:
    """What requirements files and all that they include say.

    Attributes:
        files: absolute paths of all files read, in the order of reading.
        entries: requirements and constraints.
        options: all options in the order of reading, but the hashes of requirements.
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
        return tuple(dict.fromkeys(path for path in paths if not _is_archive(path)))

    @property
    def local_archives(self) -> tuple[str, ...]:
        """The absolute paths of the wheels and source distributions that are named by path."""
        paths = (one.path for one in self.entries if one.path is not None)
        return tuple(dict.fromkeys(path for path in paths if _is_archive(path)))

    @property
    def local_link_directories(self) -> tuple[str, ...]:
        """The absolute directories that ``--find-links`` leads to."""
        found = (one for one in self.options if one.name == "--find-links")
        paths = (_link_path(one) for one in found)
        return tuple(dict.fromkeys(path for path in paths if path))

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
    """Return the options that uv would not honour, or would read otherwise than pip does."""
    return tuple(
        one for one in requirements.options if not one.is_portable or one.name not in HONOURED_BY_UV
    )


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
    done: set[tuple[str, bool]] = field(default_factory=set)

    def read(
        self, path: str, chain: tuple[str, ...], *, included_at: str, is_constraint: bool
    ) -> None:
        if path in chain:
            names = " → ".join(self._shown(one) for one in (*chain[chain.index(path) :], path))
            raise ManifestError(
                f"includes itself: {names}", where=included_at, next="Take one of the includes out."
            )
        if len(chain) == _DEEPEST:
            raise ManifestError(f"more than {_DEEPEST} includes deep", where=included_at)
        if (path, is_constraint) in self.done:
            return
        content = self.files_.read(path)
        if content is None:
            raise ManifestError(
                f"the requirements file {self._shown(path)} does not exist",
                where=included_at or self._shown(path),
                next="Create it, or take the line out.",
            )
        if path not in self.files:
            self.files.append(path)
        text, encoding = decoded(content, self._shown(path))
        if encoding:
            self.options.append(OptionLine("coding", encoding, path, 1, is_portable=False))
        chain = (*chain, path)
        for number, line in logical_lines(text):
            values: dict[str, str] = {}
            expanded = self._expanded(line, values)
            try:
                self._line(expanded, path, number, chain, is_constraint)
            except ManifestError as error:
                raise _without_secrets(error, values) from None
        self.done.add((path, is_constraint))

    def _shown(self, path: str) -> str:
        below = self.base.rstrip("/") + "/"
        return path.removeprefix(below)

    def _expanded(self, line: str, values: dict[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            self.variables.append(match[1])
            values[match[0]] = self.environ.get(match[1]) or match[0]
            return values[match[0]]

        return _VARIABLE.sub(value, line)

    def _line(
        self, line: str, path: str, number: int, chain: tuple[str, ...], is_constraint: bool
    ) -> None:
        where = f"{self._shown(path)}:{number}"
        requirement, options = split(line, where)
        if requirement:
            hashes = tuple(_hash(one.value, where) for one in options if one.name == "--hash")
            # Of the rest pip passes over what is not about one requirement; uv takes none of it.
            self.options.extend(
                OptionLine(one.name, one.value, path, number, is_portable=False)
                for one in options
                if one.name != "--hash"
            )
            self.entries.append(
                self._entry(requirement, path, number, hashes, is_constraint, where)
            )
            return
        for name, value, is_portable in options:
            if name == "--requirement" and is_constraint:
                is_portable = False  # noqa: PLW2901 - to uv these are constraints, to pip not
            is_lost = name in PER_REQUIREMENT  # pip passes over it, uv fails
            self.options.append(OptionLine(name, value, path, number, is_portable and not is_lost))
            if name in INCLUDES:
                self._include(value, chain, where, is_constraint=name == "--constraint")
            elif name == "--editable":
                self.entries.append(self._editable(value, path, number, is_constraint, where))

    def _include(
        self, value: str, chain: tuple[str, ...], where: str, *, is_constraint: bool
    ) -> None:
        if _URL.match(value):
            local = _local_part(value, where)
            if local is None:
                self.remote.append(value)
                return
            value = local
        # Relative to the file that includes, where what is installed is relative to the caller.
        target = _path(os.path.join(os.path.dirname(chain[-1]), value), where)
        self.read(target, chain, included_at=where, is_constraint=is_constraint)

    def _editable(
        self, text: str, path: str, number: int, is_constraint: bool, where: str
    ) -> Entry:
        name, target = _egg(text), text
        named = _NAMED_URL.fullmatch(text)
        if named and _URL.match(named[2]):
            name, target = named[1], named[2]
        local = self._local(target, where)
        return Entry(Kind.EDITABLE, text, name, path, number, local, is_constraint=is_constraint)

    def _entry(
        self,
        text: str,
        path: str,
        number: int,
        hashes: tuple[str, ...],
        is_constraint: bool,
        where: str,
    ) -> Entry:
        if _URL.match(text):
            local = self._local(text, where)
            return Entry(Kind.URL, text, _egg(text), path, number, local, hashes, is_constraint)
        if _is_path(text):
            local = self._local(text, where)
            return Entry(Kind.PATH, text, None, path, number, local, hashes, is_constraint)
        from packaging.requirements import Requirement

        try:
            parsed = Requirement(text)
            exact = [one for one in parsed.specifier if one.operator in {"==", "==="}]
        except (RecursionError, ValueError) as error:
            reason = "nested too deeply"
            if isinstance(error, ValueError):
                reason = " ".join(str(error).split("\n")[0].split())
            raise ManifestError(
                f"expected a requirement (PEP 508), got {text!r}: {reason}",
                where=where,
                next="Write `name`, `name==1.0`, `name @ URL`, a path or an option.",
            ) from None
        local = self._local(parsed.url, where) if parsed.url else None
        is_exact = len(exact) == 1 and not exact[0].version.endswith(".*")
        kind = Kind.URL if parsed.url else Kind.NAMED
        return Entry(kind, text, parsed.name, path, number, local, hashes, is_constraint, is_exact)

    def _local(self, text: str, where: str) -> str | None:
        """Return the absolute path that a path or URL leads to, if it is one on this machine."""
        text = text.split(" ;", maxsplit=1)[0].strip()
        if _URL.match(text):
            text_or_none = _local_part(text, where)
            if text_or_none is None:
                return None
            text = text_or_none
        else:
            text = _without_extras(text.split(";", maxsplit=1)[0].split("#", maxsplit=1)[0])
        return _path(os.path.join(self.base, text), where)


def _without_secrets(error: ManifestError, values: Mapping[str, str]) -> ManifestError:
    """Return an error that quotes variables by their names, and URLs without their users."""
    what = error.what
    for name, value in values.items():
        for quoted in (value, repr(value)[1:-1]):
            what = what.replace(quoted, name)
    return ManifestError(masked(what), where=error.where, next=error.next)


def _path(text: str, where: str) -> str:
    """Return a normal path, or raise where the system can have no file of that name."""
    try:
        if b"\0" not in os.fsencode(text):
            return os.path.normpath(text)
    except UnicodeEncodeError:
        pass
    raise ManifestError(f"expected a path, got {text!r}", where=where)


def _local_part(url: str, where: str) -> str | None:
    """Return the path in a ``file:`` URL; none for another one."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ManifestError(f"expected a URL, got {url!r}: {error}", where=where) from None
    return unquote(parts.path, errors="surrogateescape") if parts.scheme == "file" else None


def _link_path(option: OptionLine) -> str | None:
    """Return the path that ``--find-links`` names, which is relative to the file it stands in."""
    path: str | None = option.value
    if _URL.match(option.value):
        path = _local_part(option.value, option.file)
    return path and os.path.normpath(os.path.join(os.path.dirname(option.file), path))


def _is_archive(path: str) -> bool:
    return path.lower().endswith(_ARCHIVES)


def _without_extras(text: str) -> str:
    text = text.strip()
    return text.rpartition("[")[0].strip() if text.endswith("]") and "[" in text else text


def _is_path(text: str) -> bool:
    """Whether a requirement is a path by its looks, as it is for pip."""
    bare = _without_extras(text.split(";", maxsplit=1)[0])
    before, at, _ = bare.partition("@")
    if at and not ("/" in before or before.startswith(".")):
        return False  # name @ URL
    return "/" in bare or bare.startswith(".") or _is_archive(bare)


def _hash(value: str, where: str) -> str:
    algorithm, colon, digest = value.partition(":")
    if not colon or algorithm not in {"sha256", "sha384", "sha512"} or not digest:
        raise ManifestError(
            f"expected --hash=ALGORITHM:DIGEST with sha256, sha384 or sha512, got {value!r}",
            where=where,
        )
    return value


def _egg(text: str) -> str | None:
    for part in text.partition("#")[2].split("&"):
        key, _, value = part.partition("=")
        match = _NAME.match(value) if key == "egg" else None
        if match:
            return match[0]
    return None
