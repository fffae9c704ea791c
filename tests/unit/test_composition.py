from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nixpy.composition import compose, prompt_of
from nixpy.environment import Environment, Prepend, Set
from nixpy.errors import EnvironmentUnusable
from nixpy.files import DiskFiles
from nixpy.managers import Plan
from nixpy.manifests.survey import survey
from nixpy.options import Options
from nixpy.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def composed(
    root: Path, prefix: str | None = None, dev_shell: Environment | None = None, **options: Any
) -> dict[str, str]:
    chosen = Options(**options)
    environ = {"HOME": str(root), "PIP_CONFIG_FILE": "/dev/null"}
    found = survey(str(root), chosen, files=DiskFiles(), environ=environ, platform="linux")
    plan = None
    if prefix:
        is_central = not prefix.startswith(str(root))
        plan = Plan("nothing", str(root), str(root), prefix, is_central, (), False, False, chosen)
    environment, _ = compose(Project.at(str(root)), chosen, found, plan, dev_shell)
    before = {"PATH": "/own", "PYTHONHOME": "/x", "UV_PROJECT_ENVIRONMENT": "/old"}
    return environment.apply(before)


def test_the_environment_goes_before_the_dev_shell_before_the_callers(tmp_path: Path) -> None:
    shell = Environment((Set("CC", "gcc"), Prepend("PATH", ("/shell/bin", "/own"))))
    environ = composed(tmp_path, f"{tmp_path}/.venv", shell, path=("tools",))
    assert environ["PATH"] == f"{tmp_path}/tools:{tmp_path}/.venv/bin:/shell/bin:/own"
    assert environ["CC"] == "gcc"
    assert environ["VIRTUAL_ENV"] == f"{tmp_path}/.venv"
    assert "PYTHONHOME" not in environ


def test_a_dev_shell_alone_makes_no_virtual_environment(tmp_path: Path) -> None:
    environ = composed(tmp_path, None, Environment((Prepend("PATH", ("/shell/bin",)),)))
    assert environ["PATH"] == "/shell/bin:/own"
    assert "VIRTUAL_ENV" not in environ
    assert environ["NIXPY_PROJECT"] == str(tmp_path)


@pytest.mark.parametrize(
    ("prefix", "named"),
    [
        ("{root}/.venv", None),
        ("{root}/envs/a", "envs/a"),
        ("/elsewhere/a", "/elsewhere/a"),
    ],
)
def test_uv_is_told_where_the_environment_is_if_it_would_not_look_there(
    tmp_path: Path, prefix: str, named: str | None
) -> None:
    (tmp_path / ".venv").mkdir()
    environ = composed(tmp_path, prefix.format(root=tmp_path))
    assert environ.get("UV_PROJECT_ENVIRONMENT") == named


def test_the_users_variables_go_before_all_others(tmp_path: Path) -> None:
    environ = composed(
        tmp_path, f"{tmp_path}/.venv", Environment((Set("A", "shell"),)), env=(("A", "mine"),)
    )
    assert environ["A"] == "mine"


def test_a_colon_in_a_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusable, match="colon"):
        composed(tmp_path, "/a:b/.venv")


def test_a_prompt_is_the_name_of_the_directory_as_text() -> None:
    assert prompt_of("/home/me/app") == "app"
    assert prompt_of("/") == "root"
    assert prompt_of("/home/\udcff") == "\ufffd"
