"""Checks of what a project declares: options, manifests, lock files, and the decision."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.distributions import unmet_requirements
from nixpy.doctor.finding import Absent, Found, Severity, some
from nixpy.errors import (
    ManifestError,
    NixpyError,
    NothingToDo,
    OptionsError,
    one_line,
)
from nixpy.inputs import ObservedFiles
from nixpy.managers.uv import find_uv
from nixpy.manifests.requirements import read_requirements
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

MOST_SHOWN = 8


@check(
    "manifests.options-wrong",
    title="an option is unknown, or has a value that it cannot have",
    severity=Severity.PROBLEM,
)
def options_wrong(seen: Examination) -> Iterator[Found]:
    """Reads the options of all sources: flags in the .envrc, variables, files.

    Symptom:
        `use nixpy` says that there is no such option, or that it expected something else.

    Cause:
        A name is misspelt, a value is of another kind, or nixpy is older than the option.

    Remedy:
        Correct it where the evidence says. `nixpy export --help` lists all options.
    """
    if isinstance(seen.derived, OptionsError):
        yield Found(*seen.derived.faults)


@check(
    "manifests.malformed",
    title="a manifest or lock file cannot be read",
    severity=Severity.PROBLEM,
)
def malformed(seen: Examination) -> Iterator[Found]:
    """Reads every manifest and lock file that a rule of the decision may look at.

    Symptom:
        nixpy names a file and what it expected there; the last good environment stays in force.

    Cause:
        The file is not what its specification says: a merge left its marks, a bracket is missing,
        or you may not read it.

    Remedy:
        Correct the file where the evidence says.
    """
    if isinstance(seen.derived, ManifestError):
        yield Found(*str(seen.derived).splitlines())


@check(
    "manifests.nothing",
    title="nothing here says what is to be installed",
    severity=Severity.PROBLEM,
)
def nothing(seen: Examination) -> Iterator[Found]:
    """Looks whether any rule of the decision holds.

    Symptom:
        nixpy says "nothing here that nixpy recognises".

    Cause:
        The `.envrc` says `use nixpy`, and there is no manifest that counts: a `pyproject.toml` that
        only configures tools is none, and other requirements files than `requirements.txt` count
        once the option `requirements` names them.

    Remedy:
        Add a manifest, or name the one that there is; `nixpy explain --all-rules` says of every
        rule what it looks for.
    """
    if isinstance(seen.derived, NothingToDo):
        severity = None if seen.has_envrc else Severity.NOTE
        yield Found(*str(seen.derived).splitlines(), severity=severity)


@check(
    "manifests.undecided",
    title="there is no environment to be had from these manifests",
    severity=Severity.PROBLEM,
)
def undecided(seen: Examination) -> Iterator[Found]:
    """Derives all that follows from the project's files, and stops where nothing does.

    Symptom:
        nixpy names an option, a path or a tool, and what to do next.

    Cause:
        The manager that was asked for has nothing to work with, a file that an option names is
        missing, a path has a colon, or a tool is not installed.

    Remedy:
        Do what the last line of the evidence says.
    """
    error = seen.derived
    if isinstance(error, NixpyError) and not isinstance(
        error, (OptionsError, ManifestError, NothingToDo)
    ):
        yield Found(*str(error).splitlines())


@check(
    "manifests.passed-over",
    title="another manifest would have been used by a later rule",
    severity=Severity.NOTE,
)
def passed_over(seen: Examination) -> Iterator[Found]:
    """Names the manifests that the decision passed over.

    Symptom:
        What one of the files asks for is not installed.

    Cause:
        The first rule that holds decides; the others are not looked into.

    Remedy:
        Remove the file that is not meant, or take its rule on purpose: `use nixpy --manager …`,
        `--requirements …`. `nixpy explain` shows the decision.
    """
    decision = seen.derivation.decision
    # The interpreter that one asks for counts whatever installs, and a build backend reads setup.py
    # and setup.cfg beside pyproject.toml.
    counts = {seen.survey.python_version_file}
    if any(path.endswith("/pyproject.toml") for path in decision.rests_on):
        counts |= set(seen.survey.setup_files)
    passed = [seen.shown(path) for path in decision.passed_over if path not in counts]
    if passed:
        used = ", ".join(map(seen.shown, decision.rests_on)) or "an option"
        yield Found(
            f"used: {used} (rule {decision.rule}: {decision.reason})",
            f"passed over: {', '.join(passed)}",
        )


@check(
    "manifests.disagree",
    title="what is installed is not what another manifest here asks for",
    severity=Severity.WARNING,
)
def disagree(seen: Examination) -> Iterator[Found]:
    """Compares requirements files that were passed over with what is installed.

    Symptom:
        A package that `requirements.txt` names is missing, or has another version than it pins.

    Cause:
        Two manifests describe the project, only one of them counts, and the other one was changed
        or forgotten.

    Remedy:
        Keep one of them, or make one from the other (`uv export -o requirements.txt`).
    """
    decision = seen.derivation.decision
    files = [
        path
        for path in decision.passed_over
        if path.endswith(".txt") and "requirements" in os.path.basename(path)
    ]
    if not files:
        return
    try:
        found = read_requirements(files, files=ObservedFiles(), environ=seen.environ)
    except NixpyError as error:
        raise Absent(one_line(error)) from None
    lines = []
    for entry, wanted, version in unmet_requirements(
        found.entries, seen.distributions, seen.prefix.version() or ""
    ):
        what = "which is not installed" if version is None else f"and {version} is installed"
        lines.append(f"{seen.shown(entry.file)}:{entry.line}: {wanted}, {what}")
    if lines:
        yield Found(*some(lines, MOST_SHOWN))


@check(
    "manifests.requirements-not-used",
    title="requirements files are there that nobody asked for",
    severity=Severity.NOTE,
)
def requirements_not_used(seen: Examination) -> Iterator[Found]:
    """Names requirements files that no option names and no used file includes.

    Symptom:
        What `requirements-dev.txt` or the like asks for is not installed.

    Cause:
        Only `requirements.txt` counts by its name.

    Remedy:
        List them: `requirements = ["requirements.txt", "requirements-dev.txt"]` in `[tool.nixpy]`.
    """
    survey = seen.survey
    if seen.derivation.decision.install not in {"requirements", "nothing"}:
        raise Absent("requirements files are not what is installed from")
    included = {os.path.basename(path) for path in survey.requirements.files}
    names = [name for name in survey.other_requirements if name not in included]
    if names:
        yield Found(", ".join(names))


@check(
    "manifests.lock-outdated",
    title="the lock file is not that of its manifest",
    severity=Severity.WARNING,
)
def lock_outdated(seen: Examination) -> Iterator[Found]:
    """Has uv check its lock file against pyproject.toml, offline.

    Symptom:
        The next sync changes `uv.lock`; with `lock = "locked"` it fails.

    Cause:
        `pyproject.toml` was edited, or a merge took one of the files from each side.

    Remedy:
        Lock again, look at the difference, and commit it.
    """
    derivation = seen.derivation
    if derivation.decision.install != "project" or not derivation.survey.uv_lock:
        raise Absent("no uv.lock is what is installed from")
    uv = find_uv(derivation.within_dev_shell(seen.outside), seen.planned_prefix.path)
    # Its cache would be written to, and a cache of its own is gone with it.
    argv = [uv, "lock", "--check", "--offline", "--no-cache", "--no-progress", "--color=never"]
    done = seen.ask([*argv], cwd=derivation.survey.root, environ=_for_uv(seen))
    if done.status == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = (lines or ["no message"])[0].removeprefix("error: ")
    broken = said.startswith("Failed to parse")
    outdated = [line for line in lines if "needs to be updated" in line]
    # Only a lock that does not satisfy its manifest is resolved anew, which it cannot be offline;
    # dependencies that only a build can tell are not known offline either.
    if not any("build-system" in line or "package metadata" in line for line in lines):
        outdated += [line for line in lines if "No solution found" in line]
    if not outdated and not broken:
        raise Absent(f"uv cannot tell: {said}")
    where = shlex.quote(derivation.survey.root)
    # nixpy has a uv of its own, which need not be on PATH.
    program = "uv" if find_program("uv", seen.environ.get("PATH", "")) == uv else shlex.quote(uv)
    if broken:
        yield Found(
            *lines[:MOST_SHOWN],
            severity=Severity.PROBLEM,
            cause="A merge left its marks in it, or it was edited by hand.",
            remedy="Take one side's uv.lock (`git checkout --theirs uv.lock`), then lock again.",
        )
        return
    yield Found(
        f"{derivation.survey.uv_lock}: {outdated[0].removeprefix('error: ')}",
        severity=Severity.PROBLEM if derivation.options.lock == "locked" else None,
        command=f"{program} lock --project {where}",
    )


def _for_uv(seen: Examination) -> dict[str, str]:
    """Return variables with which uv looks at the project, whatever is in force."""
    left_out = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_FROZEN", "UV_LOCKED", "UV_PYTHON"}
    environ = {name: value for name, value in seen.outside.items() if name not in left_out}
    python = seen.planned_prefix.python
    # Otherwise uv looks for one that fits, and asks each that it meets.
    return {**environ, "UV_PYTHON": python} if os.access(python, os.X_OK) else environ


@check(
    "manifests.pip-settings-ignored",
    title="uv installs, and does not honour what pip is configured with",
    severity=Severity.WARNING,
)
def pip_settings_ignored(seen: Examination) -> Iterator[Found]:
    """Compares pip's configuration with uv's, where uv installs all the same.

    Symptom:
        Packages come from another index than the one that you configured, or are not found.

    Cause:
        uv reads neither `pip.conf` nor `PIP_*`. nixpy takes pip where it decides by requirements or
        by `pyproject.toml` alone; a lock file of uv's, `[tool.uv]` or an option that says uv go
        before that. An index that is not asked is how a private name can be taken by a stranger.

    Remedy:
        Say it to uv as well: `[[tool.uv.index]]` in `pyproject.toml`, or `uv.toml`.
    """
    derivation = seen.derivation
    if derivation.decision.manager == "uv" and derivation.survey.pip_only:
        decision = derivation.decision
        yield Found(*derivation.survey.pip_only, f"uv installs: {decision.reason}")


@check(
    "manifests.option-without-effect",
    title="an option has no effect here",
    severity=Severity.WARNING,
)
def option_without_effect(seen: Examination) -> Iterator[Found]:
    """Looks at the options that the project sets, and whether this decision uses them.

    Symptom:
        You set an option, and nothing is other than before.

    Cause:
        It is for another manager, another kind of manifest, or for a dev shell that is not there.

    Remedy:
        Take it out, or change what the evidence says it needs.
    """
    derivation = seen.derivation
    decision = derivation.decision
    is_conda = decision.manager == "mamba"
    installs = decision.install != "nothing" or is_conda
    has_shell = derivation.source is not None
    conda_alone = "it is for conda environments"
    packages = f"nothing is installed: {decision.reason}"
    shell = "no dev shell is merged here"
    useless = {
        "channels": None if is_conda else conda_alone,
        "conda-engine": None if is_conda else conda_alone,
        "exporter": None
        if decision.install == "foreign lock"
        else "no lock file of Poetry, PDM or Pipenv is used",
        "lock": None
        if decision.install in {"project", "foreign lock"}
        else "nothing is locked that it is for",
        "extras": None if installs else packages,
        "groups": None if installs else packages,
        "exact": None if installs else packages,
        "python": None if derivation.plan else packages,
        "venv": None if derivation.plan else packages,
        "shell-hook": None if has_shell else shell,
        "shell-exclude": None if has_shell else shell,
        "nix-options": None if has_shell else shell,
    }
    for name, origin in derivation.options.origins.items():
        why = useless.get(name)
        # A variable may be set for all of a user's projects.
        if why and origin != "default" and not origin.startswith("variable"):
            yield Found(f"{origin}: {why}")
