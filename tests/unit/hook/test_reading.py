from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nixpy.hook.reading import Reading, read_envrc
from nixpy.hook.words import assignments, value, variables_in, words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOME = "/home/some one"
ALWAYS = {"direnv", "direnv_config_dir", "lib"}
OF_NIXPY = {"NIXPY_PROJECT", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "a" / "project"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def read(place: Path) -> Callable[[str | bytes], Reading]:
    """Reads an ``.envrc`` of a directory."""

    def read(text: str | bytes) -> Reading:
        (place / ".envrc").write_bytes(text.encode() if isinstance(text, str) else text)
        return read_envrc(str(place / ".envrc"), HOME)

    return read


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("", set()),
        ("  # a comment: $(rm -rf /)", set()),
        ("use nixpy", OF_NIXPY),
        ("\tuse  nixpy --extra dev # why", OF_NIXPY),
        ("source_up", set()),
        ("source_up_if_exists", set()),
        ("source_up .env.shared", set()),
        ("source_env_if_exists .envrc.local", set()),
        ("source_env ../other", set()),
        ("dotenv", set()),
        ("dotenv_if_exists .env.local", set()),
        ("watch_file a b 'c d' \"$PWD/e\" ~/f $PWD", None),
        ("watch_file a b 'c d' \"$PWD/e\" ~/f", set()),
        ("PATH_add bin", set()),
        ("path_add PYTHONPATH src lib", {"PYTHONPATH"}),
        ("export A=1 B='two words' C=\"three $D\" E=~/x F=$G:/x", {*"ABCDEFG"}),
        ("export HERE=$PWD/x", {"HERE"}),
        ("export A=\"it's $B, isn't it\"", {"A", "B"}),
        ("export A=\\$B", {"A"}),
        ("export PATH=$PWD/bin:$PATH", {"PATH"}),
        ("strict_env", set()),
        ("env_vars_required TOKEN USER", {"var"}),
    ],
)
def test_what_an_understood_line_rests_on(
    read: Callable[[str], Reading], line: str, variables: set[str] | None
) -> None:
    found = read(line + "\n")
    if variables is None:
        assert found.reasons
    else:
        assert found.reasons == []
        assert found.variables - ALWAYS == variables


REFUSED = {
    "command substitution": 'export A="$(date)"',
    "command substitution, unquoted": "export A=$(date)",
    "backticks": "export A=`date`",
    "arithmetic": "export A=$((1 + 1))",
    "another use": "use flake",
    "use of what a variable says": 'use "$WHAT"',
    "redirection": "watch_file a > b",
    "input": "dotenv < x",
    "two commands": "use nixpy; date",
    "and": "use nixpy && date",
    "or": "use nixpy || date",
    "pipe": "use nixpy | cat",
    "background": "use nixpy &",
    "here-document": "dotenv <<EOF",
    "here-string": "dotenv <<<x",
    "function": "use_nixpy() { date; }",
    "function keyword": "function use { date; }",
    "if": "if true; then",
    "for": "for a in b; do",
    "test": "[[ -e x ]]",
    "subshell": "(use nixpy)",
    "group": "{ use nixpy; }",
    "continuation": "use \\",
    "open quote": "export A='x",
    "glob": "watch_file *.py",
    "question mark": "watch_file a?",
    "bracket": "watch_file [ab]",
    "braces": "watch_file {a,b}",
    "extended glob": "watch_file @(a|b)",
    "another's home": "watch_file ~user/x",
    "pushd's": "watch_file ~+/x",
    "tilde in the middle": "export A=b:~/c",
    "random": "export A=$RANDOM",
    "seconds": "export A=${SECONDS}",
    "process": 'export A="$BASHPID"',
    "process id": "export A=$$",
    "positional": "export A=$1",
    "status": "export A=$?",
    "all": 'export A="$@"',
    "last word": "export A=$_",
    "host": "export A=$HOSTNAME",
    "direnv's own": "export A=$DIRENV_DUMP_FILE_PATH",
    "variable outside of an assignment": "PATH_add $A/bin",
    "the same in quotes": 'PATH_add "$A/bin"',
    "expansion": "export A=${B:-c}",
    "length": "export A=${#B}",
    "array": "export A=(b)",
    "appending": "export A+=b",
    "exporting what is there": "export A",
    "not exporting": "export -n A=b",
    "locale": 'export A=$"b"',
    "ansi": "export A=$'b'",
    "prefix": "A=b use nixpy",
    "assignment": "A=b",
    "unset": "unset A",
    "history": "export A=!b",
    "eval": "eval x",
    "source": "source x",
    "dot": ". x",
    "carriage return": "use nixpy\r",
    "comment that is none": "use nixpy#x",
    "two files": "dotenv a b",
    "no file": "source_env",
    "the stdlib's tilde": "source_env '~/x'",
    "pushd's stack": "source_env +1/x",
    "a way up": "source_up a/b",
    "no name": "path_add 1a b",
    "strictly running": "strict_env date",
    "requiring none": "env_vars_required a-b",
    "requiring what is always there": "env_vars_required RANDOM",
    "home": "export HOME=/x",
    "separators": "export IFS=x",
    "directory": "export PWD=/x",
    "searched directories": "export CDPATH=/x",
    "direnv itself": "export direnv=./x",
    "direnv's": "export DIRENV_DIFF=x",
    "bash's": "export BASH_ENV=x",
    "nixpy's": "export _nixpy_root=/",
    "added to what is bash's": "path_add BASH_ENV x",
    "layout": "layout python",
    "watch_dir": "watch_dir x",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_line_that_only_a_shell_understands_is_named(
    read: Callable[[str], Reading], name: str
) -> None:
    found = read(f"# first\n{REFUSED[name]}\nstrict_env\n")
    assert [reason.line for reason in found.reasons] == [2]
    assert found.reasons[0].text == REFUSED[name].strip()
    assert found.reasons[0].why


@pytest.mark.parametrize("declared", ["# nixpy: pure", "  #nixpy:pure ", "#\tnixpy:  pure"])
def test_a_file_that_is_declared_pure_has_no_reasons(
    read: Callable[[str], Reading], declared: str
) -> None:
    found = read(f"use flake\n{declared}\nexport A=$(cat a) B=$C\nexport D=$E\nuse nixpy\n")
    assert found.reasons == []
    assert found.variables >= {"D", "E"}
    assert len(found.calls) == 1


@pytest.mark.parametrize("text", ["use flake # nixpy: pure", "# nixpy: purely", "use nixpy: pure"])
def test_what_only_looks_like_a_declaration_is_none(
    read: Callable[[str], Reading], text: str
) -> None:
    assert read(f"use flake\n{text}\n").reasons


def test_a_declaration_does_not_speak_for_what_is_sourced(
    place: Path, read: Callable[[str], Reading]
) -> None:
    (place / "other").write_text("date\n")
    found = read("# nixpy: pure\nsource_env other\n")
    assert [(reason.path, reason.line) for reason in found.reasons] == [(f"{place}/other", 1)]


@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        ("A=1\nexport B='x y'\nC: d\n# comment = x\n", True),
        ("A=$B", False),
        ("A='$B'", False),
        ("A=${B}", False),
        ("HOME=/x", False),
        ("BASH_ENV=x", False),
        (b"A=\xff", False),
    ],
)
def test_a_dotenv_file_with_variables_in_it_is_refused(
    place: Path, read: Callable[[str], Reading], content: str | bytes, is_plain: bool
) -> None:
    (place / ".env").write_bytes(content.encode() if isinstance(content, str) else content)
    found = read("dotenv\n")
    assert (found.reasons == []) is is_plain
    if is_plain:
        assert found.variables >= {"A", "B", "C"}


def test_a_dotenv_file_may_be_named_by_its_directory(
    place: Path, read: Callable[[str], Reading]
) -> None:
    (place / "sub").mkdir()
    (place / "sub/.env").write_text("A=$B\n")
    assert read("dotenv sub\n").reasons
    assert read("dotenv_if_exists ''\n").reasons == []


def test_the_arguments_of_use_nixpy_are_those_that_bash_would_give(
    place: Path, read: Callable[[str], Reading]
) -> None:
    found = read(
        "use nixpy\n"
        "use 'nixpy' --extra \"a b\" c\\ d ''  '$x' \"\\$PWD $PWD's ${HOME}\" ~/e ~ # f\n"
    )
    assert found.reasons == []
    assert found.calls == [
        (str(place), ()),
        (
            str(place),
            ("--extra", "a b", "c d", "", "$x", f"$PWD {place}'s {HOME}", f"{HOME}/e", HOME),
        ),
    ]


def test_without_a_home_nothing_says_what_a_tilde_is(place: Path) -> None:
    (place / ".envrc").write_text("watch_file ~/x\n")
    assert read_envrc(str(place / ".envrc"), "").reasons


def test_a_way_up_goes_over_every_file_that_is_not_there(
    place: Path, read: Callable[[str], Reading]
) -> None:
    (place.parent.parent / ".envrc").write_text("export OUTER=$SEEN\nsource_env sub/envrc\n")
    (place.parent.parent / "sub").mkdir()
    (place.parent.parent / "sub/envrc").write_text("use nixpy --extra x\nsource_env gone\n")
    found = read("source_up\nsource_up_if_exists .shared\nuse nixpy\n")
    assert found.reasons == []
    assert found.absent[0] == f"{place.parent}/.envrc"
    assert f"{place.parent.parent}/sub/gone" in found.absent
    assert f"{place.parent}/.shared" in found.absent
    assert "/.shared" in found.absent
    assert found.variables >= {"OUTER", "SEEN"}
    assert found.calls == [
        (f"{place.parent.parent}/sub", ("--extra", "x")),
        (str(place), ()),
    ]


def test_what_source_env_does_not_find_is_looked_for(
    place: Path, read: Callable[[str], Reading]
) -> None:
    (place / "empty").mkdir()
    found = read("source_env empty\nsource_env gone/x\nsource_env_if_exists empty\n")
    assert found.absent == [f"{place}/empty/.envrc", f"{place}/gone/x"]


@pytest.mark.parametrize("text", ["source_env .envrc\n", "source_env .\nsource_env .\n"])
def test_files_that_source_one_another_end(read: Callable[[str], Reading], text: str) -> None:
    assert any("source one another" in reason.why for reason in read(text).reasons)


@pytest.mark.parametrize("content", [b"use nixpy \xff\n", b"#" * 1_000_001])
def test_what_cannot_be_read_is_always_asked_about(
    read: Callable[[bytes], Reading], content: bytes
) -> None:
    assert [reason.line for reason in read(content).reasons] == [0]


def test_a_file_that_is_not_there_or_no_file_is_always_asked_about(place: Path) -> None:
    for path in (place / "gone", place):
        assert read_envrc(str(path), HOME).reasons
    os.mkfifo(place / "pipe")
    read_envrc(str(place / "pipe"), HOME)


@pytest.mark.parametrize("sign", ['"', "$", "`", "\\"])
def test_a_name_that_direnv_lets_bash_expand_is_always_asked_about(
    tmp_path: Path, sign: str
) -> None:
    place = tmp_path / f"a{sign}b"
    place.mkdir()
    (place / ".envrc").write_text("use nixpy\n")
    assert read_envrc(str(place / ".envrc"), HOME).reasons


# What follows asks bash itself.

_PIECES = (
    *(
        "a",
        "b.c",
        "é",
        "/",
        ":",
        "=",
        "@",
        "%",
        "+",
        ",",
        "-",
        "--",
        "..",
        "~",
        "~/",
        "#",
        " # ",
        "!",
    ),
    *("'", '"', "\\", "$", "`", " ", "  ", "\t", "*", "?", "[", "]", "{a,b}", "(", ")", "<", ">"),
    *("&", "|", ";", "\\ ", "\\$", '\\"', "\\'", "\\\\", "\\~", "''", '""', "'a b'", '"a b"'),
    *("$A", "${A}", "$AB", "$PWD", "${PWD}", "$HOME", '"$HOME"', '"$PWD"', "'$A'", '"${A}"'),
    *(
        '"it\'s $A"',
        "'say \"$A\"'",
        "A=",
        "A=$A",
        "B='x'",
        "PATH=",
        "\r",
        "\x01",
        "^",
        "]",
        "\u2028",
    ),
    *(
        "$(touch x)",
        "`touch x`",
        "$RANDOM",
        "$'a'",
        '$"a"',
        "${A:-b}",
        "$((1))",
        "~root",
        "=~/",
        ":~/",
    ),
)
_TEXT = st.lists(st.sampled_from(_PIECES), max_size=10).map("".join)

SLOW = [HealthCheck.too_slow]

VARIABLES = {"A": "a  *\t'\"\\$B`", "AB": "second"}

_WORDS_OF = """\
shopt -s nullglob extglob
show() { printf '%s\\0' "$#" "$@" >&3; }
command_not_found_handle() { printf 'RAN\\0' >&3; }
export() { for one in "$@"; do show "$one"; done; }
while IFS= read -r -d '' line; do
  printf 'LINE\\0' >&3
  eval "$line"
done 3>&1 >/dev/null 2>&1
"""


def bash(script: str, given: str, cwd: Path, environ: dict[str, str]) -> list[list[str]]:
    """Have bash evaluate lines; return what each printed."""
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "--noprofile", "-c", script],
        input=os.fsencode(given),
        cwd=cwd,
        env={"PATH": "/nowhere", "LC_ALL": "C.UTF-8", **environ},
        capture_output=True,
        check=False,
        timeout=60,
    )
    fields = os.fsdecode(done.stdout).split("\0")[:-1]
    found: list[list[str]] = []
    for one in fields:
        if one == "LINE":
            found.append([])
        else:
            found[-1].append(one)
    return found


def test_words_come_to_what_bash_makes_of_them(tmp_path: Path) -> None:
    place = tmp_path / "it's a $place"
    place.mkdir()
    environ = {**VARIABLES, "HOME": "/home/it's $A"}
    known = {"PWD": str(place), "HOME": environ["HOME"]}
    seen = 0

    @settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(st.lists(_TEXT, min_size=40, max_size=80))
    def check(texts: list[str]) -> None:
        nonlocal seen
        lines, expected = [], []
        for text in texts:
            found = words(text)
            values = [value(word, known) for word in found or ()]
            if found is not None and None not in values:
                lines.append(f"show {text}\0")
                expected.append([str(len(values)), *values])
            for _, word in assignments(text) or ():
                # `declare` takes assignments as `export` does.
                result = value(word, {**known, **VARIABLES})
                assert (result is None) is not (variables_in(word) <= {*known, *VARIABLES})
                if result is not None:
                    lines.append(f'declare R={word}; show "$R"\0')
                    expected.append(["1", result])
        seen += len(lines)
        got = bash(_WORDS_OF, "".join(lines), place, environ)
        each = zip(lines, got, expected, strict=True)
        assert [one for one in each if one[1] != one[2]] == []
        assert os.listdir(place) == []

    check()
    assert seen > 100


_COMMANDS = (
    "use nixpy", "use ", "source_up", "source_env ", "dotenv", "watch_file ", "PATH_add ",
    "path_add ", "export ", "export A=", "env_vars_required ", "strict_env", "A=", "date", "",
)  # fmt: skip
_LINE = st.builds("{}{}".format, st.sampled_from(_COMMANDS), _TEXT)

_NOTHING_ELSE_RUNS = """\
shopt -s nullglob extglob
for name in use source_up source_env dotenv watch_file PATH_add path_add env_vars_required \\
  strict_env source_env_if_exists source_up_if_exists dotenv_if_exists; do
  eval "$name() { :; }"
done
command_not_found_handle() { printf 'RAN %s\\0' "$1" >&3; }
note() {
  [[ $BASH_COMMAND == 'eval "$line"' || $BASH_COMMAND == 'trap - DEBUG' ]] && return
  case ${BASH_COMMAND%%[[:space:]]*} in
    use | source_up | source_env | dotenv | watch_file | PATH_add | path_add | export) ;;
    env_vars_required | strict_env | *_if_exists) ;;
    *) printf 'RAN %s\\0' "$BASH_COMMAND" >&3 ;;
  esac
}
while IFS= read -r -d '' line; do
  printf 'LINE\\0' >&3
  trap note DEBUG
  eval "$line"
  trap - DEBUG
done 3>&1 >/dev/null 2>&1
"""


def test_what_is_accepted_runs_nothing_but_the_known_commands(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    envrc = tmp_path / "envrc"
    seen = 0

    @settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=SLOW)
    @given(st.lists(_LINE, min_size=40, max_size=80))
    def check(lines: list[str]) -> None:
        nonlocal seen
        accepted = []
        for line in lines:
            envrc.write_bytes(os.fsencode(line))
            if not read_envrc(str(envrc), HOME).reasons:
                accepted.append(line)
        seen += len(accepted)
        given = "".join(f"{line}\0" for line in accepted)
        ran = bash(_NOTHING_ELSE_RUNS, given, place, {**VARIABLES, "HOME": HOME})
        assert [pair for pair in zip(accepted, ran, strict=True) if pair[1]] == []
        assert os.listdir(place) == []

    check()
    assert seen > 100


def test_the_trap_of_the_test_above_notices_what_runs(tmp_path: Path) -> None:
    for line in ("date", "export A=$(date)", "use x; /bin/true", "A=b", "use nixpy && true"):
        assert bash(_NOTHING_ELSE_RUNS, f"{line}\0", tmp_path, {"HOME": HOME})[0], line
