"""What direnv answered, as it is kept: for each directory with an ``.envrc``, for all shells.

They lie at ``<cache>/hook/<schema>/<the absolute path>/@answers/``: ``answers`` is read by nixpy
alone, ``bash``, ``zsh`` and ``fish`` are what the hooks source. What is known of direnv itself lies
in ``@direnv`` at the top, and the reference files of all in ``@refs``, where their paths are short:
a shell looks at most of them at each prompt. All as private as a stamp is, and trusted by the same
sign (:mod:`nixpy.stamp`).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nixpy import cache
from nixpy.hook.conditions import Condition, references
from nixpy.hook.places import SCHEMA, SHELLS
from nixpy.lock import alone
from nixpy.stamp import TRUSTED_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nixpy.hook.places import Place

__all__ = [
    "Answer",
    "Answers",
    "Direnv",
    "Watched",
    "read_answers",
    "read_direnvs",
    "with_direnv",
    "write_place",
]

MOST_ANSWERS = 8
"""Answers that are kept for entering a directory, and as many for leaving it."""

MOST_WATCHED = 4
MOST_DIRENVS = 8

LARGEST = 4_000_000
"""Bytes: a directory whose answers come to more is always asked about."""

LONGEST_WAIT = 1.0
"""Seconds to wait for another shell's recorder, which takes milliseconds."""

_ANSWERS = "answers"

T = TypeVar("T")


class Direnv(NamedTuple):
    """What direnv itself is: its program, its configuration, the variables that it reads.

    Attributes:
        identifier: stands for all of it.
        conditions: by which it is known again.
        prompting: those of them that count while what is loaded stays loaded.
        names: of the variables that begin with ``DIRENV_`` while nothing is loaded.
    """

    identifier: str
    conditions: tuple[Condition, ...]
    prompting: tuple[Condition, ...]
    names: tuple[str, ...]


class Watched(NamedTuple):
    """What is loaded is what direnv would load.

    Attributes:
        watches: the ``DIRENV_WATCHES`` of what is loaded.
        conditions: that everything on that list is as it was.
    """

    watches: str
    conditions: tuple[Condition, ...]


class Answer(NamedTuple):
    """What direnv answered once.

    Attributes:
        direnv: the :attr:`Direnv.identifier` of who did.
        conditions: everything that the answer rests on.
        changes: the variables that it changes, with their values; ``None``: is unset.
        said: what direnv printed for the user.
    """

    direnv: str
    conditions: tuple[Condition, ...]
    changes: tuple[tuple[str, str | None], ...]
    said: str


class Answers(NamedTuple):
    """What is known of a directory with an ``.envrc``.

    Attributes:
        always: why direnv is always asked about entering and leaving; empty where it need not be.
        watched: what may be loaded, newest first.
        entering: answers to entering it, newest first.
        leaving: answers to leaving it for where nothing is loaded, newest first.
    """

    always: str = ""
    watched: tuple[Watched, ...] = ()
    entering: tuple[Answer, ...] = ()
    leaving: tuple[Answer, ...] = ()

    def with_watched(self, one: Watched) -> Answers:
        """Return them with one more, instead of any of the same list."""
        others = tuple(other for other in self.watched if other.watches != one.watches)
        return self._replace(watched=(one, *others)[:MOST_WATCHED])

    def with_entering(self, one: Answer) -> Answers:
        """Return them with one more answer."""
        return self._replace(entering=_in_front(one, self.entering))

    def with_leaving(self, one: Answer) -> Answers:
        """Return them with one more answer."""
        return self._replace(leaving=_in_front(one, self.leaving))


def _in_front(one: Answer, others: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Put an answer before the others, but for those to the same state of the same variables."""
    question = _question(one)
    return (one, *(other for other in others if _question(other) != question))[:MOST_ANSWERS]


def _question(one: Answer) -> tuple[str, frozenset[Condition]]:
    about = {"is", "like", "unset", "filled"}
    return one.direnv, frozenset(other for other in one.conditions if other.kind in about)


def read_answers(place: Place) -> Answers:
    """Return what is known of a directory: nothing, where it is damaged or somebody else's."""
    found = _read(place, _answers)
    return Answers() if found is None else found


def read_direnvs(place: Place) -> tuple[Direnv, ...]:
    """Return what direnv was, newest first."""
    return _read(place, _direnvs) or ()


def with_direnv(known: Iterable[Direnv], one: Direnv) -> tuple[Direnv, ...]:
    """Return what direnv was with what it is now, newest first."""
    return (one, *(other for other in known if other.identifier != one.identifier))[:MOST_DIRENVS]


def write_place(
    place: Place,
    top: str,
    content: Answers | Sequence[Direnv],
    rendered: Callable[[str], str],
    shell: str,
) -> None:
    """Write a place: its data, its reference files, and what ``shell`` and others source.

    ``rendered`` returns the text for a shell. Those that have one here get a new one, too.

    Raises:
        OSError: it cannot be written, or does not keep the times of its reference files.
    """
    data = json.dumps([content, SCHEMA]).encode()
    if len(data) > LARGEST:
        raise OSError(0, "there is too much of it", place.path)
    times = set().union(*(references(one) for one in _all_conditions(content)))
    for directory in (place.path, place.references):
        cache.make_private_directory(directory, top)
    # Nobody else may take reference files away meanwhile.
    with alone(f"{place.path}/lock", LONGEST_WAIT):
        _write_references(place.references, times)
        cache.write_private(f"{place.path}/{_ANSWERS}", data)
        for name in SHELLS:
            path = f"{place.path}/{name}"
            if name == shell or os.path.exists(path):
                cache.write_private(path, os.fsencode(rendered(name)), mtime=TRUSTED_TIME)


def _write_references(directory: str, times: set[str]) -> None:
    """Make a directory have the reference files for ``times`` and no others.

    It gets the time 0, too: when one of its files is removed, it no longer has that.
    """
    present = set(os.listdir(directory))
    for mtime in times - present:
        path = f"{directory}/{mtime}"
        cache.write_private(path, b"", mtime=int(mtime))
        if os.stat(path).st_mtime_ns != int(mtime):
            raise OSError(0, "the file system does not keep modification times", path)
    for name in present - times:
        os.unlink(f"{directory}/{name}")
    os.utime(directory, ns=(TRUSTED_TIME, TRUSTED_TIME))


def _all_conditions(content: Answers | Sequence[Direnv]) -> Iterator[tuple[Condition, ...]]:
    if not isinstance(content, Answers):
        for direnv in content:
            yield direnv.conditions
        return
    for watched in content.watched:
        yield watched.conditions
    for answer in (*content.entering, *content.leaving):
        yield answer.conditions


def _read(place: Place, parse: Callable[[Any], T]) -> T | None:
    path = f"{place.path}/{_ANSWERS}"
    if not cache.is_private(place.path) or not cache.is_private(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            content, schema = json.load(file)
        return parse(content) if schema == SCHEMA else None
    except (OSError, ValueError, TypeError):
        return None


def _answers(content: Any) -> Answers:
    always, watched, entering, leaving = content
    return Answers(
        str(always),
        tuple(Watched(str(watches), _conditions(those)) for watches, those in watched),
        tuple(map(_answer, entering)),
        tuple(map(_answer, leaving)),
    )


def _answer(content: Any) -> Answer:
    direnv, conditions, changes, said = content
    pairs = tuple((name, value) for name, value in changes)
    return Answer(str(direnv), _conditions(conditions), pairs, str(said))


def _direnvs(content: Any) -> tuple[Direnv, ...]:
    return tuple(
        Direnv(
            str(identifier),
            _conditions(conditions),
            _conditions(prompting),
            tuple(map(str, names)),
        )
        for identifier, conditions, prompting, names in content
    )


def _conditions(content: Any) -> tuple[Condition, ...]:
    return tuple(Condition(*one) for one in content)
