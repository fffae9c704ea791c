"""What went wrong in Nix, in one or two lines that say what to do."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import DevShellFailed

if TYPE_CHECKING:
    from nixpy.nix.log import Log

__all__ = ["DEV_SHELL", "problem"]

DEV_SHELL = "the dev shell"


class Known(NamedTuple):
    """An error that Nix is known for.

    ``pattern`` finds it; ``what`` and ``next`` may refer to its groups.
    """

    pattern: re.Pattern[str]
    what: str
    next: str


def _known(pattern: str, what: str, next_: str) -> Known:
    return Known(re.compile(pattern, re.IGNORECASE | re.DOTALL), what, next_)


_NO_DEV_SHELL = _known(
    r"flake '([^']+)' does not provide attribute (.+)",
    r"the flake \1 has no dev shell: no attribute \2",
    'Add it, name another one (`flake = ".#NAME"`), or say `flake = false` in [tool.nixpy].',
)

KNOWN: tuple[Known, ...] = (
    _NO_DEV_SHELL,
    _known(
        r"cannot connect to (?:socket at '([^']+)'|daemon)|daemon.*connection refused",
        "the Nix daemon does not answer",
        "Start it: `sudo systemctl start nix-daemon`, on macOS "
        "`sudo launchctl kickstart -k system/org.nixos.nix-daemon`.",
    ),
    _known(
        r"experimental (?:nix )?feature '?([\w-]+)'? is disabled",
        r"the experimental feature \1 of Nix is forbidden here",
        r"Allow it in nix.conf: `experimental-features = nix-command flakes`.",
    ),
    _known(
        r"unrecognised (?:flag|option) '--(?:extra-)?experimental-features'",
        "this Nix is older than 2.4, which dev shells need",
        "Upgrade Nix.",
    ),
    _known(
        r"unrecognised flag '([^']+)'",
        r"this Nix does not know the option \1",
        r"Take it out of `nix-options`, or upgrade Nix.",
    ),
    _known(
        r"only works on derivations that use 'bash' as their builder",
        "the dev shell's builder is not bash, so it has no environment for a shell",
        'Name another one: `flake = ".#NAME"` in [tool.nixpy].',
    ),
    _known(
        r"path '([^']+)' (?:is|are) forbidden in pure eval|access to (?:absolute )?path '([^']+)' "
        r"is forbidden in pure eval",
        r"the flake looks at \2\1, which pure evaluation forbids",
        "Say `use nixpy --impure`, or have the flake not look there.",
    ),
    _known(
        r"(?:unable to download|couldn't resolve host|could not resolve host|connection timed out)",
        "Nix could not download what the dev shell needs",
        "Try again when you are online.",
    ),
    _known(
        r"no space left on device",
        "there is no room left for the dev shell",
        "Make room: `nix-collect-garbage` removes what nothing uses.",
    ),
    _known(
        r"builder for '[^']*/[a-z0-9]{32}-([^']+)\.drv' failed[^\n]*",
        r"\1 could not be built",
        "",
    ),
)

_LOCATION = re.compile(r"at (/[^\s:]+|«[^»]+»/[^\s:]+):(\d+)(?::\d+)?:?$", re.MULTILINE)
_ABSENT = re.compile(
    r"(?:path|getting status of|opening file|reading file) '(?:[^']*?/[a-z0-9]{32}-source)/([^']+)'"
    r"(?: does not exist|: No such file)"
)
_TRACKED = re.compile(
    r"path '([^']+)'(?: in the repository \"[^\"]*\")? is not tracked by git", re.IGNORECASE
)
_SOURCE = re.compile(r"/[^\s']*?/[a-z0-9]{32}-[^/\s']*source/")


def problem(
    log: Log, status: int, directory: str, path: str | None, *, subject: str = DEV_SHELL
) -> DevShellFailed:
    """Return the error for a call of Nix that failed.

    Args:
        log: what it said.
        status: its exit status.
        directory: the project's root.
        path: where the full log lies.
        subject: what Nix was called for.
    """
    # The last one may only say how to see more.
    text = next((one for one in reversed(log.errors) if not one.startswith("(")), "")
    everything = "\n".join(log.errors)
    full = f"The full log is at {path}" if path else ""
    for one in (_TRACKED, _ABSENT):
        match = one.search(everything)
        if match and os.path.exists(os.path.join(directory, match[1])):
            return DevShellFailed(
                "is not tracked by git, and Nix sees tracked files alone",
                where=match[1],
                log=path,
                next=f"Run `git add {match[1]}`.",
            )
    for known in KNOWN:
        match = known.pattern.search(everything)
        if match:
            what = " ".join(match.expand(known.what.replace(DEV_SHELL, subject)).split())
            return DevShellFailed(
                what, log=path, next=known.next or full or None, is_absent=known is _NO_DEV_SHELL
            )
    what = _innermost(text) or f"nix ended with status {status}"
    return DevShellFailed(
        f"{subject} cannot be evaluated: {what}",
        where=_place(text),
        log=path,
        next=full or None,
    )


def _innermost(text: str) -> str:
    """Return the cause that an evaluation's trace ends with, on one line."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("(")]
    causes = [
        line.removeprefix("error:").strip() for line in lines if line.startswith("error:")
    ] or lines[:1]
    return _SOURCE.sub("", next((cause for cause in reversed(causes) if cause), ""))


def _place(text: str) -> str | None:
    """Return file and line of the innermost place in a trace, as the user's tree has it."""
    places = [(match[1], match[2]) for match in _LOCATION.finditer(text)]
    own = [(path, line) for path, line in places if not path.endswith("-internal.nix")]
    if not own:
        return None
    path, line = own[-1]
    return f"{_SOURCE.sub('', path)}:{line}"
