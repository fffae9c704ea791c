"""What the hooks source holds exactly when it should, in the real shells, whatever their options.

A shell is started once for many examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nixpy.hook.answers import Answer, Answers, Direnv, Watched
from nixpy.hook.conditions import Condition
from nixpy.hook.rendering import render_answers, render_direnvs
from nixpy.inputs import MASK
from nixpy.shells import bash, fish, zsh

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = [HealthCheck.too_slow]

MTIME = 1_700_000_000_123_456_789
HOSTILE = 'it\'s a "$(touch ran)" `touch ran`\n*; -n \\ é'
NAMES = ("VALUE", "OTHER_1", "_under", "PATHLIKE_PATH")
PREFIX = "COUNTED_"

PIECES = (
    *(bytes([byte]) for byte in b"'\"\\\n$`!*?[]{}()<>|&;# \t\r\x01\x7f~^%=-@,/aA0:"),
    *(b"-n", b"--", b"!", b"(", b"-a", b"=", b"$(touch ran)", b"`touch ran`", b"${HOME}", b"\\n"),
    *(b"\xff", b"\x80", b"\xe2\x82", "é".encode(), "😀".encode(), "\uf6ff".encode()),
    *(b"[[:alpha:]]", b"@(a|b)", b"x y", b"\n\n", b"**", b"[!a]", b"EOF"),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(["", "a", "A", "-n", "!", "(", "*", "\n", "a\n"]),
    st.sampled_from(["/usr/local/bin:" * 5, "/usr/local/bin:" * 6, "=" * 80, "a b" * 30]),
    st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join).map(os.fsdecode),
)


class Variable(NamedTuple):
    """A variable of the shell."""

    name: str
    value: str
    is_exported: bool


class Case(NamedTuple):
    """What a shell's variables are, and what is asked about."""

    variables: tuple[Variable, ...]
    condition: Condition

    @property
    def is_not_text_to_match(self) -> bool:
        """Whether no pattern need match: bash says so of some bytes that are no text."""
        return self.condition.kind == "like" and any(
            "\ud800" <= one <= "\udfff" for one in self.condition.value
        )

    def holds(self, shell: str) -> bool:
        """Tell whether the condition does."""
        kind, name, value = self.condition
        those = {one.name: one for one in self.variables}
        if kind == "names":
            found = {one for one in those if one.startswith(name)}
            if shell == "fish":
                found = {one for one in found if those[one].is_exported}
            # What they are is known from other conditions.
            return len(found) == len(value.split()) if shell == "zsh" else found == {*value.split()}
        has = those[name].value if name in those and those[name].is_exported else None
        if kind == "unset":
            return has is None
        if has is None:
            return False
        if kind == "filled":
            return has != ""
        if kind == "is":
            return has == value
        pattern = ".*".join(map(re.escape, value.split(MASK)))
        return re.fullmatch(pattern, has, re.DOTALL) is not None


def _cases() -> st.SearchStrategy[Case]:
    variables = st.lists(
        st.builds(
            Variable,
            st.sampled_from((*NAMES, f"{PREFIX}A", f"{PREFIX}B")),
            VALUES,
            st.sampled_from([True, True, False]),
        ),
        max_size=3,
        unique_by=lambda one: one.name,
    ).map(tuple)

    @st.composite
    def case(draw: st.DrawFn) -> Case:
        those = draw(variables)
        names = [one.name for one in those if not one.name.startswith(PREFIX)]
        name = draw(st.sampled_from([*names, *names, *names, "VALUE"]))
        present = [one.value for one in those if one.name == name]
        value = draw(st.sampled_from([*present, *present, draw(VALUES)]))
        kind = draw(st.sampled_from(["is", "is", "like", "like", "unset", "filled", "names"]))
        if kind == "names":
            names = draw(st.lists(st.sampled_from([f"{PREFIX}A", f"{PREFIX}B"]), unique=True))
            return Case(those, Condition(kind, PREFIX, " ".join(sorted(names))))
        if kind == "like":
            start = draw(st.integers(0, len(value)))
            end = draw(st.integers(start, len(value)))
            tail = draw(st.sampled_from(["", "", "x"]))
            value = f"{value[:start]}{MASK}{value[end:]}{tail}"
        return Case(those, Condition(kind, name, value if kind in {"is", "like"} else ""))

    return case()


class Shell(NamedTuple):
    """A shell with options, and how one sets it up and calls a function in it."""

    name: str
    options: str = ""
    argv: tuple[str, ...] = ()

    @property
    def quote(self) -> Callable[[str], str]:
        return {"bash": bash.quote, "zsh": zsh.quote, "fish": fish.quote}[self.name]

    @property
    def start(self) -> str:
        return {
            "bash": "declare -A _nixpy_functions=() _nixpy_values=()\n_nixpy_exact=./exact\n",
            "zsh": "zmodload zsh/datetime zsh/parameter\nzmodload -F zsh/stat b:zstat\n"
            "typeset -gA _nixpy_functions=()\ntypeset -ga _nixpy_times=()\n",
            "fish": "set -g _nixpy_exact ./exact\nset -g _nixpy_functions\n",
        }[self.name] + self._functions

    @property
    def print_known(self) -> str:
        """The command that prints what the hook finds about a directory."""
        return {
            "bash": 'printf "%s" "${_nixpy_functions["=$directory"]}"',
            "zsh": 'printf "%s" "${_nixpy_functions[$directory]}"',
            "fish": "contains -- $directory $_nixpy_functions; and printf %s $_nixpy_functions[2]",
        }[self.name]

    @property
    def _functions(self) -> str:
        if self.name == "fish":
            return "function load; source $argv[1]; end\nfunction call; $argv; end\n" + self.options
        local = "emulate -L zsh\n" if self.name == "zsh" else ""
        return f'load() {{\n{local}source "$1"\n}}\ncall() {{\n{local}"$@"\n}}\n{self.options}'

    def set(self, variable: Variable) -> str:
        """Return the command that sets a variable."""
        name, value = variable.name, self.quote(variable.value)
        if self.name == "fish":
            return f"set -g {'-x' if variable.is_exported else '-u'} {name} {value}"
        if self.name == "zsh":
            return f"typeset -g {'-x' if variable.is_exported else '+x'} {name}={value}"
        return f"{'export ' if variable.is_exported else ''}{name}={value}"

    def unset(self, name: str) -> str:
        return f"set -e {name}" if self.name == "fish" else f"unset {name}"

    def result(self, call: str) -> str:
        """Return the command that prints whether a call succeeds."""
        if self.name == "fish":
            return f"if {call}; printf 1; else; printf 0; end"
        return f"if {call}; then printf 1; else printf 0; fi"

    def run(self, lines: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
        script = folder / "script"
        script.write_bytes(os.fsencode("\n".join((self.start, *lines, ""))))
        tool = shutil.which(self.name)
        if tool is None:
            pytest.skip(f"{self.name} is not installed")
        quiet = {"bash": ("--norc", "--noprofile"), "zsh": ("-f",), "fish": ("--no-config",)}
        return subprocess.run(
            [tool, *quiet[self.name], *self.argv, str(script)],
            env={
                "HOME": str(folder),
                "PATH": "/nowhere",
                "LC_ALL": "C.UTF-8",
                **{f"XDG_{kind}_HOME": str(folder) for kind in ("CONFIG", "DATA", "CACHE")},
            },
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=120,
        )


def make_references(folder: Path, *mtimes: int) -> None:
    """Write reference files, and what tells that none of them was removed."""
    for name, time_of in (("exact/1", 1_000_000_001), *((f"refs/{one}", one) for one in mtimes)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, ns=(time_of, time_of))
    os.utime(folder / "refs", ns=(0, 0))


SHELLS = {
    "bash": Shell("bash"),
    "bash, strict": Shell("bash", "set -fu; shopt -s extglob failglob nullglob; IFS=$'a:\\n'\n"),
    "bash, posix": Shell("bash", "set -u\nIFS=x\n", ("--posix",)),
    "bash, no separators": Shell("bash", "shopt -s dotglob globstar extglob\nIFS=\n"),
    "zsh": Shell("zsh"),
    "zsh, odd": Shell(
        "zsh",
        "setopt ksharrays shwordsplit nullglob nomatch nounset globsubst extendedglob rcquotes"
        " cshjunkiequotes kshglob rcexpandparam warncreateglobal\nIFS=a:\n",
    ),
    "fish": Shell("fish"),
}


@pytest.mark.parametrize("key", SHELLS)
def test_a_condition_about_variables_holds_exactly_when_it_should(key: str, tmp_path: Path) -> None:
    shell = SHELLS[key]
    results: set[tuple[str, bool]] = set()

    @settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(st.lists(_cases(), min_size=60, max_size=80))
    def check(cases: list[Case]) -> None:
        direnvs = [Direnv(str(at), (case.condition,), (), ()) for at, case in enumerate(cases)]
        text = render_direnvs(shell.name, direnvs)
        (tmp_path / "rendered").write_bytes(os.fsencode(text))
        lines = ["load ./rendered"]
        for at, case in enumerate(cases):
            lines += map(shell.set, case.variables)
            lines.append(shell.result(f"call _nixpy_direnv_{at} ./refs ''"))
            lines += (shell.unset(one.name) for one in case.variables)
        done = shell.run(lines, tmp_path)
        assert done.stderr == b""
        expected = [case.holds(shell.name) for case in cases]
        results.update((case.condition.kind, case.holds(shell.name)) for case in cases)
        wrong = [
            (case, is_so)
            for case, is_so, got in zip(cases, expected, done.stdout.decode(), strict=True)
            if is_so is not (got == "1") and not (is_so and case.is_not_text_to_match)
        ]
        assert wrong == []
        assert not (tmp_path / "ran").exists()

    check()
    kinds = ("is", "like", "unset", "filled", "names")
    assert results == {(kind, is_so) for kind in kinds for is_so in (True, False)}


@pytest.mark.parametrize("key", SHELLS)
@pytest.mark.parametrize("name", ["plain", HOSTILE, "-n", "a\udcff", "~", "[a-z]*"])
def test_a_condition_about_files_holds_exactly_when_it_should(
    key: str, name: str, tmp_path: Path
) -> None:
    shell = SHELLS[key]
    folder = tmp_path / "files"
    folder.mkdir()
    path = str(folder / name)
    for suffix, mtime in (("", MTIME), (" newer", MTIME + 1), (" older", MTIME - 1)):
        Path(path + suffix).write_text("")
        os.utime(path + suffix, ns=(mtime, mtime))
    os.symlink(path, path + " link")
    os.symlink("gone", path + " broken")
    os.mkdir(path + " directory")
    Path(path + " program").write_text("")
    os.chmod(path + " program", 0o755)
    make_references(tmp_path, MTIME, MTIME + 1)
    now = int(time.time())
    cases = [
        (Condition("time", path, str(MTIME)), True),
        (Condition("time", path + " newer", str(MTIME)), False),
        (Condition("time", path + " newer", str(MTIME + 1)), True),
        (Condition("time", path + " older", str(MTIME)), False),
        (Condition("time", path + " link", str(MTIME)), True),
        (Condition("time", path + " gone", str(MTIME)), False),
        (Condition("time", path + " broken", str(MTIME)), False),
        (Condition("time", path, "5"), False),
        (Condition("target", path + " link", path), True),
        (Condition("target", path + " newer", path), False),
        (Condition("target", path + " gone", path), False),
        (Condition("target", path, path + " gone"), False),
        (Condition("absent", path + " gone"), True),
        (Condition("absent", path + " broken"), True),
        (Condition("absent", path), False),
        (Condition("absent", path + " directory"), False),
        (Condition("exists", path), True),
        (Condition("exists", path + " directory"), True),
        (Condition("exists", path + " gone"), False),
        (Condition("exists", path + " broken"), False),
        (Condition("file", path), True),
        (Condition("file", path + " link"), True),
        (Condition("file", path + " directory"), False),
        (Condition("file", path + " gone"), False),
        (Condition("runs", path + " program"), True),
        (Condition("runs", path), False),
        (Condition("runs", path + " gone"), False),
        (Condition("before", "", str(now + 1000)), True),
        (Condition("before", "", str(now - 1000)), False),
    ]
    # Among others, and in batches, too.
    others = (Condition("exists", path), Condition("time", path, str(MTIME)))
    conditions = [
        *((one,) for one, _ in cases),
        *((*others, one) for one, _ in cases),
        *((*others * 40, one, *others * 20) for one, _ in cases),
    ]
    expected = [is_so for _, is_so in cases] * 3
    text = render_direnvs(shell.name, [Direnv("x", those, (), ()) for those in conditions])
    (tmp_path / "rendered").write_bytes(os.fsencode(text))
    lines = ["load ./rendered"]
    lines += [shell.result(f"call _nixpy_direnv_{at} ./refs ''") for at in range(len(conditions))]
    done = shell.run(lines, tmp_path)
    assert done.stderr == b""
    got = [one == "1" for one in done.stdout.decode()]
    assert [pair for pair, a, b in zip(cases * 3, got, expected, strict=True) if a is not b] == []
    assert {*os.listdir(tmp_path)} - {"fish"} == {
        "exact",
        "files",
        "refs",
        "rendered",
        "script",
    }


@pytest.mark.parametrize("key", SHELLS)
@pytest.mark.parametrize("gone", ["one file", "all files"])
def test_without_a_reference_file_a_file_that_is_gone_has_no_time(
    key: str, gone: str, tmp_path: Path
) -> None:
    shell = SHELLS[key]
    mtimes = range(1, 6)
    make_references(tmp_path, *mtimes)
    for mtime in mtimes:
        (tmp_path / f"file-{mtime}").touch()
        os.utime(tmp_path / f"file-{mtime}", ns=(mtime, mtime))
    those = [Condition("time", str(tmp_path / f"file-{mtime}"), str(mtime)) for mtime in mtimes]
    direnvs = [Direnv("x", tuple(those[:count]), (), ()) for count in mtimes]
    (tmp_path / "rendered").write_bytes(os.fsencode(render_direnvs(shell.name, direnvs)))
    each = [shell.result(f"call _nixpy_direnv_{at} ./refs ''") for at in range(len(direnvs))]
    assert shell.run(["load ./rendered", *each], tmp_path).stdout == b"1" * len(direnvs)
    if gone == "all files":
        shutil.rmtree(tmp_path / "refs")
        os.unlink(tmp_path / "file-1")
    else:
        for name in ("refs/1", "file-1"):
            os.unlink(tmp_path / name)
    done = shell.run(["load ./rendered", *each], tmp_path)
    assert (done.stdout, done.stderr) == (b"0" * len(direnvs), b"")


@pytest.mark.parametrize("key", SHELLS)
def test_what_is_absent_is_not_looked_for_while_its_directory_has_its_time(
    key: str, tmp_path: Path
) -> None:
    shell = SHELLS[key]
    make_references(tmp_path, MTIME, MTIME + 1)
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/two").write_text("")
    for name in ("empty", "full"):
        os.utime(tmp_path / name, ns=(MTIME, MTIME))
    cases = [
        ("empty", str(MTIME), True),
        ("empty", str(MTIME + 1), True),
        ("empty", "5", True),
        ("empty", "", True),
        ("full", str(MTIME), True),
        ("full", str(MTIME + 1), False),
        ("full", "5", False),
        ("full", "", False),
        ("gone", str(MTIME), True),
    ]
    direnvs = [
        Direnv(
            "x",
            tuple(Condition("absent", f"{tmp_path}/{name}/{file}", mtime) for file in FILES),
            (),
            (),
        )
        for name, mtime, _ in cases
    ]
    (tmp_path / "rendered").write_bytes(os.fsencode(render_direnvs(shell.name, direnvs)))
    lines = ["load ./rendered"]
    lines += [shell.result(f"call _nixpy_direnv_{at} ./refs ''") for at in range(len(cases))]
    done = shell.run(lines, tmp_path)
    assert done.stderr == b""
    # To zsh a directory that is gone is one that has changed.
    expected = [is_so and not (shell.name == "zsh" and one == "gone") for one, _, is_so in cases]
    assert [one == "1" for one in done.stdout.decode()] == expected


FILES = ("one", "two", "three")


@pytest.mark.parametrize("key", ["bash", "zsh", "fish"])
def test_cut_off_anywhere_it_runs_nothing_and_is_not_known(key: str, tmp_path: Path) -> None:
    shell = SHELLS[key]
    conditions = (
        Condition("is", "VALUE", "a value"),
        Condition("unset", "OTHER_1"),
        Condition("time", "/a file", str(MTIME)),
        Condition("absent", "/gone"),
    )
    answer = Answer("d", conditions, (("VALUE", "a b"), ("OTHER_1", None)), "said\n")
    answers = Answers("", (Watched("w", conditions),), (answer, answer), (answer,))
    text = os.fsencode(render_answers(shell.name, "/a place", "0123456789abcdef", answers))
    # Of the first word of all, "begin", a part is a command that is not there.
    lengths = [0, *range(5 if shell.name == "fish" else 1, len(text.rstrip()))]
    for length in lengths:
        (tmp_path / f"cut-{length}").write_bytes(text[:length])
    # After a [[ that was broken off bash 5.2 is given up to the next one, as by the hook.
    mend = " || eval '[[ a ]]' 2>/dev/null" if shell.name == "bash" else ""
    lines = [f"load ./cut-{length} 2>/dev/null{mend}" for length in lengths]
    lines += [shell.set(Variable("directory", "/a place", is_exported=False)), shell.print_known]
    done = shell.run([*lines, "printf END"], tmp_path)
    assert done.stdout == b"END"
    if shell.name == "fish":  # It says so itself, whatever is redirected.
        assert b"Missing end to balance this begin" in done.stderr
        assert b"Unknown" not in done.stderr
    else:
        assert done.stderr == b""
    (tmp_path / "whole").write_bytes(text)
    done = shell.run(["load ./whole", lines[-2], shell.print_known], tmp_path)
    assert (done.stdout, done.stderr) == (b"0123456789abcdef", b"")


CHANGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.one_of(VALUES, st.none())),
    max_size=4,
    unique_by=lambda one: one[0],
)


def environment_of(dump: bytes) -> dict[str, str]:
    """Read what `env -0` printed, less what it notes by itself."""
    pairs = (os.fsdecode(one).split("=", 1) for one in dump.split(b"\0") if one)
    return {name: value for name, value in pairs if name in {*NAMES, "PATH"}}


@pytest.mark.parametrize("key", SHELLS)
@pytest.mark.parametrize("kind", ["enter", "leave"])
def test_an_answer_arrives_byte_for_byte(key: str, kind: str, tmp_path: Path) -> None:
    shell = SHELLS[key]
    env = shutil.which("env")

    @settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(st.lists(st.tuples(CHANGES, CHANGES, VALUES), min_size=15, max_size=25))
    def check(examples: list[tuple[list[tuple[str, str | None]], ...]]) -> None:
        lines = []
        expected, messages = [], []
        for at, (before, changes, said) in enumerate(examples):
            answer = Answer("identifier", (), tuple(changes), str(said))
            wrong = answer._replace(direnv="another", said="wrong")
            answers = Answers(**{f"{kind}ing".replace("leaveing", "leaving"): (wrong, answer)})  # type: ignore[arg-type]
            text = render_answers(shell.name, HOSTILE, "end", answers)
            (tmp_path / f"rendered-{at}").write_bytes(os.fsencode(text))
            present = {name: value for name, value in before if value is not None}
            lines += [
                shell.set(Variable("_nixpy_direnv_is", "identifier", is_exported=False)),
                *(shell.set(Variable(*one, is_exported=True)) for one in present.items()),
                f"load ./rendered-{at}",
                f"call _nixpy_{kind}_end ./refs",
                f"{env} -0",
                "printf END",
                *map(
                    shell.unset, {*present, *(name for name, value in changes if value is not None)}
                ),
            ]
            after = {**present, **dict(changes)}
            after = {name: value for name, value in after.items() if value is not None}
            expected.append({**after, "PATH": "/nowhere"})
            messages.append(str(said))
        done = shell.run(lines, tmp_path)
        assert done.stderr == b"".join(map(os.fsencode, messages))
        got = [environment_of(dump) for dump in done.stdout.split(b"END")[:-1]]
        assert [
            pair for pair in zip(examples, got, expected, strict=True) if pair[1] != pair[2]
        ] == []
        assert not (tmp_path / "ran").exists()

    check()


@pytest.mark.parametrize("key", SHELLS)
def test_the_first_answer_that_holds_is_the_one_and_none_does_nothing(
    key: str, tmp_path: Path
) -> None:
    shell = SHELLS[key]

    def answer(value: str, when: str) -> Answer:
        return Answer("d", (Condition("is", "OTHER_1", when),), (("VALUE", value),), "")

    answers = Answers(
        entering=(answer("one", "a"), answer("two", "b"), answer("three", "b")),
        watched=(Watched("w", ()), Watched("x", (Condition("exists", str(tmp_path)),))),
    )
    (tmp_path / "rendered").write_text(render_answers(shell.name, HOSTILE, "end", answers))

    def state(value: str) -> str:
        return shell.set(Variable("OTHER_1", value, is_exported=True))

    lines = [
        shell.set(Variable("_nixpy_direnv_is", "d", is_exported=False)),
        "load ./rendered",
        *(state("b"), shell.result("call _nixpy_enter_end ./refs"), 'printf "%s" "$VALUE"'),
        *(state("c"), shell.result("call _nixpy_enter_end ./refs"), 'printf "%s" "$VALUE"'),
        *(state("a"), shell.result("call _nixpy_enter_end ./refs"), 'printf "%s" "$VALUE"'),
        shell.result("call _nixpy_leave_end ./refs"),
        shell.set(Variable("DIRENV_WATCHES", "x", is_exported=True)),
        shell.result("call _nixpy_watched_end ./refs"),
        shell.set(Variable("DIRENV_WATCHES", "y", is_exported=True)),
        shell.result("call _nixpy_watched_end ./refs"),
        shell.set(Variable("directory", HOSTILE, is_exported=False)),
        shell.print_known,
    ]
    done = shell.run(lines, tmp_path)
    assert (done.stdout, done.stderr) == (b"1two0two1one010end", b"")
    assert not (tmp_path / "ran").exists()
