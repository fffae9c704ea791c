from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.decision import RULES, Decision, decide, verdicts
from nixpy.errors import ManifestError, NixpyError, NothingToDo, UsageError
from nixpy.files import DiskFiles
from nixpy.flags import parse_flags
from nixpy.manifests.survey import survey
from nixpy.options import load_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = '[project]\nname = "a"\nversion = "1"\n'
GROUPS = '[dependency-groups]\ndev = ["b"]\n'
POETRY = '[tool.poetry]\nname = "a"\n'
BUILD_SYSTEM = '[build-system]\nrequires = ["setuptools"]\n'
RUFF = "[tool.ruff]\nline-length = 100\n"
UV_TABLE = "[tool.uv]\npackage = false\n"
LOCK = "version = 1\n"
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'
INDEX = "https://index.example/simple"
UV_INDEX = f'[[tool.uv.index]]\nname = "own"\nurl = "{INDEX}"\ndefault = true\n'
PIP_CONF = f"[global]\nindex-url = {INDEX}\n"
WORKSPACE = PROJECT + '[tool.uv.workspace]\nmembers = ["members/*"]\n'


def member(name: str) -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\n'


class Row(NamedTuple):
    """A layout, and what is decided for it."""

    files: dict[str, str]
    expected: tuple[str, str, int, str, str] | type[NixpyError]
    """Manager, install, rule, what it rests on and what is passed over, separated by spaces."""
    flags: str = ""
    environ: dict[str, str] = {}
    at: str = ""
    """The project, where that is not the tree's top."""


UV_PROJECT = ("uv", "project", 6, "pyproject.toml", "")
BY_PIP = ("pip", "requirements", 7, "requirements.txt", "")
BY_UV = ("uv", "requirements", 7, "requirements.txt", "")
REQUIREMENTS = {"requirements.txt": "a\n"}

ROWS = {
    # Rule 1: what is asked for.
    "requirements are asked for": Row(
        {"dev.txt": "a\n", "pyproject.toml": PROJECT},
        ("uv", "requirements", 1, "dev.txt", "pyproject.toml"),
        "--requirements dev.txt",
    ),
    "requirements are asked for beside a lock file": Row(
        {"dev.txt": "a\n", "pyproject.toml": PROJECT, "uv.lock": LOCK},
        ("uv", "requirements", 1, "dev.txt", "uv.lock pyproject.toml"),
        "--requirements dev.txt",
    ),
    "two requirements files are asked for": Row(
        {"dev.txt": "a\n", "test.txt": "b\n"},
        ("uv", "requirements", 1, "test.txt dev.txt", ""),
        "--requirements test.txt --requirements dev.txt",
    ),
    "requirements by tool.nixpy": Row(
        {"dev.txt": "a\n", "pyproject.toml": '[tool.nixpy]\nrequirements = ["dev.txt"]\n'},
        ("uv", "requirements", 1, "dev.txt", ""),
    ),
    "requirements asked for are missing": Row(
        {"requirements.txt": "a\n"}, UsageError, "--requirements dev.txt"
    ),
    "none is asked for": Row(
        {"pyproject.toml": PROJECT}, ("none", "nothing", 1, "", "pyproject.toml"), "--manager none"
    ),
    "none is asked for where nothing is": Row({}, ("none", "nothing", 1, "", ""), "--manager none"),
    "pip is asked for a project": Row(
        {"pyproject.toml": PROJECT, "uv.lock": LOCK},
        ("pip", "editable", 1, "uv.lock pyproject.toml", ""),
        "--manager pip",
    ),
    "pip is asked for requirements": Row(
        REQUIREMENTS, ("pip", "requirements", 1, "requirements.txt", ""), "--manager pip"
    ),
    "pip is asked for a pylock alone": Row({"pylock.toml": PYLOCK}, UsageError, "--manager pip"),
    "pip is asked for where nothing is": Row({}, UsageError, "--manager pip"),
    "uv is asked for where nothing is": Row({}, UsageError, "--manager uv"),
    "uv is asked for beside a conda manifest": Row(
        {"pyproject.toml": PROJECT, "environment.yml": "name: a\n"},
        ("uv", "project", 1, "pyproject.toml", "environment.yml"),
        "--manager uv",
    ),
    "uv is asked for against pip's index": Row(
        REQUIREMENTS,
        ("uv", "requirements", 1, "requirements.txt", ""),
        "--manager uv",
        {"PIP_INDEX_URL": INDEX},
    ),
    "mamba is asked for": Row(
        {"environment.yml": "name: a\n", "uv.lock": LOCK, "pyproject.toml": PROJECT},
        ("mamba", "conda manifest", 1, "environment.yml", "uv.lock pyproject.toml"),
        "--manager mamba",
    ),
    "mamba is asked for requirements": Row(
        REQUIREMENTS, ("mamba", "requirements", 1, "requirements.txt", ""), "--manager mamba"
    ),
    "mamba is asked for a project": Row(
        {"pyproject.toml": PROJECT},
        ("mamba", "editable", 1, "pyproject.toml", ""),
        "--manager mamba",
    ),
    "mamba is asked for where nothing is": Row({}, UsageError, "--manager mamba"),
    "conda manifests are asked for": Row(
        {"a.yml": "name: a\n", "b.yml": "name: b\n", "environment.yml": "name: c\n"},
        ("mamba", "conda manifest", 1, "a.yml b.yml", ""),
        "--environment a.yml --environment b.yml",
    ),
    "a conda manifest asked for is missing": Row(
        {"environment.yml": "name: c\n"}, UsageError, "--environment dev.yml"
    ),
    # Rule 2: lock files of the standard and of uv.
    "uv.lock": Row(
        {"pyproject.toml": PROJECT, "uv.lock": LOCK},
        ("uv", "project", 2, "uv.lock pyproject.toml", ""),
    ),
    "uv.lock without pyproject": Row({"uv.lock": LOCK}, NothingToDo),
    "uv.lock before requirements": Row(
        {"pyproject.toml": PROJECT, "uv.lock": LOCK, **REQUIREMENTS},
        ("uv", "project", 2, "uv.lock pyproject.toml", "requirements.txt"),
    ),
    "uv.lock before a conda lock": Row(
        {"pyproject.toml": PROJECT, "uv.lock": LOCK, "conda-lock.yml": ""},
        ("uv", "project", 2, "uv.lock pyproject.toml", "conda-lock.yml"),
    ),
    "pylock": Row({"pylock.toml": PYLOCK}, ("uv", "pylock", 2, "pylock.toml", "")),
    "pylock beside a pyproject": Row(
        {"pylock.toml": PYLOCK, "pyproject.toml": PROJECT},
        ("uv", "pylock", 2, "pylock.toml", "pyproject.toml"),
    ),
    "pylock and uv.lock": Row(
        {"pylock.toml": PYLOCK, "pyproject.toml": PROJECT, "uv.lock": LOCK},
        ("uv", "project", 2, "uv.lock pyproject.toml", "pylock.toml"),
    ),
    # Rule 3: conda lock files.
    "conda lock": Row({"conda-lock.yml": ""}, ("mamba", "conda lock", 3, "conda-lock.yml", "")),
    "conda lock of the other spelling": Row(
        {"conda-lock.yaml": ""}, ("mamba", "conda lock", 3, "conda-lock.yaml", "")
    ),
    "explicit lock before a pyproject": Row(
        {"conda-linux-64.lock": "", "pyproject.toml": PROJECT},
        ("mamba", "conda lock", 3, "conda-linux-64.lock", "pyproject.toml"),
        environ={"CONDA_SUBDIR": "linux-64"},
    ),
    "explicit lock for another platform": Row(
        {"conda-osx-64.lock": "", "pyproject.toml": PROJECT},
        ("uv", "project", 6, "pyproject.toml", "conda-osx-64.lock"),
        environ={"CONDA_SUBDIR": "linux-64"},
    ),
    "explicit requirements are a conda lock": Row(
        {"requirements.txt": "# platform: linux-64\n@EXPLICIT\nhttps://x.example/a\n"},
        ("mamba", "conda lock", 3, "requirements.txt", ""),
    ),
    "pixi.lock": Row({"pixi.lock": ""}, ("mamba", "conda lock", 3, "pixi.lock", "")),
    "three conda locks": Row(
        {"pixi.lock": "", "conda-lock.yml": "", "conda-linux-64.lock": ""},
        ("mamba", "conda lock", 3, "conda-lock.yml", "conda-linux-64.lock pixi.lock"),
        environ={"CONDA_SUBDIR": "linux-64"},
    ),
    "conda lock before its manifest": Row(
        {"conda-lock.yml": "", "environment.yml": "name: a\n"},
        ("mamba", "conda lock", 3, "conda-lock.yml", "environment.yml"),
    ),
    # Rule 4: conda manifests.
    "conda manifest": Row(
        {"environment.yml": "name: a\n"}, ("mamba", "conda manifest", 4, "environment.yml", "")
    ),
    "conda manifest of the other spelling": Row(
        {"environment.yaml": "name: a\n"}, ("mamba", "conda manifest", 4, "environment.yaml", "")
    ),
    "conda manifest of both spellings": Row(
        {"environment.yaml": "name: a\n", "environment.yml": "name: b\n"},
        ("mamba", "conda manifest", 4, "environment.yml", "environment.yaml"),
    ),
    "conda manifest beside a pyproject": Row(
        {"environment.yml": "name: a\n", "pyproject.toml": PROJECT},
        ("mamba", "conda manifest", 4, "environment.yml", "pyproject.toml"),
    ),
    "conda manifest beside poetry.lock": Row(
        {"environment.yml": "name: a\n", "pyproject.toml": POETRY, "poetry.lock": ""},
        ("mamba", "conda manifest", 4, "environment.yml", "poetry.lock pyproject.toml"),
    ),
    # Rule 5: other tools' lock files.
    "poetry.lock": Row(
        {"poetry.lock": "", "pyproject.toml": POETRY},
        ("uv", "foreign lock", 5, "poetry.lock", "pyproject.toml"),
    ),
    "pdm.lock": Row(
        {"pdm.lock": "", "pyproject.toml": PROJECT},
        ("uv", "foreign lock", 5, "pdm.lock", "pyproject.toml"),
    ),
    "Pipfile.lock": Row(
        {"Pipfile.lock": "{}", "Pipfile": ""},
        ("uv", "foreign lock", 5, "Pipfile.lock", ""),
    ),
    "Pipfile without its lock": Row(
        {"Pipfile": "", **REQUIREMENTS}, ("uv", "requirements", 7, "requirements.txt", "Pipfile")
    ),
    "two other tools' locks": Row(
        {"poetry.lock": "", "pdm.lock": "", "pyproject.toml": PROJECT},
        ("uv", "foreign lock", 5, "poetry.lock", "pdm.lock pyproject.toml"),
    ),
    "poetry.lock before requirements": Row(
        {"poetry.lock": "", "pyproject.toml": POETRY, **REQUIREMENTS},
        ("uv", "foreign lock", 5, "poetry.lock", "pyproject.toml requirements.txt"),
    ),
    # Rule 6: pyproject.toml.
    "project": Row({"pyproject.toml": PROJECT}, UV_PROJECT),
    "groups alone": Row({"pyproject.toml": GROUPS}, UV_PROJECT),
    "poetry's table alone": Row(
        {"pyproject.toml": POETRY}, ("uv", "editable", 6, "pyproject.toml", "")
    ),
    "only ruff's table": Row({"pyproject.toml": RUFF}, NothingToDo),
    "only ruff's table beside requirements": Row({"pyproject.toml": RUFF, **REQUIREMENTS}, BY_UV),
    "only uv's table": Row({"pyproject.toml": UV_TABLE}, NothingToDo),
    "empty pyproject": Row({"pyproject.toml": ""}, NothingToDo),
    "malformed pyproject": Row({"pyproject.toml": "[project\n"}, ManifestError),
    "project before requirements": Row(
        {"pyproject.toml": PROJECT, **REQUIREMENTS},
        ("uv", "project", 6, "pyproject.toml", "requirements.txt"),
    ),
    "project before setup.py": Row(
        {"pyproject.toml": PROJECT, "setup.py": ""},
        ("uv", "project", 6, "pyproject.toml", "setup.py"),
    ),
    "project under pip's index": Row(
        {"pyproject.toml": PROJECT},
        ("pip", "editable", 6, "pyproject.toml", ""),
        environ={"PIP_INDEX_URL": INDEX},
    ),
    "project with uv's table under pip's index": Row(
        {"pyproject.toml": PROJECT + UV_TABLE}, UV_PROJECT, environ={"PIP_INDEX_URL": INDEX}
    ),
    "project under both indexes": Row(
        {"pyproject.toml": PROJECT},
        UV_PROJECT,
        environ={"PIP_INDEX_URL": INDEX, "UV_DEFAULT_INDEX": INDEX},
    ),
    # Rule 7: requirements.txt, by uv unless that would not honour what pip was told.
    "requirements": Row(REQUIREMENTS, BY_UV),
    "empty requirements": Row({"requirements.txt": ""}, BY_UV),
    "requirements of another name": Row({"requirements-dev.txt": "a\n"}, NothingToDo),
    "requirements before setup.py": Row(
        {**REQUIREMENTS, "setup.py": ""}, ("uv", "requirements", 7, "requirements.txt", "setup.py")
    ),
    "an index in the requirements": Row({"requirements.txt": f"-i {INDEX}\na\n"}, BY_UV),
    "an option that uv ignores": Row(
        {"requirements.txt": "--trusted-host index.example\na\n"}, BY_PIP
    ),
    "an included option that uv ignores": Row(
        {"requirements.txt": "-r base.txt\n", "base.txt": "--trusted-host index.example\na\n"},
        BY_PIP,
    ),
    "requirements that include themselves": Row(
        {"requirements.txt": "-r requirements.txt\n"}, ManifestError
    ),
    "pip's extra index": Row(REQUIREMENTS, BY_PIP, environ={"PIP_EXTRA_INDEX_URL": INDEX}),
    "an empty variable of pip's": Row(REQUIREMENTS, BY_UV, environ={"PIP_INDEX_URL": ""}),
    "an unrelated variable of pip's": Row(REQUIREMENTS, BY_UV, environ={"PIP_NO_COLOR": "1"}),
    "pip without index": Row(REQUIREMENTS, BY_PIP, environ={"PIP_NO_INDEX": "1"}),
    "pip not without index": Row(REQUIREMENTS, BY_UV, environ={"PIP_NO_INDEX": "0"}),
    "pip's and uv's extra index": Row(
        REQUIREMENTS, BY_UV, environ={"PIP_EXTRA_INDEX_URL": INDEX, "UV_INDEX": INDEX}
    ),
    "pip's links and uv's index": Row(
        REQUIREMENTS, BY_PIP, environ={"PIP_FIND_LINKS": "/l", "UV_INDEX": INDEX}
    ),
    "pip's and uv's links": Row(
        REQUIREMENTS, BY_UV, environ={"PIP_FIND_LINKS": "/l", "UV_FIND_LINKS": "/l"}
    ),
    "pip's host": Row(REQUIREMENTS, BY_PIP, environ={"PIP_TRUSTED_HOST": "index.example"}),
    "pip's and uv's host": Row(
        REQUIREMENTS, BY_UV, environ={"PIP_TRUSTED_HOST": "h", "UV_INSECURE_HOST": "h"}
    ),
    "pip's and uv's constraint": Row(
        REQUIREMENTS, BY_UV, environ={"PIP_CONSTRAINT": "c", "UV_CONSTRAINT": "c"}
    ),
    "pip.conf": Row({**REQUIREMENTS, "~/.config/pip/pip.conf": PIP_CONF}, BY_PIP),
    "old pip.conf": Row({**REQUIREMENTS, "~/.pip/pip.conf": PIP_CONF}, BY_PIP),
    "pip.conf says nothing of indexes": Row(
        {**REQUIREMENTS, "~/.config/pip/pip.conf": "[global]\ntimeout = 3\n"}, BY_UV
    ),
    "pip.conf for another command": Row(
        {**REQUIREMENTS, "~/.config/pip/pip.conf": PIP_CONF.replace("global", "wheel")}, BY_UV
    ),
    "pip.conf is malformed": Row({**REQUIREMENTS, "~/.pip/pip.conf": "index-url\n"}, ManifestError),
    "pip.conf is off": Row(
        {**REQUIREMENTS, "~/.pip/pip.conf": PIP_CONF},
        BY_UV,
        environ={"PIP_CONFIG_FILE": "/dev/null"},
    ),
    "pip.conf and uv.toml": Row(
        {
            **REQUIREMENTS,
            "~/.config/pip/pip.conf": PIP_CONF,
            "~/.config/uv/uv.toml": f'index-url = "{INDEX}"\n',
        },
        BY_UV,
    ),
    "pip.conf and a uv.toml that does not count": Row(
        {**REQUIREMENTS, "~/.pip/pip.conf": PIP_CONF, "uv.toml": f'index-url = "{INDEX}"\n'},
        BY_PIP,
        environ={"UV_NO_CONFIG": "1"},
    ),
    "pip.conf and uv's table": Row(
        {**REQUIREMENTS, "~/.pip/pip.conf": PIP_CONF, "pyproject.toml": UV_INDEX}, BY_UV
    ),
    # Rule 8: what was before pyproject.toml.
    "setup.py": Row({"setup.py": ""}, ("uv", "editable", 8, "setup.py", "")),
    "setup.cfg": Row(
        {"setup.cfg": "[metadata]\nname = a\n", "pyproject.toml": BUILD_SYSTEM},
        ("uv", "editable", 8, "setup.cfg", ""),
    ),
    "setup.cfg alone": Row({"setup.cfg": "[metadata]\nname = a\n"}, NothingToDo),
    "setup.cfg alone beside requirements": Row(
        {"setup.cfg": "[metadata]\nname = a\n", **REQUIREMENTS},
        ("uv", "requirements", 7, "requirements.txt", "setup.cfg"),
    ),
    "setup.cfg and setup.py": Row(
        {"setup.cfg": "[options]\n", "setup.py": ""},
        ("uv", "editable", 8, "setup.py setup.cfg", ""),
    ),
    "setup.cfg with linters' settings alone": Row({"setup.cfg": "[flake8]\n"}, NothingToDo),
    "setup.py against pip's index": Row(
        {"setup.py": ""}, ("pip", "editable", 8, "setup.py", ""), "", {"PIP_INDEX_URL": INDEX}
    ),
    ".python-version": Row(
        {".python-version": "3.12\n"}, ("uv", "nothing", 9, ".python-version", "")
    ),
    ".tool-versions": Row(
        {".tool-versions": "python 3.12\n"}, ("uv", "nothing", 9, ".tool-versions", "")
    ),
    ".tool-versions without python": Row({".tool-versions": "nodejs 20\n"}, NothingToDo),
    "mise.toml": Row(
        {"mise.toml": '[tools]\npython = "3.12"\n'}, ("uv", "nothing", 9, "mise.toml", "")
    ),
    "a pyenv virtualenv in .python-version": Row({".python-version": "my-env\n"}, ManifestError),
    "empty .python-version": Row({".python-version": "# none\n"}, NothingToDo),
    ".python-versions": Row(
        {".python-versions": "# first\n3.12\n3.11\n"}, ("uv", "nothing", 9, ".python-versions", "")
    ),
    "python is asked for": Row({}, ("uv", "nothing", 9, "", ""), "--python 3.12"),
    "python by variable": Row({}, ("uv", "nothing", 9, "", ""), environ={"NIXPY_PYTHON": "3.12"}),
    ".python-version before a dev shell": Row(
        {".python-version": "3.12", "flake.nix": ""},
        ("uv", "nothing", 9, ".python-version", ""),
    ),
    "flake.nix": Row({"flake.nix": "{}"}, ("none", "nothing", 10, "flake.nix", "")),
    "shell.nix": Row({"shell.nix": "{}"}, ("none", "nothing", 10, "shell.nix", "")),
    "flake.nix that is not wanted": Row({"flake.nix": "{}"}, NothingToDo, "--no-flake"),
    "a flake elsewhere": Row({}, ("none", "nothing", 10, "", ""), "--flake github:a/b#c"),
    "nothing": Row({}, NothingToDo),
    "only what is no manifest": Row({"README.md": "", "main.py": ""}, NothingToDo),
    # Workspaces.
    "workspace's root": Row(
        {"pyproject.toml": WORKSPACE, "members/b/pyproject.toml": member("b"), "uv.lock": LOCK},
        ("uv", "project", 2, "uv.lock pyproject.toml", ""),
    ),
    "workspace's member": Row(
        {"pyproject.toml": WORKSPACE, "members/b/pyproject.toml": member("b"), "uv.lock": LOCK},
        ("uv", "project", 2, "../../uv.lock pyproject.toml", ""),
        at="members/b",
    ),
    "workspace's member without lock": Row(
        {"pyproject.toml": WORKSPACE, "members/b/pyproject.toml": member("b")},
        UV_PROJECT,
        at="members/b",
    ),
    "beside the members": Row(
        {"pyproject.toml": WORKSPACE, "other/pyproject.toml": member("b"), "uv.lock": LOCK},
        UV_PROJECT,
        at="other",
    ),
    "workspace's version file": Row(
        {
            "pyproject.toml": WORKSPACE,
            "members/b/pyproject.toml": member("b"),
            ".python-version": "3.12",
        },
        ("uv", "project", 6, "pyproject.toml", "../../.python-version"),
        at="members/b",
    ),
}


class FilesOfTheTest(DiskFiles):
    """Reads from the disk, but not what the machine itself has in /etc."""

    def read(self, path: str) -> bytes | None:
        return None if path.startswith("/etc/") else super().read(path)


def create(base: Path, files: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    home, top = base / "home", base / "project"
    for directory in (home, top):
        directory.mkdir(parents=True)
    for name, content in files.items():
        path = home / name[2:] if name.startswith("~/") else top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return top, {"HOME": str(home), "XDG_CONFIG_DIRS": str(base / "nowhere")}


def decision_for(
    directory: Path, environ: Mapping[str, str], flags: Sequence[str] = ()
) -> Decision:
    root, files = os.path.realpath(directory), FilesOfTheTest()
    options = load_options(root, flags=parse_flags(flags), environ=environ, files=files)
    found = survey(root, options, files=files, environ=environ, platform="linux")
    return decide(found, options)


def shown(decision: Decision, directory: Path) -> tuple[str, str, int, str, str]:
    def names(paths: tuple[str, ...]) -> str:
        return " ".join(os.path.relpath(path, os.path.realpath(directory)) for path in paths)

    return (
        decision.manager,
        decision.install,
        decision.rule,
        names(decision.rests_on),
        names(decision.passed_over),
    )


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_layout_decides(row: Row, tmp_path: Path) -> None:
    top, environ = create(tmp_path, row.files)
    directory = top / row.at
    environ |= row.environ
    if isinstance(row.expected, tuple):
        decision = decision_for(directory, environ, row.flags.split())
        assert shown(decision, directory) == row.expected
        assert decision.reason
    else:
        with pytest.raises(row.expected) as caught:
            decision_for(directory, environ, row.flags.split())
        assert type(caught.value) is row.expected
        assert caught.value.what


def test_the_rules_are_in_the_order_of_their_numbers() -> None:
    numbers = [rule.number for rule in RULES]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 11))


def test_what_uv_would_not_honour_is_named_and_its_password_is_not(tmp_path: Path) -> None:
    top, environ = create(tmp_path, REQUIREMENTS)
    environ["PIP_INDEX_URL"] = "https://user:secret@index.example/simple"
    reason = decision_for(top, environ).reason
    assert "index-url (variable PIP_INDEX_URL)" in reason
    assert "secret" not in reason


def test_an_option_that_uv_ignores_is_named_with_its_line(tmp_path: Path) -> None:
    top, environ = create(tmp_path, {"requirements.txt": "a\n--trusted-host index.example\n"})
    assert "--trusted-host (requirements.txt:2)" in decision_for(top, environ).reason


def test_a_manager_without_work_is_an_error_that_says_who_asked(tmp_path: Path) -> None:
    top, environ = create(tmp_path, {})
    with pytest.raises(UsageError) as caught:
        decision_for(top, {**environ, "NIXPY_MANAGER": "pip"})
    assert caught.value.where == "variable NIXPY_MANAGER"


def test_nothing_to_do_names_requirements_files_that_could_be_listed(tmp_path: Path) -> None:
    top, environ = create(tmp_path, {"requirements-dev.txt": "a\n", "notes.txt": ""})
    with pytest.raises(NothingToDo, match=r"requirements-dev\.txt") as caught:
        decision_for(top, environ)
    assert caught.value.where == os.path.realpath(top)
    assert "notes.txt" not in str(caught.value)


CONTENTS = {
    "pyproject.toml": PROJECT,
    "uv.lock": LOCK,
    "pylock.toml": PYLOCK,
    "requirements.txt": "a\n",
    "requirements-dev.txt": "b\n",
    ".python-version": "3.12\n",
    ".tool-versions": "python 3.11\n",
    "conda-lock.yml": "",
    "poetry.lock": "",
    "environment.yml": "name: a\n",
    "setup.py": "",
    "flake.nix": "{}",
}


def outcome(names: Sequence[str]) -> object:
    with tempfile.TemporaryDirectory() as base:
        top, environ = create(Path(base), {name: CONTENTS[name] for name in names})
        try:
            return shown(decision_for(top, environ), top)
        except NixpyError as error:
            return str(error).replace(os.path.realpath(base), "")


@given(names=st.lists(st.sampled_from(sorted(CONTENTS)), unique=True), data=st.data())
def test_the_order_in_which_files_were_created_does_not_count(
    names: list[str], data: st.DataObject
) -> None:
    assert outcome(names) == outcome(data.draw(st.permutations(names)))


@given(names=st.lists(st.sampled_from(sorted(CONTENTS)), unique=True), data=st.data())
def test_the_times_of_files_do_not_count(names: list[str], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 2**31), min_size=len(names), max_size=len(names)))
    with tempfile.TemporaryDirectory() as base:
        top, environ = create(Path(base), {name: CONTENTS[name] for name in names})
        for name, seconds in zip(names, times, strict=True):
            os.utime(os.path.join(top, name), (seconds, seconds))
        try:
            found: object = shown(decision_for(top, environ), top)
        except NixpyError as error:
            found = str(error).replace(os.path.realpath(base), "")
    assert found == outcome(names)


DECIDE = """
import sys
from nixpy.decision import decide, verdicts
from nixpy.errors import NixpyError
from nixpy.files import DiskFiles
from nixpy.manifests.survey import survey
from nixpy.options import load_options
for top in sys.argv[1:]:
    try:
        options = load_options(top, flags={}, environ={}, files=DiskFiles())
        found = survey(top, options, files=DiskFiles(), environ={}, platform="linux")
        print(verdicts(found, options))
        print(decide(found, options))
    except NixpyError as error:
        print(type(error), error)
"""


def test_the_locale_does_not_count(tmp_path: Path) -> None:
    tops = []
    for number, row in enumerate(ROWS.values()):
        if not row.flags and not row.at and not any("~" in name for name in row.files):
            top, _ = create(tmp_path / str(number), row.files)
            tops.append(os.path.realpath(top))
    said = set()
    for locale in ("C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8"):
        done = subprocess.run(
            [sys.executable, "-c", DECIDE, *tops],
            env={"LC_ALL": locale, "LANG": locale, "PYTHONHASHSEED": "0"},
            capture_output=True,
            check=True,
        )
        said.add(done.stdout)
    assert len(tops) >= 60
    assert len(said) == 1


def test_there_are_layouts_enough() -> None:
    assert len({tuple(sorted(row.files)) for row in ROWS.values()}) >= 45
    assert len(ROWS) >= 110


MANIFESTS = {
    *("pyproject.toml", "uv.lock", "pylock.toml", "requirements.txt", "environment.yml"),
    *("environment.yaml", "conda-lock.yml", "conda-lock.yaml", "pixi.lock", "poetry.lock"),
    *("pdm.lock", "Pipfile", "Pipfile.lock", "setup.py", "conda-osx-64.lock"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_manifest_is_rested_on_or_passed_over(row: Row, tmp_path: Path) -> None:
    if isinstance(row.expected, type) or row.at:
        return
    top, environ = create(tmp_path, row.files)
    decision = decision_for(top, {**environ, **row.environ}, row.flags.split())
    named = {os.path.basename(path) for path in (*decision.rests_on, *decision.passed_over)}
    there = {name for name in row.files if name in MANIFESTS}
    silent = there - named
    # A file that is only settings, and Pipfile beside its lock, say nothing about an environment.
    if "pyproject.toml" in silent:
        text = row.files["pyproject.toml"]
        assert not any(
            part in text for part in ("[project]", "[dependency-groups]", "[tool.poetry")
        )
        silent -= {"pyproject.toml"}
    if "Pipfile.lock" in there:
        silent -= {"Pipfile"}
    if "pyproject.toml" not in there:
        silent -= {"uv.lock"}
    if "--requirements" in row.flags or "requirements" in row.files.get("pyproject.toml", ""):
        silent -= {"requirements.txt"}
    if "--environment" in row.flags:
        silent -= {"environment.yml"}
    assert not silent


def test_every_rule_has_its_say(tmp_path: Path) -> None:
    top, environ = create(
        tmp_path, {"pyproject.toml": PROJECT, "uv.lock": LOCK, "environment.yml": "name: a\n"}
    )
    options = load_options(str(top), flags={}, environ=environ, files=DiskFiles())
    found = survey(
        os.path.realpath(top), options, files=DiskFiles(), environ=environ, platform="linux"
    )
    said = verdicts(found, options)
    assert {one.number for one in said} == set(range(1, 11))
    assert [(one.number, one.held) for one in said if one.held] == [(2, True), (4, True), (6, True)]
    assert [one.number for one in said if one.decided] == [2]
    assert [os.path.basename(path) for path in said[3].files] == ["uv.lock", "pyproject.toml"]
    options = load_options(str(top), flags={"manager": "mamba"}, environ=environ, files=DiskFiles())
    first = verdicts(found, options)[0]
    assert (first.held, first.decided, first.reason) == (True, True, "flag --manager says mamba")
