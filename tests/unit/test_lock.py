from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import LockTimeout, UsageError
from nixpy.lock import LONGEST_WAIT, environment_lock, longest_wait

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
sys.path[:0] = {path!r}
from nixpy.lock import environment_lock
with environment_lock({lock!r}, {top!r}, report=print, longest_wait=9):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(top: Path) -> subprocess.Popen[bytes]:
    code = HOLD.format(path=sys.path, lock=str(top / "lock"), top=str(top))
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path) -> None:
    top, said = tmp_path / "top", list[str]()
    with holder(top) as child:
        with (
            pytest.raises(LockTimeout, match=f"process {child.pid}"),
            environment_lock(str(top / "lock"), str(top), report=said.append, longest_wait=0.1),
        ):
            pass
        assert said == [f"waiting for process {child.pid}, which syncs this environment"]
        child.kill()
    with environment_lock(str(top / "lock"), str(top), report=said.append, longest_wait=0) as held:
        assert not held.waited
    assert len(said) == 1


def test_an_inherited_descriptor_keeps_the_lock(tmp_path: Path) -> None:
    top, said = tmp_path / "top", list[str]()
    lock = str(top / "lock")
    with environment_lock(lock, str(top), report=said.append, longest_wait=0) as held:
        child = subprocess.Popen(
            ["cat"], stdin=subprocess.PIPE, pass_fds=(held.descriptor,), stdout=subprocess.DEVNULL
        )
    with child:
        with (
            pytest.raises(LockTimeout),
            environment_lock(lock, str(top), report=said.append, longest_wait=0.1),
        ):
            pass
        child.kill()
    with environment_lock(lock, str(top), report=said.append, longest_wait=0):
        assert os.path.exists(lock)


def test_how_long_to_wait_is_a_number_of_seconds() -> None:
    assert longest_wait({}) == LONGEST_WAIT
    assert longest_wait({"NIXPY_LOCK_TIMEOUT": "1.5"}) == 1.5
    for text in ("soon", "-1", "nan"):
        with pytest.raises(UsageError, match="number of seconds"):
            longest_wait({"NIXPY_LOCK_TIMEOUT": text})
