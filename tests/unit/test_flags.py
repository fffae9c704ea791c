from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import OptionsError
from nixpy.flags import parse_flags


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ([], {}),
        (["--strict"], {}),
        (["--python", "3.12"], {"python": "3.12"}),
        (["--python=3.12", "--python", "3.13"], {"python": "3.13"}),
        (["--extras", "a,b", "--extras=c"], {"extras": ("a", "b", "c")}),
        (["--env", "A=b,c", "--env=D=e"], {"env": ("A=b,c", "D=e")}),
        (["--no-exact"], {"exact": False}),
    ],
)
def test_flags_are_read(arguments: list[str], values: dict[str, object]) -> None:
    assert parse_flags(arguments) == values


@pytest.mark.parametrize("arguments", [["--pyhton", "3"], ["--python"], ["word"], ["-p"]])
def test_what_is_no_flag_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(OptionsError):
        parse_flags(arguments)


@given(st.text())
def test_both_forms_of_a_flag_mean_the_same(value: str) -> None:
    if value != "--strict":
        assert parse_flags(["--python", value]) == parse_flags([f"--python={value}"])


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("--impure", ("--impure",)),
        ("--override-input a path:../a", ("--override-input", "a", "path:../a")),
        ("--nix-options=--refresh --impure", ("--refresh", "--impure")),
        ("--option sandbox false --impure", ("--option", "sandbox", "false", "--impure")),
    ],
)
def test_options_of_nix_are_handed_on(arguments: str, options: tuple[str, ...]) -> None:
    assert parse_flags(arguments.split())["nix-options"] == options


def test_an_option_of_nix_without_its_values_is_a_fault() -> None:
    with pytest.raises(OptionsError, match="--override-input: expected 2 values"):
        parse_flags(["--override-input", "a"])


def test_no_flake_is_false() -> None:
    assert parse_flags(["--no-flake"]) == {"flake": False}
    assert parse_flags(["--flake", ".#ci"]) == {"flake": ".#ci"}
