"""``nixpy explain --hook``: whether direnv is asked, and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from ..test_json import schema

if TYPE_CHECKING:
    from ..conftest import Project, World


def explained(project: Project, **variables: str) -> dict[str, Any]:
    """What the report says of the hook; it is as its schema says."""
    printed = json.loads(
        project.nixpy("explain", "--hook", "--json", check=True, **variables).stdout
    )
    jsonschema.validate(printed, schema("explain"), jsonschema.Draft202012Validator)
    found: dict[str, Any] = printed["hook"]
    return found


def test_a_project_whose_answers_are_replayed(world: World) -> None:
    project = world.project(envrc="use nixpy\nexport A=1\n")
    project.write("requirements.txt", "")
    found = explained(project)
    assert found["envrc"] == str(project.path / ".envrc")
    assert (found["replayed"], found["reasons"]) == (True, [])
    assert (found["entering"], found["leaving"], found["not_kept"]) == (0, 0, "")
    shells = {one["shell"]: one for one in found["shells"]}
    assert set(shells) == {shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)}
    assert all(one["exact"] for one in shells.values())
    assert all(one["startup"] is None for one in shells.values())
    shown = project.nixpy("explain", "--hook").stdout
    assert f"direnv's answers for {project.path}/.envrc are replayed" in shown
    assert "bash         off: `nixpy setup --hook bash`" in shown
    assert "manager" in shown


def test_the_line_of_a_startup_file_is_named(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    (world.home / ".bashrc").write_text("alias a=b\n")
    world.nixpy("setup", "--hook", "bash", "--yes")
    fish = Path(world.environ["XDG_CONFIG_HOME"]) / "fish/conf.d/nixpy.fish"
    fish.parent.mkdir(parents=True)
    fish.write_text("nixpy hook fish | source\n")
    startup = {one["shell"]: one["startup"] for one in explained(project)["shells"]}
    assert startup["bash"] == f"{world.home}/.bashrc:2"
    assert startup.get("zsh") is None
    assert startup.get("fish", f"{fish}:1") == f"{fish}:1"
    assert f"on, by {world.home}/.bashrc:2" in project.nixpy("explain", "--hook").stdout


def test_reasons_are_named_with_file_and_line(world: World) -> None:
    project = world.project(envrc="use nixpy\nexport NOW=$(date)\n# \N{SNOWMAN}\necho '\x1b[31m'\n")
    project.write("requirements.txt", "")
    direnvrc = Path(world.environ["XDG_CONFIG_HOME"]) / "direnv/direnvrc"
    direnvrc.write_text("uname\n")
    found = explained(project, DIRENV_DEBUG="1", BASH_ENV="/dev/null")
    assert not found["replayed"]
    assert [(one["path"], one["line"]) for one in found["reasons"]] == [
        (str(project.path / ".envrc"), 2),
        (str(project.path / ".envrc"), 4),
        ("BASH_ENV", None),
        (str(direnvrc), 1),
        ("DIRENV_DEBUG", None),
    ]
    shown = project.nixpy("explain", "--hook").stdout
    assert "direnv is always asked about" in shown
    assert ".envrc:2: export NOW=$(date): " in shown
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


def test_answers_that_are_kept_are_counted(world: World) -> None:
    project = world.project(envrc="export A=1\n")
    project.write("requirements.txt", "")
    recorded(project)
    recorded(project)
    found = explained(project)
    assert (found["entering"], found["leaving"], found["not_kept"]) == (1, 0, "")
    assert "kept: 1 for entering, 0 for leaving" in project.nixpy("explain", "--hook").stdout


def test_where_nothing_can_be_decided_the_hook_is_explained_all_the_same(world: World) -> None:
    project = world.project(envrc="export A=1\n")
    done = project.nixpy("explain", "--hook", check=False)
    assert done.returncode == 1
    assert "are replayed" in done.stdout
    assert "nothing here" in done.stderr


def test_without_an_envrc_nothing_is_asked(world: World) -> None:
    (world.directory / "requirements.txt").touch()
    shown = world.nixpy("explain", "--hook").stdout
    assert "no .envrc here" in shown


def test_without_the_option_nothing_is_said_of_it(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    assert "hook" not in json.loads(project.nixpy("explain", "--json").stdout)


def recorded(project: Project, **variables: str) -> dict[str, Any]:
    """What the report says after direnv was asked and its answer recorded."""
    world = project.world
    world.nixpy("hook", "bash")
    root = next(world.cache.glob("hook/*"))
    direnv = shutil.which("direnv")
    assert direnv is not None
    entered = project.entered(**variables)
    record = ("hook", "record", "bash", str(root), direnv)
    world.run("nixpy", *record, cwd=project.path, check=True, **entered.environ)
    return explained(project, **variables)


def test_an_answer_with_a_variable_that_is_no_text_is_not_kept(world: World) -> None:
    project = world.project(envrc="PATH_add bin\n")
    project.write("requirements.txt", "")
    assert recorded(project)["entering"] == 1
    path = f"{world.environ['PATH']}:/tmp/\udcff"
    found = recorded(project, PATH=path)
    assert (found["entering"], found["not_kept"]) == (1, "a variable is not UTF-8")


def test_a_variable_that_configuration_sets_counts(world: World) -> None:
    direnvrc = Path(world.environ["XDG_CONFIG_HOME"]) / "direnv/direnvrc"
    direnvrc.write_text("OTHER=configured\n")
    project = world.project(envrc="export A=1\n")
    project.write("requirements.txt", "")
    assert "OTHER" not in project.entered().changes
    assert project.entered(OTHER="mine").changes["OTHER"] == "configured"
    recorded(project)
    known = next(world.cache.rglob("hook/**/@answers/bash")).read_text()
    assert "OTHER" in known
