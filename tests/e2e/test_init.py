"""``nixpy init``: from an empty directory, or a project that was without nixpy, to ``cd``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pexpect
import pytest

from nixpy.init.template import TEMPLATES

from .conftest import Project
from .test_json import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Entered, Shell, World

PYTHON = "{}.{}".format(*sys.version_info[:2])
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

NOTEBOOK = "JUPYTER_PLATFORM_DIRS=1 jupyter execute --inplace example.ipynb"

PACKAGES = """
import importlib.metadata as m, re
names = (re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower() + " " + one.version
         for one in m.distributions())
print("\\n".join(sorted({one for one in names if one.split()[0] not in {"pip", "setuptools"}})))
"""


def packages(entered: Entered, world: World) -> set[str]:
    """What the ``python`` of an environment can import."""
    python = shutil.which("python", path=entered.environ["PATH"])
    assert python
    done = subprocess.run(
        [python, "-c", PACKAGES],
        env=entered.environ,
        cwd=world.home,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split("\n")) - {""}


def files(path: Path) -> dict[str, bytes]:
    """Every file that is a user's: not of an environment, of git, or a lock that uv writes."""
    mine = {}
    for one in path.rglob("*"):
        parts = one.relative_to(path).parts
        if one.is_file() and not {".venv", ".git", ".direnv", "venv"} & set(parts):
            mine[str(one.relative_to(path))] = one.read_bytes()
    return mine


@pytest.fixture
def empty(world: World) -> Project:
    """An empty directory."""
    world.environ |= GIT
    if "SSL_CERT_FILE" in world.environ:
        # pip has certificates of its own.
        world.environ["PIP_CERT"] = world.environ["SSL_CERT_FILE"]
    path = world.directory / "app"
    path.mkdir()
    return Project(path, world)


def init(project: Project, *flags: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return project.nixpy("init", *flags, check=check)


def run(project: Project, entered: Entered, *argv: str) -> str:
    """Run a program as in a shell that has entered."""
    program = shutil.which(argv[0], path=entered.environ["PATH"])
    assert program
    done = subprocess.run(
        [program, *argv[1:]],
        env=entered.environ,
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Inside:
    """A shell in which a user has changed to a project, of which nixpy says nothing."""

    def __init__(self, shell: Shell, project: Project) -> None:
        self.shell = shell
        said = shell.cd(project.path)
        assert "direnv: export " in said, said
        assert "nixpy:" not in said, said
        assert "direnv: error" not in said, said

    def run(self, line: str) -> str:
        """Type a command, which must succeed; return what it prints."""
        printed = self.shell.world.home / "printed"
        shown = self.shell.run(f"{line} > {printed}")
        assert self.shell.run("echo $?").strip() == "0", shown
        return printed.read_text()


@pytest.fixture
def cd(shell_of: Callable[[str], Shell]) -> Callable[[Project], Inside]:
    """Changes to a project in a new bash."""
    return lambda project: Inside(shell_of("bash"), project)


@pytest.mark.network
@pytest.mark.parametrize(
    ("template", "example"),
    [
        ("uv", "python main.py"),
        ("pip", "python main.py"),
        ("poetry", "python -m example"),
    ],
)
def test_the_example_of_a_template_runs(
    template: str, example: str, empty: Project, cd: Callable[[Project], Inside]
) -> None:
    done = init(empty, "--template", template, "--yes", "--no-nix", "--python", PYTHON)
    assert "done: direnv allow" in done.stdout
    assert "done: nixpy sync" in done.stdout
    said = cd(empty).run(example).replace("\n", "")
    assert f"Python {PYTHON}" in said
    assert str(empty.path / ".venv") in said


@pytest.mark.network
def test_the_notebook_of_the_template_jupyter_runs_in_the_environment(
    empty: Project, cd: Callable[[Project], Inside]
) -> None:
    init(empty, "--template", "jupyter", "--yes", "--no-nix", "--python", PYTHON)
    cd(empty).run(NOTEBOOK)
    assert str(empty.path / ".venv") in (empty.path / "example.ipynb").read_text()


def test_the_template_ml_takes_the_extra_that_fits_the_machine(
    empty: Project, cd: Callable[[Project], Inside], tmp_path: Path
) -> None:
    empty.world.environ["UV_INDEX"] = torch_indexes(tmp_path)
    init(empty, "--template", "ml", "--yes", "--no-nix", "--python", PYTHON)
    assert cd(empty).run("python main.py") == "PyTorch 2.9.0+cpu on cpu\n"


def torch_indexes(directory: Path) -> str:
    """Make indexes of two kinds of torch; return the ``UV_INDEX`` that they are for ``ml``."""
    indexes = {kind: directory / "indexes" / kind for kind in ("cpu", "cu128")}
    for kind, index in indexes.items():
        _write_torch(index / "torch", kind)
    return " ".join(f"pytorch-{kind}={index.as_uri()}" for kind, index in indexes.items())


def _write_torch(folder: Path, kind: str) -> None:
    """Make an index (PEP 503) of one package that says that it is torch."""
    import zipfile

    folder.mkdir(parents=True)
    name = f"torch-2.9.0+{kind}-py3-none-any.whl"
    info = f"torch-2.9.0+{kind}.dist-info"
    code = f"__version__ = '2.9.0+{kind}'\nclass cuda:\n    is_available = staticmethod(bool)\n"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("torch/__init__.py", code)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: 2.9.0+{kind}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name.replace("+", "%2B")}">{name}</a>')


def test_a_directory_is_made_where_there_is_none(world: World) -> None:
    world.nixpy("init", "new/app", "--yes", "--no-sync", "--no-nix")
    path = world.directory / "new/app"
    assert (path / "main.py").exists()
    assert 'name = "app"' in (path / "pyproject.toml").read_text()


def test_without_a_terminal_nothing_is_written_unless_told_to(empty: Project) -> None:
    done = init(empty, check=False)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert ".envrc" in done.stdout
    assert init(empty, "--dry-run").stdout == done.stdout
    assert files(empty.path) == {}


@pytest.mark.parametrize("template", TEMPLATES)
def test_json_is_as_its_schema_says(template: str, empty: Project) -> None:
    flags = ("--template", template, "--no-sync")
    for more in (("--dry-run",), ("--yes",), ("--yes",)):
        printed = json.loads(init(empty, *flags, *more, "--json").stdout)
        jsonschema.validate(printed, schema("init"), jsonschema.Draft202012Validator)
        assert printed["template"] == template
    assert all(one["did"] == "unchanged" for one in printed["files"])
    empty.write(".envrc", "use flake\nconda activate $A\n")
    printed = json.loads(init(empty, "--no-sync", "--yes", "--json").stdout)
    jsonschema.validate(printed, schema("init"), jsonschema.Draft202012Validator)
    assert [one["line"] for one in printed["envrc"]["translated"]] == [1]
    assert [one["line"] for one in printed["envrc"]["left"]] == [2]


def test_a_second_init_changes_nothing(empty: Project) -> None:
    init(empty, "--yes", "--no-sync")
    first = files(empty.path)
    done = init(empty, "--yes", "--no-sync")
    assert files(empty.path) == first
    assert "  new " not in done.stdout


def test_a_file_that_differs_is_kept_with_yes(empty: Project) -> None:
    mine = {"main.py": b"mine\n", "flake.nix": b"{ }\n", "LICENSE": b"mine, too\n"}
    for name, content in mine.items():
        empty.write(name, content)
    done = init(empty, "--template", "uv", "--nix", "--yes", "--no-sync")
    assert {name: files(empty.path)[name] for name in mine} == mine
    assert "main.py is yours and differs: it is left as it is" in done.stderr
    assert "-mine" in done.stdout


def test_in_a_git_tree_the_flake_is_made_known_to_git(empty: Project) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    empty.world.run("git", "init", "--quiet", cwd=empty.path)
    done = init(empty, "--yes", "--nix", "--no-sync")
    assert "done: git add --intent-to-add flake.nix" in done.stdout
    status = empty.world.run("git", "status", "--porcelain", cwd=empty.path).stdout
    assert " A flake.nix\n" in status
    assert "intent-to-add" not in init(empty, "--yes", "--no-sync").stdout


def test_what_is_not_set_up_yet_is_said(bare_world: World) -> None:
    project = Project(bare_world.directory, bare_world)
    done = init(project, "--yes", "--no-sync")
    assert "to do: nixpy setup" in done.stdout


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"pyproject.toml": b"[project\n"}, "pyproject.toml"),
        ({"pyproject.toml": b"\xff"}, "pyproject.toml"),
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_is_written(
    written: dict[str, bytes], words: str, empty: Project
) -> None:
    for name, content in written.items():
        empty.write(name, content)
    done = init(empty, "--yes", check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert files(empty.path) == written


@pytest.mark.parametrize("flags", [("--template", "no"), ("--python", "x"), ("/",), ("~",)])
def test_wrong_usage_is_said(flags: tuple[str, ...], empty: Project) -> None:
    flags = tuple(one.replace("~", str(empty.world.home)) for one in flags)
    done = init(empty, *flags, "--yes", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert files(empty.path) == {}


def test_a_sync_that_fails_leaves_the_files_and_says_so(empty: Project) -> None:
    empty.write("requirements.txt", "--no-index\nno-such-package==1\n")
    done = init(empty, "--yes", check=False)
    assert done.returncode == 1
    assert (empty.path / ".envrc").read_text().endswith("use nixpy\n")
    assert "Traceback" not in done.stderr


class Asked:
    """``nixpy init`` on a terminal."""

    def __init__(self, project: Project, *flags: str) -> None:
        self.process = pexpect.spawn(
            "nixpy",
            ["init", *flags],
            env={**project.world.environ, "PWD": str(project.path)},
            cwd=str(project.path),
            encoding="utf-8",
            timeout=60,
            dimensions=(60, 160),
        )

    def answer(self, question: str, answer: str) -> None:
        self.process.expect(question)
        self.process.sendline(answer)

    def end(self) -> int:
        self.process.expect(pexpect.EOF)
        self.process.close()
        return int(self.process.exitstatus or 0)


def test_a_person_is_asked_little(empty: Project) -> None:
    asked = Asked(empty, "--no-nix", "--no-sync")
    asked.answer("Which template", "pip")
    asked.answer(r"Write \.envrc, requirements\.txt", "y")
    asked.answer("direnv allow", "y")
    assert asked.end() == 0
    assert (empty.path / "requirements.txt").exists()


def test_a_person_who_says_no_keeps_everything(empty: Project) -> None:
    empty.write("main.py", "mine\n")
    empty.write(".envrc", "use flake\n")
    asked = Asked(empty, "--template", "uv", "--no-nix")
    asked.answer("Write ", "n")
    assert asked.end() == 0
    assert set(files(empty.path)) == {"main.py", ".envrc"}


def test_a_person_may_replace_what_differs(empty: Project) -> None:
    empty.write("main.py", "mine\n")
    asked = Asked(empty, "--template", "uv", "--no-nix", "--no-sync")
    asked.answer("Write ", "y")
    asked.answer(r"main\.py is yours and differs: replace it", "y")
    asked.answer("direnv allow", "n")
    assert asked.end() == 0
    assert "rich" in (empty.path / "main.py").read_text()


@pytest.mark.network
def test_the_quick_start_of_the_readme_takes_three_commands(bare_world: World) -> None:
    root = Path(__file__).parents[2]
    section = (root / "README.md").read_text().partition("## Quick start\n")[2]
    commands = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert len(commands) == 3
    # Only uv and direnv are there at first; nixpkgs cannot be had here.
    (bare_world.home / "bin/nixpy").unlink()
    installed = f"{bare_world.home}/.local/bin"
    path = f"{installed}:{bare_world.environ['PATH']}"
    bare_world.environ |= {"PATH": path, "XDG_BIN_HOME": installed, "NIXPY_FLAKE": "false"}
    for command in commands:
        bare_world.run("bash", "-c", command, cwd=root)
    app = Project(bare_world.home / "app", bare_world)
    entered = app.entered()
    assert (entered.status, entered.said) == (0, []), entered.stderr
    assert entered.environ["VIRTUAL_ENV"] == str(app.path / ".venv")


# Projects from before nixpy.


class Old:
    """A project with an old ``.envrc``, which direnv loads as it always has."""

    def __init__(self, project: Project, envrc: str, **written: str) -> None:
        self.project = project
        self.world = project.world
        self.envrc = envrc
        for name, text in written.items():
            project.write(name.replace("__", "/").replace("_dot_", "."), text)
        project.write(".envrc", envrc)
        project.allow()

    def moved_in(self, *flags: str) -> tuple[Entered, Entered]:
        """Enter as before, run ``nixpy init``, enter again; nothing of the user's may be lost."""
        before = self.project.entered()
        assert before.status == 0, before.stderr
        had = files(self.project.path)
        done = init(self.project, "--yes", *flags)
        assert "could not be translated" not in done.stderr
        after = self.project.entered()
        assert (after.status, after.said) == (0, []), after.stderr
        has = files(self.project.path)
        assert has.pop(".envrc.before-nixpy").decode() == self.envrc
        gitignore = had.pop(".gitignore", b"")
        assert has.pop(".gitignore").startswith(gitignore)
        del had[".envrc"]
        assert {name: has.get(name) for name in had} == had
        bash_reads = subprocess.run(["bash", "-n", ".envrc"], cwd=self.project.path, check=False)
        assert bash_reads.returncode == 0
        return before, after

    def line(self) -> str:
        """The ``use nixpy`` that became of it."""
        text = (self.project.path / ".envrc").read_text()
        (line,) = re.findall(r"^use nixpy.*$", text, re.MULTILINE)
        return str(line)


@pytest.mark.network
def test_a_project_with_layout_python_and_requirements(empty: Project) -> None:
    envrc = """\
# the environment
layout python3
pip install -q -r requirements.txt
export APP_SETTINGS=development
PATH_add scripts
dotenv_if_exists
"""
    old = Old(empty, envrc, requirements_dot_txt="iniconfig==2.0.0\nsix==1.16.0\n")
    empty.write("scripts/greet", "#!/bin/sh\necho hello\n").chmod(0o755)
    empty.write(".env", "TOKEN=abc\n")
    empty.write(".gitignore", "*.log")
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert old.line() == "use nixpy"
    for name in ("APP_SETTINGS", "TOKEN"):
        assert after.environ[name] == before.environ[name]
    assert run(empty, after, "greet") == "hello\n"


@pytest.mark.network
def test_a_project_whose_packages_somebody_installed_by_hand(empty: Project) -> None:
    old = Old(empty, f"layout python python{PYTHON}\nunset PS1\n", app_dot_py="import iniconfig\n")
    entered = empty.entered()
    pip = ("python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(empty, entered, *pip, "iniconfig==2.0.0", "six==1.16.0")
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert (empty.path / "requirements.txt").read_text() == "iniconfig==2.0.0\nsix==1.16.0\n"
    assert old.line() == f"use nixpy --python {PYTHON}"


@pytest.mark.network
def test_what_was_installed_beside_the_requirements_is_named(empty: Project) -> None:
    Old(empty, "layout python\n", requirements_dot_txt="iniconfig==2.0.0\n")
    pip = ("python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(empty, empty.entered(), *pip, "iniconfig==2.0.0", "six==1.16.0")
    done = init(empty, "--yes")
    assert "has what no manifest names: six==1.16.0;" in done.stderr


def test_bytes_of_no_encoding_stay_as_they_are(empty: Project) -> None:
    old = b"export A='\xff\xfe'\r\nuse flake\nconda activate \"\xff$A\"\n"
    empty.write(".envrc", old)
    for flags in (("--dry-run",), ("--yes", "--no-sync", "--no-nix")):
        done = empty.world.run("nixpy", "init", *flags, cwd=empty.path)
        assert "Traceback" not in done.stderr
    assert (empty.path / ".envrc.before-nixpy").read_bytes() == old
    new = (empty.path / ".envrc").read_bytes()
    assert new == b"export A='\xff\xfe'\r\nuse nixpy\nconda activate \"\xff$A\"\n"


@pytest.mark.network
def test_a_project_that_syncs_with_uv_and_activates(empty: Project) -> None:
    envrc = """\
export UV_LINK_MODE=copy
if [ ! -d .venv ]; then
  uv venv --quiet
fi
uv sync --quiet --extra web --group docs
source .venv/bin/activate
export FLASK_DEBUG=1
"""
    pyproject = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.10"
dependencies = ["iniconfig==2.0.0"]
[project.optional-dependencies]
web = ["six==1.16.0"]
[dependency-groups]
docs = ["colorama==0.4.6"]
"""
    old = Old(empty, envrc, pyproject_dot_toml=pyproject)
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert old.line() == "use nixpy --extras web --groups docs"
    assert after.environ["FLASK_DEBUG"] == "1"


@pytest.mark.network
def test_a_project_that_activates_an_environment_made_by_hand(empty: Project) -> None:
    python = str(Path(sys.base_prefix) / f"bin/python{PYTHON}")
    empty.world.run(python, "-m", "venv", "venv", cwd=empty.path)
    pip = str(empty.path / "venv/bin/pip")
    empty.world.run(pip, "install", "-q", "iniconfig==2.0.0", "six==1.16.0", cwd=empty.path)
    pyproject = '[project]\nname = "app"\nversion = "1"\ndependencies = ["iniconfig==2.0.0"]\n'
    envrc = 'source "$PWD/venv/bin/activate"\nexport PYTHONPATH=$PWD/src\n'
    old = Old(empty, envrc, pyproject_dot_toml=pyproject + 'requires-python = ">=3.10"\n')
    before, after = old.moved_in()
    assert packages(after, old.world) >= packages(before, old.world)
    assert old.line() == "use nixpy --venv venv --no-exact"
    assert after.environ["PYTHONPATH"] == before.environ["PYTHONPATH"]


@pytest.mark.network
def test_a_project_with_layout_pyenv(empty: Project) -> None:
    version = "{}.{}.{}".format(*sys.version_info[:3])
    root = empty.world.home / "pyenv"
    (root / f"versions/{version}").parent.mkdir(parents=True)
    (root / f"versions/{version}").symlink_to(sys.base_prefix)
    pyenv = empty.world.home / "bin/pyenv"
    pyenv.write_text(f"#!/bin/sh\necho {root}\n")
    pyenv.chmod(0o755)
    envrc = f"layout pyenv {version}\npip install -q -e '.[dev]'\n"
    pyproject = """\
[build-system]
requires = ["flit_core>=3.4"]
build-backend = "flit_core.buildapi"
[project]
name = "app"
version = "1"
description = "An app"
requires-python = ">=3.10"
[project.optional-dependencies]
dev = ["iniconfig==2.0.0"]
"""
    old = Old(empty, envrc, pyproject_dot_toml=pyproject, app_dot_py="")
    before, after = old.moved_in()
    assert packages(after, old.world) == packages(before, old.world)
    assert old.line() == f"use nixpy --python {version} --extras dev"
