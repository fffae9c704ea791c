from __future__ import annotations

import io
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nixpy.process import Followed, SystemRunner, find_program

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def test_what_a_program_prints_is_captured_apart() -> None:
    done = SystemRunner().capture(shell("echo out; echo err >&2; exit 3"), cwd="/", environ=ENVIRON)
    assert done == (3, "out\n", "err\n")


def test_a_program_that_takes_too_long_is_killed() -> None:
    done = SystemRunner().capture(shell("sleep 60"), cwd="/", environ=ENVIRON, timeout=0.1)
    assert done.status == -9
    assert "killed after 0.1 s" in done.stderr


def test_it_gets_the_environment_it_is_given_and_no_stdin() -> None:
    done = SystemRunner().capture(
        shell('read -r line || echo "nothing, $A, $PWD"'), cwd="/", environ={**ENVIRON, "A": "b"}
    )
    assert done.stdout == "nothing, b, /\n"


def test_one_that_answers_at_once_is_asked() -> None:
    runner = SystemRunner()
    assert runner.ask(shell("echo $A; exit 4"), environ={"A": "b"}) == (4, "b\n", "")
    assert runner.ask(shell("kill -KILL $$"), environ={}).status == -9
    with pytest.raises(OSError, match="No such file"):
        runner.ask(["/nowhere/program"], environ={})


def test_a_descriptor_is_inherited_where_that_is_said(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        argv = [sys.executable, "-c", f"import os; os.write({writing}, b'held')"]
        status = SystemRunner().show(
            argv, cwd=str(tmp_path), environ=ENVIRON, log=io.BytesIO(), keep_open=(writing,)
        )
        assert status == 0
        assert os.read(reading, 4) == b"held"
    finally:
        os.close(reading)
        os.close(writing)


def test_without_a_terminal_output_goes_to_the_log_alone(capfd: pytest.CaptureFixture[str]) -> None:
    log = io.BytesIO()
    SystemRunner().show(shell("echo out; echo err >&2"), cwd="/", environ=ENVIRON, log=log)
    assert log.getvalue() == b"out\nerr\n"
    assert capfd.readouterr() == ("", "")


class TestFollow:
    def follow(self, text: str, timeout: float | None = None) -> tuple[Followed, bytes]:
        pieces: list[bytes] = []
        done = SystemRunner().follow(
            shell(text), cwd="/", environ=ENVIRON, heard=pieces.append, timeout=timeout
        )
        return done, b"".join(pieces)

    def test_stdout_is_kept_and_stderr_is_heard(self) -> None:
        done, heard = self.follow("echo out; echo err >&2; exit 3")
        assert done == Followed(3, b"out\n", timed_out=False, left_behind=False)
        assert heard == b"err\n"

    def test_a_lot_of_both_does_not_block(self) -> None:
        done, heard = self.follow("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
        assert (len(done.stdout), len(heard)) == (300000, 300000)

    def test_it_has_no_terminal(self) -> None:
        done, _ = self.follow("(: </dev/tty) 2>/dev/null && echo terminal || echo none")
        assert done.stdout == b"none\n"

    def test_one_that_takes_too_long_is_asked_to_end_with_all_it_started(self) -> None:
        started = time.monotonic()
        done, _ = self.follow("trap 'echo ending; exit 7' TERM; sleep 60", timeout=0.2)
        assert done == Followed(7, b"ending\n", timed_out=True, left_behind=False)
        assert time.monotonic() - started < 5

    def test_it_ends_with_the_program_whoever_holds_its_output(self) -> None:
        started = time.monotonic()
        done, _ = self.follow("sleep 60 & echo done")
        assert done.stdout == b"done\n"
        assert done.left_behind
        assert time.monotonic() - started < 10

    def test_silence_is_heard_too(self) -> None:
        pieces: list[bytes] = []
        SystemRunner().follow(shell("sleep 0.5"), cwd="/", environ=ENVIRON, heard=pieces.append)
        assert len(pieces) >= 3
        assert set(pieces) == {b""}

    def test_an_exception_of_the_listener_ends_it(self, tmp_path: Path) -> None:
        def refuse(piece: bytes) -> None:
            if piece:
                raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            SystemRunner().follow(
                shell("echo x >&2; sleep 1; touch late"),
                cwd=str(tmp_path),
                environ=ENVIRON,
                heard=refuse,
            )
        time.sleep(1.2)
        assert not (tmp_path / "late").exists()


class TestFindProgram:
    def test_it_is_the_first_that_can_be_executed(self, tmp_path: Path) -> None:
        for name, mode in (("a", 0o644), ("b", 0o755), ("c", 0o755)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "tool").touch(mode)
        path = ":".join(str(tmp_path / name) for name in "abc")
        assert find_program("tool", path) == str(tmp_path / "b/tool")
        assert find_program("tool", path, without=str(tmp_path / "b")) == str(tmp_path / "c/tool")

    def test_a_directory_of_the_name_is_no_program(self, tmp_path: Path) -> None:
        (tmp_path / "tool").mkdir()
        assert find_program("tool", str(tmp_path)) is None

    def test_elements_that_mean_the_current_directory_do_not_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "tool").touch(0o755)
        monkeypatch.chdir(tmp_path)
        for path in ("", ":", ".", "./", "relative"):
            assert find_program("tool", path) is None
