"""What a real bash makes of scripts as ``nix print-dev-env`` prints them."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.capture import Captured, capture
from nixpy.process import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")

ENDINGS = ('eval "$shellHook"', 'eval "${shellHook:-}"')
"""What the scripts of Nix 2.8 and of 2.26 end with."""


def captured(
    directory: Path, hook: str, ending: str = ENDINGS[1], *, run_hook: bool = True
) -> tuple[Captured | None, bytes]:
    script = (
        f"export SET=yes\nshellHook={shlex.quote(hook)}\n"
        f'export NIX_BUILD_TOP="$(mktemp -d -t nix-shell.XXXXXX)"\n{ending}\n'
    )
    heard: list[bytes] = []
    found = capture(
        script,
        directory=str(directory),
        environ={"PATH": "/usr/local/bin:/usr/bin:/bin", "OWN": "own", "HOME": str(directory)},
        runner=SystemRunner(),
        heard=heard.append,
        run_hook=run_hook,
        timeout=1.0,
    )
    return found, b"".join(heard)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_hook_is_evaluated_and_its_output_heard(tmp_path: Path, ending: str) -> None:
    found, heard = captured(tmp_path, "export HOOKED=yes; echo out; echo err >&2", ending)
    assert found is not None
    assert found.how == "ends"
    assert found.environ["HOOKED"] == found.environ["SET"] == "yes"
    assert sorted(heard.split()) == [b"err", b"out"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_hook_that_is_not_wanted_is_not_evaluated(tmp_path: Path, ending: str) -> None:
    found, heard = captured(tmp_path, "export HOOKED=yes; echo out", ending, run_hook=False)
    assert found is not None
    assert "HOOKED" not in found.environ
    assert found.environ["SET"] == "yes"
    assert heard == b""


HOOKS = {
    "export A=1; exit 0; export A=2": "exits 0",
    "export A=1; exit 3": "exits 3",
    "export A=1; exec fish --login": "replaces fish --login",
    "export A=1; set -e; false; export A=2": "exits 1",
    "export A=1; sleep 60": "hangs",
    "export A=1; while :; do :; done": "hangs",
    "export A=1; return 7; export A=2": "ends",
    "export A=1; (exit 3) || export B=2": "ends",
    "export A=$(exec echo 1)": "ends",
    "trap 'echo bye' EXIT; export A=1": "ends",
    "set -euo pipefail; set -C; export A=1": "ends",
    "IFS=x; shopt -s nocasematch; export A=1": "ends",
    "printf() { echo no; }; declare() { :; }; export A=1": "ends",
    "unset -f exec exit; export A=1": "ends",
    "export A=1; PATH= LD_LIBRARY_PATH=/nowhere; export PATH LD_LIBRARY_PATH": "ends",
    "cd /; export A=1": "ends",
    "eval 'broken ('; export A=1": "ends",
    "exec 3>&1 </dev/null; export A=1": "ends",
    "read -r line </dev/tty || export A=1": "ends",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_whatever_a_hook_does_its_variables_until_then_count(tmp_path: Path, hook: str) -> None:
    found, _ = captured(tmp_path, hook)
    assert found is not None
    assert found.how == HOOKS[hook]
    assert found.environ["A"] == "1"
    assert found.environ.get("B", "2") == "2"


def test_what_is_killed_counts_up_to_its_hook(tmp_path: Path) -> None:
    found, _ = captured(tmp_path, "export A=1; kill -KILL $$")
    assert found is not None
    assert found.how == "killed"
    assert found.environ["SET"] == "yes"
    assert "A" not in found.environ


def test_processes_that_it_leaves_are_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    found, _ = captured(tmp_path, f"sleep 300 & echo $! > {pid}")
    assert found is not None
    assert found.left_behind
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid.read_text().strip()}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


def test_a_script_that_fails_before_its_hook_is_nothing(tmp_path: Path) -> None:
    heard: list[bytes] = []
    found = capture(
        'kill -KILL $$\neval "$shellHook"\n',
        directory=str(tmp_path),
        environ={"PATH": "/usr/bin:/bin"},
        runner=SystemRunner(),
        heard=heard.append,
    )
    assert found is None


def test_it_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found, _ = captured(tmp_path, "touch $TMPDIR/made; export A=1")
    assert found is not None
    assert os.listdir(tmp_path) == []


def test_what_was_unset_is_gone(tmp_path: Path) -> None:
    found, _ = captured(tmp_path, "unset OWN")
    assert found is not None
    assert "OWN" not in found.environ


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.binary(max_size=40).map(lambda value: value.replace(b"\0", b"")))
def test_any_value_is_written_down_as_it_is(tmp_path: Path, value: bytes) -> None:
    text = os.fsdecode(value)
    found = capture(
        'eval "$shellHook"\n',
        directory=str(tmp_path),
        environ={"PATH": "/usr/bin:/bin", "VALUE": text},
        runner=SystemRunner(),
        heard=lambda _: None,
    )
    assert found is not None
    assert found.environ["VALUE"] == text
