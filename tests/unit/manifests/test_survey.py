"""What a survey hands to the readers of requirements, and what it makes of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.survey import Survey, survey
from nixpy.options import load_options

if TYPE_CHECKING:
    from pathlib import Path


class Recording(DiskFiles):
    """Reads from the disk and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def read(self, path: str) -> bytes | None:
        self.asked.add(path)
        return super().read(path)


def look(root: Path, files: DiskFiles, **environ: str) -> Survey:
    environ = {"HOME": str(root / "home"), "PIP_CONFIG_FILE": "/dev/null", **environ}
    options = load_options(str(root), flags={}, environ=environ, files=files)
    return survey(str(root), options, files=files, environ=environ, platform="linux")


def test_paths_of_requirements_are_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text("-r sub/more.txt\n")
    (tmp_path / "sub/more.txt").write_text("./local\n")
    found = look(tmp_path, DiskFiles())
    assert found.requirements.local_directories == (str(tmp_path / "local"),)


def test_the_manifests_of_local_projects_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-e ./local[dev]\n")
    files = Recording()
    look(tmp_path, files)
    assert {
        str(tmp_path / "local" / name) for name in ("pyproject.toml", "setup.py")
    } <= files.asked


def test_included_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-c limits.txt\n")
    (tmp_path / "limits.txt").write_text("attrs<2\n")
    files = Recording()
    look(tmp_path, files)
    assert str(tmp_path / "limits.txt") in files.asked


def test_variables_of_requirements_are_handed_on_with_their_values_used(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("attrs==${VERSION}  # ${COMMENT}\n")
    found = look(tmp_path, DiskFiles(), VERSION="1.0")
    assert found.requirements.variables == ("VERSION",)
    assert [one.text for one in found.requirements.entries] == ["attrs==1.0"]


def test_what_uv_would_pass_over_is_shown_with_its_place_and_without_its_value(
    tmp_path: Path,
) -> None:
    (tmp_path / "requirements.txt").write_text("attrs\n--trusted-host secret.invalid\n")
    found = look(
        tmp_path,
        DiskFiles(),
        PIP_CONFIG_FILE="/dev/null",
        PIP_INDEX_URL="https://user:secret@host.invalid",
    )
    assert found.pip_options == ("--trusted-host (requirements.txt:2)",)
    assert found.pip_only == ("index-url (variable PIP_INDEX_URL)",)


@pytest.mark.parametrize("junk", [b"\0\1\2", b"\x1b[31m", b"\xff\xfe3.12", b"3" * 5000])
def test_junk_as_a_python_version_is_an_error_that_names_it(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / ".python-version").write_bytes(junk + b"\n")
    with pytest.raises(ManifestError, match="expected a Python version") as caught:
        look(tmp_path, DiskFiles())
    assert caught.value.where == ".python-version:1"


def test_poetry_says_which_python(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.poetry.dependencies]\npython = '^3.10'\n")
    pyproject = look(tmp_path, DiskFiles()).pyproject
    assert pyproject is not None
    assert pyproject.requires_python == ">=3.10,<4"
