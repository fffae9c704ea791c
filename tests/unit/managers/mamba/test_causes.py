from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.managers.mamba.causes import cause, missing_names

from .recordings import PROGRAMS, names, recording

FAILED = [
    (program, name)
    for program in PROGRAMS
    for name in names(program)
    if recording(program, name).status != 0
]


@pytest.mark.parametrize(("program", "name"), FAILED)
def test_every_recorded_failure_has_a_cause(program: str, name: str) -> None:
    one = recording(program, name)
    found = cause(one.stdout + one.stderr)
    assert found
    assert "\n" not in found
    assert len(found) <= 600
    assert "If you run into" not in found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_conflict_is_named_in_plain_and_in_json(program: str) -> None:
    plain = recording(program, "unsatisfiable-plain")
    found = cause(plain.stdout + plain.stderr)
    assert found.startswith("The following packages are incompatible: hello-lib <1")
    assert missing_names(plain.stderr) == {"hello-lib", "hello-tool"}


def test_an_error_in_json_is_in_its_log() -> None:
    one = recording("micromamba", "unsatisfiable-json")
    assert "hello-tool >3 * does not exist" in cause(one.stdout)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "PackagesNotFoundError: These are not available:\n\n  - nothing-like-it\n",
            "nothing-like-it",
        ),
        ("CondaHTTPError: HTTP 401 UNAUTHORIZED for url <https://host>\n", "HTTP 401"),
        ("NoWritableEnvsDirError: No writeable envs directories configured.\n", "NoWritable"),
        (
            "LibMambaUnsatisfiableError: Encountered problems:\n  - a-1 requires b >=2, but\n",
            "requires b >=2",
        ),
        ("\x1b[31merror    libmamba No space left on device\x1b[0m\n", "No space left"),
        ("", "it does not say why"),
    ],
)
def test_conda_s_errors_are_found_by_their_names(text: str, expected: str) -> None:
    assert expected in cause(text)


def test_packages_that_conda_does_not_find_are_missing() -> None:
    text = (
        "PackagesNotFoundError: The following packages are not available from current channels:\n"
        "\n  - first\n  - second=1.0\n\nCurrent channels:\n\n  - https://host/forge\n"
    )
    assert {"first", "second"} <= missing_names(text)
    assert "https" not in missing_names(text)


@given(st.text())
def test_whatever_is_printed_there_is_a_cause(text: str) -> None:
    found = cause(text)
    assert found
    missing_names(text)
