"""Asking direnv again what it has just answered, and keeping the answer with all it rests on.

Called by the hook after direnv itself was asked, in the shell's environment as it is by then. What
it was before follows from ``DIRENV_DIFF``, the one before and the one now. direnv is asked in just
that environment, so that what is kept is its own answer to a question that is known completely.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixpy import cache
from nixpy.direnv import (
    WATCHES,
    before_direnv,
    difference,
    unpacked,
)
from nixpy.hook.answers import (
    Answer,
    Answers,
    Direnv,
    Watched,
    read_answers,
    read_direnvs,
    with_direnv,
    write_place,
)
from nixpy.hook.conditions import (
    Condition,
    absence,
    file_conditions,
    lasting,
    observed_condition,
    references,
    variable_condition,
)
from nixpy.hook.configuration import read_configuration
from nixpy.hook.places import answers_place, direnv_place
from nixpy.hook.reading import read_envrc
from nixpy.hook.rendering import STATE, render_answers, render_direnvs
from nixpy.inputs import ABSENT, NO_TIME, digest, observe
from nixpy.marker import interpreter_of, marker_mtime, marker_path
from nixpy.shells.names import RESERVED, is_name
from nixpy.stamp import DAY, NANOSECONDS, TICK, settles_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.hook.places import Place
    from nixpy.hook.reading import Reading, Reason
    from nixpy.inputs import Input
    from nixpy.process import Runner

__all__ = ["CHATTY", "Recorder", "configuration_reasons", "reasons"]

PLACES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""Variables that direnv reads besides ``DIRENV_…``: where things are."""

READ_BY_BASH = (
    "BASHOPTS",
    "BASH_COMPAT",
    "BASH_ENV",
    "CDPATH",
    "POSIXLY_CORRECT",
    "SHELLOPTS",
    "TERM",
)
"""Variables by which direnv's bash does, and by which direnv says, something else."""

CHATTY = {"DIRENV_DEBUG", "DIRENV_DUMP_FILE_PATH", "DIRENV_REQUIRED"}
"""Variables with which direnv does, or says, something although nothing has changed."""

NO_TEXT = "\N{REPLACEMENT CHARACTER}"

MOST_RUNS = 3
"""How often direnv is asked until what it watches stays the same."""

LONGEST_RUN = 5.0
"""Seconds that it may take: the user waits, after having waited for direnv itself."""


class _NotKnownError(Exception):
    """The answer is not kept. ``always``: nor will be the next one, until something changes."""

    def __init__(self, why: str, *, always: bool = False) -> None:
        super().__init__(why)
        self.always = always


@dataclass(frozen=True)
class Recorder:
    """Keeps what direnv answers.

    Attributes:
        shell: whose hook asks, one of :data:`nixpy.hook.places.SHELLS`.
        root: where answers are kept (:func:`nixpy.hook.places.hook_directory`).
        direnv: absolute path of the program.
        environ: the environment of the shell, after direnv has answered.
        runner: starts it.
    """

    shell: str
    root: str
    direnv: str
    environ: Mapping[str, str]
    runner: Runner

    def record(self, before: str, directory: str) -> None:
        """Keep what direnv answered last.

        Args:
            before: ``DIRENV_DIFF`` before it did; empty where nothing was loaded.
            directory: the working directory.

        Raises:
            OSError: it cannot be kept.
        """
        try:
            self._keep_direnv(self.environ)
            loaded = self.environ.get("DIRENV_FILE", "")
            if loaded:
                self._keep_loaded(loaded, before)
            elif before:
                self._keep_leaving(before, directory)
        except (_NotKnownError, BlockingIOError):
            pass

    @property
    def _top(self) -> str:
        return os.path.dirname(os.path.dirname(self.root))

    def _keep_direnv(self, environ: Mapping[str, str]) -> Direnv:
        """Keep what direnv is where it is called in an environment: an answer may change that."""
        now = self._direnv(environ)
        place = direnv_place(self.root)
        known = read_direnvs(place)
        if now not in known or not os.path.exists(f"{place.path}/{self.shell}"):
            known = with_direnv(known, now)
            write_place(
                place, self._top, known, lambda shell: render_direnvs(shell, known), self.shell
            )
        return now

    def _direnv(self, environ: Mapping[str, str]) -> Direnv:
        own = {name for name in environ if name.startswith("DIRENV_")} - {*STATE}
        if any(map(environ.get, CHATTY)):
            raise _NotKnownError("direnv has more to do, or to say")
        configuration = read_configuration(environ)
        if configuration.loads_dotenv:
            raise _NotKnownError("direnv loads .env files")
        # To see that nothing has changed direnv evaluates nothing.
        places = {one for one in configuration.files if one.endswith(".toml")}
        prompting = (
            *(variable_condition(name, environ) for name in sorted({*PLACES, *own})),
            *lasting(_settled([self.direnv, *sorted(places)])),
        )
        conditions = (
            *prompting,
            *(variable_condition(name, environ) for name in READ_BY_BASH),
            *lasting(_settled([one for one in configuration.files if one not in places])),
        )
        parts = (os.fsencode(part) for one in conditions for part in one)
        return Direnv(digest(*parts), conditions, prompting, tuple(sorted(own)))

    def _keep_loaded(self, loaded: str, before: str) -> None:
        directory = os.path.dirname(loaded)
        place = answers_place(self.root, directory)
        watched = self._watched(self.environ.get(WATCHES, ""))
        answers = read_answers(place)._replace(always="").with_watched(watched)
        try:
            answer, watched = self._entering(loaded, before, watched)
            answers = answers.with_watched(watched).with_entering(answer)
        except _NotKnownError as error:
            answers = answers._replace(always=str(error) if error.always else "")
        self._write(place, directory, answers)

    def _keep_leaving(self, before: str, directory: str) -> None:
        environ = self._environ_before(before)
        loaded = environ.get("DIRENV_FILE", "")
        if not loaded:
            return
        answer, _ = self._ask(self._keep_direnv(environ), environ, directory)
        answer = answer._replace(conditions=(*answer.conditions, Condition("file", loaded)))
        left = os.path.dirname(loaded)
        place = answers_place(self.root, left)
        self._write(place, left, read_answers(place).with_leaving(answer))

    def _write(self, place: Place, directory: str, answers: Answers) -> None:
        write_place(
            place,
            self._top,
            answers,
            lambda shell: render_answers(shell, directory, place.name, answers),
            self.shell,
        )

    def _entering(self, loaded: str, before: str, watched: Watched) -> tuple[Answer, Watched]:
        """Return the answer to entering a directory, and what is loaded then."""
        environ = self._environ_before(before)
        if environ.get("DIRENV_FILE") == loaded:
            # It was loaded again, because of a change that will not be made again.
            environ = self._environ_before("")
        directory = os.path.dirname(loaded)
        direnv = self._keep_direnv(environ)
        configuration = read_configuration(environ)
        for _ in range(MOST_RUNS):
            reading = read_envrc(loaded, environ.get("HOME", ""))
            if found := [*reading.reasons, *configuration.reasons]:
                # What the file says there may be a secret.
                raise _NotKnownError(str(found[0]._replace(text="")), always=True)
            # Where there are no stamps nixpy itself would be asked, and may take its time.
            stamps = self._conditions_of_entries(reading, environ)
            answer, after = self._ask(direnv, environ, directory)
            seen, watched = watched, self._watched(after)
            again = self._conditions_of_entries(reading, environ)
            is_same = lasting(stamps) == lasting(again) and seen.watches == watched.watches
            is_same &= lasting(seen.conditions) == lasting(watched.conditions)
            if is_same and self._direnv(environ) == direnv:
                break
        else:
            raise _NotKnownError("what it watches is another each time", always=True)
        conditions = (
            *answer.conditions,
            *(Condition("file", path) for path in (environ.get("DIRENV_FILE"),) if path),
            *_conditions_of_reading(reading, environ),
            *(variable_condition(name, environ) for name in sorted(configuration.variables)),
            *stamps,
            Condition("target", directory, os.path.realpath(directory)),
            *watched.conditions,
        )
        return answer._replace(conditions=tuple(dict.fromkeys(conditions))), watched

    def _environ_before(self, before: str) -> dict[str, str]:
        """Return the environment as it was while ``before`` was the ``DIRENV_DIFF``."""
        environ = before_direnv(self.environ)
        changed = difference(before)
        if changed is None:
            return {name: value for name, value in environ.items() if name not in STATE}
        gone, new = changed
        kept = {name: value for name, value in environ.items() if name not in gone}
        return {**kept, **new, "DIRENV_DIFF": before}

    def _ask(
        self, direnv: Direnv, environ: Mapping[str, str], directory: str
    ) -> tuple[Answer, str]:
        """Ask direnv; return its answer, resting on variables alone, and ``DIRENV_WATCHES``."""
        try:
            done = self.runner.capture(
                [self.direnv, "export", "json"],
                cwd=directory,
                environ={**environ, "PWD": directory},
                timeout=LONGEST_RUN,
            )
        except OSError:
            raise _NotKnownError("direnv cannot be started there") from None
        if done.status:
            raise _NotKnownError("direnv fails", always=True)
        if any(line.startswith("nixpy: ") for line in done.stderr.splitlines()):
            raise _NotKnownError("nixpy has something to say each time", always=True)
        try:
            changes: dict[str, str | None] = json.loads(done.stdout or "{}")
        except ValueError:
            raise _NotKnownError("direnv prints what is no JSON", always=True) from None
        if not changes or not all(is_name(one) and RESERVED not in one for one in changes):
            raise _NotKnownError("it changes what no shell can export", always=True)
        if any(NO_TEXT in (value or "") for value in changes.values()):
            # What is no UTF-8 is lost in JSON; to a shell direnv prints it as it is.
            raise _NotKnownError("a variable is not UTF-8", always=True)
        names = {*changes, *STATE, "PATH"}
        for text in (environ.get("DIRENV_DIFF", ""), changes.get("DIRENV_DIFF") or ""):
            for part in difference(text) or ():
                names |= part.keys()
        conditions = (
            variable_condition(name, environ)
            # What tells answers apart comes first.
            for name in sorted(names, key=lambda name: (name not in STATE, name != "PATH", name))
            if is_name(name)
        )
        answer = Answer(
            direnv.identifier, tuple(conditions), tuple(sorted(changes.items())), done.stderr
        )
        return answer, changes.get(WATCHES) or ""

    def _watched(self, watches: str) -> Watched:
        """Return that everything that direnv watches is as it noted it.

        direnv compares whole seconds, and of a link the younger time of both.
        """
        try:
            noted = [
                (
                    one.get("Path") or one["path"],
                    one.get("Modtime") or one.get("modtime") or 0,
                    one.get("Exists") or one.get("exists") or False,
                )
                for one in unpacked(watches)
            ]
            if not all(_latest(path) == (seconds, exists) for path, seconds, exists in noted):
                raise _NotKnownError("something has changed meanwhile")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise _NotKnownError("what direnv watches cannot be read", always=True) from None
        return Watched(watches, _settled([path for path, _, _ in noted]))

    def _conditions_of_entries(
        self, reading: Reading, environ: Mapping[str, str]
    ) -> tuple[Condition, ...]:
        """Return what the stamps of all ``use nixpy`` look at."""
        if reading.calls and ("NIXPY_PROJECT" not in self.environ or "NIXPY_STALE" in self.environ):
            raise _NotKnownError("nixpy tries again each time", always=True)
        return tuple(
            one
            for directory, arguments in reading.calls
            for one in self._conditions_of_entry(directory, arguments, environ)
        )

    def _conditions_of_entry(
        self, directory: str, arguments: tuple[str, ...], environ: Mapping[str, str]
    ) -> Iterator[Condition]:
        """Yield what the stamp of a ``use nixpy`` looks at."""
        place = cache.entry_directory(self._top, directory, arguments)
        entry = cache.read_entry(place) if place else None
        if entry is None or not os.path.exists(f"{place}/stamp"):
            raise _NotKnownError("there is no stamp")
        for one in entry.inputs:
            # A terminal with other variables has an entry of its own in this place.
            if one.kind in {"variable", "variables"} and not any(
                observe(one, seen).is_same(one) for seen in (environ, self.environ)
            ):
                raise _NotKnownError("the entry is for other variables")
        yield Condition("target", directory, entry.root)
        # What has its value already is among no changes.
        for name in dict.fromkeys(one.name for one in entry.operations.operations):
            yield variable_condition(name, environ)
        yield from _conditions_of_prefix(entry)
        for one in entry.inputs:
            yield from _conditions_of_input(one, environ)
        if any(one.kind == "root" for one in entry.inputs):
            # Whoever comes next makes the roots young.
            made = os.stat(f"{place}/entry").st_mtime
            yield Condition("before", "", str(int(made) + DAY))


def reasons(envrc: str, environ: Mapping[str, str]) -> list[Reason]:
    """Return why direnv is always asked about entering and leaving the directory of ``envrc``."""
    reading = read_envrc(envrc, environ.get("HOME", ""))
    return [*reading.reasons, *configuration_reasons(environ)]


def configuration_reasons(environ: Mapping[str, str]) -> list[Reason]:
    """Return why direnv is always asked, whatever the ``.envrc``."""
    return read_configuration(environ).reasons


def _conditions_of_reading(reading: Reading, environ: Mapping[str, str]) -> Iterator[Condition]:
    for path in reading.absent:
        yield absence(path)
    for name in sorted(reading.variables):
        yield variable_condition(name, environ)
    for name in sorted(reading.filled):
        # One that is not filled by then is filled on the way.
        yield Condition("filled", name) if environ.get(name) else variable_condition(name, environ)


def _conditions_of_prefix(entry: cache.Entry) -> Iterator[Condition]:
    if entry.prefix:
        python = interpreter_of(entry.prefix)
        if os.path.lexists(python):
            yield Condition("runs", python)
        else:
            yield Condition("exists", f"{entry.prefix}/conda-meta/history")
    if entry.marker_mtime != NO_TIME:
        if marker_mtime(entry.prefix) != entry.marker_mtime:
            raise _NotKnownError("the environment has changed meanwhile")
        yield Condition("time", marker_path(entry.prefix), str(entry.marker_mtime))


def _conditions_of_input(one: Input, environ: Mapping[str, str]) -> Iterator[Condition]:
    if one.kind == "text":
        return
    if one.kind == "variable":
        yield observed_condition(one.name, environ)
    elif one.kind == "variables":
        names = [name for name in environ if name.startswith(one.name) and is_name(name)]
        yield Condition("names", one.name, " ".join(sorted(names)))
    elif one.kind == "root":
        yield Condition("exists", one.name)
    elif observe(one, {}) != one:
        raise _NotKnownError("something has changed meanwhile")
    elif one.value == ABSENT:
        yield absence(one.name)
    else:
        yield Condition("time", one.name, str(one.mtime))
        if one.target:
            yield Condition("target", one.name, one.target)


def _settled(paths: list[str]) -> tuple[Condition, ...]:
    """Return that files are what they are, once a further write would change their times."""
    conditions = _conditions(paths)
    now = time.time_ns()
    times = [int(mtime) for mtime in references(conditions)]
    young = [mtime for mtime in times if mtime <= now < settles_at(mtime)]
    if not young:
        return conditions
    wait = settles_at(max(young)) - now
    if wait > TICK:
        raise _NotKnownError("something has just changed")
    time.sleep(wait / NANOSECONDS)
    if _conditions(paths) != conditions:
        raise _NotKnownError("something has just changed")
    return conditions


def _conditions(paths: list[str]) -> tuple[Condition, ...]:
    try:
        found = (one for path in paths for one in file_conditions(path))
        return tuple(dict.fromkeys(found))
    except OSError:
        raise _NotKnownError("something cannot be looked at", always=True) from None


def _latest(path: str) -> tuple[int, bool]:
    """Return what direnv notes of a file: its time in whole seconds, and whether it is there."""
    try:
        link, file = os.lstat(path), os.stat(path)
    except FileNotFoundError:
        return 0, False
    return int(max(link.st_mtime_ns, file.st_mtime_ns) // NANOSECONDS), True
