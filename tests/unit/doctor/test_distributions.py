from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.doctor.distributions import Distribution, unmet_requirements
from nixpy.inputs import ObservedFiles
from nixpy.manifests.requirements import read_requirements

if TYPE_CHECKING:
    from pathlib import Path

INSTALLED = (Distribution("alpha", "1.0", ""), Distribution("beta-more", "2.0rc1", ""))


def unmet(directory: Path, text: str, python: str = "") -> list[tuple[str, str | None]]:
    path = directory / "requirements.txt"
    path.write_text(text)
    found = read_requirements([str(path)], files=ObservedFiles(), environ={})
    return [
        (str(one.wanted), one.installed)
        for one in unmet_requirements(found.entries, INSTALLED, python)
    ]


@pytest.mark.parametrize("line", ["alpha", "Alpha>=1", "beta.more>=1", "beta_more==2.0rc1"])
def test_what_is_installed_meets_a_requirement(tmp_path: Path, line: str) -> None:
    assert unmet(tmp_path, f"{line}\n") == []


def test_what_is_not_installed_or_another_version_is_told(tmp_path: Path) -> None:
    assert unmet(tmp_path, "alpha>1\ngamma\n") == [("alpha>1", "1.0"), ("gamma", None)]


def test_a_constraint_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("alpha>1\ngamma\n")
    assert unmet(tmp_path, "-c constraints.txt\nalpha\n") == []


@pytest.mark.parametrize(
    ("python", "expected"),
    [("2.7.18", ["old", "full"]), ("3.99.1", ["new"]), ("3.100.0", ["new"])],
)
def test_markers_are_of_the_environments_python(
    tmp_path: Path, python: str, expected: list[str]
) -> None:
    text = (
        'old; python_version < "3"\n'
        'new; python_version >= "3.99"\n'
        'full; python_full_version == "2.7.18"\n'
    )
    assert [name.partition(";")[0] for name, _ in unmet(tmp_path, text, python)] == expected
