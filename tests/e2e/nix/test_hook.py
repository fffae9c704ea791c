"""With the hook a project with a dev shell is entered without asking direnv, nor Nix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .conftest import copy_flake, one_nix

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Project, World
    from ..hook.hooked import HookedShell
    from .conftest import Nix


def with_dev_shell(world: World) -> Project:
    project = world.project()
    project.write(".python-version", "3\n")
    copy_flake("shells", project.path, world.environ)
    return project


@one_nix
def test_a_dev_shell_is_known_until_its_flake_changes(
    world: World, nix: Nix, start_noted: Callable[..., HookedShell]
) -> None:
    assert nix.version
    project = with_dev_shell(world)
    shell = start_noted("bash")
    shell.warm(project)
    before = shell.exported()
    for _ in range(2):
        shell.cd(project.path)
        inside = shell.exported()
        shell.cd(world.directory)
        assert shell.exported() == before
    assert shell.asked() == 0
    assert inside["HOOKED"] == "yes"
    assert inside["VIRTUAL_ENV"] == str(project.path / ".venv")
    greeting = inside["GREETING"]

    shell.cd(project.path)
    shell.wait_for_next_second()
    project.write("data.txt", "another greeting")
    shell.run("true")
    assert shell.asked() > 0
    assert shell.variable("GREETING") == "another greeting" != greeting
    shell.cd(world.directory)
    assert shell.exported() == before


@one_nix
def test_a_dev_shell_without_its_root_is_asked_about(
    world: World, nix: Nix, start_noted: Callable[..., HookedShell]
) -> None:
    project = with_dev_shell(world)
    shell = start_noted("bash")
    shell.warm(project)

    def roots() -> list[Path]:
        links = [path for path in world.home.rglob("*") if path.is_symlink()]
        return [path for path in links if str(path.readlink()).startswith(store)]

    store = nix.environ["NIX_STORE_DIR"]
    assert roots()
    for root in roots():
        root.unlink()
    shell.asked()
    shell.cd(project.path)
    assert shell.asked() > 0
    assert roots()
    assert shell.variable("HOOKED") == "yes"


@one_nix
def test_direnvs_own_use_flake_is_asked_about_on_entry_and_not_at_a_prompt(
    world: World, nix: Nix, start_noted: Callable[..., HookedShell]
) -> None:
    configuration = Path(nix.environ["NIX_CONF_DIR"], "nix.conf")
    features = "experimental-features = nix-command flakes\n"
    configuration.write_text(configuration.read_text() + features)
    project = world.project(envrc="use flake\n")
    copy_flake("shells", project.path, world.environ)
    shell = start_noted("bash")
    for _ in range(2):
        shell.asked()
        shell.cd(project.path)
        assert shell.variable("GREETING")
        assert shell.asked() > 0
        shell.run("true")
        shell.asked()
        shell.run("true")
        assert shell.asked() == 0
        shell.cd(world.directory)
        assert shell.variable("GREETING") is None
