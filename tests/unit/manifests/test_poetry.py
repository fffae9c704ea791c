from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from nixpy.manifests.poetry import python_specifier


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^3.10", ">=3.10,<4"),
        ("^3.10.2", ">=3.10.2,<4"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("~3.10.2", ">=3.10.2,<3.11"),
        ("~3.10", ">=3.10,<3.11"),
        ("~3", ">=3,<4"),
        ("3.10.*", "==3.10.*"),
        ("3.11", "==3.11.*"),
        (">=3.9,<3.13", ">=3.9,<3.13"),
        ("^3.9, !=3.9.7", ">=3.9,<4,!=3.9.7"),
        ("*", None),
        ("~2.7 || ^3.6", None),
    ],
)
def test_a_constraint_is_a_specifier(constraint: str, specifier: str | None) -> None:
    assert python_specifier(constraint) == specifier


@pytest.mark.parametrize("constraint", ["", "latest", "^x", "^3.10 foo", ">=3.9,,<4"])
def test_what_is_none_is_refused(constraint: str) -> None:
    with pytest.raises(ValueError, match="no constraint"):
        python_specifier(constraint)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=3), st.sampled_from("^~"))
def test_a_constraint_allows_the_version_that_it_names(release: list[int], operator: str) -> None:
    version = ".".join(map(str, release))
    specifier = python_specifier(operator + version)
    assert specifier is not None
    assert SpecifierSet(specifier).contains(version)
