from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from nixpy.nix.log import Log, plain


def said(*events: object) -> bytes:
    return b"".join(b"@nix " + json.dumps(event).encode() + b"\n" for event in events)


def heard(content: bytes, size: int = 7) -> Log:
    log = Log(io.BytesIO())
    for start in range(0, len(content), size):
        log.hear(content[start : start + size])
    return log


ERROR = {"action": "msg", "level": 0, "msg": "\x1b[31;1merror:\x1b[0m it broke"}
WARNING = {"action": "msg", "level": 1, "msg": "warning: Git tree '/demo' is dirty"}
EVALUATING = {"action": "msg", "level": 4, "msg": "evaluating file '/s/a-source/nix/shell.nix'"}
CHECKING = {"action": "msg", "level": 7, "msg": "checking access to '/s/a-source/absent.nix'"}
BUILDING = {"action": "start", "id": 1, "level": 3, "text": "building '/s/a-tool.drv'", "type": 105}
COPYING = {"action": "start", "id": 2, "level": 4, "text": "copying '/s/b-source/' to the store"}


def test_messages_are_told_by_their_level() -> None:
    log = heard(said(ERROR, WARNING, EVALUATING))
    assert log.errors == ["error: it broke"]
    assert log.warnings == ["warning: Git tree '/demo' is dirty"]


def test_paths_that_are_named_are_kept_also_those_that_are_absent() -> None:
    log = heard(said(EVALUATING, CHECKING))
    assert log.paths == {"/s/a-source/nix/shell.nix", "/s/a-source/absent.nix"}


def test_the_last_activity_is_what_it_does() -> None:
    assert heard(said(BUILDING)).activity == "building '/s/a-tool.drv'"
    nameless = {"action": "start", "id": 3, "level": 0, "text": "", "type": 102}
    assert heard(said(BUILDING, nameless)).activity == "building '/s/a-tool.drv'"


def test_copies_of_trees_are_counted() -> None:
    log = heard(said(COPYING, COPYING, BUILDING))
    assert log.copied == {"/s/b-source": 2}
    quoted = {**COPYING, "text": "copying '\"/work/part\"' to the store"}
    assert heard(said(quoted)).copied == {"/work/part": 1}


def test_lines_that_are_not_of_nix_are_in_the_log_and_errors_among_them_known() -> None:
    log = heard(b"error: unrecognised flag '--x'\nsomething else\n@nix {broken\n")
    assert log.errors == ["error: unrecognised flag '--x'"]
    assert isinstance(log.file, io.BytesIO)
    assert b"something else" in log.file.getvalue()
    assert b"broken" in log.file.getvalue()


def test_what_is_only_for_debugging_is_not_in_the_log() -> None:
    log = heard(said(CHECKING, WARNING))
    assert isinstance(log.file, io.BytesIO)
    assert b"absent" not in log.file.getvalue()
    assert b"dirty" in log.file.getvalue()


@given(
    content=st.lists(st.binary(max_size=30) | st.just(said(ERROR)), max_size=8).map(b"\n".join),
    size=st.integers(1, 40),
)
def test_it_does_not_matter_how_it_comes(content: bytes, size: int) -> None:
    content += b"\n"
    one, other = heard(content, size), heard(content, len(content))
    assert (one.errors, one.paths, one.activity) == (other.errors, other.paths, other.activity)


def test_escape_sequences_are_taken_out() -> None:
    assert plain("\x1b[35;1mnix\x1b[0m \x1b[?25lsays") == "nix says"
