"""Which manager makes the environment, and why (DESIGN.md, section 5). Pure.

:data:`RULES` is the table: each rule looks at a :class:`~nixpy.manifests.survey.Survey` and either
holds, with the manifests that it rests on, or does not. The first one that holds decides; what
later rules would have used is passed over, and named.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from nixpy.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixpy.manifests.survey import Survey
    from nixpy.options import Options

__all__ = ["RULES", "Decision", "Install", "Manager", "Verdict", "decide", "verdicts"]

Manager: TypeAlias = Literal["uv", "pip", "mamba", "none"]

Install: TypeAlias = Literal[
    "project",
    "pylock",
    "foreign lock",
    "requirements",
    "editable",
    "conda lock",
    "conda manifest",
    "nothing",
]
"""What is installed: a uv project or workspace by its lock file, what ``pylock.toml`` or another
tool's lock file pins, requirements files, the project alone by its build backend, what a conda
lock file pins or conda manifests describe, or nothing at all."""

INSTALLED_BY: dict[str, tuple[Install, ...]] = {
    "uv": ("project", "pylock", "foreign lock", "requirements", "editable", "nothing"),
    "pip": ("requirements", "editable", "project"),
    "mamba": ("conda lock", "conda manifest", "requirements", "editable", "project", "nothing"),
}
"""What each manager that was asked for can work with."""

DEV_SHELL_ALONE = 10
"""The rule that holds where there is nothing but a dev shell."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which manager syncs a project, and why.

    Attributes:
        manager: what installs.
        install: what is installed.
        rule: number of the rule in DESIGN.md, section 5.
        reason: one sentence.
        rests_on: paths of the manifests and lock files it rests on.
        passed_over: paths of manifests that another rule would have chosen.
    """

    manager: Manager
    install: Install
    rule: int
    reason: str
    rests_on: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


class Held(NamedTuple):
    """That a rule holds: its manager, what, why and by what."""

    manager: Manager
    install: Install
    reason: str
    rests_on: tuple[str, ...]


class Rule(NamedTuple):
    """One row of the table."""

    number: int
    title: str
    holds: Callable[[Survey, Options], Held | None]


def decide(survey: Survey, options: Options) -> Decision:
    """Return the decision for a project.

    Raises:
        NothingToDo: no rule holds.
        UsageError: the manager that was asked for has nothing to work with.
    """
    held = [(rule.number, one) for rule in RULES if (one := rule.holds(survey, options))]
    if options.manager != "auto":
        held = [_told(options, held), *held]
    if not held:
        raise _nothing(survey)
    rule, first = held[0]
    # A dev shell is merged, whatever the manager.
    others = dict.fromkeys(
        path for number, one in held[1:] if number != DEV_SHELL_ALONE for path in one.rests_on
    )
    others |= dict.fromkeys(survey.other_manifests)
    passed_over = tuple(path for path in others if path not in first.rests_on)
    return Decision(first.manager, first.install, rule, first.reason, first.rests_on, passed_over)


class Verdict(NamedTuple):
    """What one rule says of a project.

    Attributes:
        number: of the rule in DESIGN.md, section 5.
        title: what it is about.
        held: whether it held.
        decided: whether it is the one that decided.
        reason: why it held; empty where it did not.
        files: paths of what it rests on.
    """

    number: int
    title: str
    held: bool
    decided: bool
    reason: str
    files: tuple[str, ...]


def verdicts(survey: Survey, options: Options) -> tuple[Verdict, ...]:
    """Return what every rule says of a project, in their order; the decision may fall on none."""
    rows = [(rule.number, rule.title, rule.holds(survey, options)) for rule in RULES]
    told: Held | None = None
    if options.manager != "auto":
        held = [(number, one) for number, _, one in rows if one]
        with contextlib.suppress(UsageError):
            told = _told(options, held)[1]
    rows.insert(0, (1, "a manager that was asked for", told))
    found: list[Verdict] = []
    for number, title, one in rows:
        decided = one is not None and not any(row.decided for row in found)
        reason, files = (one.reason, one.rests_on) if one else ("", ())
        found.append(Verdict(number, title, one is not None, decided, reason, files))
    return tuple(found)


def _told(options: Options, held: list[tuple[int, Held]]) -> tuple[int, Held]:
    manager, origin = options.manager, options.origins["manager"]
    assert manager != "auto"
    if manager == "none":
        return 1, Held("none", "nothing", f"{origin} says so", ())
    if manager == "mamba":
        # What is asked for goes first, then what is conda's own.
        held = sorted(held, key=lambda one: one[0] > 1 and not one[1].install.startswith("conda"))
    for _, one in held:
        if one.install in INSTALLED_BY[manager]:
            install: Install = one.install
            if manager != "uv" and install == "project":
                install = "editable"
            return 1, Held(manager, install, f"{origin} says {manager}", one.rests_on)
    raise UsageError(
        f"manager {manager} was asked for, and nothing here is for it",
        where=origin,
        next="Remove that, or add a pyproject.toml, a requirements.txt or an environment.yml.",
    )


def _requested_requirements(survey: Survey, options: Options) -> Held | None:
    if not options.requirements:
        return None
    return _requirements(survey, f"{options.origins['requirements']} names requirements files")


def _lock_file(survey: Survey, _: Options) -> Held | None:
    if survey.uv_lock and survey.pyproject:
        rests_on = (survey.uv_lock, survey.pyproject.path)
        return Held("uv", "project", "uv.lock pins the environment", rests_on)
    if survey.pylock:
        return Held("uv", "pylock", "pylock.toml pins the environment", (survey.pylock,))
    return None


def _second_lock_file(survey: Survey, _: Options) -> Held | None:
    if survey.uv_lock and survey.pyproject and survey.pylock:
        return Held("uv", "pylock", "pylock.toml pins the environment", (survey.pylock,))
    return None


def _requested_environment(survey: Survey, options: Options) -> Held | None:
    if not options.environment:
        return None
    reason = f"{options.origins['environment']} names conda manifests"
    return Held("mamba", "conda manifest", reason, survey.conda_manifests)


def _conda_lock(survey: Survey, _: Options) -> Held | None:
    return _pins("mamba", "conda lock", survey.conda_locks[:1])


def _further_conda_locks(survey: Survey, _: Options) -> Held | None:
    return _pins("mamba", "conda lock", survey.conda_locks[1:])


def _conda_manifest(survey: Survey, _: Options) -> Held | None:
    if not survey.conda_manifests:
        return None
    name = os.path.basename(survey.conda_manifests[0])
    reason = f"{name} describes a conda environment"
    return Held("mamba", "conda manifest", reason, survey.conda_manifests)


def _foreign_lock(survey: Survey, _: Options) -> Held | None:
    return _pins("uv", "foreign lock", survey.foreign_locks[:1])


def _further_foreign_locks(survey: Survey, _: Options) -> Held | None:
    return _pins("uv", "foreign lock", survey.foreign_locks[1:])


def _pins(manager: Manager, install: Install, locks: tuple[str, ...]) -> Held | None:
    if not locks:
        return None
    return Held(manager, install, f"{os.path.basename(locks[0])} pins the environment", locks)


def _pyproject(survey: Survey, _: Options) -> Held | None:
    pyproject = survey.pyproject
    if pyproject is None or not pyproject.declares_dependencies:
        return None
    by_uv = pyproject.has_project or pyproject.dependency_groups
    if survey.pip_only and not pyproject.has_uv_table:
        reason = f"pyproject.toml declares dependencies, and uv would not honour {_all(survey)}"
        return Held("pip", "editable", reason, (pyproject.path,))
    return Held(
        "uv",
        "project" if by_uv else "editable",
        "pyproject.toml declares dependencies",
        (pyproject.path,),
    )


def _requirements_file(survey: Survey, _: Options) -> Held | None:
    return _requirements(survey, "a requirements file lists dependencies")


def _requirements(survey: Survey, reason: str) -> Held | None:
    if not survey.requirements_files:
        return None
    not_by_uv = (*survey.pip_only, *survey.pip_options)
    if not_by_uv:
        reason = f"{reason}, and uv would not honour {_all(survey)}"
    manager: Manager = "pip" if not_by_uv else "uv"
    return Held(manager, "requirements", reason, survey.requirements_files)


def _all(survey: Survey) -> str:
    return ", ".join(dict.fromkeys((*survey.pip_only, *survey.pip_options)))


def _setup(survey: Survey, _: Options) -> Held | None:
    if not survey.setup_files:
        return None
    reason = f"{os.path.basename(survey.setup_files[0])} describes a package"
    if survey.pip_only:
        reason = f"{reason}, and uv would not honour {_all(survey)}"
    return Held("pip" if survey.pip_only else "uv", "editable", reason, survey.setup_files)


def _python_alone(survey: Survey, options: Options) -> Held | None:
    if survey.python_version_file:
        path = survey.python_version_file
        reason = f"{os.path.basename(path)} asks for an interpreter alone"
        return Held("uv", "nothing", reason, (path,))
    if options.python:
        return Held("uv", "nothing", f"{options.origins['python']} asks for an interpreter", ())
    return None


def _nix_alone(survey: Survey, options: Options) -> Held | None:
    if options.flake is False or not (options.flake or survey.nix_files):
        return None
    return Held("none", "nothing", "only a Nix dev shell is declared", survey.nix_files)


RULES: tuple[Rule, ...] = (
    Rule(1, "requirements files that were asked for", _requested_requirements),
    Rule(1, "conda manifests that were asked for", _requested_environment),
    Rule(2, "uv.lock or pylock.toml", _lock_file),
    Rule(2, "pylock.toml beside uv.lock", _second_lock_file),
    Rule(3, "a conda lock file", _conda_lock),
    Rule(3, "further conda lock files", _further_conda_locks),
    Rule(4, "environment.yml", _conda_manifest),
    Rule(5, "poetry.lock, pdm.lock or Pipfile.lock", _foreign_lock),
    Rule(5, "further lock files of other tools", _further_foreign_locks),
    Rule(6, "pyproject.toml", _pyproject),
    Rule(7, "requirements.txt", _requirements_file),
    Rule(8, "setup.py or setup.cfg", _setup),
    Rule(9, "an interpreter alone", _python_alone),
    Rule(DEV_SHELL_ALONE, "a dev shell alone", _nix_alone),
)
"""The table of DESIGN.md, section 5, in its order."""


def _nothing(survey: Survey) -> NothingToDo:
    hint = ""
    if survey.other_requirements:
        names = ", ".join(survey.other_requirements)
        hint = f" Other requirements files ({names}) count once `requirements` lists them."
    if any(path.endswith("setup.cfg") for path in survey.other_manifests):
        hint += " setup.cfg alone cannot be installed: add a pyproject.toml with [build-system]."
    return NothingToDo(
        "nothing here that nixpy recognises",
        where=survey.directory,
        next=(
            "Add a pyproject.toml with [project] or [dependency-groups], a uv.lock, pylock.toml, "
            "requirements.txt, environment.yml, setup.py, .python-version or flake.nix, or set "
            f"`python`.{hint}"
        ),
    )
