from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from nixpy.errors import UsageError
from nixpy.managers import Plan, Session
from nixpy.managers.pip import Pip
from nixpy.options import Options
from nixpy.process import Completed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PIP = "-m pip --disable-pip-version-check"


class Recorder:
    """A runner that starts nothing; pip's reports are what it is made with."""

    def __init__(self, wanted: tuple[str, ...] = (), installed: tuple[str, ...] = ()) -> None:
        self.report = {"install": [{"metadata": {"name": name}} for name in wanted]}
        self.installed = [{"name": name} for name in installed]
        self.shown: list[str] = []

    def capture(self, argv: Sequence[str], **_: Any) -> Completed:
        return Completed(0, json.dumps(self.report if "--report" in argv else self.installed), "")

    def show(self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], **_: Any) -> int:
        del cwd, environ
        self.shown.append(" ".join(argv).partition("bin/python ")[2])
        return 0


def plan(top: Path, install: Any = "requirements", **changes: Any) -> Plan:
    plain: dict[str, Any] = {
        "requirements": (),
        "whole_workspace": False,
        "exact": False,
        "options": Options(),
    }
    plain |= {"root": str(top), "prefix": f"{top}/.venv", "is_central": False, **changes}
    return Plan(install, str(top), **plain)


def installed(wanted: Plan, recorder: Any = None) -> list[str]:
    recorder = recorder or Recorder()
    assert Pip().install(wanted, Session(recorder, {}, io.BytesIO(), "uv")) == 0
    shown: list[str] = recorder.shown
    return shown


def test_requirements_are_installed_from_their_files(tmp_path: Path) -> None:
    wanted = plan(tmp_path, requirements=("/a.txt", "/b.txt"))
    assert installed(wanted) == [
        f"{PIP} install --no-input --requirement /a.txt --requirement /b.txt"
    ]


def test_what_may_be_broken_is_installed_again(tmp_path: Path) -> None:
    wanted = plan(tmp_path, requirements=("/a.txt",), reinstall=True)
    assert installed(wanted)[0].endswith("--requirement /a.txt --force-reinstall")


def test_a_project_is_installed_editable_with_extras_and_groups(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'a'\n[project.optional-dependencies]\nX_y = []\nz = []\n"
        "[dependency-groups]\ndev = ['pytest']\ndocs = ['sphinx', {include-group = 'dev'}]\n"
    )
    assert installed(plan(tmp_path, "editable")) == [
        f"{PIP} install --no-input --editable . pytest"
    ]
    options = Options(extras=("x-y",), groups=("docs",))
    assert installed(plan(tmp_path, "editable", options=options)) == [
        f"{PIP} install --no-input --editable .[x-y] sphinx pytest"
    ]


def test_a_project_of_groups_alone_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[dependency-groups]\ndev = ['pytest']\n")
    assert installed(plan(tmp_path, "editable")) == [f"{PIP} install --no-input pytest"]


@pytest.mark.parametrize("options", [Options(extras=("x",)), Options(groups=("x",))])
def test_what_the_project_does_not_have_is_an_error(tmp_path: Path, options: Options) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    with pytest.raises(UsageError, match=r"there is no (extra|group) 'x'"):
        installed(plan(tmp_path, "editable", options=options))


def test_exact_removes_what_nothing_asks_for_but_pip_itself(tmp_path: Path) -> None:
    recorder = Recorder(("Flask", "jinja2"), ("flask", "Jinja2", "pip", "setuptools", "left-over"))
    shown = installed(plan(tmp_path, requirements=("/a.txt",), exact=True), recorder)
    assert shown[-1] == f"{PIP} uninstall --yes left-over"


def test_exact_removes_nothing_where_all_is_asked_for(tmp_path: Path) -> None:
    recorder = Recorder(("flask",), ("flask", "pip"))
    shown = installed(plan(tmp_path, requirements=("/a.txt",), exact=True), recorder)
    assert len(shown) == 1


def test_where_nothing_is_asked_for_nothing_starts(tmp_path: Path) -> None:
    assert installed(plan(tmp_path)) == []
