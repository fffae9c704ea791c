"""Bad input of each kind: what happened, where, what to do next; never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project, World

PROJECT = '[project]\nname = "demo"\nversion = "1"\n'

CASES: dict[str, tuple[dict[str, str | bytes], int, str]] = {
    "broken TOML": ({"pyproject.toml": "[project\n"}, 1, "pyproject.toml:1"),
    "broken nixpy.toml": ({"nixpy.toml": "a = \n", "requirements.txt": ""}, 1, "nixpy.toml:1"),
    "a file that is not UTF-8": ({"pyproject.toml": b"a = '\xff'\n"}, 1, "pyproject.toml:1"),
    "circular includes": (
        {"requirements.txt": "-r a.txt\n", "a.txt": "\n-r requirements.txt\n"},
        1,
        "a.txt:2",
    ),
    "an include that is not there": (
        {"requirements.txt": "# x\n-r gone.txt\n"},
        1,
        "requirements.txt:2",
    ),
    "an unknown key": (
        {"nixpy.toml": "extra = []\n", "requirements.txt": ""},
        2,
        "did you mean extras?",
    ),
    "a wrong type": (
        {"pyproject.toml": PROJECT + "[tool.nixpy]\nextras = [1]\n"},
        2,
        "tool.nixpy.extras[0]: expected a string, got an integer",
    ),
    "a malformed requirement": ({"requirements.txt": "a b c\n"}, 1, "requirements.txt:1"),
    "a malformed dependency": (
        {"pyproject.toml": PROJECT + 'dependencies = ["a b"]\n'},
        1,
        "project.dependencies[0]",
    ),
    "a requirement that does not exist": (
        {"requirements.txt": "no-such-distribution-at-all==1\n"},
        1,
        "no-such-distribution-at-all",
    ),
    "a dependency that does not exist": (
        {"pyproject.toml": PROJECT + 'dependencies = ["no-such-distribution-at-all"]\n'},
        1,
        "no-such-distribution-at-all",
    ),
    "no interpreter": (
        {"pyproject.toml": PROJECT + 'requires-python = ">=9.9"\n'},
        3,
        "no interpreter is Python >=9.9",
    ),
    "junk as uv.lock": (
        {"pyproject.toml": PROJECT, "uv.lock": b"\x00\xff\xfe junk \x80" * 20},
        1,
        "uv.lock",
    ),
    "junk as pylock.toml": ({"pylock.toml": b"\x00\xff\xfe junk \x80" * 20}, 1, "pylock.toml"),
    "junk as requirements.txt": (
        {"requirements.txt": b"\x00\xff\xfe junk \x80" * 20},
        1,
        "requirements.txt",
    ),
    "a directory as requirements.txt": ({"requirements.txt/x": ""}, 1, "requirements.txt"),
    "malformed conda manifest": ({"environment.yml": "name: [x\n"}, 1, "environment.yml:2"),
    "conda manifest with a prefix": (
        {"environment.yml": "prefix: /somebody/s\n"},
        1,
        "environment.yml",
    ),
    "conda manifest with an unknown key": (
        {"environment.yml": "dependecies: [a]\n"},
        1,
        "environment.yml: dependecies",
    ),
    "conda lock of another version": ({"conda-lock.yml": "version: 7\n"}, 1, "conda-lock.yml"),
    "a pyenv virtualenv": ({".python-version": "my-env\n"}, 1, ".python-version:1"),
    "only a Poetry lock": (
        {"poetry.lock": "", "pyproject.toml": "[tool.poetry]\nname = 'x'\n"},
        1,
        "poetry.lock",
    ),
    "nothing at all": ({"README.md": ""}, 1, "nothing here that nixpy recognises"),
    "a manifest that is none": ({"pyproject.toml": "[tool.ruff]\n"}, 1, "nothing here"),
    "a manager with nothing to do": (
        {"nixpy.toml": 'manager = "pip"\n', ".python-version": "3\n"},
        2,
        "manager pip was asked for",
    ),
}


def check_words(stderr: str, says: str) -> None:
    lines = stderr.splitlines()
    assert says in stderr
    assert "Traceback" not in stderr
    assert 1 <= len(lines) <= 2, stderr
    assert all(line.startswith("nixpy: ") for line in lines)


@pytest.fixture
def empty(world: World) -> Project:
    return world.project()


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_error_says_what_and_where_and_nothing_is_exported(empty: Project, case: str) -> None:
    files, status, says = CASES[case]
    for name, content in files.items():
        empty.write(name, content)
    synced = empty.nixpy("sync", check=False)
    assert synced.returncode == status, synced.stderr
    check_words(synced.stderr, says)
    exported = empty.nixpy("export", "bash", check=False)
    assert (exported.returncode, exported.stdout) == (status, "")
    entered = empty.entered()
    assert entered.status == 0
    assert "VIRTUAL_ENV" not in entered.changes
    check_words("\n".join(entered.said), says)


@pytest.mark.parametrize("case", ["broken TOML", "junk as uv.lock", "an unknown key"])
def test_the_last_good_environment_stays_in_force(empty: Project, case: str) -> None:
    empty.write("pyproject.toml", PROJECT + 'dependencies = ["iniconfig==2.0.0"]\n')
    before = empty.entered().environ
    files, _, says = CASES[case]
    for name, content in files.items():
        if name != "requirements.txt":
            empty.write(name, content)
    entered = empty.entered()
    assert entered.status == 0
    assert len(entered.said) == 1
    assert says in entered.environ["NIXPY_STALE"]
    for name in ("PATH", "VIRTUAL_ENV", "NIXPY_PROJECT"):
        assert entered.environ[name] == before[name]
    assert empty.python("import iniconfig; print('there')") == "there"
    strict = empty.nixpy("export", "bash", "--strict", check=False)
    assert strict.returncode != 0
    assert strict.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--extra", "x"), "did you mean --extras?"),
        (("--extras",), "--extras: expected a value"),
        (("--manager", "pipp"), "did you mean pip?"),
        (("stray",), "stray: expected a flag"),
    ],
)
def test_a_wrong_flag_is_wrong_usage(empty: Project, arguments: tuple[str, ...], says: str) -> None:
    empty.write("requirements.txt", "")
    done = empty.nixpy("sync", *arguments, check=False)
    assert done.returncode == 2
    check_words(done.stderr, says)


def test_a_variable_that_is_nearly_one_is_wrong_usage(empty: Project) -> None:
    empty.write("requirements.txt", "")
    done = empty.nixpy("sync", check=False, NIXPY_MANGER="pip")
    assert done.returncode == 2
    check_words(done.stderr, "did you mean NIXPY_MANAGER?")


def test_every_fault_of_the_options_is_said_at_once(empty: Project) -> None:
    empty.write("nixpy.toml", 'extra = []\nlock = "lokced"\nexact = 3\n')
    done = empty.nixpy("sync", check=False)
    assert done.returncode == 2
    for fault in ("extra: unknown key", "did you mean locked?", "exact: expected a boolean"):
        assert fault in done.stderr


def test_no_interpreter_names_every_candidate(empty: Project) -> None:
    broken = empty.world.home / "broken"
    broken.mkdir()
    (broken / "python3").write_text("#!/bin/sh\necho cannot work >&2\nexit 4\n")
    (broken / "python3").chmod(0o755)
    empty.write("requirements.txt", "")
    empty.write(".python-version", "9.9\n")
    path = f"{broken}:{empty.world.environ['PATH']}"
    done = empty.nixpy("sync", check=False, PATH=path)
    assert done.returncode == 3
    assert f"{broken}/python3 (fails with status 4: cannot work)" in done.stderr
    assert "CPython 3." in done.stderr


def test_a_lock_that_no_longer_matches_names_the_command(empty: Project) -> None:
    empty.write("pyproject.toml", PROJECT + 'dependencies = ["iniconfig==2.0.0"]\n')
    assert empty.entered().synced
    empty.write("pyproject.toml", PROJECT + 'dependencies = ["iniconfig==1.1.1"]\n')
    done = empty.nixpy("sync", "--lock", "locked", check=False)
    assert done.returncode == 1
    assert "uv lock" in done.stderr
    assert empty.python("import importlib.metadata as m; print(m.version('iniconfig'))") == "2.0.0"
