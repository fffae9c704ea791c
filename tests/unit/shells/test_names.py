from __future__ import annotations

import pytest

from nixpy.environment import Operation, Prepend, Set, Unset
from nixpy.shells import SHELLS, render
from nixpy.shells.names import is_name


@pytest.mark.parametrize("name", ["A", "_", "a_1", "PATH", "_x9"])
def test_what_a_posix_shell_assigns_to_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A B", "A=B", "A;B", "é", "A\n", "$(x)", "BASH_FUNC_f%%"]
)
def test_anything_else_is_not(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "operation", [Set("A-B", "x"), Unset("$(rm x)"), Prepend("é", ("x",)), Set("_nixpy_value", "x")]
)
def test_every_shell_refuses_a_name_that_is_none(shell: str, operation: Operation) -> None:
    with pytest.raises(ValueError, match="name"):
        render(shell, [operation], {})


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("operation", [Set("A", "x\0y"), Prepend("A", ("x", "\0"))])
def test_every_shell_refuses_a_nul_byte_and_says_where(shell: str, operation: Operation) -> None:
    with pytest.raises(ValueError, match=r"A: .*NUL"):
        render(shell, [operation], {})


@pytest.mark.parametrize("shell", ["nushell", "powershell", "github"])
@pytest.mark.parametrize("operation", [Set("A", "x\udc80"), Prepend("A", ("\udcff",))])
def test_a_format_of_text_refuses_bytes_that_are_none_and_says_where(
    shell: str, operation: Operation
) -> None:
    with pytest.raises(ValueError, match=r"A: .*UTF-8"):
        render(shell, [operation], {})


@pytest.mark.parametrize("shell", SHELLS)
def test_no_operations_are_an_empty_program(shell: str) -> None:
    assert render(shell, [], {"A": "x"}) in {"", "{}\n"}


def test_an_unknown_shell_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        render("cmd", [], {})
