"""Which manager makes the environment, and why (DESIGN.md, section 5). Pure.

:data:`RULES` is the table: each rule looks at a :class:`~nixpy.manifests.survey.Survey` and either
holds, with the manifests that it rests on, or does not. The first one that holds decides; what
later rules would have used is passed over, and named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from nixpy.errors import NothingToDo, NotYetSupported, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nixpy.manifests.survey import Survey
    from nixpy.options import Options

__all__ = ["RULES", "Decision", "Install", "Manager", "decide"]

Manager: TypeAlias = Literal["uv", "pip", "none"]

Install: TypeAlias = Literal["project", "pylock", "requirements", "editable", "nothing"]
"""What is installed: a uv project or workspace by its lock file, what ``pylock.toml`` pins,
requirements files, the project alone by its build backend, or nothing at all."""

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
    """That a rule holds: its manager (``None``: not in this version), what, why and by what."""

    manager: Manager | None
    install: Install
    reason: str
    rests_on: tuple[str, ...]


class Rule(NamedTuple):
    """One row of the table."""

    number: int
    holds: Callable[[Survey, Options], Held | None]


def decide(survey: Survey, options: Options) -> Decision:
    """Return the decision for a project.

    Raises:
        NotYetSupported: the decision fell on a manifest that this version cannot sync.
        NothingToDo: no rule holds.
        UsageError: the manager that was asked for has nothing to work with.
    """
    held = [(rule.number, one) for rule in RULES if (one := rule.holds(survey, options))]
    if options.manager != "auto":
        held = [_told(survey, options, held), *held]
    if not held:
        raise _nothing(survey)
    rule, first = held[0]
    if first.manager is None:
        raise NotYetSupported(
            f"{first.reason}: not yet supported by this version of nixpy",
            where=first.rests_on[0],
            next="Name another manager, as in `use nixpy --manager uv`, to use another manifest.",
        )
    # A dev shell is merged, whatever the manager.
    others = dict.fromkeys(
        path for number, one in held[1:] if number != DEV_SHELL_ALONE for path in one.rests_on
    )
    passed_over = tuple(path for path in others if path not in first.rests_on)
    return Decision(first.manager, first.install, rule, first.reason, first.rests_on, passed_over)


def _told(survey: Survey, options: Options, held: list[tuple[int, Held]]) -> tuple[int, Held]:
    manager, origin = options.manager, options.origins["manager"]
    if manager == "none":
        return 1, Held("none", "nothing", f"{origin} says so", ())
    if manager == "mamba":
        where = (*survey.conda_locks, *survey.conda_manifests, survey.directory)[0]
        raise NotYetSupported(
            "manager mamba is not yet supported by this version of nixpy", where=where
        )
    installs: tuple[Install, ...] = ("requirements", "editable", "project")
    if manager == "uv":
        installs = ("project", "pylock", "requirements", "editable", "nothing")
    for _, one in held:
        if one.manager is not None and one.install in installs:
            install: Install = one.install
            if manager == "pip" and install == "project":
                install = "editable"
            told: Manager = "pip" if manager == "pip" else "uv"
            return 1, Held(told, install, f"{origin} says {manager}", one.rests_on)
    raise UsageError(
        f"manager {manager} was asked for, and nothing here is for it",
        where=origin,
        next="Remove that, or add a pyproject.toml or a requirements.txt.",
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


def _conda_lock(survey: Survey, _: Options) -> Held | None:
    return _later(survey.conda_locks, "a conda lock file pins the environment")


def _conda_manifest(survey: Survey, _: Options) -> Held | None:
    return _later(survey.conda_manifests, "environment.yml describes a conda environment")


def _foreign_lock(survey: Survey, _: Options) -> Held | None:
    return _later(survey.foreign_locks, "another tool's lock file pins the environment")


def _later(paths: tuple[str, ...], reason: str) -> Held | None:
    return Held(None, "nothing", reason, paths) if paths else None


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
    return _later(survey.setup_files, "setup.py or setup.cfg describes a package")


def _python_alone(survey: Survey, options: Options) -> Held | None:
    if survey.python_version_file:
        path = survey.python_version_file
        return Held("uv", "nothing", ".python-version asks for an interpreter alone", (path,))
    if options.python:
        return Held("uv", "nothing", f"{options.origins['python']} asks for an interpreter", ())
    return None


def _nix_alone(survey: Survey, options: Options) -> Held | None:
    if options.flake is False or not (options.flake or survey.nix_files):
        return None
    return Held("none", "nothing", "only a Nix dev shell is declared", survey.nix_files)


RULES: tuple[Rule, ...] = (
    Rule(1, _requested_requirements),
    Rule(2, _lock_file),
    Rule(2, _second_lock_file),
    Rule(3, _conda_lock),
    Rule(4, _conda_manifest),
    Rule(5, _foreign_lock),
    Rule(6, _pyproject),
    Rule(7, _requirements_file),
    Rule(8, _setup),
    Rule(9, _python_alone),
    Rule(DEV_SHELL_ALONE, _nix_alone),
)
"""The table of DESIGN.md, section 5, in its order."""


def _nothing(survey: Survey) -> NothingToDo:
    hint = ""
    if survey.other_requirements:
        names = ", ".join(survey.other_requirements)
        hint = f" Other requirements files ({names}) count once `requirements` lists them."
    return NothingToDo(
        "nothing here that nixpy recognises",
        where=survey.directory,
        next=(
            "Add a pyproject.toml with [project] or [dependency-groups], a uv.lock, pylock.toml, "
            f"requirements.txt, .python-version or flake.nix, or set `python`.{hint}"
        ),
    )
