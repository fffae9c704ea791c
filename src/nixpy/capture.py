"""Evaluating a script that makes an environment in bash, once, where nothing it does can harm.

``nix print-dev-env`` prints such a script: variables, functions, and at its end the ``shellHook``;
conda's packages have theirs, in ``activate.d``. A script is evaluated in a session of its own,
with no terminal and no stdin, under a time limit. Written down is the environment as it is before
the hook and as it is after it; a hook that exits, replaces the shell or hangs leaves what was
there until then.

The script that writes it down is builtins alone: the environment that it runs in may have a
``PATH`` or an ``LD_LIBRARY_PATH`` that no program survives.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import ToolMissing
from nixpy.process import find_program
from nixpy.shells.bash import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nixpy.process import Runner

__all__ = ["HOOK_BEGINS", "LONGEST", "Captured", "capture"]

LONGEST = 60.0
"""Seconds that a dev shell's script has, unless ``NIXPY_SHELL_TIMEOUT`` says otherwise."""

_HOOK = re.compile(r'^eval "\$(?:\{shellHook(?::?-)?\}|shellHook)"\s*$', re.MULTILINE)

_NAMES = " ".join(
    f'"${{!{first}@}}"' for first in "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

_PRELUDE = f"""\
_nixpy_write() {{
  local IFS=' ' _nixpy_name
  {{
    for _nixpy_name in {_NAMES}; do
      if [[ ${{!_nixpy_name@a}} == *x* ]]; then
        builtin printf '%s=%s\\0' "$_nixpy_name" "${{!_nixpy_name-}}"
      fi
    done
  }} >|"$_nixpy_directory/$1"
}}
_nixpy_leave() {{
  set +eux
  _nixpy_write after
  builtin printf '%s' "$1" >|"$_nixpy_directory/how"
  builtin trap - EXIT TERM
  builtin exit 0
}}
exec() {{
  if ((BASH_SUBSHELL)); then builtin exec "$@"; fi
  if (($#)); then _nixpy_leave "replaces $*"; fi
}}
exit() {{
  local _nixpy_status=${{1-$?}}
  if ((BASH_SUBSHELL)); then builtin exit "$_nixpy_status"; fi
  _nixpy_leave "exits $_nixpy_status"
}}
builtin trap '_nixpy_leave "exits $?"' EXIT
builtin trap '_nixpy_leave "hangs"' TERM
"""

HOOK_BEGINS = """\
_nixpy_write before
builtin printf hook >|"$_nixpy_directory/how"
"""
"""Bash for a script of one's own, to write down what there is before its hook begins."""

_EPILOG = """\
source "$_nixpy_directory/shell"
_nixpy_leave ends
"""


class Captured(NamedTuple):
    """What evaluating a script came to.

    Attributes:
        environ: the exported variables after it, as far as it got.
        how: how the hook ended: ``ends``, ``exits STATUS``, ``replaces PROGRAM …``, ``hangs``,
            or ``killed`` where nothing after the hook's start is known.
        left_behind: whether it left processes behind, which were ended.
    """

    environ: dict[str, str]
    how: str
    left_behind: bool


def capture(
    script: str,
    *,
    directory: str,
    environ: Mapping[str, str],
    runner: Runner,
    heard: Callable[[bytes], None],
    run_hook: bool = True,
    timeout: float = LONGEST,
) -> Captured | None:
    """Return what a script makes of an environment.

    ``None`` where it did not get as far as its hook.

    Args:
        script: bash; of what Nix prints the ``shellHook`` is found, others say
            :data:`HOOK_BEGINS` by themselves.
        directory: the working directory.
        environ: the environment to start from.
        runner: starts programs.
        heard: called with what the script prints, stdout and stderr, as it comes.
        run_hook: whether to evaluate the ``shellHook``.
        timeout: seconds.

    Raises:
        ToolMissing: there is no bash.
    """
    bash = find_program("bash", environ.get("PATH", "")) or find_program("bash", os.defpath)
    if bash is None:
        raise ToolMissing("bash is not installed", where="PATH", next="Install bash 4.4 or later.")
    with tempfile.TemporaryDirectory(prefix="nixpy-shell-") as scratch:
        path = f"{scratch}/program"
        for name, text in {
            "program": f"_nixpy_directory={quote(scratch)}\n{_PRELUDE}{_EPILOG}",
            # A file of its own: a hook's `return` leaves it, as it leaves the shell's rc file.
            "shell": _in_two(script, run_hook=run_hook),
        }.items():
            with open(f"{scratch}/{name}", "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        os.mkdir(f"{scratch}/temporary")
        # What the script makes with mktemp is gone with it.
        within = {**environ, "TMPDIR": f"{scratch}/temporary"}
        done = runner.follow(
            [bash, "--noprofile", "--norc", path],
            cwd=directory,
            environ=within,
            heard=heard,
            timeout=timeout,
        )
        if done.stdout:
            heard(done.stdout)
        before, after = _read(f"{scratch}/before"), _read(f"{scratch}/after")
        how = (_content(f"{scratch}/how") or b"").decode("utf-8", "replace")
    if before is None:
        # Without a hook of its own, all that happened is what is after it.
        return Captured(after, how, done.left_behind) if after and how == "ends" else None
    if after is None:
        return Captured(before, "killed", done.left_behind)
    return Captured(after, "hangs" if done.timed_out else how, done.left_behind)


def _in_two(script: str, *, run_hook: bool) -> str:
    """Return a script that writes down the environment before its hook, too."""
    hooks = list(_HOOK.finditer(script))
    if not hooks:
        return script
    start, end = hooks[-1].span()
    hook = script[start:end] if run_hook else ""
    return f"{script[:start]}{HOOK_BEGINS}{hook}\n{script[end:]}\n"


def _read(path: str) -> dict[str, str] | None:
    content = _content(path)
    if content is None:
        return None
    pairs = (os.fsdecode(one).partition("=") for one in content.split(b"\0") if one)
    return {name: value for name, _, value in pairs}


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
