from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError, UsageError
from nixpy.files import DiskFiles
from nixpy.flags import parse_flags
from nixpy.managers.foreign.prepare import prepared_pylock, prepared_requirements
from nixpy.managers.foreign.tools import Export, export_of
from nixpy.options import load_options

if TYPE_CHECKING:
    from pathlib import Path


def export(directory: Path, lock: str, flags: str = "", **files: str) -> Export:
    for name, text in {lock: "", **{k.replace("_", "."): v for k, v in files.items()}}.items():
        (directory / name).write_text(text)
    options = load_options(
        str(directory), flags=parse_flags(flags.split()), environ={}, files=DiskFiles()
    )
    return export_of(str(directory / lock), options, DiskFiles())


POETRY = """\
[tool.poetry]
name = "own"
[tool.poetry.group.test.dependencies]
[tool.poetry.group.docs]
optional = true
[dependency-groups]
lint = []
docs = []
"""


@pytest.mark.parametrize(
    ("pyproject", "flags", "arguments", "project"),
    [
        (POETRY, "", "--with test,lint", "own"),
        (POETRY, "--groups docs", "--with test,lint,docs", "own"),
        (POETRY, "--groups all --extras all", "--all-groups --all-extras", "own"),
        (POETRY, "--extras a --extras b", "--with test,lint --extras a --extras b", "own"),
        ("[tool.poetry]\npackage-mode = false\n", "", "", ""),
        ("[tool.poetry]\nname = 'a'\n[tool.poetry.dev-dependencies]\n", "", "--with dev", "a"),
        ("[project]\nname = 'b'\nversion = '1'\n", "", "", "b"),
    ],
)
def test_poetry_exports_what_it_installs(
    tmp_path: Path, pyproject: str, flags: str, arguments: str, project: str
) -> None:
    found = export(tmp_path, "poetry.lock", flags, pyproject_toml=pyproject)
    assert found.tool == "poetry"
    expected = ["export", "--no-interaction", "--no-ansi", *arguments.split()]
    assert list(found.arguments) == expected
    assert found.project == project
    assert found.files == ("poetry.lock", "pyproject.toml", "poetry.toml")


@pytest.mark.parametrize(
    ("pyproject", "flags", "arguments", "project"),
    [
        ("[project]\nname = 'a'\nversion = '1'\n", "", "", "a"),
        ("[project]\nname = 'a'\n[tool.pdm]\ndistribution = false\n", "", "", ""),
        ("[project]\nname = 'a'\n[tool.pdm]\ndistribution = true\n", "", "", "a"),
        ("[project]\nname = 'a'\n", "--extras x", "--group x", "a"),
        ("[project]\nname = 'a'\n", "--extras all", "--group :all", "a"),
        ("[tool.pdm]\n", "", "", ""),
    ],
)
def test_pdm_exports_what_it_installs(
    tmp_path: Path, pyproject: str, flags: str, arguments: str, project: str
) -> None:
    found = export(tmp_path, "pdm.lock", flags, pyproject_toml=pyproject)
    assert list(found.arguments) == ["export", *arguments.split()]
    assert found.project == project


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("", []),
        ("--groups dev", ["--categories", "packages dev-packages"]),
        ("--groups dev --groups docs", ["--categories", "packages dev-packages docs"]),
        ("--groups all", ["--categories", "packages dev-packages docs"]),
    ],
)
def test_pipenv_exports_what_it_installs(tmp_path: Path, flags: str, arguments: list[str]) -> None:
    found = export(tmp_path, "Pipfile.lock", flags, Pipfile=PIPFILE)
    assert list(found.arguments) == ["requirements", "--hash", *arguments]
    assert found.form == "requirements"


PIPFILE = "[[source]]\nurl = 'x'\n[packages]\n[dev-packages]\n[docs]\n[requires]\n[pipenv]\n"


@pytest.mark.parametrize("flags", ["--extras absent", "--groups absent"])
def test_what_a_pdm_lock_does_not_have_is_said(tmp_path: Path, flags: str) -> None:
    (tmp_path / "pdm.lock").write_text("[metadata]\ngroups = ['default', 'test']\n")
    options = load_options(
        str(tmp_path), flags=parse_flags(flags.split()), environ={}, files=DiskFiles()
    )
    with pytest.raises(UsageError, match="absent is not locked") as caught:
        export_of(str(tmp_path / "pdm.lock"), options, DiskFiles())
    assert "default, test" in str(caught.value)


PYLOCK = """\
lock-version = "1.0"
created-by = "pdm"
extras = []
dependency-groups = ["default"]
default-groups = ["default"]
[[packages]]
name = "a"
version = "1"
marker = "sys_platform == 'win32' and 'default' in dependency_groups"
[[packages.wheels]]
name = "a-1-py3-none-any.whl"
url = "https://h/a-1-py3-none-any.whl"
hashes = {sha256 = "0"}
[[packages]]
name = "beside"
[packages.archive]
url = "file:///scratch/work/project/../beside"
path = "../beside"
[[packages]]
name = "git"
[packages.vcs]
type = "git"
url = "file://None/repository"
commit-id = "1"
"""


def test_a_pylock_holds_at_any_place(tmp_path: Path) -> None:
    project = os.path.realpath(tmp_path / "project")
    (tmp_path / "beside").mkdir()
    text = prepared_pylock(PYLOCK, scratch="/scratch", directory=project, project="own")
    assert "dependency_groups" not in text
    assert "default-groups" not in text
    assert "sys_platform == 'win32'" in text
    assert f'path = "{os.path.realpath(tmp_path)}/beside"' in text
    assert 'url = "file:///repository"' in text
    assert "[packages.archive]" not in text
    assert f'path = "{project}"\neditable = true' in text
    with pytest.raises(ManifestError):
        prepared_pylock("nothing", scratch="/s", directory="/d")


@pytest.mark.parametrize(
    ("line", "prepared"),
    [
        ("a==1 --hash=sha256:0", "a==1 --hash=sha256:0"),
        ("-i https://h/simple", "-i https://h/simple"),
        ("-e ../beside", "-e /work/beside"),
        ("-e file:///scratch/work/beside", "-e /work/beside"),
        ("../beside", "/work/beside"),
        ("./editable", "--editable /work/project/editable"),
        ("b @ file:///scratch/work/b%20c ; x == '1'", "b @ file:///work/b%20c ; x == '1'"),
        ("-e git+file:///r@12#egg=g", "g @ git+file:///r@12"),
        ("-e git+https://h/r@12#egg=g ; x == '1'", "g @ git+https://h/r@12 ; x == '1'"),
    ],
)
def test_requirements_hold_at_any_place(line: str, prepared: str) -> None:
    found = prepared_requirements(
        line,
        scratch="/scratch",
        directory="/work/project",
        editables=frozenset({"/work/project/editable"}),
    )
    assert found == f"{prepared}\n"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30))
def test_a_line_without_a_path_stays(text: str) -> None:
    line = f"name=={text}"
    if "file://" not in line:
        assert prepared_requirements(line, scratch="/s", directory="/d") == f"{line}\n"


@pytest.mark.parametrize(
    ("lock", "check"),
    [("poetry.lock", ()), ("pdm.lock", ("lock", "--check")), ("Pipfile.lock", ("verify",))],
)
def test_a_lock_is_checked_unless_it_is_frozen(
    tmp_path: Path, lock: str, check: tuple[str, ...]
) -> None:
    assert export(tmp_path, lock, "").check == check
    assert export(tmp_path, lock, "--lock frozen").check == ()
