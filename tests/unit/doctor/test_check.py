from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nixpy.doctor import docs
from nixpy.doctor.check import GROUPS, all_checks, check, read_docstring
from nixpy.doctor.finding import Severity
from nixpy.doctor.run import find_check, selected
from nixpy.errors import UsageError

ROOT = Path(__file__).parents[3]


def test_the_page_and_the_symptoms_are_those_of_the_code() -> None:
    assert docs.main(["--check"], ROOT) == 0, "run: python -m nixpy.doctor.docs"


def test_every_check_has_a_row_and_a_section_and_every_failure_its_symptom() -> None:
    table, page, symptoms = docs.checks_table(), docs.document(), docs.symptoms()
    for one in all_checks():
        assert table.count(f"[`{one.identifier}`]") == 1
        assert page.count(f"### `{one.identifier}`\n") == 1
        fails = one.severity is not Severity.NOTE
        assert symptoms.count(f"[`{one.identifier}`](doctor.md#") == fails
    assert table in page


def test_identifiers_begin_with_their_group() -> None:
    for one in all_checks():
        assert one.identifier.partition(".")[0] == one.group
        assert one.group in GROUPS


def test_titles_are_claims_in_one_line_without_a_full_stop() -> None:
    for one in all_checks():
        assert not one.title.endswith(".")
        assert "\n" not in one.title


def test_a_check_without_a_section_is_refused() -> None:
    def function(_: object) -> tuple[()]:
        """Looks.

        Symptom:
            None.
        """
        return ()

    with pytest.raises(ValueError, match="lacks Cause, Remedy"):
        check("demo.demo", title="demo", severity=Severity.NOTE)(function)


@pytest.mark.parametrize("identifier", ["demo", "Demo.demo", "demo.", "a.b.c", "demo.de mo"])
def test_an_identifier_is_a_group_and_a_name(identifier: str) -> None:
    with pytest.raises(ValueError, match=r"expected group\.name"):
        check(identifier, title="demo", severity=Severity.NOTE)


def test_an_identifier_is_taken_once() -> None:
    def function(_: object) -> tuple[()]:
        """Looks."""
        return ()

    assert all_checks()
    with pytest.raises(ValueError, match="is taken by"):
        check("doctor.plugin-broken", title="demo", severity=Severity.NOTE)(function)


def test_a_docstring_is_read_by_sections() -> None:
    text = "Looks.\n\nSymptom:\n    One\n    line.\n\n    Another.\n\nCause:\n    Why.\n"
    assert read_docstring(text) == (
        "Looks.",
        {"Symptom": "One line.\n\nAnother.", "Cause": "Why."},
    )


def test_only_and_skip_select_by_prefix() -> None:
    checks = all_checks()
    chosen = selected(checks, ["doctor"], ["doctor.check"])
    assert [one.identifier for one in chosen] == ["doctor.plugin-broken"]
    with pytest.raises(UsageError, match="--skip: no check begins with 'no-such'"):
        selected(checks, (), ["no-such"])


def test_a_misspelt_identifier_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean doctor\.plugin-broken\?"):
        find_check("doctor.plugin-brokn")


def test_the_doctor_is_not_imported_by_the_other_commands() -> None:
    code = "import sys; from nixpy.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "nixpy.resolver" in done.stdout
    assert "nixpy.doctor" not in done.stdout
