"""What entering, leaving and a prompt cost in one interactive shell, with the hook and without.

The shell itself takes the times, around the functions that its hook calls; where it has no clock
of its own (fish before 4) many rounds are timed together.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING

from benchmarks.measure import MeasurementError, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ENTRY = "loading an empty `.envrc`, asking direnv"
PROMPT = "a prompt, asking direnv"
MISE = "`mise hook-env`"

BOUND = 0.05

_POSIX = """\
cd {top}
eval "$({direnv} hook {shell})"
eval "$({nixpy} hook {shell})"
_nixpy_install
took() {{ printf '%s\\t%s\\n' "$1" "$2" >&3; }}
hook() {{ _direnv_hook; }}
five() {{ "$1"; "$1"; "$1"; "$1"; "$1"; }}
exec 2>/dev/null
chpwd_functions=()
{mise}
for round in 1 2 3 4; do
  for there in {ten} {other} {top} {empty} {top}; do cd "$there"; hook; hook; done
done
_nixpy_command=(false)
for ((round = 0; round < {rounds}; round++)); do
  cd {empty}
  {clock}; eval "$({direnv} export {shell})"; {stop}; took {entry} "$took"
  {clock}; five _nixpy_asked_direnv; {stop}; took {prompt} "$((took / 5))"
  {clock}; five hook; {stop}; took 'a prompt in an empty project' "$((took / 5))"
  cd {top}; hook
  {clock}; five hook; {stop}; took 'a prompt outside' "$((took / 5))"
  cd {ten}
  {clock}; hook; {stop}; took 'entering, 10 inputs' "$took"
  {clock}; five hook; {stop}; took 'a prompt, 10 inputs' "$((took / 5))"
  cd {other}
  {clock}; hook; {stop}; took 'moving to another project' "$took"
  cd {top}
  {clock}; hook; {stop}; took 'leaving' "$took"
  cd {empty}
  {clock}; hook; {stop}; took 'entering an empty project' "$took"
  cd {top}; hook
  {clock}; {mise}; {stop}; {took_mise}
done
"""
_CLOCKS = {
    "bash": (
        "from=${EPOCHREALTIME/[.,]/}",
        "to=${EPOCHREALTIME/[.,]/}; took=$((to - from))",
    ),
    "zsh": (
        "from=$EPOCHREALTIME",
        "to=$EPOCHREALTIME; took=$(( (to - from) * 1000000 ))",
    ),
}

TOGETHER = 50
"""Rounds that are timed as one where the shell has no clock."""

_FISH = """\
cd {top}
{direnv} hook fish | source
{nixpy} hook fish | source
function took
  printf '%s\\t%s\\n' $argv[1] (math "($argv[3] - $argv[2]) / {together}000 / $argv[4]") >&3
end
function hook; __direnv_export_eval 2>/dev/null; end
set -g direnv_fish_mode disable_arrow
functions --erase __direnv_cd_hook
{mise}
for round in 1 2 3 4
  for there in {ten} {top} {empty} {top}; cd $there; hook; hook; end
end
set -g _nixpy_command false
for round in (seq {rounds})
  cd {empty}
  set from (date +%s%N)
  for each in (seq {together})
    {direnv} export fish 2>/dev/null | source
    set -e -g DIRENV_DIFF DIRENV_DIR DIRENV_FILE DIRENV_WATCHES
  end
  took {entry} $from (date +%s%N) 1
  hook
  set from (date +%s%N)
  for each in (seq {together}); {direnv} export fish 2>/dev/null | source; end
  took {prompt} $from (date +%s%N) 1
  set from (date +%s%N)
  for each in (seq {together}); hook; end
  took 'a prompt in an empty project' $from (date +%s%N) 1
  cd {ten}; hook
  set from (date +%s%N)
  for each in (seq {together}); hook; end
  took 'a prompt, 10 inputs' $from (date +%s%N) 1
  cd {top}; hook
  set from (date +%s%N)
  for each in (seq {together}); hook; end
  took 'a prompt outside' $from (date +%s%N) 1
  set from (date +%s%N)
  for each in (seq {together}); cd {ten}; hook; cd {top}; hook; end
  took 'entering or leaving, 10 inputs' $from (date +%s%N) 2
  set from (date +%s%N)
  for each in (seq {together}); cd {empty}; hook; cd {top}; hook; end
  took 'entering or leaving an empty project' $from (date +%s%N) 2
  set from (date +%s%N)
  for each in (seq {together}); {mise}; end
  {took_mise}
end
"""

_MISE = 'eval "$({} hook-env -s {})"'
_MISE_FISH = "{} hook-env -s {} 2>/dev/null | source"
_TOOK_MISE = 'took mise "$took"'
_TOOK_MISE_FISH = "took mise $from (date +%s%N) 1"

_ARGUMENTS = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "-i"),
}


def script(
    shell: str, places: Mapping[str, Path], programs: Mapping[str, str | None], rounds: int
) -> str:
    """Return what a shell is to run."""
    clock, stop = _CLOCKS.get(shell, ("", ""))
    mise = programs["mise"]
    return (_FISH if shell == "fish" else _POSIX).format(
        shell=shell,
        clock=clock,
        stop=stop,
        entry="entry",
        prompt="prompt",
        mise=(_MISE_FISH if shell == "fish" else _MISE).format(mise, shell) if mise else ":",
        took_mise=(_TOOK_MISE_FISH if shell == "fish" else _TOOK_MISE) if mise else ":",
        rounds=rounds,
        together=TOGETHER,
        direnv=programs["direnv"],
        nixpy=programs["nixpy"],
        **places,
    )


def hook_times(
    shell: str,
    places: Mapping[str, Path],
    environ: Mapping[str, str],
    rounds: int,
) -> dict[str, list[float]]:
    """Return the milliseconds of every round of everything.

    Raises:
        FileNotFoundError: the shell is not installed.
        MeasurementError: it failed.
    """
    path = environ["PATH"]
    tool = shutil.which(shell, path=path)
    if tool is None:
        raise FileNotFoundError(f"{shell} is not installed")
    programs = {name: shutil.which(name, path=path) for name in ("direnv", "nixpy", "mise")}
    file = places["top"] / f"hooks.{shell}"
    together = 1 if shell in _CLOCKS else TOGETHER
    file.write_text(script(shell, places, programs, max(3, rounds // together)))
    done = subprocess.run(
        ["sh", "-c", 'exec 3>&1; exec "$@" >/dev/null', "sh", tool, *_ARGUMENTS[shell], str(file)],
        cwd=places["top"],
        env={**environ, "PWD": str(places["top"])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    taken: dict[str, list[float]] = {}
    for line in done.stdout.splitlines():
        name, _, microseconds = line.partition("\t")
        taken.setdefault(_NAMES.get(name, name), []).append(float(microseconds) / 1000)
    if done.returncode or not taken:
        raise MeasurementError(f"{shell} ended with {done.returncode}: {done.stderr[-1000:]}")
    return taken


_NAMES = {"entry": ENTRY, "prompt": PROMPT, "mise": MISE}


def hook_rows(shell: str, taken: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table for a shell."""
    for name in (ENTRY, PROMPT, MISE):
        if name in taken:
            yield f"{shell}: {name}", f"{statistics.median(taken[name]):.2f}", "", "", "", "", ""
    for name, those in taken.items():
        if name in {ENTRY, PROMPT, MISE}:
            continue
        against = PROMPT if name.startswith("a prompt") else ENTRY
        found = ratio(those, taken[against])
        met = "met" if found.median <= BOUND else "**not met**"
        yield (
            f"{shell}: {name}",
            f"{statistics.median(those):.2f}",
            against,
            f"{found.median:.3f}",
            f"{found.low:.3f} to {found.high:.3f}",
            f"≤ {BOUND:g}",
            met,
        )
