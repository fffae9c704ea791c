"""Projects in odd places: names, links, worktrees, subdirectories, chains, workspaces."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import Project
from .test_freshness import is_warm

if TYPE_CHECKING:
    from .conftest import World

NAMES: dict[str, bytes] = {
    "spaces": b" two  spaces ",
    "single quote": b"it's",
    "double quote": b'say "x"',
    "substitution": b"$(touch pwned)",
    "backquotes": b"`touch pwned`",
    "newline": b"two\nlines\n",
    "percent": b"100%+%2F&co",
    "dash": b"-n",
    "unicode": "プロジェクト-é".encode(),
    "not UTF-8": b"latin-\xe9-\xff",
    "backslash": b"a\\b\\",
    "glob": b"[a]*?",
    "hash": b"#!x;y|z",
}


LOADED_BY_DIRENV = ("spaces", "single quote", "percent", "dash", "unicode", "hash")
"""direnv 2.32 writes the path between double quotes into a program, so others mean other paths."""

LOAD = """
eval "$(direnv stdlib)"
source "$XDG_CONFIG_HOME/direnv/lib/nixpy.sh"
%s
use nixpy >/dev/null
printf '%%s\\0%%s' "$VIRTUAL_ENV" "$PATH"
"""


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_a_directory_may_have_any_name(world: World, kind: str) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(world.directory), NAMES[kind])))
    path.mkdir()
    project = Project(path, world)
    project.write("requirements.txt", "")
    project.write(".envrc", "use nixpy\n")
    # Neither uv nor venv can make an environment at a path that is not UTF-8: it is elsewhere.
    central = f"{world.environ['XDG_DATA_HOME']}/nixpy/environments/latin-"
    place = central if kind == "not UTF-8" else f"{path}/.venv"
    for line in ("", "_nixpy_command=(false)"):  # cold, then warm: by the stamp alone
        shown = world.run("bash", "-c", LOAD % line, cwd=path).stdout.split("\0")
        # As ASCII: a test's report cannot hold bytes that are not UTF-8.
        assert ascii(shown[0]).startswith(ascii(place)[:-1])
        assert ascii(shown[1]).startswith(ascii(f"{shown[0]}/bin:")[:-1])
    enter = 'eval "$(nixpy export bash)"; printf %s "$VIRTUAL_ENV"'
    evaluated = world.run("bash", "-c", enter, cwd=path).stdout
    assert ascii(evaluated) == ascii(shown[0])
    done = project.nixpy("run", "--", "python", "-c", "import os, sys; print(len(sys.prefix))")
    assert int(done.stdout) == len(shown[0])
    assert project.nixpy("status").stdout.startswith("fresh")
    assert not list(world.directory.rglob("pwned"))


@pytest.mark.parametrize("kind", LOADED_BY_DIRENV)
def test_direnv_loads_a_directory_with_an_odd_name(world: World, kind: str) -> None:
    project = world.project(NAMES[kind])
    project.write("requirements.txt", "")
    assert project.entered().synced
    assert project.entered().environ["VIRTUAL_ENV"] == f"{project.path}/.venv"
    assert is_warm(project)


def test_a_colon_in_the_path_is_one_clear_line_and_central_helps(world: World) -> None:
    project = world.project("a:b")
    project.write("requirements.txt", "")
    entered = project.entered()
    assert "VIRTUAL_ENV" not in entered.changes
    assert "colon" in entered.said[0]
    project.write("nixpy.toml", 'venv = "central"\n')
    entered = project.entered()
    assert entered.environ["VIRTUAL_ENV"].startswith(world.environ["XDG_DATA_HOME"])
    assert ":" not in entered.environ["VIRTUAL_ENV"]


def test_a_path_too_long_for_an_entry_works_without_one(world: World) -> None:
    deep = "/".join(["d" * 200] * 17)
    os.makedirs(world.directory / deep)
    project = world.project(f"{deep}/project")
    project.write("requirements.txt", "")
    for _ in range(2):
        entered = project.entered()
        assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv"), entered.stderr
    assert entered.said == []


def test_a_link_to_a_project_leads_to_the_same_environment(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    assert project.entered().synced
    link = world.directory / "link"
    link.symlink_to(project.path)
    done = world.nixpy("export", "json", cwd=link)
    assert str(project.path / ".venv") in done.stdout
    assert done.stderr == ""
    other = world.project("other")
    other.write("requirements.txt", "")
    other.entered()
    link.unlink()
    link.symlink_to(other.path)
    assert str(other.path / ".venv") in world.nixpy("export", "json", cwd=link).stdout


def test_a_worktree_has_an_environment_of_its_own(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "")
    project.write(".gitignore", ".venv\n")
    git = ("git", "-c", "user.name=n", "-c", "user.email=e")
    world.run(*git, "init", "-q", cwd=project.path)
    world.run(*git, "add", ".", cwd=project.path)
    world.run(*git, "commit", "-qm", "first", cwd=project.path)
    world.run(*git, "worktree", "add", "-q", "../tree", cwd=project.path)
    tree = Project(world.directory / "tree", world)
    tree.allow()
    assert project.entered().synced
    assert tree.entered().synced
    assert tree.entered().environ["VIRTUAL_ENV"] == str(tree.path / ".venv")
    assert is_warm(tree)
    assert world.run(*git, "status", "--porcelain", cwd=tree.path).stdout == ""


def test_a_moved_project_is_made_anew(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\npip==24.0\n")
    assert project.entered().synced
    moved = Project(world.directory / "moved", world)
    project.path.rename(moved.path)
    moved.allow()
    entered = moved.entered()
    assert entered.synced
    assert entered.environ["VIRTUAL_ENV"] == str(moved.path / ".venv")
    shebang = (moved.path / ".venv/bin/pip").read_text().splitlines()[0]
    assert shebang == f"#!{moved.path}/.venv/bin/python"


def test_commands_work_from_below_the_root_with_the_options_of_the_envrc(world: World) -> None:
    project = world.project(envrc="use nixpy --requirements 'other list.txt'\n")
    project.write("other list.txt", "iniconfig==2.0.0\n")
    below = project.path / "src/deep"
    below.mkdir(parents=True)
    world.nixpy("sync", cwd=below)
    assert project.python("import iniconfig; print('there')") == "there"
    assert project.entered().said == []


def test_a_chain_by_source_up_stacks_two_environments(world: World) -> None:
    outer = world.project("outer", envrc="use nixpy --venv env --env OUTER=1\n")
    inner = world.project("outer/inner", envrc="source_up\nuse nixpy\n")
    for one in (outer, inner):
        one.write("requirements.txt", "")
    for _ in range(3):
        entered = inner.entered()
    assert entered.said == []
    environ = entered.environ
    assert environ["VIRTUAL_ENV"] == str(inner.path / ".venv")
    assert "UV_PROJECT_ENVIRONMENT" not in environ
    assert environ["OUTER"] == "1"
    assert environ["PATH"].startswith(f"{inner.path}/.venv/bin:{outer.path}/env/bin:")
    assert outer.entered().environ["UV_PROJECT_ENVIRONMENT"] == "env"


def test_options_that_differ_have_entries_of_their_own(world: World) -> None:
    project = world.project(envrc="use nixpy --env A=1\nuse nixpy --env 'B=/x y%'\n")
    project.write("requirements.txt", "")
    project.entered()
    entered = project.entered()
    assert (entered.environ["A"], entered.environ["B"]) == ("1", "/x y%")
    assert is_warm(project)


def test_strict_env_works_warm_and_cold_and_stops_at_a_failure(world: World) -> None:
    project = world.project(envrc="strict_env\nuse nixpy\nexport AFTER=1\n")
    project.write("requirements.txt", "")
    for _ in range(2):
        entered = project.entered()
        assert entered.status == 0, entered.stderr
        assert entered.environ["AFTER"] == "1"
    assert is_warm(project)
    project.write("requirements.txt", "a b c\n")
    assert project.entered().environ["AFTER"] == "1"  # the last good environment serves
    shutil.rmtree(project.path / ".venv")
    shutil.rmtree(world.cache)
    entered = project.entered()
    assert entered.status == 1
    assert "AFTER" not in entered.environ


@pytest.fixture
def workspace(world: World) -> Project:
    root = world.project("mono")
    root.write(
        "pyproject.toml",
        '[project]\nname = "root"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["iniconfig==2.0.0"]\n[tool.uv.workspace]\nmembers = ["packages/*"]\n',
    )
    root.write(
        "packages/one/pyproject.toml",
        '[project]\nname = "one"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["attrs==24.2.0"]\n',
    )
    return root


def test_a_workspace_has_one_environment_for_the_root_and_its_members(
    world: World, workspace: Project
) -> None:
    member = world.project("mono/packages/one")
    assert workspace.entered().synced
    entered = member.entered()
    assert entered.said == []
    assert entered.environ["VIRTUAL_ENV"] == str(workspace.path / ".venv")
    assert workspace.python("import attrs, iniconfig; print('both')") == "both"
    for one in (workspace, member, workspace):
        assert one.entered().said == []
        assert is_warm(one)


def test_members_that_ask_for_different_pythons_have_one_environment(
    world: World, workspace: Project
) -> None:
    member = world.project("mono/packages/one")
    text = (member.path / "pyproject.toml").read_text()
    member.write("pyproject.toml", text.replace(">=3.10", ">=3.9,<4"))
    assert workspace.entered().synced
    for one in (member, workspace, member):
        assert one.entered().said == []


def test_a_new_member_is_noticed(workspace: Project) -> None:
    assert workspace.entered().synced
    assert is_warm(workspace)
    workspace.write(
        "packages/two/pyproject.toml",
        '[project]\nname = "two"\nversion = "1"\ndependencies = ["pluggy==1.5.0"]\n',
    )
    assert not is_warm(workspace)
    assert workspace.entered().synced
    assert workspace.python("import pluggy; print('there')") == "there"


def test_a_workspace_whose_packages_conflict_installs_the_one_that_is_entered(
    world: World, workspace: Project
) -> None:
    text = (workspace.path / "pyproject.toml").read_text()
    workspace.write(
        "pyproject.toml",
        text + '[tool.uv]\nconflicts = [[{ package = "one" }, { package = "two" }]]\n',
    )
    for name, version in (("one", "23.2.0"), ("two", "24.2.0")):
        workspace.write(
            f"packages/{name}/pyproject.toml",
            f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.10"\n'
            f'dependencies = ["attrs=={version}"]\n',
        )
    version = "import importlib.metadata as m; print(m.version('attrs'))"
    for name, expected in (("one", "23.2.0"), ("two", "24.2.0")):
        member = world.project(f"mono/packages/{name}")
        entered = member.entered()
        assert "NIXPY_STALE" not in entered.environ, entered.stderr
        assert workspace.python(version) == expected


def test_a_central_environment_is_linked_as_dot_venv(world: World) -> None:
    project = world.project()
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    project.write("nixpy.toml", 'venv = "central"\n')
    entered = project.entered()
    place = Path(entered.environ["VIRTUAL_ENV"])
    assert place.parent == Path(world.environ["XDG_DATA_HOME"]) / "nixpy/environments"
    assert (project.path / ".venv").resolve() == place
    assert "UV_PROJECT_ENVIRONMENT" not in entered.environ
    assert is_warm(project)


def test_a_directory_in_the_way_of_the_central_link_is_left_alone(world: World) -> None:
    project = world.project()
    project.write(".venv/mine.txt", "keep\n")
    project.write("requirements.txt", "")
    entered = project.entered()
    assert "is no virtual or conda environment" in entered.said[0]
    project.write("nixpy.toml", 'venv = "central"\n')
    entered = project.entered()
    assert entered.environ["UV_PROJECT_ENVIRONMENT"] == entered.environ["VIRTUAL_ENV"]
    assert (project.path / ".venv/mine.txt").read_text() == "keep\n"


def test_manual_syncing_only_says_that_something_changed(world: World) -> None:
    project = world.project()
    project.write("nixpy.toml", 'sync = "manual"\n')
    project.write("requirements.txt", "")
    assert "nixpy sync" in " ".join(project.entered().said)
    project.nixpy("sync")
    assert project.entered().said == []
    project.write("requirements.txt", "iniconfig==2.0.0\n")
    entered = project.entered()
    assert "syncing is manual" in entered.environ["NIXPY_STALE"]
    assert not entered.synced
    project.nixpy("sync")
    assert project.python("import iniconfig; print('there')") == "there"


def test_pip_installs_what_only_its_configuration_can_find(world: World) -> None:
    project = world.project()
    wheels = world.directory / "wheels"
    wheels.mkdir()
    world.run(
        *("uv", "build", "--wheel", "--out-dir", str(wheels), str(_package(world, "private"))),
    )
    project.write("requirements.txt", "private\n")
    configuration = world.home / "pip.conf"
    configuration.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
    entered = project.entered(PIP_CONFIG_FILE=str(configuration))
    assert entered.said == [line for line in entered.said if "synced with pip" in line], entered
    assert project.python("import private; print('there')") == "there"
    explained = project.nixpy("explain", PIP_CONFIG_FILE=str(configuration)).stdout
    assert "find-links" in explained
    assert project.entered(PIP_CONFIG_FILE=str(configuration)).said == []


def _package(world: World, name: str) -> Path:
    source = world.directory / f"{name}-source"
    (source / name).mkdir(parents=True)
    (source / name / "__init__.py").write_text("")
    (source / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    return source
