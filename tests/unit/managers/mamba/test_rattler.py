"""The answer counts, and never the exit status of the process that gives it."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import SyncFailed
from nixpy.managers import Session
from nixpy.managers.mamba.engine import Channels
from nixpy.managers.mamba.rattler import Rattler

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS = Channels(("https://user:word@host/a", "https://host/t/word/b"), "strict", "linux-64")


class Child:
    """Answers, or not, and ends with a status."""

    def __init__(self, *ends: tuple[int, object]) -> None:
        self.ends = list(ends)
        self.requests: list[dict[str, object]] = []
        self.credentials: dict[str, object] = {}

    def show(self, argv, **_):  # type: ignore[no-untyped-def]
        request, answer = argv[-2:]
        with open(request, encoding="utf-8") as file:
            self.requests.append(json.load(file))
        credentials = os.path.join(os.path.dirname(request), "credentials.json")
        with open(credentials, encoding="utf-8") as file:
            assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
            self.credentials = json.load(file)
        status, text = self.ends.pop(0)
        if text is not None:
            with open(answer, "w", encoding="utf-8") as file:
                json.dump(text, file)
        return status


def known(child: Child, directory: Path) -> frozenset[str]:
    with open(directory / "log", "wb") as log:
        session = Session(runner=child, environ={}, log=log, uv="uv")  # type: ignore[arg-type]
        return Rattler().known(["a", "b"], CHANNELS, session)


def test_a_crash_after_the_answer_does_not_count(tmp_path: Path) -> None:
    child = Child((-signal.SIGSEGV, {"names": ["a"]}))
    assert known(child, tmp_path) == {"a"}


def test_a_crash_before_the_answer_is_tried_once_more(tmp_path: Path) -> None:
    assert known(Child((-signal.SIGSEGV, None), (0, {"names": ["b"]})), tmp_path) == {"b"}
    with pytest.raises(SyncFailed, match="segmentation fault, twice"):
        known(Child((-signal.SIGSEGV, None), (139, None)), tmp_path)


def test_a_status_without_an_answer_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(SyncFailed, match="ended with status 0"):
        known(Child((0, None)), tmp_path)


def test_a_refusal_is_said_on_one_line_without_credentials(tmp_path: Path) -> None:
    why = "cannot fetch https://user:word@host/a\n  ├─ because\n  └─ of that"
    with pytest.raises(SyncFailed) as caught:
        known(Child((0, {"refused": "GatewayError", "why": why})), tmp_path)
    assert caught.value.what == "rattler: cannot fetch https://host/a; because; of that"


def test_credentials_are_handed_over_in_a_private_file_alone(tmp_path: Path) -> None:
    child = Child((0, {"names": []}))
    known(child, tmp_path)
    assert child.requests[0]["channels"] == ["https://host/a", "https://host/b"]
    assert "word" not in json.dumps(child.requests)
    assert "word" in json.dumps(child.credentials)
