"""`render`, then a real shell, is `Environment.apply`: for every shell, and for any bytes.

A shell is started once for many examples. For each it starts from the example's variables, prints
its environment, evaluates what was rendered, and prints its environment again; what it printed
first is what the operations apply to, since shells change a few variables when they start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.environment import Environment, Operation, Prepend, Set, Unset, prepended
from nixpy.shells import render
from nixpy.shells.bash import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("PLAIN", "EMPTY", "_under_9", "PATH_LIKE", "SOMEPATH", "PATH")

SLOW = [HealthCheck.too_slow]
"""A busy machine is no fault of the examples."""

VOLATILE = {"_", "SHLVL"}
"""What shells count and note by themselves."""

_PIECES = (
    *(bytes([byte]) for byte in range(1, 256)),
    *(bytes([byte]) for byte in b"'\"\\\n$`!:*~?[]{}()<>|&;# \t\r\x01\x7f%^=-@,/" * 8),
    *(
        text.encode()
        for text in ("é", "€", "\uf680", "\uf6ff", "\ue000", "\ufdd0", "😀", "\u2019", "\xa0")
    ),
    *(b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\xaf"),
    *(b"-n", b"--", b"-e", b"${HOME}", b"$(ls)", b"`ls`", b"!!", b"!$", b"\\n", b"\\x41", b"\\'"),
    *(b"\n\n", b"::", b":::::", b"  ", b"&", b"\\&", b"''", b"'\\''", b"EOF", b"~/x", b"/a", b"/A"),
)


class Scenario(NamedTuple):
    environ: dict[str, str]
    operations: list[Operation]
    locale: str


def _bytes(pieces: Sequence[bytes], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=most).map(b"".join).map(os.fsdecode)


def _scenarios(
    pieces: Sequence[bytes] = _PIECES, names: Sequence[str] = NAMES
) -> st.SearchStrategy[Scenario]:
    text = _bytes(pieces, 12)
    element = st.one_of(st.sampled_from(["", "/a", "/A", "/b", "/a/b"]), _bytes(pieces, 4))
    elements = st.lists(element, max_size=4).map(tuple)
    name = st.sampled_from(names)
    # Values that hold the very elements that are prepended, in any order and number.
    values = st.one_of(text, st.lists(element, max_size=8).map(":".join))
    operation: st.SearchStrategy[Operation] = st.one_of(
        st.builds(Set, name, values),
        st.builds(Unset, name),
        st.builds(Prepend, name, elements, elements),
        st.builds(Prepend, name, elements, elements),
    )
    return st.builds(
        Scenario,
        st.dictionaries(name, values, max_size=4),
        st.lists(operation, min_size=1, max_size=8),
        st.sampled_from(["C", "C.UTF-8"]),
    )


class Shell(NamedTuple):
    """How to start a shell and have it evaluate what the export command would print."""

    name: str
    argv: tuple[str, ...]
    script: str
    form: str

    def accepts(self, piece: bytes) -> bool:
        """Tell whether the shell can hold these bytes, wherever they stand."""
        if self.form == "tcsh":
            return b"\n" not in piece
        return self.form != "nushell" or _is_text(piece)

    def run(self, folder: Path, scenario: Scenario, tool: str) -> tuple[dict[str, str], ...]:
        """Return the shell's environment before and after the evaluation."""
        for place in ("before", "after"):
            (folder / place).unlink(missing_ok=True)
        base = {
            "HOME": str(folder),
            "LC_ALL": scenario.locale,
            "PATH": "/usr/bin:/bin:/a",
            "TERM": "dumb",
            **{f"XDG_{kind}_HOME": str(folder) for kind in ("CONFIG", "DATA", "CACHE", "STATE")},
        }
        environ = {**base, **scenario.environ}
        text = render(self.form, scenario.operations, environ)
        (folder / "program").write_bytes(os.fsencode(text))
        result = subprocess.run(
            [tool, *self.argv, self.script.format(env=_which("env"), cat=_which("cat"))],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (result.stdout, result.stderr, result.returncode) == (b"", b"", 0), text
        return _read(folder / "before"), _read(folder / "after")


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _which(tool: str) -> str:
    path = shutil.which(tool)
    assert path is not None
    return path


def _read(path: Path) -> dict[str, str]:
    variables = os.fsdecode(path.read_bytes()).split("\0")[:-1]
    return dict(variable.split("=", 1) for variable in variables)


_POSIX = '{env} -0 >before; eval "$({cat} program)"; {env} -0 >after'
_SOURCE = "{env} -0 >before; . ./program; {env} -0 >after"
_IN_FUNCTION = "f() {{ . ./program; }}; {env} -0 >before; f; {env} -0 >after"

SHELLS = {
    "bash": Shell("bash", ("--norc", "--noprofile", "-c"), _POSIX, "bash"),
    "bash, strict and sourced in a function": Shell(
        "bash",
        ("--norc", "--noprofile", "-euo", "pipefail", "-O", "nocasematch", "-c"),
        _IN_FUNCTION,
        "bash",
    ),
    "bash, posix": Shell(
        "bash", ("--norc", "--noprofile", "--posix", "-O", "extglob", "-c"), _SOURCE, "bash"
    ),
    "zsh": Shell("zsh", ("-f", "-c"), _POSIX, "zsh"),
    "zsh, with odd options": Shell(
        "zsh",
        (
            "-f",
            *("-o", "ksharrays", "-o", "shwordsplit", "-o", "nounset", "-o", "errexit"),
            *("-o", "extendedglob", "-o", "warncreateglobal", "-o", "warnnestedvar"),
            *("-o", "rcquotes", "-o", "cshjunkiequotes", "-o", "globsubst", "-o", "nullglob"),
            *("-o", "rcexpandparam", "-o", "magicequalsubst", "-o", "kshglob", "-c"),
        ),
        _IN_FUNCTION,
        "zsh",
    ),
    "zsh, as sh": Shell("zsh", ("--emulate", "sh", "-f", "-c"), _POSIX, "zsh"),
    "fish": Shell(
        "fish",
        ("--no-config", "-c"),
        "{env} -0 >before; {cat} program | source; {env} -0 >after",
        "fish",
    ),
    "tcsh": Shell(
        "tcsh", ("-f", "-c"), "{env} -0 >before; eval `{cat} program`; {env} -0 >after", "tcsh"
    ),
    "tcsh, sourced": Shell(
        "tcsh", ("-f", "-c"), "{env} -0 >before; source program; {env} -0 >after", "tcsh"
    ),
    "elvish": Shell(
        "elvish",
        ("-norc", "-c"),
        "{env} -0 >before; eval ({cat} program | slurp); {env} -0 >after",
        "elvish",
    ),
    "nushell": Shell(
        "nu",
        ("-n", "-c"),
        "^{env} -0 | save --raw before; ^{cat} program | from json | load-env;"
        " ^{env} -0 | save --raw after",
        "nushell",
    ),
}


def _tool(name: str) -> str:
    modules = os.environ.get("NIXPY_TEST_NODE_MODULES", "")
    # nushell's package links a JavaScript program; the real one is in a package for the platform.
    folders = [str(folder) for folder in Path(modules).glob("@*/*/bin")] if modules else []
    path = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _agrees(shell: Shell, tool: str, folder: Path, scenario: Scenario) -> None:
    before, after = shell.run(folder, scenario, tool)
    expected = Environment(tuple(scenario.operations)).apply(before)
    assert _without(after, VOLATILE) == _without(expected, VOLATILE)


def _without(environ: dict[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


def _without_empty_path_elements(scenario: Scenario) -> Scenario:
    """Return the scenario less what fish and nushell write otherwise in ``PATH`` alone."""

    def clean(value: str) -> str:
        return prepended((), value) or "/only"

    def cleaned(operation: Operation) -> Operation:
        if operation.name != "PATH" or isinstance(operation, Unset):
            return operation
        if isinstance(operation, Set):
            return Set("PATH", clean(operation.value))
        removed = tuple(map(clean, operation.removed))
        return Prepend("PATH", tuple(map(clean, operation.elements)), removed)

    environ = {name: clean(v) if name == "PATH" else v for name, v in scenario.environ.items()}
    return Scenario(environ, [cleaned(each) for each in scenario.operations], scenario.locale)


@pytest.mark.parametrize("key", SHELLS)
def test_evaluating_what_is_rendered_has_exactly_the_effect_of_the_operations(
    key: str, tmp_path: Path
) -> None:
    shell = SHELLS[key]
    tool = _tool(shell.name)
    pieces = [piece for piece in _PIECES if shell.accepts(piece)]
    slow = shell.name in {"elvish", "nu"}

    @settings(
        max_examples=80 if slow else 250, deadline=None, database=None, suppress_health_check=SLOW
    )
    @given(_scenarios(pieces))
    def check(scenario: Scenario) -> None:
        if shell.name in {"fish", "nu"}:
            scenario = _without_empty_path_elements(scenario)
        _agrees(shell, tool, tmp_path, scenario)

    check()


@pytest.mark.parametrize("shell", ["dash", "bash", "zsh"])
def test_sourcing_a_dotenv_file_gives_exactly_the_values(shell: str, tmp_path: Path) -> None:
    tool = _tool(shell)
    script = "{env} -0 >before; set -a; . ./program; set +a; {env} -0 >after"
    options = ("-f",) if shell == "zsh" else ()
    reader = Shell(shell, (*options, "-c"), script, "dotenv")

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=SLOW)
    @given(_scenarios())
    def check(scenario: Scenario) -> None:
        # zsh replaces an empty PATH when it starts, after the file is written.
        scenario = _without_empty_path_elements(scenario)
        before, after = reader.run(tmp_path, scenario, tool)
        expected = Environment(tuple(scenario.operations)).apply(before)
        ignored = {name for name in before if name not in expected} | VOLATILE
        assert _without(after, ignored) == _without(expected, ignored)

    check()


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=SLOW)
@given(_scenarios())
def test_json_read_by_python_is_the_difference_byte_for_byte(scenario: Scenario) -> None:
    text = render("json", scenario.operations, scenario.environ)
    assert text.isascii()
    result = dict(scenario.environ)
    for name, value in json.loads(text).items():
        assert value != scenario.environ.get(name)
        if value is None:
            del result[name]
        else:
            result[name] = value
    assert result == Environment(tuple(scenario.operations)).apply(scenario.environ)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_quoted_word_of_bash_is_one_word_and_exact(locale: str, tmp_path: Path) -> None:
    values = [os.fsdecode(bytes([byte])) for byte in range(1, 256)]
    values += [
        os.fsdecode(bytes(range(1, 256))),
        "",
        "-n",
        "a\n",
        "\n\n",
        "é\udcc3'",
        "\udce2\udc82",
    ]
    script = tmp_path / "script"
    words = " ".join(map(quote, values))
    script.write_bytes(os.fsencode(f"printf '%s\\0' {words}\n"))
    result = subprocess.run(
        [_tool("bash"), script], env={"LC_ALL": locale}, capture_output=True, check=True
    )
    assert result.stdout == b"".join(os.fsencode(value) + b"\0" for value in values)


@pytest.mark.parametrize(
    ("shell", "names"),
    [
        ("bash", "compgen -v; declare -F; alias; shopt; echo $-"),
        ("zsh", "print -l ${(ok)parameters}; functions; alias; setopt"),
        ("fish", "set --names; functions --all --names"),
    ],
)
def test_nothing_but_the_variables_is_left_behind(shell: str, names: str, tmp_path: Path) -> None:
    operations: list[Operation] = [
        Set("PLAIN", "1"),
        Unset("EMPTY"),
        Prepend("PATH_LIKE", ("/a", "/b")),
        Prepend("PATH", ("/a",), ("/b", "/bin")),
    ]
    (tmp_path / "program").write_text(render(shell, operations, {}))
    options = {"bash": ("--norc", "-O", "nocasematch"), "zsh": ("-f",), "fish": ("--no-config",)}
    # One evaluation first, so that what the shell itself makes on the way is there already.
    source = "source ./program"
    script = f"{source}; echo; {names}; echo MARK; {source}; echo; {names}; echo MARK"
    result = subprocess.run(
        [_tool(shell), *options[shell], "-c", script],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, _ = result.stdout.split("MARK")
    assert first.strip() == second.strip()
    assert "_nixpy" not in result.stdout
    assert result.stderr == ""


def test_fish_empties_a_universal_variable_in_this_session_and_does_not_erase_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "program").write_text(render("fish", [Unset("PLAIN")], {}))
    env = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    script = "set -Ux PLAIN kept; source program; env; set -eg PLAIN; echo it stays $PLAIN"
    result = subprocess.run(
        [_tool("fish"), "-c", script], env=env, cwd=tmp_path, capture_output=True, check=True
    )
    assert b"PLAIN=\n" in result.stdout
    assert b"it stays kept\n" in result.stdout


def test_an_interactive_tcsh_does_not_take_an_exclamation_mark_for_history(tmp_path: Path) -> None:
    value = "a!!b!$ '\\!x !"
    (tmp_path / "program").write_text(render("tcsh", [Set("PLAIN", value)], {}))
    lines = "echo first\neval `cat program`\nprintenv PLAIN\nset backslash_quote\n"
    lines += "setenv PLAIN 1\neval `cat program`\nprintenv PLAIN\n"
    result = subprocess.run(
        [_tool("tcsh"), "-f", "-i"],
        input=lines,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.count(value) == 2


def test_powershell_agrees_with_the_operations_on_any_text(tmp_path: Path) -> None:
    shell = Shell(
        "pwsh",
        ("-NoProfile", "-NonInteractive", "-Command"),
        "/bin/sh -c '{env} -0 >before'; {cat} program | Out-String | Invoke-Expression;"
        " /bin/sh -c '{env} -0 >after'",
        "powershell",
    )
    tool = _tool(shell.name)
    values = ['$x `n "it\'s"', "\u2019\u2018", "\n a\t\n", "\U0001f600é", "-n", "\u200b"]
    operations: list[Operation] = [Set(f"VALUE_{i}", value) for i, value in enumerate(values)]
    operations += [
        Unset("GONE"),
        Unset("NEVER"),
        Prepend("PATH_LIKE", ("/a", "", "/é\u200b")),
        Prepend("NEW_PATH", ("/x",)),
        Prepend("PATH", ("/a", "/bin"), ("/usr/bin", "/x")),
    ]
    environ = {"GONE": "1", "PATH_LIKE": ":/b::/a:/A:/é:/é\u200b:"}
    _agrees(shell, tool, tmp_path, Scenario(environ, operations, "C.UTF-8"))
