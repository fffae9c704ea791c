"""Entering and leaving projects, in real interactive shells with direnv's hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Shell, World

SHELLS = ("bash", "zsh", "fish")

OURS = {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "NIXPY_PROJECT", "NIXPY_STALE", "PYTHONHOME"}


def visible(environ: dict[str, str]) -> dict[str, str]:
    """What a user has set, without the bookkeeping of direnv and the shell."""
    hidden = {"PWD", "OLDPWD", "SHLVL", "_", "DIRENV_DIR", "DIRENV_DIFF", "DIRENV_WATCHES"}
    hidden |= {"DIRENV_FILE", "COLUMNS", "LINES"}
    return {name: value for name, value in environ.items() if name not in hidden}


@pytest.mark.parametrize("kind", SHELLS)
def test_entering_gives_the_environment_and_leaving_the_shells_own_back(
    kind: str, world: World, shell_of: Callable[[str], Shell]
) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    shell = shell_of(kind)
    before = visible(shell.environment())

    shell.cd(project.path)
    inside = visible(shell.environment())
    assert inside["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert inside["VIRTUAL_ENV_PROMPT"] == "project"
    assert inside["NIXPY_PROJECT"] == str(project.path)
    assert inside["PATH"] == f"{project.path}/.venv/bin:{before['PATH']}"
    unchanged = OURS | {"PATH"}
    assert {k: v for k, v in inside.items() if k not in unchanged} == {
        k: v for k, v in before.items() if k not in unchanged
    }
    which = shell.run("command -v python")
    assert f"{project.path}/.venv/bin/python" in which

    shell.cd(world.directory)
    assert visible(shell.environment()) == before


@pytest.mark.parametrize("kind", SHELLS)
def test_moving_between_two_projects_leaves_nothing_of_the_first(
    kind: str, world: World, shell_of: Callable[[str], Shell]
) -> None:
    first, second = world.project("first"), world.project("second")
    for project in (first, second):
        project.write("requirements.txt", "")
    first.write("nixpy.toml", 'env = { FIRST = "1" }\npath = ["tools"]\n')
    shell = shell_of(kind)
    start = shell.environment()["PATH"]

    shell.cd(first.path)
    inside = shell.environment()
    assert inside["FIRST"] == "1"
    assert inside["PATH"] == f"{first.path}/tools:{first.path}/.venv/bin:{start}"

    shell.cd(second.path)
    inside = shell.environment()
    assert "FIRST" not in inside
    assert inside["PATH"] == f"{second.path}/.venv/bin:{start}"
    assert inside["VIRTUAL_ENV"] == str(second.path / ".venv")

    shell.cd(first.path)
    assert shell.environment()["VIRTUAL_ENV"] == str(first.path / ".venv")


@pytest.mark.parametrize("kind", SHELLS)
def test_an_edit_a_failing_edit_and_its_fix_are_noticed_at_the_next_prompt(
    kind: str, world: World, shell_of: Callable[[str], Shell]
) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    shell = shell_of(kind)
    shell.cd(project.path)

    shell.wait_for_next_second()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    said = shell.run("true")
    assert "nixpy: synced with uv" in said
    assert "iniconfig" in project.python("import iniconfig; print(iniconfig.__name__)")

    shell.wait_for_next_second()
    project.write("requirements.txt", "iniconfig==2.0.0 this is no requirement\n")
    said = shell.run("true")
    assert "requirements.txt:1" in said
    inside = shell.environment()
    assert inside["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert "requirements.txt:1" in inside["NIXPY_STALE"]

    shell.wait_for_next_second()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    shell.run("true")
    inside = shell.environment()
    assert "NIXPY_STALE" not in inside
    assert inside["VIRTUAL_ENV"] == str(project.path / ".venv")


def test_a_first_sync_that_fails_says_why_and_the_fix_is_noticed(
    world: World, shell_of: Callable[[str], Shell]
) -> None:
    project = world.project()
    project.write("pyproject.toml", "[project\n")
    shell = shell_of("bash")
    said = shell.cd(project.path)
    assert "nixpy: pyproject.toml:1" in said
    assert "VIRTUAL_ENV" not in shell.environment()

    shell.wait_for_next_second()
    project.write("pyproject.toml", '[project]\nname = "demo"\nversion = "1"\n')
    shell.run("true")
    assert shell.variable("VIRTUAL_ENV") == str(project.path / ".venv")


def test_removing_the_environment_is_noticed_at_the_next_prompt(
    world: World, shell_of: Callable[[str], Shell]
) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    shell = shell_of("bash")
    shell.cd(project.path)
    shell.wait_for_next_second()
    said = shell.run("rm -rf .venv")
    assert "nixpy: synced with uv" in said
    assert (project.path / ".venv/bin/python").exists()


def test_on_nixos_setup_places_the_library_where_the_systems_goes_on_to_it(
    bare_world: World,
) -> None:
    system = bare_world.home / "etc/direnv"
    users = 'for one in "$XDG_CONFIG_HOME/direnv/lib/"*.sh; do source "$one"; done\n'
    (system / "lib").mkdir(parents=True)
    (system / "lib/zz-user.sh").write_text(users)
    bare_world.environ["DIRENV_CONFIG"] = str(system)
    bare_world.setup()
    assert [path.name for path in (system / "lib").iterdir()] == ["zz-user.sh"]
    project = bare_world.project()
    project.write("requirements.txt", "")
    assert project.entered().environ["VIRTUAL_ENV"] == str(project.path / ".venv")
