"""What Nix says when something fails, as 2.8 and 2.26 were recorded saying it, in one line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from nixpy.errors import one_line
from nixpy.nix.log import Log
from nixpy.nix.problems import problem

if TYPE_CHECKING:
    from pathlib import Path

STORE = "/nix/store/550qr4am1063h3knfy41mlgisapn6a8r-source"

BROKEN = "/nix/store/z57fz8q3zl05l6x6zgmifywk2n07wgm2-broken-1.0.drv"

TRACE = f"""\
error:
       … from call site
         at {STORE}/flake.nix:8:38:
            7|     shell = import ./nix/shell.nix;

       … in the right operand of the update (//) operator
         at {STORE}/flake.nix:8:158:

       (stack trace truncated; use '--show-trace' to show the full, detailed trace)

       error: undefined variable 'missing'
       at {STORE}/nix/shell.nix:1:9:
            1| {{ FOO = missing.x; }}
"""

SAID: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "evaluation, 2.26": ((TRACE,), ("nix/shell.nix:1", "undefined variable 'missing'")),
    "evaluation, 2.8": (
        (f"error: undefined variable 'missing'\n\n       at {STORE}/nix/shell.nix:1:9:\n",),
        ("nix/shell.nix:1", "undefined variable 'missing'"),
    ),
    "only a hint comes last": (
        ("error: it broke", "(use '--show-trace' to show detailed location information)"),
        ("it broke",),
    ),
    "untracked, 2.26": (
        (f"error: path '{STORE}/nix/shell.nix' does not exist",),
        ("nix/shell.nix", "not tracked by git", "git add nix/shell.nix"),
    ),
    "untracked, 2.8": (
        (f"error: getting status of '{STORE}/nix/shell.nix': No such file or directory",),
        ("nix/shell.nix", "git add nix/shell.nix"),
    ),
    "untracked, later": (
        ("error: Path 'nix/shell.nix' in the repository \"/demo/f\" is not tracked by Git.",),
        ("nix/shell.nix", "git add nix/shell.nix"),
    ),
    "absent everywhere": (
        (f"error: getting status of '{STORE}/gone.nix': No such file or directory",),
        ("gone.nix",),
    ),
    "no attribute": (
        ("error: flake 'git+file:///demo' does not provide attribute 'devShells.x.y' or 'y'",),
        ("git+file:///demo", "has no dev shell", "'devShells.x.y' or 'y'"),
    ),
    "daemon": (
        ("error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': refused",),
        ("daemon does not answer", "systemctl start nix-daemon"),
    ),
    "feature": (
        ("error: experimental Nix feature 'flakes' is disabled; use '--extra-…' to override",),
        ("flakes", "forbidden", "nix.conf"),
    ),
    "flag": (("error: unrecognised flag '--wat'",), ("--wat", "nix-options")),
    "old": (("error: unrecognised flag '--extra-experimental-features'",), ("older than 2.4",)),
    "offline": (
        ("error: unable to download 'https://x': Couldn't resolve host name (6)",),
        ("could not download", "online"),
    ),
    "full": (("error: writing to file: No space left on device",), ("no room", "nix-collect")),
    "build": (
        (
            f"error: builder for '{BROKEN}' failed with exit code 7",
            "error: 1 dependencies of derivation '/nix/store/a.drv' failed to build",
        ),
        ("broken-1.0 could not be built",),
    ),
    "bash": (
        ("error: 'nix develop' only works on derivations that use 'bash' as their builder",),
        ("builder is not bash",),
    ),
    "purity, 2.8": (
        ("error: access to absolute path '/etc/hostname' is forbidden in pure eval mode",),
        ("/etc/hostname", "--impure"),
    ),
    "nothing": ((), ("nix ended with status 1",)),
}


@pytest.mark.parametrize("name", SAID)
def test_a_failure_is_told_in_a_line_with_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "nix").mkdir()
    (tmp_path / "nix/shell.nix").touch()
    errors, words = SAID[name]
    log = Log(io.BytesIO(), errors=list(errors))
    error = problem(log, 1, str(tmp_path), "/logs/a.log")
    text = one_line(error)
    for word in words:
        assert word in text
    assert error.next
    assert "\n" not in error.what
    assert "\x1b" not in text
    assert STORE not in text


def test_only_a_flake_without_a_dev_shell_has_none(tmp_path: Path) -> None:
    for errors, absent in (
        ("error: flake 'a' does not provide attribute 'b'", True),
        ("error: undefined variable 'a'", False),
    ):
        log = Log(io.BytesIO(), errors=[errors])
        assert problem(log, 1, str(tmp_path), None).is_absent is absent
