"""What ``--json`` prints is what its schema says."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

if TYPE_CHECKING:
    from .conftest import Project, World

COMMANDS = ("status", "explain", "sync", "setup", "list", "gc", "libs", "doctor")


def schema(command: str) -> dict[str, Any]:
    text = (resources.files("nixpy") / "schemas" / f"{command}.schema.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def document(project: Project, command: str) -> dict[str, Any]:
    printed = project.nixpy(command, "--json", check=False)
    found: dict[str, Any] = json.loads(printed.stdout)
    jsonschema.validate(found, schema(command), jsonschema.Draft202012Validator)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_schema_is_one(command: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_as_its_schema_says_before_and_after_a_sync(world: World, command: str) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    if command not in {"sync", "libs"}:
        document(project, command)
    project.entered()
    document(project, command)
    project.write("requirements.txt", "# other\n")
    document(project, command)


def test_explain_names_the_inputs_that_changed(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    project.write("flake.nix", "{ }\n")
    project.write("nixpy.toml", "flake = false\n")
    project.entered()
    assert document(project, "explain")["changed"] == []
    project.write("requirements.txt", "# other\n")
    project.write("pylock.toml", "")
    (project.path / "flake.nix").unlink()
    changed = {one["name"]: one["change"] for one in document(project, "explain")["changed"]}
    assert changed["requirements.txt"] == "changed"
    assert changed["pylock.toml"] == "is new"
    assert changed["flake.nix"] == "is gone"
    shown = project.nixpy("explain").stdout
    assert "requirements.txt changed" in " ".join(shown.split())


def test_list_and_gc_follow_a_project_that_is_removed(world: World) -> None:
    import shutil

    project, other = world.project("gone"), world.project("stays")
    for one in (project, other):
        one.write("requirements.txt", "")
        one.entered()
    shutil.rmtree(project.path)
    shown = {one["directory"]: one["exists"] for one in document(other, "list")["entries"]}
    assert shown == {str(project.path): False, str(other.path): True}
    assert len(document(other, "gc")["removed"]) >= 1
    shown = {one["directory"]: one["exists"] for one in document(other, "list")["entries"]}
    assert shown == {str(other.path): True}
    assert other.entered().said == []


def test_gc_keeps_the_central_environment_of_a_project_whose_entry_is_gone(world: World) -> None:
    import shutil

    project = world.project()
    project.write("requirements.txt", "")
    project.write("nixpy.toml", 'venv = "central"\n')
    assert project.entered().synced
    environment = (project.path / ".venv").resolve()
    shutil.rmtree(world.cache)
    project.nixpy("gc")
    assert environment.is_dir()
    assert project.entered().said == []
    shutil.rmtree(project.path)
    world.nixpy("gc")
    assert not environment.exists()


def test_explain_says_it_of_every_rule(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    project.write("environment.yml", "name: a\n")
    printed = json.loads(project.nixpy("explain", "--json", "--all-rules").stdout)
    jsonschema.validate(printed, schema("explain"), jsonschema.Draft202012Validator)
    rules = printed["rules"]
    assert {one["number"] for one in rules} == set(range(1, 11))
    assert [(one["number"], one["decided"], one["files"]) for one in rules if one["held"]] == [
        (4, True, ["environment.yml"]),
        (7, False, ["requirements.txt"]),
    ]
    lines = project.nixpy("explain", "--all-rules").stdout.splitlines()
    assert any(line.startswith(" 4 ") and "decides" in line for line in lines)
    assert any(line.startswith(" 7 ") and "holds" in line for line in lines)


def test_every_rule_is_said_also_where_none_holds(world: World) -> None:
    printed = world.project().nixpy("explain", "--all-rules", check=False)
    assert printed.returncode == 1
    assert len(printed.stdout.splitlines()) >= 14
    assert "decides" not in printed.stdout
    assert "nothing here" in printed.stderr


def test_a_library_that_is_missing_is_named(world: World) -> None:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    project = world.project()
    project.write("requirements.txt", "")
    project.entered()
    site = next(project.path.glob(".venv/lib/python*/site-packages"))
    source = project.write("demo.c", "int demo(void) { return 1; }\n")
    library = ("-shared", "-fPIC", str(source), "-Wl,--no-as-needed")
    world.run(gcc, "-o", "libnixpydemo.so.1", *library, "-Wl,-soname,libnixpydemo.so.1")
    world.run(gcc, "-o", str(site / "demo.so"), *library, "-L.", "-l:libnixpydemo.so.1")
    (site / "demo-1.0.dist-info").mkdir()
    (site / "demo-1.0.dist-info/RECORD").write_text("demo.so,,\ndemo-1.0.dist-info/RECORD,,\n")
    found = document(project, "libs")
    assert [one["soname"] for one in found["needs"] if one["found"] is None] == [
        "libnixpydemo.so.1"
    ]
    said = project.nixpy("libs", "--missing", check=False)
    assert said.returncode == 1
    assert said.stdout.split("\t")[2:4] == ["libnixpydemo.so.1", "missing"]
    line = project.nixpy("libs", "--nix", check=False).stdout
    file = str((site / "demo.so").relative_to(project.path / ".venv"))
    assert line == f"# unknown soname libnixpydemo.so.1, which {file} needs\n"
    there = project.nixpy("libs", "--missing", LD_LIBRARY_PATH=str(world.directory))
    assert there.stdout == ""
