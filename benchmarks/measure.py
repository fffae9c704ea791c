"""Paired measurements: subjects take turns, round by round, and are compared within a round."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

WARM_UPS = 3
"""Rounds that do not count: caches fill, and what is compiled once is compiled."""


class MeasurementError(Exception):
    """A measured program did not end with status 0."""


@dataclass(frozen=True)
class Subject:
    """A program whose run time is measured.

    Attributes:
        name: what the table calls it.
        argv: the program, by its absolute path, and its arguments.
        directory: where it runs.
        environ: its complete environment.
        before: called before each run, outside the time taken, with the number of the round.
    """

    name: str
    argv: tuple[str, ...]
    directory: Path
    environ: Mapping[str, str]
    before: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios within the rounds, and its 95 % confidence interval."""

    median: float
    low: float
    high: float


def duration(subject: Subject, number: int) -> float:
    """Return the milliseconds from starting a program until it has ended.

    Raises:
        MeasurementError: it did not end with status 0.
    """
    if subject.before is not None:
        subject.before(number)
    os.chdir(subject.directory)
    environ = {**subject.environ, "PWD": str(subject.directory)}
    silent = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    started = time.perf_counter_ns()
    process = os.posix_spawn(subject.argv[0], subject.argv, environ, file_actions=silent)
    _, status, _ = os.wait4(process, 0)
    ended = time.perf_counter_ns()
    if status:
        raise MeasurementError(f"{subject.name}: {subject.argv[0]} ended with {status}")
    return (ended - started) / 1e6


def take_turns(subjects: Sequence[Subject], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every round of every subject, measured in turns.

    Every second round goes backwards, so that no subject always follows the same one.

    Raises:
        MeasurementError: a program did not end with status 0.
    """
    taken: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for number in range(-WARM_UPS, rounds):
        for subject in subjects if number % 2 else reversed(subjects):
            milliseconds = duration(subject, number)
            if number >= 0:
                taken[subject.name].append(milliseconds)
    return taken


def ratio(of: Sequence[float], to: Sequence[float]) -> Ratio:
    """Compare two subjects that took turns.

    The interval is that of the order statistics (the sign test): it assumes nothing about how
    the times are distributed.
    """
    ratios = sorted(a / b for a, b in zip(of, to, strict=True))
    count = len(ratios)
    margin = int(0.98 * count**0.5) + 1
    middle = count // 2
    return Ratio(
        statistics.median(ratios),
        ratios[max(0, middle - margin)],
        ratios[min(count - 1, middle + margin)],
    )
