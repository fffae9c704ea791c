import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nixpy.errors import ManifestError, OptionsError
from nixpy.files import DiskFiles
from nixpy.option_keys import OPTION_KEYS
from nixpy.options import Options, load_options
from nixpy.options_schema import SCHEMA_PATH, json_schema, schema_text


class OneFile:
    """A directory that holds one file."""

    def __init__(self, name: str, content: str) -> None:
        self.path = f"/p/{name}"
        self.content = content.encode()

    def read(self, path: str) -> bytes | None:
        return self.content if path == self.path else None

    def names(self, directory: str) -> tuple[str, ...]:
        return (os.path.basename(self.path),) if directory == "/p" else ()


def load(
    content: str = "",
    *,
    name: str = "nixpy.toml",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Options:
    return load_options(
        "/p", flags=flags or {}, environ=environ or {}, files=OneFile(name, content)
    )


def faults(
    content: str = "",
    *,
    name: str = "nixpy.toml",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> tuple[str, ...]:
    with pytest.raises(OptionsError) as caught:
        load(content, name=name, environ=environ, flags=flags)
    return caught.value.faults


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    options = load_options(str(tmp_path), flags={}, environ={}, files=DiskFiles())
    assert options == Options()
    assert options.origins == Options().origins
    assert set(options.origins.values()) == {"default"}


def test_the_defaults_of_the_class_are_those_of_the_keys() -> None:
    options = Options()
    assert {key.name: getattr(options, key.name.replace("-", "_")) for key in OPTION_KEYS} == {
        key.name: key.default for key in OPTION_KEYS
    }


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.nixpy]\nmanager = 'pip'\npython = '3.10'\nvenv = 'env'\nsync = 'manual'\n"
    )
    options = load_options(
        str(tmp_path),
        flags={"manager": "uv", "python": None},
        environ={"NIXPY_MANAGER": "none", "NIXPY_PYTHON": "3.11", "NIXPY_VENV": ""},
        files=DiskFiles(),
    )
    assert (options.manager, options.python, options.venv) == ("uv", "3.11", "env")
    assert options.sync == "manual"
    assert options.lock == "update"
    assert options.origins["manager"] == "flag --manager"
    assert options.origins["python"] == "variable NIXPY_PYTHON"
    assert options.origins["venv"] == "pyproject.toml: tool.nixpy.venv"
    assert options.origins["lock"] == "default"


def test_nixpy_toml_has_the_keys_at_its_top() -> None:
    options = load(
        """
        manager = "mamba"
        python = ">=3.11"
        extras = ["all"]
        groups = ["docs", "lint"]
        requirements = ["requirements/dev.txt"]
        lock = "locked"
        exact = false
        venv = "central"
        path = ["scripts", "/opt/bin"]
        watch = ["conf/*.ini"]
        sync = "manual"
        libraries = "off"
        library-scope = "rpath"
        cuda = { "12.8" = ["cu128"], none = ["cpu"] }
        env = { A = "1", B = "" }
        """
    )
    assert options == Options(
        manager="mamba",
        python=">=3.11",
        extras=("all",),
        groups=("docs", "lint"),
        requirements=("requirements/dev.txt",),
        lock="locked",
        exact=False,
        venv="central",
        path=("scripts", "/opt/bin"),
        watch=("conf/*.ini",),
        sync="manual",
        libraries=("off",),
        library_scope="rpath",
        cuda=(("12.8", ("cu128",)), ("none", ("cpu",))),
        env=(("A", "1"), ("B", "")),
    )
    assert options.origins["python"] == "nixpy.toml: python"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("NIXPY_MANAGER", "uv", Options(manager="uv")),
        ("NIXPY_PYTHON", "3.12", Options(python="3.12")),
        ("NIXPY_EXTRAS", "a, b,", Options(extras=("a", "b"))),
        ("NIXPY_GROUPS", "all", Options(groups=("all",))),
        ("NIXPY_REQUIREMENTS", "a.txt,b c.txt", Options(requirements=("a.txt", "b c.txt"))),
        ("NIXPY_LOCK", "frozen", Options(lock="frozen")),
        ("NIXPY_EXACT", "Yes", Options(exact=True)),
        ("NIXPY_EXACT", "0", Options(exact=False)),
        ("NIXPY_VENV", "central", Options(venv="central")),
        ("NIXPY_ENV", "A=1\n\nB=x=y\n", Options(env=(("A", "1"), ("B", "x=y")))),
        ("NIXPY_PATH", "bin::/opt/b in", Options(path=("bin", "/opt/b in"))),
        ("NIXPY_WATCH", "a/*,b", Options(watch=("a/*", "b"))),
        ("NIXPY_SYNC", "manual", Options(sync="manual")),
        ("NIXPY_LIBRARIES", "off", Options(libraries=("off",))),
        (
            "NIXPY_LIBRARIES",
            "auto,stdenv.cc.cc.lib",
            Options(libraries=("auto", "stdenv.cc.cc.lib")),
        ),
        ("NIXPY_LIBRARY_SCOPE", "python", Options(library_scope="python")),
        ("NIXPY_NIXPKGS", "a/nixpkgs", Options(nixpkgs="a/nixpkgs")),
        ("NIXPY_CUDA", "off", Options(cuda="off")),
        (
            "NIXPY_CUDA",
            "12.8=cu128+more, none=",
            Options(cuda=(("12.8", ("cu128", "more")), ("none", ()))),
        ),
        ("UV_FROZEN", "1", Options(lock="frozen")),
        ("UV_FROZEN", "off", Options()),
        ("UV_LOCKED", "T", Options(lock="locked")),
        ("UV_PYTHON", "3.9", Options(python="3.9")),
        ("UV_PROJECT_ENVIRONMENT", "/e", Options(venv="/e")),
    ],
)
def test_a_variable_sets_its_option(variable: str, text: str, expected: Options) -> None:
    options = load(environ={variable: text})
    assert options == expected
    if expected != Options():
        assert f"variable {variable}" in options.origins.values()


def test_our_variables_come_before_those_of_uv_and_both_before_the_file() -> None:
    environ = {"NIXPY_LOCK": "update", "UV_FROZEN": "1", "UV_PYTHON": "3.12"}
    options = load("python = '3.10'", environ=environ)
    assert (options.lock, options.python) == ("update", "3.12")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"extras": ("a", "b")}, Options(extras=("a", "b"))),
        ({"extras": ["a"]}, Options(extras=("a",))),
        ({"extras": "a,b"}, Options(extras=("a", "b"))),
        ({"exact": True}, Options(exact=True)),
        ({"exact": "no"}, Options(exact=False)),
        ({"env": (("A", "1"),)}, Options(env=(("A", "1"),))),
        ({"env": {"A": "1"}}, Options(env=(("A", "1"),))),
        ({"env": ("A=1", "B=2")}, Options(env=(("A", "1"), ("B", "2")))),
        ({"path": ("bin",)}, Options(path=("bin",))),
        ({"cuda": {"12.8": ["a"]}}, Options(cuda=(("12.8", ("a",)),))),
    ],
)
def test_a_flag_is_taken_typed_or_as_text(flags: Mapping[str, object], expected: Options) -> None:
    assert load(flags=flags) == expected


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("extra = ['a']", "nixpy.toml: extra: unknown key; did you mean extras?"),
        ("colour = true", "nixpy.toml: colour: unknown key"),
        ("cuda = true", "nixpy.toml: cuda: expected a string, got a boolean"),
        ("cuda = 'on'", "nixpy.toml: cuda: expected one of auto, off, got 'on'"),
        (
            "cuda = { '12,8' = ['a'] }",
            'nixpy.toml: cuda."12,8": expected a version like "12.8", or none, got \'12,8\'',
        ),
        (
            "cuda = { none = 'cpu' }",
            "nixpy.toml: cuda.none: expected an array of strings, got a string",
        ),
        (
            "cuda = { none = ['c u'] }",
            "nixpy.toml: cuda.none[0]: expected the name of an extra, got 'c u'",
        ),
        (
            "libraries = ['a b']",
            "nixpy.toml: libraries[0]: expected auto, off or an attribute of nixpkgs, got 'a b'",
        ),
        ("flake = true", "nixpy.toml: flake: expected a string, got a boolean"),
        ("extras = ['a', 1]", "nixpy.toml: extras[1]: expected a string, got an integer"),
        ("extras = 'all'", "nixpy.toml: extras: expected an array of strings, got a string"),
        ("extras = ['a b']", "nixpy.toml: extras[0]: expected the name of an extra, got 'a b'"),
        (
            'groups = ["x\\n"]',
            "nixpy.toml: groups[0]: expected the name of a dependency group, got 'x\\n'",
        ),
        (
            "manager = 'mmba'",
            (
                "nixpy.toml: manager: expected one of auto, uv, pip, mamba, none, got 'mmba'; "
                "did you mean mamba?"
            ),
        ),
        ("exact = 'yes'", "nixpy.toml: exact: expected a boolean, got a string"),
        (
            "venv = ''",
            "nixpy.toml: venv: expected a text that is not empty and without NUL, got ''",
        ),
        (
            "path = ['a:b']",
            (
                "nixpy.toml: path[0]: expected a directory that is not empty and without colon and "
                "NUL, got 'a:b'"
            ),
        ),
        ("env = ['A=1']", "nixpy.toml: env: expected a table, got an array"),
        ("env = { A = 1 }", "nixpy.toml: env.A: expected a string, got an integer"),
        (
            "env = { 'A B' = 'x' }",
            (
                'nixpy.toml: env."A B": expected the name of a variable (letters, digits, '
                "underscores), got 'A B'"
            ),
        ),
        ('env = { A = "\\u0000" }', "nixpy.toml: env.A: a variable cannot hold NUL"),
    ],
)
def test_a_fault_of_a_file_names_file_and_key(content: str, fault: str) -> None:
    assert faults(content) == (fault,)


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"NIXPY_MANGER": "uv"}, "NIXPY_MANGER: unknown; did you mean NIXPY_MANAGER?"),
        ({"NIXPY_EXTRA": "x"}, "NIXPY_EXTRA: unknown; did you mean NIXPY_EXTRAS?"),
        ({"NIXPY_EXACT": "maybe"}, "NIXPY_EXACT: expected true or false, got 'maybe'"),
        ({"NIXPY_LOCK": "x"}, "NIXPY_LOCK: expected one of update, locked, frozen, got 'x'"),
        ({"NIXPY_ENV": "A"}, "NIXPY_ENV: expected NAME=value, got 'A'"),
        (
            {"NIXPY_CUDA": "on"},
            "NIXPY_CUDA: expected auto, off or VERSION=EXTRA,…, got 'on'",
        ),
        (
            {"NIXPY_CUDA": "x=cpu"},
            "NIXPY_CUDA: x: expected a version like \"12.8\", or none, got 'x'",
        ),
        (
            {"NIXPY_ENV": "1=A"},
            "NIXPY_ENV: expected the name of a variable (letters, digits, underscores), got '1'",
        ),
        ({"NIXPY_GROUPS": "a,-"}, "NIXPY_GROUPS: expected the name of a dependency group, got '-'"),
        ({"UV_FROZEN": "maybe"}, "UV_FROZEN: expected a boolean, got 'maybe'"),
        (
            {"UV_FROZEN": "1", "UV_LOCKED": "1"},
            "UV_FROZEN: cannot be used together with UV_LOCKED",
        ),
    ],
)
def test_a_fault_of_a_variable_names_it(environ: Mapping[str, str], fault: str) -> None:
    assert faults(environ=environ) == (fault,)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({"extra": "x"}, "--extra: unknown flag; did you mean --extras?"),
        ({"extras": 3}, "--extras: expected several texts, got 3"),
        ({"extras": ("a", 3)}, "--extras: expected a text, got 3"),
        ({"python": ("3",)}, "--python: expected a text, got ('3',)"),
        ({"exact": 1}, "--exact: expected true or false, got 1"),
        ({"env": (("A",),)}, "--env: expected NAME=value, got ('A',)"),
        ({"env": 3}, "--env: expected NAME=value, got 3"),
        ({"cuda": {"none": "cpu"}}, "--cuda: none: expected several extras, got 'cpu'"),
        ({"env": (("A", "\0"),)}, "--env: A: a variable cannot hold NUL"),
        ({"sync": "never"}, "--sync: expected one of auto, manual, got 'never'"),
    ],
)
def test_a_fault_of_a_flag_names_it(flags: Mapping[str, object], fault: str) -> None:
    assert faults(flags=flags) == (fault,)


@pytest.mark.parametrize(
    "name",
    [
        "NIXPY_PROJECT",
        "NIXPY_STALE",
        "NIXPY_RESTORE",
        "NIXPY_DEBUG",
        "NIXPY_TEST_MANAGER",
        "NIXPY_SHELL_TIMEOUT",
        "NIXPY_WHATEVER",
    ],
)
def test_other_variables_with_our_prefix_are_left_alone(name: str) -> None:
    assert load(environ={name: "x"}) == Options()


def test_an_empty_variable_counts_as_unset() -> None:
    environ = {key.variable: "" for key in OPTION_KEYS}
    assert load(environ={**environ, "UV_FROZEN": "", "NIXPY_MANGER": ""}) == Options()


def test_all_faults_of_all_sources_are_reported_at_once() -> None:
    found = faults(
        "[tool.nixpy]\nextra = 1\nlock = 'x'\ngroups = [1, 2]\n",
        name="pyproject.toml",
        environ={"NIXPY_SYNC": "x", "UV_LOCKED": "x"},
        flags={"manager": "x"},
    )
    assert [fault.rsplit(": ", 1)[0] for fault in found] == [
        "--manager",
        "NIXPY_SYNC",
        "UV_LOCKED",
        "pyproject.toml: tool.nixpy.extra",
        "pyproject.toml: tool.nixpy.lock",
        "pyproject.toml: tool.nixpy.groups[0]",
        "pyproject.toml: tool.nixpy.groups[1]",
    ]


def test_options_in_two_files_are_a_fault_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.nixpy]\nlock = 'frozen'\n")
    (tmp_path / "nixpy.toml").write_text("")
    with pytest.raises(OptionsError) as caught:
        load_options(str(tmp_path), flags={}, environ={}, files=DiskFiles())
    assert caught.value.faults == (
        "pyproject.toml: tool.nixpy: nixpy.toml sets options too; keep them in one of the two",
    )
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    assert load_options(str(tmp_path), flags={}, environ={}, files=DiskFiles()) == Options()


@pytest.mark.parametrize("content", ["tool = 1", "[tool]\nnixpy = 1"])
def test_a_tool_table_that_is_none_is_a_fault(content: str) -> None:
    (fault,) = faults(content, name="pyproject.toml")
    assert fault.endswith(": expected a table, got an integer")


def test_malformed_toml_is_an_error_with_the_line() -> None:
    with pytest.raises(ManifestError, match=r"^nixpy\.toml:2: malformed TOML"):
        load("a = 1\n=")


def test_the_schema_in_the_package_is_the_one_of_the_code() -> None:
    with open(SCHEMA_PATH, encoding="utf-8") as file:
        assert file.read() == schema_text()
    jsonschema.Draft202012Validator.check_schema(json_schema())


NAMES = st.sampled_from([*(key.name for key in OPTION_KEYS), "extra", "cuda"])
TEXTS = st.one_of(
    st.sampled_from(["", "a", "all", "a\n", "a:b", "\0", "a b", "-a", "a-", "é", "auto", "1"]),
    st.sampled_from([choice for key in OPTION_KEYS for choice in key.choices]),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=5),
)
ANYTHING = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(st.one_of(TEXTS, st.integers(0, 1)), max_size=3),
    st.dictionaries(st.one_of(TEXTS, st.just("A_1")), st.one_of(TEXTS, st.just(1)), max_size=2),
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08X}" for character in value) + '"'
    return repr(float(value)) if isinstance(value, float) else str(value)


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@given(st.dictionaries(NAMES, ANYTHING, max_size=4))
@example({"env": {"A\n": "x"}})
@example({"extras": ["a\n"]})
@example({"venv": "a\n"})
@example({"env": {"A": ""}})
def test_the_schema_accepts_what_the_code_accepts(table: dict[str, object]) -> None:
    content = "\n".join(f"{name} = {as_toml(value)}" for name, value in table.items())
    try:
        load(content)
    except OptionsError:
        accepted = False
    else:
        accepted = True
    assert VALIDATOR.is_valid(json.loads(json.dumps(table))) == accepted


@given(
    st.dictionaries(NAMES, ANYTHING),
    st.dictionaries(st.sampled_from([*(k.variable for k in OPTION_KEYS), "UV_FROZEN"]), TEXTS),
)
def test_any_flags_and_variables_are_options_or_faults(
    flags: dict[str, object], environ: dict[str, str]
) -> None:
    try:
        options = load(flags=flags, environ=environ)
    except OptionsError as error:
        found = error.faults
    else:
        found = tuple(options.origins)
    assert found


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
        st.text(st.characters(blacklist_characters="\n\0")),
    ),
)
def test_a_table_of_variables_survives_the_way_through_a_variable(table: dict[str, str]) -> None:
    text = "\n".join(f"{name}={value}" for name, value in table.items())
    assert load(environ={"NIXPY_ENV": text}).env == tuple(table.items())


def test_importing_the_options_loads_nothing_heavy() -> None:
    heavy = {"difflib", "tomllib", "tomli", "packaging", "json", "pathlib"}
    code = "import sys; before = set(sys.modules); import nixpy.options; "
    code += f"print(*({heavy!r} & (set(sys.modules) - before)))"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": path},
    )
    assert done.stdout.split() == []
