"""Lock files of Poetry, PDM and Pipenv: what is installed is what the tool itself installs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import BUILD_SYSTEM, SECRET, write_package

if TYPE_CHECKING:
    from .conftest import Locked

pytestmark = pytest.mark.network

POETRY = """\
[tool.poetry]
name = "own"
version = "1.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = ">=3.10"
iniconfig = "^2.0"
colorama = {{version = "*", markers = "sys_platform == 'win32'"}}
beside = {{path = "../beside", develop = true}}
fromgit = {{git = "file://{directory}/fromgit"}}
packaging = {{version = "*", optional = true}}
[tool.poetry.extras]
more = ["packaging"]
[tool.poetry.group.test.dependencies]
pluggy = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
six = "*"
[[tool.poetry.source]]
name = "local"
url = "{index}"
priority = "primary"
"""


def write_poetry(locked: Locked, index: str) -> None:
    text = POETRY.format(directory=locked.project.world.directory, index=index)
    locked.project.write("pyproject.toml", text + BUILD_SYSTEM)
    write_package(locked.project.path, "own")


def unchanged(locked: Locked) -> set[str]:
    """What is in the project, but for what its own build backend leaves behind."""
    return set(os.listdir(locked.project.path)) - {".venv", ".pdm-build", "__pycache__"}


@pytest.mark.parametrize(
    "version", ["poetry", pytest.param("poetry==1.8.5", marks=pytest.mark.campaign)]
)
def test_a_poetry_lock_is_installed_as_poetry_installs_it(
    locked: Locked, index: str, version: str
) -> None:
    write_poetry(locked, index)
    locked.run(version, "lock")
    before = unchanged(locked)
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert unchanged(locked) == before
    ours = locked.ours()
    assert ours == locked.theirs("poetry", "install")
    assert set(ours) == {"own", "iniconfig", "beside", "fromgit", "pluggy"}
    assert ours["own"][2] is ours["beside"][2] is True
    assert ours["fromgit"][3]
    assert locked.project.python("import own, beside, fromgit; print(own.value)") == "1"
    assert not locked.project.entered().said
    locked.project.nixpy("sync", "--extras", "more", "--groups", "docs")
    theirs = locked.theirs("poetry", "install", "--extras", "more", "--with", "docs")
    assert locked.ours() == theirs
    assert {"six", "packaging"} <= set(theirs)


def test_an_export_is_kept_and_serves_without_the_tool_and_its_index(
    locked: Locked, index: str
) -> None:
    write_poetry(locked, index)
    locked.run("poetry", "lock")
    assert locked.project.entered().synced
    cache = locked.project.world.cache
    exports = list((cache / "exports").iterdir())
    assert [path.stat().st_mode & 0o777 for path in exports] == [0o600]
    for python in (cache / "exporters").glob("*/bin/python*"):
        python.unlink()
    locked.project.world.run("rm", "-rf", str(locked.project.path / ".venv"))
    # The wheels are in uv's cache.
    again = locked.project.entered(UV_OFFLINE="1")
    assert again.synced, again.stderr
    assert list((cache / "exports").iterdir()) == exports


def test_a_lock_that_is_old_is_said_and_the_last_good_environment_stays(
    locked: Locked, index: str
) -> None:
    write_poetry(locked, index)
    locked.run("poetry", "lock")
    locked.project.entered()
    path = locked.project.path / "pyproject.toml"
    path.write_text(path.read_text().replace('iniconfig = "^2.0"', 'iniconfig = "^2.0"\nsix = "*"'))
    entered = locked.project.entered()
    said = "\n".join(entered.said)
    assert "poetry lock" in said
    assert "last good environment" in said
    assert len(entered.said) <= 2
    assert entered.environ["VIRTUAL_ENV"] == str(locked.project.path / ".venv")
    locked.run("poetry", "lock")
    assert locked.project.entered().synced
    assert "six" in locked.ours()


PDM = """\
[project]
name = "own"
version = "1.0"
requires-python = ">=3.10"
dependencies = [
  "iniconfig>=2",
  "colorama; sys_platform == 'win32'",
  "beside @ file:///${{PROJECT_ROOT}}/../beside",
  "fromgit @ git+{server}git{directory}/fromgit/.git",
]
[project.optional-dependencies]
more = ["packaging"]
[dependency-groups]
test = ["pluggy"]
[[tool.pdm.source]]
name = "pypi"
url = "{index}"
verify_ssl = false
[build-system]
requires = ["pdm-backend"]
build-backend = "pdm.backend"
"""


def test_a_pdm_lock_is_installed_as_pdm_installs_it(locked: Locked, index: str) -> None:
    directory = locked.project.world.directory
    locked.project.write(
        "pyproject.toml",
        PDM.format(directory=directory, index=index, server=index.removesuffix("simple/")),
    )
    locked.project.write("own/__init__.py", "value = 1\n")
    locked.run("pdm", "lock", PDM_USE_VENV="0")
    (locked.project.path / ".pdm-python").unlink(missing_ok=True)
    before = unchanged(locked)
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert unchanged(locked) == before
    ours = locked.ours()
    assert set(ours) == {"own", "iniconfig", "beside", "fromgit", "pluggy"}
    assert ours["own"][2] is True
    assert locked.project.python("import own, beside, fromgit; print(own.value)") == "1"
    theirs = locked.theirs("pdm", "sync")
    assert {name: one[0] for name, one in ours.items()} == {
        name: one[0] for name, one in theirs.items()
    }
    assert ours["fromgit"] == theirs["fromgit"]


PIPFILE = """\
[[source]]
url = "{index}"
verify_ssl = false
name = "local"
[packages]
iniconfig = ">=2"
colorama = {{version = "*", markers = "sys_platform == 'win32'"}}
beside = {{path = "../beside", editable = true}}
fromgit = {{git = "file://{directory}/fromgit"}}
[dev-packages]
pluggy = "*"
"""


def without_git(found: dict[str, list[object]]) -> dict[str, list[object]]:
    """Pipenv checks repositories out and installs them editable, whatever its lock says."""
    return {name: one for name, one in found.items() if name != "fromgit"}


def test_a_pipfile_lock_is_installed_as_pipenv_installs_it(locked: Locked, index: str) -> None:
    directory = locked.project.world.directory
    locked.project.write("Pipfile", PIPFILE.format(directory=directory, index=index))
    locked.run("pipenv", "lock", PIPENV_IGNORE_VIRTUALENVS="1")
    before = unchanged(locked)
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert unchanged(locked) == before
    ours = locked.ours()
    assert set(ours) == {"iniconfig", "beside", "fromgit"}
    assert ours["beside"][2] is True
    assert ours["fromgit"][3]
    assert without_git(ours) == without_git(locked.theirs("pipenv", "sync"))
    locked.project.nixpy("sync", "--groups", "dev")
    theirs = locked.theirs("pipenv", "sync", "--dev")
    assert without_git(locked.ours()) == without_git(theirs)
    assert "pluggy" in theirs


@pytest.mark.parametrize("tool", ["pdm", "pipenv"])
def test_a_lock_of_another_manifest_is_refused_unless_it_is_frozen(
    locked: Locked, index: str, tool: str
) -> None:
    directory = locked.project.world.directory
    if tool == "pdm":
        server = index.removesuffix("simple/")
        name, text = "pyproject.toml", PDM.format(directory=directory, index=index, server=server)
        changed = text.replace('"iniconfig>=2",', '"iniconfig>=2",\n  "six",')
        locked.project.write("own/__init__.py", "")
    else:
        name, text = "Pipfile", PIPFILE.format(directory=directory, index=index)
        changed = text.replace('iniconfig = ">=2"', 'iniconfig = ">=2"\nsix = "*"')
    locked.project.write(name, text)
    locked.run(tool, "lock", PDM_USE_VENV="0", PIPENV_IGNORE_VIRTUALENVS="1")
    assert locked.project.entered().synced
    locked.project.write(name, changed)
    refused = locked.project.entered(PDM_PROJECT="/nonexistent", PIPENV_PYTHON="/nonexistent")
    assert f"is not that of {name} any more" in refused.stderr
    assert f"Run `{tool} lock`" in refused.stderr or f"run `{tool} lock`" in refused.stderr
    assert refused.environ["VIRTUAL_ENV"] == str(locked.project.path / ".venv")
    assert locked.project.entered(NIXPY_LOCK="frozen").synced
    locked.run(tool, "lock", PDM_USE_VENV="0", PIPENV_IGNORE_VIRTUALENVS="1")
    assert locked.project.entered().synced
    assert "six" in locked.ours()


def test_another_exporter_may_be_named(locked: Locked, index: str, tmp_path: Path) -> None:
    write_poetry(locked, index)
    locked.run("poetry", "lock")
    entered = locked.project.entered(NIXPY_EXPORTER="poetry==2.1.3,poetry-plugin-export==1.9.0")
    assert entered.synced, entered.stderr
    refused = locked.project.entered(NIXPY_EXPORTER="no-such-poetry-at-all")
    assert "poetry cannot be installed" in refused.stderr
    assert refused.environ["VIRTUAL_ENV"] == str(locked.project.path / ".venv")


def test_a_poetry_project_without_a_lock_goes_through_its_backend(locked: Locked) -> None:
    locked.project.write(
        "pyproject.toml",
        '[tool.poetry]\nname = "own"\nversion = "1.0"\ndescription = ""\nauthors = []\n'
        '[tool.poetry.dependencies]\npython = ">=3.10"\n'
        '[tool.poetry.group.dev.dependencies]\npluggy = "*"\n'
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n',
    )
    locked.project.write("own/__init__.py", "value = 1\n")
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert locked.project.python("import own; print(own.value)") == "1"
    assert any("dev" in line and "poetry lock" in line for line in entered.said)


def test_setup_py_and_setup_cfg_are_installed_editable_with_extras(locked: Locked) -> None:
    locked.project.write("setup.py", "from setuptools import setup\nsetup()\n")
    locked.project.write(
        "setup.cfg",
        "[metadata]\nname = own\nversion = 1.0\n[options]\npackages = own\n"
        "[options.extras_require]\nmore = iniconfig==2.0.0\n",
    )
    locked.project.write("own/__init__.py", "value = 1\n")
    assert locked.project.entered().synced
    assert set(locked.ours()) == {"own"}
    locked.project.nixpy("sync", "--extras", "more")
    assert set(locked.ours()) == {"own", "iniconfig"}
    assert locked.project.python("import own; print(own.value)") == "1"
    locked.project.write("setup.cfg", "[metadata]\nname = own\nversion = 2.0\n")
    assert locked.project.entered().synced


@pytest.mark.parametrize("where", ["variables", "auth.toml"])
def test_a_private_source_of_poetry_is_let_in_and_its_secret_kept_nowhere(
    locked: Locked, index: str, where: str
) -> None:
    world = locked.project.world
    write_poetry(locked, index.replace("/simple/", "/private/simple/"))
    own: list[Path] = []
    if where == "variables":
        world.environ["POETRY_HTTP_BASIC_LOCAL_USERNAME"] = "user"
        world.environ["POETRY_HTTP_BASIC_LOCAL_PASSWORD"] = SECRET
    else:
        own = [Path(world.environ["XDG_CONFIG_HOME"]) / "pypoetry/auth.toml"]
        own[0].parent.mkdir(parents=True)
        own[0].write_text(f'[http-basic.local]\nusername = "user"\npassword = "{SECRET}"\n')
    locked.run("poetry", "lock")
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert "iniconfig" in locked.ours()
    assert SECRET not in entered.stderr + entered.stdout
    kept = [
        path
        for path in (*world.home.rglob("*"), *locked.project.path.rglob("*"))
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert kept == own


def test_a_private_source_of_pipenv_is_let_in_by_its_variables(locked: Locked, index: str) -> None:
    world = locked.project.world
    private = index.replace("http://", "http://${WHO}:${WORD}@").replace(
        "/simple", "/private/simple"
    )
    text = PIPFILE.format(directory=world.directory, index=private)
    locked.project.write("Pipfile", text)
    world.environ |= {"WHO": "user", "WORD": SECRET}
    locked.run("pipenv", "lock", PIPENV_IGNORE_VIRTUALENVS="1")
    entered = locked.project.entered()
    assert entered.synced, entered.stderr
    assert "iniconfig" in locked.ours()
    for path in (*world.cache.rglob("*"), *(world.home / "state").rglob("*")):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
