from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixpy.hook.answers import (
    LARGEST,
    MOST_ANSWERS,
    MOST_DIRENVS,
    MOST_WATCHED,
    Answer,
    Answers,
    Direnv,
    Watched,
    read_answers,
    read_direnvs,
    with_direnv,
    write_place,
)
from nixpy.hook.conditions import Condition
from nixpy.hook.places import Place, answers_place, direnv_place, hook_directory

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(max_size=8) | st.binary(max_size=8).map(os.fsdecode)
TIMES = st.integers(0, 2**62).map(str)
CONDITIONS = st.lists(
    st.builds(Condition, st.sampled_from(["is", "unset", "target"]), TEXT, TEXT)
    | st.builds(Condition, st.sampled_from(["time", "absent"]), TEXT, TIMES),
    max_size=4,
).map(tuple)
ANSWER = st.builds(
    Answer,
    TEXT,
    CONDITIONS,
    st.lists(st.tuples(TEXT, TEXT | st.none()), max_size=3).map(tuple),
    TEXT,
)
ANSWERS = st.builds(
    Answers,
    TEXT,
    st.lists(st.builds(Watched, TEXT, CONDITIONS), max_size=3).map(tuple),
    st.lists(ANSWER, max_size=3).map(tuple),
    st.lists(ANSWER, max_size=3).map(tuple),
)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "cache/nixpy"


@pytest.fixture
def kept(top: Path) -> Place:
    return answers_place(hook_directory(str(top)), "/a/project")


@pytest.fixture
def place(kept: Place) -> Path:
    return Path(kept.path)


@pytest.fixture
def write(top: Path, kept: Place) -> Callable[[Answers], None]:
    def write(answers: Answers, shell: str = "bash") -> None:
        write_place(kept, str(top), answers, lambda name: f"for {name}\n", shell)

    return write


def answer(value: str, *conditions: Condition) -> Answer:
    return Answer("d", (Condition("is", "A", value), *conditions), (("B", value),), "said")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    top = str(tmp_path / "top")
    place = Place(f"{top}/place", "name", f"{top}/refs")

    @settings(max_examples=80, deadline=None)
    @given(
        ANSWERS,
        st.lists(
            st.builds(Direnv, TEXT, CONDITIONS, CONDITIONS, st.lists(TEXT).map(tuple)), max_size=3
        ),
    )
    def check(answers: Answers, direnvs: list[Direnv]) -> None:
        write_place(place, top, answers, lambda _: "", "zsh")
        assert read_answers(place) == answers
        write_place(place, top, direnvs, lambda _: "", "zsh")
        assert read_direnvs(place) == tuple(direnvs)
        assert read_answers(place) == Answers()

    check()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"[1, 2, 3]",
        b"\xff\x00",
        b"null",
        b'[["", [], [], []], "0"]',
        b'[["", [], [], []], 1]',
        b'[["", [1], [], []], "1"]',
        b'[["", [], [["d", [["is"]], [], ""]], []], "1"]',
        b'[["", [], [["d", [], [["A"]], ""]], []], "1"]',
    ],
)
def test_what_is_damaged_or_of_another_schema_is_nothing(
    kept: Place, place: Path, write: Callable[[Answers], None], content: bytes
) -> None:
    write(Answers(entering=(answer("1"),)))
    assert read_answers(kept).entering
    (place / "answers").write_bytes(content)
    assert read_answers(kept) == Answers()


def test_cut_off_anywhere_it_is_nothing(
    kept: Place, place: Path, write: Callable[[Answers], None]
) -> None:
    write(Answers(entering=(answer("1"),), watched=(Watched("w", ()),)))
    content = (place / "answers").read_bytes()
    for length in range(len(content)):
        (place / "answers").write_bytes(content[:length])
        assert read_answers(kept) == Answers()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_nothing(
    kept: Place, place: Path, write: Callable[[Answers], None], mode: int
) -> None:
    write(Answers(always="x"))
    (place / "answers").chmod(mode)
    assert read_answers(kept) == Answers()
    (place / "answers").chmod(0o600)
    assert read_answers(kept) == Answers("x")
    place.chmod(mode | 0o100)
    assert read_answers(kept) == Answers()
    with pytest.raises(PermissionError):
        write(Answers())


def test_what_belongs_to_somebody_else_is_nothing(
    kept: Place, place: Path, write: Callable[[Answers], None]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    write(Answers(always="x"))
    os.chown(place / "answers", 65534, 65534)
    assert read_answers(kept) == Answers()


def test_files_are_private_and_carry_the_trusted_time(
    top: Path, kept: Place, place: Path, write: Callable[[Answers], None]
) -> None:
    write(Answers(entering=(answer("1", Condition("time", "/x", "12345")),)))
    assert (place / "bash").stat().st_mtime_ns == 0
    assert Path(kept.references, "12345").stat().st_mtime_ns == 12345
    for path in [top, *top.rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_shells_that_have_a_file_get_a_new_one_and_no_others(
    place: Path, write: Callable[..., None]
) -> None:
    write(Answers(), "fish")
    assert not (place / "bash").exists()
    (place / "fish").write_text("old")
    write(Answers(), "bash")
    assert (place / "fish").read_text() == "for fish\n"
    assert (place / "bash").read_text() == "for bash\n"
    assert (place / "fish").stat().st_mtime_ns == 0
    assert not (place / "zsh").exists()


def test_reference_files_go_with_the_last_that_needs_them(
    kept: Place, write: Callable[[Answers], None]
) -> None:
    both = answer("1", Condition("time", "/x", "1"), Condition("time", "/y", "2"))
    write(Answers(entering=(both,), watched=(Watched("w", (Condition("time", "/z", "3"),)),)))
    assert {*os.listdir(kept.references)} == {"1", "2", "3"}
    write(Answers(leaving=(answer("1", Condition("time", "/x", "2")),)))
    assert {*os.listdir(kept.references)} == {"2"}
    write(Answers())
    assert os.listdir(kept.references) == []


def test_a_reference_file_that_was_removed_shows_in_the_time_of_its_directory(
    kept: Place, write: Callable[[Answers], None]
) -> None:
    answers = Answers(entering=(answer("1", Condition("time", "/x", "1")),))
    for _ in range(2):
        write(answers)
        assert os.stat(kept.references).st_mtime_ns == 0
        os.unlink(f"{kept.references}/1")
        assert os.stat(kept.references).st_mtime_ns > 0


def test_one_shell_writes_after_the_other(
    place: Path, write: Callable[[Answers], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nixpy.hook.answers.LONGEST_WAIT", 0.05)
    write(Answers())
    descriptor = os.open(place / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        write(Answers(always="x"))
    os.close(descriptor)
    write(Answers(always="x"))


def test_a_bounded_number_is_kept_newest_first() -> None:
    answers = Answers()
    for number in range(20):
        answers = answers.with_entering(answer(str(number))).with_leaving(answer(str(number)))
        answers = answers.with_watched(Watched(str(number), ()))
    assert MOST_ANSWERS == 8
    assert MOST_WATCHED == 4
    newest = [dict(one.changes)["B"] for one in answers.entering]
    assert newest == [str(number) for number in range(19, 11, -1)]
    assert len(answers.leaving) == MOST_ANSWERS
    assert [one.watches for one in answers.watched] == ["19", "18", "17", "16"]
    direnvs: tuple[Direnv, ...] = ()
    for number in range(20):
        direnvs = with_direnv(direnvs, Direnv(str(number % 10), (), (), ()))
    assert [one.identifier for one in direnvs] == ["9", "8", "7", "6", "5", "4", "3", "2"]
    assert len(direnvs) == MOST_DIRENVS


def test_an_answer_takes_the_place_of_that_to_the_same_variables() -> None:
    old = answer("1", Condition("time", "/x", "1"))
    new = answer("1", Condition("time", "/x", "2"))
    other = answer("2")
    assert Answers().with_entering(old).with_entering(other).with_entering(new).entering == (
        new,
        other,
    )
    assert len(Answers().with_entering(old).with_entering(old._replace(direnv="e")).entering) == 2


def test_what_is_too_large_is_not_written(
    place: Path, kept: Place, write: Callable[[Answers], None]
) -> None:
    write(Answers(always="before"))
    with pytest.raises(OSError, match="too much"):
        write(Answers(entering=(answer("x" * LARGEST),)))
    assert read_answers(kept) == Answers("before")


def test_bytes_that_are_no_text_are_kept(
    kept: Place, place: Path, write: Callable[[Answers], None]
) -> None:
    answers = Answers(entering=(answer(os.fsdecode(b"\xff\xfe\n'")),))
    write(answers)
    assert read_answers(kept) == answers
    assert json.loads((place / "answers").read_text())[1] == "1"


def test_the_place_mirrors_the_directory() -> None:
    found = answers_place("/r", "/a/b")
    assert found.path == "/r/a/b/@answers"
    assert found.references == f"/r/@refs/{found.name}"
    assert found.name != answers_place("/r", "/a/c").name
    assert direnv_place("/r").path == "/r/@direnv"
