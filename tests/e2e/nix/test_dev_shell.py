"""``use nixpy`` in a project with a dev shell: what is merged, and when it is evaluated again."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import FLAKES, copy_flake, newer_in_campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conftest import Entered, Project, World
    from .conftest import Nix, Tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def project(world: World, nix: Nix) -> Project:
    """A project with the flake of ``tests/flakes/shells`` and an environment of its own."""
    project = world.project()
    project.write(".python-version", "3\n")
    tree(project, "shells")
    return project


def tree(project: Project, name: str, **texts: str) -> Tree:
    return copy_flake(name, project.path, project.world.environ, **texts)


def evaluations(project: Project) -> int:
    """How often Nix was asked for a dev shell of the project, by the number of its gc roots."""
    state = project.world.home / "state/nixpy/roots"
    return max((int(path.name) for path in state.glob("*/[0-9]*")), default=0)


def git(project: Project, *arguments: str) -> None:
    project.world.run("git", *arguments, cwd=project.path)


def use(project: Project, arguments: str) -> None:
    project.write(".envrc", f"use nixpy {arguments}\n")
    project.allow()


def test_the_dev_shell_is_merged_behind_the_environment(project: Project) -> None:
    entered = project.entered()
    environ = entered.environ
    assert environ["GREETING"] == "hello\n"
    assert environ["HOOKED"] == "yes"
    first, second, *_ = environ["PATH"].split(":")
    assert first == str(project.path / ".venv/bin")
    assert second.endswith("-tool/bin")
    assert "" not in environ["PATH"].split(":")
    assert environ["SOURCE_DATE_EPOCH"] == "315532800"
    assert project.world.run("example-tool", PATH=environ["PATH"]).stdout == "a tool\n"


def test_nothing_that_a_sandbox_needs_is_exported(project: Project) -> None:
    changes = project.entered().changes
    assert not {"NIX_BUILD_TOP", "TMPDIR", "SSL_CERT_FILE", "stdenv", "builder", "out"} & set(
        changes
    )
    assert project.nixpy("run", "--", "env").stdout.count("shellHook") == 0


def test_what_is_left_out_can_be_changed(project: Project) -> None:
    use(project, "--shell-exclude 'GREET*' --shell-exclude '!NIX_BUILD_CORES'")
    changes = project.entered().changes
    assert "GREETING" not in changes
    assert "NIX_BUILD_CORES" in changes


def test_a_second_entry_is_warm_and_says_nothing(project: Project) -> None:
    project.entered()
    again = project.entered()
    assert again.said == []
    assert again.environ["HOOKED"] == "yes"
    assert evaluations(project) == 1


@pytest.mark.parametrize("name", ["flake.nix", "nix/shell.nix", "data.txt", "nix/setup.sh"])
def test_a_file_that_the_evaluation_read_is_noticed(project: Project, name: str) -> None:
    project.entered()
    path = project.path / name
    path.write_text(path.read_text() + "\n# changed\n" if name != "data.txt" else "goodbye\n")
    entered = project.entered()
    assert evaluations(project) == 2
    assert entered.environ["GREETING"] == ("goodbye\n" if name == "data.txt" else "hello\n")
    assert project.entered().said == []


@pytest.mark.parametrize("name", ["README.md", "hooks/exits.sh", "new.txt", "nix/new.nix"])
def test_no_other_file_is_noticed(project: Project, name: str) -> None:
    project.entered()
    project.write(name, "changed\n")
    assert project.entered().said == []
    git(project, "add", "--all")
    assert project.entered().said == []
    assert evaluations(project) == 1


def test_a_file_that_git_restores_costs_no_evaluation(project: Project) -> None:
    project.entered()
    os.utime(project.path / "data.txt", (1_500_000_000, 1_500_000_000))
    project.entered()
    assert evaluations(project) == 1


def test_explain_names_what_the_evaluation_read(project: Project) -> None:
    project.entered()
    report = json.loads(project.nixpy("explain", "--json").stdout)
    assert {"flake.nix", "nix/shell.nix", "nix/setup.sh", "data.txt"} <= set(report["files"])
    assert "README.md" not in report["files"]
    assert report["dev_shell"]["reference"] == "."
    assert report["dev_shell"]["inexact"] == ""
    project.write("data.txt", "goodbye\n")
    changed = json.loads(project.nixpy("explain", "--json").stdout)["changed"]
    assert [one["name"] for one in changed] == ["data.txt"]


@pytest.fixture
def part(world: World, nix: Nix) -> Path:
    """A flake that another one has as its input."""
    path = copy_flake("part", world.directory / "part", world.environ).path
    shutil.rmtree(path / ".git")
    return path


def test_a_file_of_a_locked_input_is_noticed_and_no_other(
    world: World, nix: Nix, part: Path
) -> None:
    project = world.project()
    tree(project, "with-input", part=str(part))
    nix.run("flake", "lock", cwd=project.path)
    git(project, "add", "flake.lock")
    entered = project.entered()
    assert entered.environ["GREETING"] == "hello from the part"
    assert not any("flake.lock" in line for line in entered.said)
    (part / "README.md").write_text("changed\n")
    assert project.entered().said == []
    assert evaluations(project) == 1
    (part / "greeting.nix").write_text('"goodbye from the part"\n')
    project.entered()
    assert evaluations(project) == 2


def test_an_input_that_is_not_locked_is_as_it_is_today(world: World, nix: Nix, part: Path) -> None:
    project = world.project()
    tree(project, "with-input", part=str(part))
    entered = project.entered()
    assert any("nix flake lock" in line for line in entered.said)
    assert not (project.path / "flake.lock").exists()
    (part / "greeting.nix").write_text('"goodbye from the part"\n')
    assert project.entered().environ["GREETING"] == "goodbye from the part"


def test_a_shell_nix_serves_where_there_is_no_flake(world: World, nix: Nix) -> None:
    project = world.project()
    tree(project, "no-flake")
    assert project.entered().environ["GREETING"] == "hello\n"
    project.write("README.md", "changed\n")
    assert project.entered().said == []
    project.write("data.txt", "goodbye\n")
    assert project.entered().environ["GREETING"] == "goodbye\n"


@pytest.mark.parametrize(
    ("arguments", "variable", "value"),
    [
        ("--flake shell.nix#other", "GREETING", "hello from another one"),
        ("--argstr someArgument given", "ARGUMENT", "given"),
    ],
)
def test_attributes_and_arguments_reach_a_shell_nix(
    world: World, nix: Nix, arguments: str, variable: str, value: str
) -> None:
    project = world.project()
    tree(project, "no-flake")
    use(project, arguments)
    assert project.entered().environ[variable] == value
    assert project.entered().said == []


def test_direnv_watches_no_directory_and_nothing_of_git(project: Project) -> None:
    project.entered()
    loaded = project.entered().environ
    dump = project.world.run("direnv", "show_dump", loaded["DIRENV_WATCHES"]).stdout
    watched = {os.path.relpath(one["Path"], project.path) for one in json.loads(dump)}
    assert {"data.txt", "flake.nix", "nix/shell.nix"} <= watched
    assert not [name for name in watched if name == "." or name.startswith(".git/")]


def test_an_input_is_overridden_by_a_flag(world: World, nix: Nix, part: Path) -> None:
    other = world.directory / "other"
    shutil.copytree(part, other)
    (other / "greeting.nix").write_text('"hello from elsewhere"\n')
    project = world.project()
    tree(project, "with-input", part=str(part))
    use(project, f"--override-input part path:{other}")
    assert project.entered().environ["GREETING"] == "hello from elsewhere"
    assert project.entered().said == []


def test_an_impure_flake_is_evaluated_where_that_is_said(project: Project) -> None:
    use(project, "--flake .#impure --impure")
    assert project.entered().environ["GREETING"] == Path("/etc/hostname").read_text()


def test_a_flake_in_a_subdirectory_and_another_attribute(world: World, nix: Nix) -> None:
    project = world.project()
    copy_flake("shells", project.path / "nix", world.environ)
    shutil.rmtree(project.path / "nix/.git")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    use(project, "--flake ./nix#large")
    assert "NIX_EXAMPLE_99" in project.entered().changes
    assert project.entered().said == []
    shell = project.path / "nix/nix/shell.nix"
    shell.write_text(shell.read_text() + "# changed\n")
    assert project.entered().environ["NIX_EXAMPLE_0"]
    assert evaluations(project) == 2


def test_a_project_in_a_subdirectory_with_a_flake_of_its_own(world: World, nix: Nix) -> None:
    top = world.directory / "repository"
    project = world.project("repository/app")
    copy_flake("shells", project.path, world.environ)
    shutil.rmtree(project.path / ".git")
    (top / "other.txt").write_text("of another project\n")
    world.run("git", "init", "--quiet", cwd=top)
    world.run("git", "add", "--all", cwd=top)
    assert project.entered().environ["HOOKED"] == "yes"
    (top / "other.txt").write_text("changed\n")
    project.write("README.md", "changed\n")
    assert project.entered().said == []
    project.write("data.txt", "goodbye\n")
    assert project.entered().environ["GREETING"] == "goodbye\n"
    assert project.entered().said == []


def test_a_file_in_a_submodule_is_noticed(world: World, nix: Nix) -> None:
    part = copy_flake("part", world.directory / "part", world.environ)
    project = world.project(envrc="use nixpy --flake '.?submodules=1'\n")
    tree(project, "no-flake")
    system = f'"{platform.machine()}-linux"'
    project.write(
        "flake.nix",
        "{ outputs = { self }:\n"
        f"  let shell = import ./nix/shell.nix {{ system = {system}; }}; in {{\n"
        f"  devShells.${{{system}}}.default =\n"
        "    shell.mkShell { GREETING = import ./part/greeting.nix; };\n"
        "}; }\n",
    )
    world.environ |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    git(project, "submodule", "add", "--quiet", str(part.path), "part")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "with a part")
    entered = project.entered()
    assert entered.environ.get("GREETING") == "hello from the part", entered.stderr
    assert project.entered().said == []
    project.write("part/README.md", "changed\n")
    assert project.entered().said == []
    project.write("part/greeting.nix", '"goodbye from the part"\n')
    assert project.entered().environ["GREETING"] == "goodbye from the part"


def test_the_files_of_the_project_are_not_touched(project: Project) -> None:
    before = {path for path in project.path.rglob("*") if ".git/" not in str(path)}
    project.entered()
    after = {
        path
        for path in project.path.rglob("*")
        if ".git/" not in str(path) and ".venv" not in str(path)
    }
    assert after == before


def test_no_flake_is_wanted(project: Project) -> None:
    use(project, "--no-flake")
    entered = project.entered()
    assert "HOOKED" not in entered.changes
    assert evaluations(project) == 0


def test_two_shells_of_one_project_do_not_take_each_others_roots(project: Project) -> None:
    project.entered()
    use(project, "--flake .#large")
    project.entered()
    roots = sorted((project.world.home / "state/nixpy/roots").glob("*/*/shell"))
    assert len(roots) == 2
    assert all(path.exists() for path in roots)


def test_a_changed_interpreter_makes_the_environment_anew(project: Project) -> None:
    use(project, "--flake .#python")
    project.entered()
    system = shutil.which("python3", path="/usr/bin")
    assert system is not None
    assert os.path.realpath(project.path / ".venv/bin/python") == os.path.realpath(system)
    other = os.path.realpath(shutil.which("python3", path=f"{sys.base_prefix}/bin") or "")
    if other == os.path.realpath(system):
        pytest.skip("there is only one python3")
    project.write("interpreter.txt", other)
    project.entered()
    assert os.path.realpath(project.path / ".venv/bin/python") == other


def test_a_wrapped_interpreter_is_resolved_to_its_base(project: Project) -> None:
    use(project, "--flake .#wrapped")
    project.entered()
    base = os.path.realpath(shutil.which("python3", path="/usr/bin") or "")
    assert os.path.realpath(project.path / ".venv/bin/python") == base
    assert "UV_PYTHON" not in project.entered().changes


class TestRoots:
    def test_collecting_garbage_leaves_the_dev_shell(self, project: Project, nix: Nix) -> None:
        project.entered()
        nix.command("nix-collect-garbage", cwd=project.path)
        again = project.entered()
        assert again.said == []
        tool = again.environ["PATH"].split(":")[1]
        assert os.path.exists(f"{tool}/example-tool")

    def test_a_dev_shell_that_was_collected_comes_back(self, project: Project, nix: Nix) -> None:
        project.entered()
        shutil.rmtree(project.world.home / "state/nixpy/roots")
        nix.command("nix-collect-garbage", cwd=project.path)
        tool = project.entered().environ["PATH"].split(":")[1]
        assert os.path.exists(f"{tool}/example-tool")
        assert project.entered().said == []

    def test_a_new_evaluation_takes_the_place_of_the_old_roots(self, project: Project) -> None:
        project.entered()
        project.write("data.txt", "goodbye\n")
        project.entered()
        assert len(list((project.world.home / "state/nixpy/roots").glob("*/*/shell"))) == 1

    def test_they_are_kept_young(self, project: Project) -> None:
        project.entered()
        [link] = (project.world.home / "state/nixpy/roots").glob("*/*/shell-1-link")
        os.utime(link, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
        (project.path / "flake.nix").touch()
        project.entered()
        assert link.lstat().st_mtime > 1_600_000_000

    def test_gc_removes_those_of_a_project_that_is_gone(self, project: Project, nix: Nix) -> None:
        project.entered()
        shutil.rmtree(project.path)
        project.world.nixpy("gc")
        assert not list((project.world.home / "state/nixpy/roots").glob("*"))
        deleted = nix.command("nix-collect-garbage", cwd=project.world.directory)
        assert not list((project.world.home.parent / "nix/store").glob("*-tool"))
        del deleted


HOOKS: dict[str, tuple[dict[str, str | None], str]] = {
    "activates": ({"BEFORE": "yes", "AFTER": "yes"}, ""),
    "unsets": ({"AFTER": "yes"}, ""),
    "replaces": ({"BEFORE": "yes"}, "replaces the shell with fish"),
    "exits": ({"BEFORE": "yes", "AFTER": None}, ""),
    "fails": ({"BEFORE": "yes"}, "ended with status 3"),
    "stops": ({"BEFORE": "yes", "AFTER": None}, "ended with status 1"),
    "starts": ({"AFTER": "yes"}, "left processes running"),
    "asks": ({"AFTER": "answered nothing"}, ""),
    "prints": ({"AFTER": "yes"}, "prints more than that"),
    "hangs": ({"BEFORE": "yes", "AFTER": None}, "took longer than 2 s"),
    "loops": ({"BEFORE": "yes"}, "took longer than 2 s"),
    "moves": ({"AFTER": "yes"}, ""),
    "poisons": ({"AFTER": "yes"}, ""),
    "sets-python": ({"AFTER": "yes", "UV_PYTHON": None}, ""),
}


@newer_in_campaign
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_sensible_result(project: Project, hook: str) -> None:
    use(project, f"--flake .#{hook}")
    entered = project.entered(NIXPY_SHELL_TIMEOUT="2")
    expected, notice = HOOKS[hook]
    assert entered.status == 0, entered.stderr
    assert {name: entered.environ.get(name) for name in expected} == expected
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert notice in entered.stderr
    assert len(entered.stderr) < 60_000
    assert project.entered(NIXPY_SHELL_TIMEOUT="2").said == []


def test_a_hook_is_not_evaluated_where_it_is_to_be_skipped(project: Project) -> None:
    use(project, "--flake .#replaces --shell-hook skip")
    entered = project.entered()
    assert "BEFORE" not in entered.changes
    assert "replaces the shell" not in entered.stderr


def test_a_hook_that_extends_paths(project: Project) -> None:
    use(project, "--flake .#extends --libraries off")
    entered = project.entered(LD_LIBRARY_PATH="/own/lib", PYTHONPATH="/own/python")
    environ = entered.environ
    assert f"{project.path}/bin" in environ["PATH"].split(":")
    assert environ["LD_LIBRARY_PATH"] == "/example/lib:/own/lib"
    assert environ["PYTHONPATH"] == f"{project.path}/src:/own/python"
    assert environ["TEXT"] == "two\nlines, 'quotes' and $dollars"
    without = project.entered().environ
    assert without["LD_LIBRARY_PATH"] == "/example/lib"


def test_what_a_hook_does_twice_is_explained(project: Project) -> None:
    use(project, "--flake .#activates")
    project.write(".envrc", "use flake\nuse nixpy --flake .#activates\n")
    project.allow()
    project.nixpy("sync", "--flake", ".#activates")
    text = project.nixpy("explain", "--flake", ".#activates").stdout
    assert "activates an environment" in text
    assert "use flake" in text


def failed(entered: Entered) -> str:
    assert entered.status == 0
    assert entered.environ["VIRTUAL_ENV"]
    [line] = [line for line in entered.said if "dev shell" in line]
    return line


def wrote(project: Project, name: str, text: str) -> None:
    project.write(name, text)


def new_flake(project: Project) -> None:
    git(project, "rm", "--quiet", "--cached", "flake.nix")
    path = project.path / "flake.nix"
    path.write_text(path.read_text() + "# new\n")


def new_import(project: Project) -> None:
    path = project.path / "flake.nix"
    path.write_text(path.read_text().replace("./nix/shell.nix", "./nix/new.nix"))
    shutil.copy(project.path / "nix/shell.nix", project.path / "nix/new.nix")


FAILURES: dict[str, tuple[Callable[[Project], None], tuple[str, ...]]] = {
    "evaluation": (lambda project: use(project, "--flake .#undefined"), ("flake.nix:", "nothing")),
    "syntax": (
        lambda project: wrote(project, "nix/shell.nix", "{ a == 1; }"),
        ("nix/shell.nix:1", "syntax error"),
    ),
    "build": (lambda project: use(project, "--flake .#failing"), ("broken", "could not be built")),
    "no such file": (lambda project: use(project, "--flake .#missing"), ("missing.txt",)),
    "no such attribute": (lambda project: use(project, "--flake .#other"), ("has no dev shell",)),
    "builder": (lambda project: use(project, "--flake .#notBash"), ("builder is not bash",)),
    "purity": (lambda project: use(project, "--flake .#impure"), ("/etc", "--impure")),
    "untracked flake": (new_flake, ("flake.nix", "not tracked by git", "git add flake.nix")),
    "untracked import": (
        new_import,
        ("nix/new.nix", "not tracked by git", "git add nix/new.nix"),
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_one_line_and_python_works(project: Project, what: str) -> None:
    project.entered()
    cause, words = FAILURES[what]
    cause(project)
    line = failed(project.entered())
    for word in words:
        assert word in line
    assert "Traceback" not in line


@pytest.mark.parametrize("what", ["syntax", "untracked import"])
def test_the_last_good_dev_shell_stays_until_it_is_mended(project: Project, what: str) -> None:
    project.entered()
    FAILURES[what][0](project)
    entered = project.entered()
    assert entered.environ["HOOKED"] == "yes"
    assert entered.environ["NIXPY_STALE"]
    git(project, "checkout", "--quiet", "HEAD", "--", ".")
    mended = project.entered()
    assert "NIXPY_STALE" not in mended.environ
    assert mended.environ["HOOKED"] == "yes"


def test_strict_fails_where_the_dev_shell_does(project: Project) -> None:
    use(project, "--flake .#failing --strict")
    entered = project.entered()
    assert "could not be built" in entered.stderr
    assert "VIRTUAL_ENV" not in entered.changes


def test_nix_is_missing(project: Project, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "sh", "env", "cat", "mkdir", "direnv", "git", "python3"):
        (programs / name).symlink_to(shutil.which(name) or "")
    path = f"{project.world.home}/bin:{programs}"
    if os.path.exists("/nix/var/nix/profiles/default/bin/nix"):
        pytest.skip("Nix is installed where its own installers put it")
    project.write("nixpy.toml", "")
    entered = project.entered(PATH=path)
    if os.path.exists("/usr/bin/nix"):
        # A distribution's own is found without PATH.
        assert entered.environ["HOOKED"] == "yes"
    else:
        assert any("Nix is not installed" in line for line in entered.said)
        assert project.entered(PATH=path).said == []


def test_flakes_of_tests_are_examples(nix: Nix, tmp_path: Path) -> None:
    copied = copy_flake("shells", tmp_path / "copy", nix.environ)
    assert "GREETING" in nix.run("print-dev-env", cwd=copied.path)
    assert (FLAKES / "shells/README.md").exists()
