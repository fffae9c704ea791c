"""What activating a conda environment changes, captured once (DESIGN.md, section 7).

conda sets ``PATH``, ``CONDA_PREFIX`` and the like, then the variables of ``etc/conda/env_vars.d``
and of ``conda-meta/state``, then sources ``etc/conda/activate.d/*.sh`` (docs.conda.io, "Managing
environments: Activating an environment"). The variables are read as the JSON that they are, and no
value is ever evaluated; the scripts are evaluated once, in a bash of their own, and what they
change is kept. An environment that the caller has in force is left first, as conda leaves it.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.capture import HOOK_BEGINS, capture
from nixpy.difference import OF_THE_SHELL, difference
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.errors import ManifestError
from nixpy.inputs import (
    Input,
    digest,
    observe_directory,
    observe_file,
    observe_variables,
)
from nixpy.marker import is_conda
from nixpy.shells.bash import quote
from nixpy.shells.names import is_name
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nixpy.environment import Operation
    from nixpy.managers import Plan
    from nixpy.process import Runner

__all__ = [
    "Activation",
    "Activations",
    "activation_inputs",
    "capture_activation",
    "conda_variables",
    "outer_environment",
    "own_operations",
    "read_activation",
    "write_activation",
]

SCRIPTS = "etc/conda/activate.d"
LEAVING_SCRIPTS = "etc/conda/deactivate.d"
VARIABLES = "etc/conda/env_vars.d"
STATE = "conda-meta/state"
UNSET = "***unset***"
"""What ``state`` holds for a variable that is to be unset (``conda env config vars``)."""

OWN = (
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_PROMPT_MODIFIER", "CONDA_SHLVL"),
    *("PATH", "_CE_CONDA", "_CE_M", "CONDA_PREFIX_*"),
)
"""Patterns of what nixpy sets by itself, whatever scripts do with them."""

LONGEST = 30.0
"""Seconds that all scripts of an environment have."""

_TERMINAL = re.compile(
    r"^[^#\n]*\b(?:stty|tput|tty|complete|compdef|PROMPT_COMMAND|PS1)\b", re.MULTILINE
)


class Activation(NamedTuple):
    """What activating an environment came to.

    Attributes:
        version: nixpy's.
        environment: what to change besides ``PATH`` and conda's own variables.
        inputs: what this rests on.
        notices: lines for the user: scripts that define functions, need a terminal, or fail.
    """

    version: str
    environment: Environment
    inputs: tuple[Input, ...]
    notices: tuple[str, ...] = ()


def activation_inputs(prefix: str, outer: str) -> tuple[Input, ...]:
    """Return what the activation of a prefix rests on.

    Args:
        prefix: real path of the conda environment.
        outer: the prefix that the caller has in force; empty for none.

    Raises:
        ManifestError: something of it exists and cannot be read.
    """
    found: list[Input] = []
    for path, folders in ((prefix, (SCRIPTS, VARIABLES)), (outer, (LEAVING_SCRIPTS, VARIABLES))):
        if not path:
            continue
        for folder in folders:
            seen, names = observe_directory(f"{path}/{folder}")
            found.append(seen)
            found += (observe_file(f"{path}/{folder}/{name}")[0] for name in names)
        found.append(observe_file(f"{path}/{STATE}")[0])
    return tuple(one._replace(syncs=False) for one in found)


def conda_variables(caller: Mapping[str, str]) -> tuple[Input, ...]:
    """Return the inputs that conda's variables are.

    Those that say which environment is in force change nothing in what is installed.
    """
    found = (*observe_variables("CONDA_", caller), *observe_variables("MAMBA_", caller))
    return tuple(
        one._replace(syncs=one.kind == "variable" and not _is_own(one.name)) for one in found
    )


def _is_own(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in OWN)


def outer_environment(environ: Mapping[str, str], prefix: str) -> str:
    """Return the conda prefix that a caller has in force; empty for none, or for this one."""
    outer = environ.get("CONDA_PREFIX", "")
    if not outer.startswith("/") or environ.get("CONDA_SHLVL", "") in {"", "0"}:
        return ""
    return "" if os.path.realpath(outer) == prefix else outer.rstrip("/")


class Activations:
    """What activating the conda environments of projects changes: kept, and captured anew.

    Args:
        runner: starts programs.
        report: is told what a user should see, one line a call.
        show: gets what the scripts print.
        cache: nixpy's cache directory, for records; ``None`` where there is none.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        report: Callable[[str], None],
        show: Callable[[bytes], None],
        cache: str | None,
    ) -> None:
        self.runner = runner
        self.report = report
        self.show = show
        self.cache = cache

    def kept(self, root: str, prefix: str) -> Activation | None:
        """Return the activation of a prefix as it was last captured; ``None`` if it never was."""
        path = self._record(root, prefix)
        return read_activation(path) if path else None

    def bring_up_to_date(
        self, root: str, plan: Plan, outer: str, environ: Mapping[str, str]
    ) -> bool:
        """Capture the activation of a plan's prefix if its record is stale; return whether it was.

        Args:
            root: real path of the project.
            plan: of a conda environment.
            outer: the conda prefix that the caller has in force.
            environ: the caller's environment.

        Raises:
            ManifestError: the environment's variables are malformed, or cannot be read.
            ToolMissing: there is no bash.
        """
        path, conda = self._record(root, plan.prefix), plan.conda
        if path is None or self.cache is None or conda is None or not is_conda(plan.prefix):
            return False
        kept = self.kept(root, plan.prefix)
        if kept and _rests_on(kept, activation_inputs(plan.prefix, outer)):
            return False
        own = own_operations(plan.prefix, conda.shown_name)
        captured = capture_activation(
            plan.prefix,
            own=Environment(own).apply({}),
            environ=environ,
            runner=self.runner,
            heard=self.show,
        )
        for notice in captured.notices:
            self.report(notice)
        try:
            write_activation(path, self.cache, captured)
        except OSError as error:
            self.report(f"cannot keep what activation changes: {error.filename}: {error.strerror}")
            return False
        return True

    def _record(self, root: str, prefix: str) -> str | None:
        if self.cache is None:
            return None
        holder = f"{self.cache}/projects{root}/@nixpy/{cache.SCHEMA}"
        return f"{holder}/activations/{digest(os.fsencode(prefix))[:16]}"


def _rests_on(one: Activation, inputs: tuple[Input, ...]) -> bool:
    """Whether an activation rests on what there is now."""
    now, then = ({one[:3] for one in seen} for seen in (inputs, one.inputs))
    return one.version == __version__ and now == then


def capture_activation(
    prefix: str,
    *,
    own: Mapping[str, str],
    environ: Mapping[str, str],
    runner: Runner,
    heard: Callable[[bytes], None],
) -> Activation:
    """Return what activating a prefix comes to.

    Args:
        prefix: real path of the conda environment.
        own: what nixpy sets by itself: ``CONDA_PREFIX`` and the like.
        environ: the caller's environment, in which perhaps another one is in force.
        runner: starts programs.
        heard: called with what the scripts print.

    Raises:
        ManifestError: a file of the environment's variables is malformed.
        ToolMissing: there is no bash.
    """
    outer = outer_environment(environ, prefix)
    inputs = activation_inputs(prefix, outer)
    leaving = _scripts(outer, LEAVING_SCRIPTS) if outer else ()
    scripts = _scripts(prefix, SCRIPTS)
    left = tuple(_variables(outer)) if outer else ()
    variables = tuple(_variables(prefix))
    entered = dict(environ)
    for name, _ in left:
        entered.pop(name, None)
    path = [one for one in environ.get("PATH", "").split(os.pathsep) if one]
    if outer:
        path = [one for one in path if one != f"{outer}/bin"]
    entered["PATH"] = os.pathsep.join((f"{prefix}/bin", *path))
    entered.update(own)
    for name, value in variables:
        if value is None:
            entered.pop(name, None)
        else:
            entered[name] = value
    notices: list[str] = []
    after = entered
    if scripts or leaving:
        script = "\n".join((HOOK_BEGINS, *_lines((*reversed(leaving), *scripts)), ""))
        captured = capture(
            script,
            directory=prefix,
            environ=entered,
            runner=runner,
            heard=heard,
            timeout=LONGEST,
        )
        if captured:
            after = captured.environ
            notices += _notices(captured.how, captured.environ)
        notices += _needing_a_terminal(scripts)
    found = difference(
        dict(environ), after, exclude=("!*", *OF_THE_SHELL, *OWN), store="/nix/store"
    )
    operations: list[Operation] = list(found.operations)
    operations += _path_of_scripts(entered, after)
    return Activation(__version__, Environment(tuple(operations)), inputs, tuple(notices))


def read_activation(path: str) -> Activation | None:
    """Return the record at a path; a missing, damaged or foreign one is ``None``."""
    return cache.read_record(path, _activation)


def write_activation(path: str, top: str, one: Activation) -> None:
    """Write a record, in a directory below nixpy's cache directory ``top``.

    Raises:
        OSError: it cannot be written.
    """
    cache.write_record(path, top, _fields(one))


def _fields(one: Activation) -> Iterator[str]:
    yield one.version
    yield from cache.string_fields(one.notices)
    yield from cache.input_fields(one.inputs)
    yield from cache.operation_fields(one.environment)


def _activation(fields: Iterator[str]) -> Activation:
    version, notices = next(fields), cache.read_strings(fields)
    inputs = cache.read_inputs(fields)
    return Activation(version, cache.read_operations(fields), inputs, notices)


def _scripts(prefix: str, folder: str) -> tuple[str, ...]:
    _, names = observe_directory(f"{prefix}/{folder}")
    return tuple(f"{prefix}/{folder}/{name}" for name in names if name.endswith(".sh"))


def _variables(prefix: str) -> Iterator[tuple[str, str | None]]:
    """Yield the variables of an environment; what ``state`` says goes before the packages'.

    Raises:
        ManifestError: one of the files is no JSON object of texts.
    """
    found: dict[str, str | None] = {}
    _, names = observe_directory(f"{prefix}/{VARIABLES}")
    for name in names:
        if name.endswith(".json"):
            found.update(_texts(f"{prefix}/{VARIABLES}/{name}"))
    state = _object(f"{prefix}/{STATE}").get("env_vars", {})
    if isinstance(state, dict):
        found.update(
            {name: None if value == UNSET else str(value) for name, value in state.items()}
        )
    yield from ((name, value) for name, value in found.items() if is_name(name))


def _texts(path: str) -> dict[str, str | None]:
    return {name: str(value) for name, value in _object(path).items()}


def _object(path: str) -> dict[str, object]:
    _, content = observe_file(path)
    if content is None:
        return {}
    try:
        values = json.loads(content)
    except ValueError as error:
        raise ManifestError(f"malformed JSON: {error}", where=path) from None
    if not isinstance(values, dict):
        raise ManifestError("expected an object", where=path)
    return values


def _lines(scripts: tuple[str, ...]) -> Iterator[str]:
    """Yield bash that sources scripts and notes which one it is at, and what each one defines."""
    yield "export _nixpy_current= _nixpy_defined="
    yield "_nixpy_functions=$(builtin declare -F)"
    for script in scripts:
        yield f"_nixpy_current={quote(script)}"
        yield f"builtin source {quote(script)}"
        yield (
            'if [[ $(builtin declare -F) != "$_nixpy_functions" ]]; then '
            "_nixpy_functions=$(builtin declare -F); "
            "_nixpy_defined+=$_nixpy_current$'\\n'; fi"
        )


def _notices(how: str, after: Mapping[str, str]) -> Iterator[str]:
    if how not in {"ends", "hook"}:
        current = after.get("_nixpy_current", "a script")
        yield f"{current} {how}; what comes after it is not done"
    for path in after.get("_nixpy_defined", "").splitlines():
        yield f"{path} defines functions, which direnv cannot hand on"


def _needing_a_terminal(scripts: tuple[str, ...]) -> Iterator[str]:
    for path in scripts:
        with open(path, encoding="utf-8", errors="replace") as file:
            if _TERMINAL.search(file.read()):
                yield f"{path} is about a terminal or a prompt, of which it has none here"


def _path_of_scripts(entered: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Operation]:
    """Yield what scripts put in front of ``PATH``."""
    before, now = entered.get("PATH", ""), after.get("PATH", "")
    if now != before and now.endswith(before):
        elements = tuple(one for one in now[: -len(before)].split(os.pathsep) if one)
        if elements:
            yield Prepend("PATH", elements)


def own_operations(prefix: str, name: str) -> tuple[Operation, ...]:
    """Return what conda's activation sets by itself; ``name`` is what it calls the environment.

    ``CONDA_SHLVL`` is 1 whatever was in force: ``conda deactivate`` then leaves no environment
    behind that it would enter again, and leaving the directory restores all of it.
    """
    return (
        Unset("VIRTUAL_ENV"),
        Unset("VIRTUAL_ENV_PROMPT"),
        Unset("PYTHONHOME"),
        Set("CONDA_PREFIX", prefix),
        Set("CONDA_DEFAULT_ENV", name),
        Set("CONDA_PROMPT_MODIFIER", f"({name}) "),
        Set("CONDA_SHLVL", "1"),
    )
