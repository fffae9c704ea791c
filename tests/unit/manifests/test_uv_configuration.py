"""uv's configuration: which settings of pip's it answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.pip_configuration import SETTINGS, PipSetting
from nixpy.manifests.uv_configuration import UvSettings, needs_pip, uv_settings

URL = "https://x.invalid/"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def settings(root: Path, **variables: str) -> UvSettings:
    # Nothing of the machine: the files in /etc are left out unless a test says otherwise.
    environ = {"UV_NO_SYSTEM_CONFIG": "1", **variables}
    return uv_settings(root=str(root), environ=environ, files=DiskFiles(), platform="linux")


def answered(root: Path, **variables: str) -> set[str]:
    return set(settings(root, **variables).counterparts)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("UV_DEFAULT_INDEX", "index-url"),
        ("UV_INDEX_URL", "index-url"),
        ("UV_INDEX", "extra-index-url"),
        ("UV_EXTRA_INDEX_URL", "extra-index-url"),
        ("UV_FIND_LINKS", "find-links"),
        ("UV_INSECURE_HOST", "trusted-host"),
        ("UV_CONSTRAINT", "constraint"),
    ],
)
def test_a_variable_answers_one_setting(tmp_path: Path, variable: str, name: str) -> None:
    assert answered(tmp_path, **{variable: URL}) == {name}
    assert answered(tmp_path, **{variable: ""}) == set()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (f'index-url = "{URL}"', {"index-url"}),
        (f'extra-index-url = ["{URL}"]', {"extra-index-url"}),
        (f'[pip]\nindex-url = "{URL}"\nfind-links = ["."]', {"index-url", "find-links"}),
        (f'[[index]]\nurl = "{URL}"', {"extra-index-url"}),
        (f'[[index]]\nurl = "{URL}"\ndefault = true', {"index-url"}),
        (f'[[index]]\nname = "x"\nurl = "{URL}"\nexplicit = true', set()),
        ('allow-insecure-host = ["x.invalid"]', {"trusted-host"}),
        ('constraint-dependencies = ["x<1"]', {"constraint"}),
        ("no-index = true", {"no-index", "index-url", "extra-index-url"}),
        ("no-index = false", set()),
        ("compile-bytecode = true", set()),
        ("", set()),
    ],
)
def test_a_file_answers_what_it_sets(tmp_path: Path, content: str, names: set[str]) -> None:
    (tmp_path / "uv.toml").write_text(content)
    assert answered(tmp_path) == names


def test_a_uv_toml_hides_the_table_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", f'[tool.uv]\nindex-url = "{URL}"\n')
    assert answered(tmp_path) == {"index-url"}
    write(tmp_path / "uv.toml", "")
    assert answered(tmp_path) == set()


def test_the_nearest_parent_with_settings_counts(tmp_path: Path) -> None:
    project = tmp_path / "a/b"
    write(project / "pyproject.toml", "[project]\nname = 'x'\n")
    write(tmp_path / "uv.toml", f'index-url = "{URL}"\n')
    assert answered(project) == {"index-url"}
    assert str(tmp_path / "a/uv.toml") in settings(project).files
    write(tmp_path / "a/pyproject.toml", "[tool.uv]\n")
    assert answered(project) == set()
    assert str(tmp_path / "uv.toml") not in settings(project).files


def test_a_malformed_pyproject_is_passed_over_as_by_uv(tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", f'index-url = "{URL}"\n')
    for content in ("[", "[tool.uv]\nno-index = 3\n"):
        write(tmp_path / "a/pyproject.toml", content)
        assert answered(tmp_path / "a") == {"index-url"}


def test_a_malformed_uv_toml_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", "[")
    with pytest.raises(ManifestError) as raised:
        answered(tmp_path)
    assert str(raised.value.where).startswith(str(tmp_path / "uv.toml"))


def test_project_user_and_system_add_up(tmp_path: Path) -> None:
    write(tmp_path / "p/uv.toml", 'find-links = ["."]\n')
    write(tmp_path / "home/.config/uv/uv.toml", f'index-url = "{URL}"\n')
    write(tmp_path / "two/uv/uv.toml", 'constraint-dependencies = ["x<1"]\n')
    write(tmp_path / "three/uv/uv.toml", f'extra-index-url = ["{URL}"]\n')
    system = {
        "XDG_CONFIG_DIRS": ":".join(str(tmp_path / name) for name in ("one", "two", "three")),
        "UV_NO_SYSTEM_CONFIG": "0",
    }
    home = str(tmp_path / "home")
    found = settings(tmp_path / "p", HOME=home, **system)
    assert found.counterparts == {"find-links", "index-url", "constraint"}
    assert [path.removeprefix(str(tmp_path)) for path in found.files] == [
        "/p/uv.toml",
        "/home/.config/uv/uv.toml",
        "/one/uv/uv.toml",
        "/two/uv/uv.toml",
    ]
    assert answered(tmp_path / "p", XDG_CONFIG_HOME=f"{home}/.config") == {
        "find-links",
        "index-url",
    }


def test_a_named_file_is_the_only_one_and_no_config_means_none(tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", f'index-url = "{URL}"\n')
    write(tmp_path / "named.toml", 'find-links = ["."]\n')
    named = str(tmp_path / "named.toml")
    assert settings(tmp_path, UV_CONFIG_FILE=named).files == (named,)
    assert answered(tmp_path, UV_CONFIG_FILE=named) == {"find-links"}
    assert answered(tmp_path, UV_CONFIG_FILE=named, UV_NO_CONFIG="1") == {"find-links"}
    assert settings(tmp_path, UV_NO_CONFIG="1") == UvSettings(frozenset(), ())
    assert answered(tmp_path, UV_NO_CONFIG="0") == {"index-url"}


def test_what_uv_has_no_answer_to_needs_pip() -> None:
    pip = [PipSetting(name, "x", "variable") for name in SETTINGS]
    uv = UvSettings(frozenset({"index-url", "constraint"}), ())
    assert [one.name for one in needs_pip(pip, uv)] == [
        "extra-index-url",
        "no-index",
        "find-links",
        "trusted-host",
    ]
    assert needs_pip((), UvSettings(frozenset(), ())) == ()


def index(name: str) -> str:
    return f'index-url = "https://{name}.invalid/"\n'


CASES: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "nothing": ({}, {}, False),
    "uv.toml": ({"p/uv.toml": index("a")}, {}, True),
    "a parent's": ({"uv.toml": index("a"), "p/pyproject.toml": "[project]\n"}, {}, True),
    "a nearer table": ({"uv.toml": index("a"), "p/pyproject.toml": "[tool.uv]\n"}, {}, False),
    "a malformed table": ({"uv.toml": index("a"), "p/pyproject.toml": "["}, {}, True),
    "hidden": ({"p/uv.toml": "", "p/pyproject.toml": f"[tool.uv]\n{index('a')}"}, {}, False),
    "the user's": ({"home/.config/uv/uv.toml": index("a")}, {}, True),
    "the user's below a project's": (
        {"home/.config/uv/uv.toml": index("a"), "p/uv.toml": 'find-links = ["."]\n'},
        {},
        True,
    ),
    "the system's": ({"s/uv/uv.toml": index("a")}, {"XDG_CONFIG_DIRS": "{root}/s"}, True),
    "the second of the system": (
        {"s/uv/uv.toml": "", "t/uv/uv.toml": index("a")},
        {"XDG_CONFIG_DIRS": "{root}/s:{root}/t"},
        False,
    ),
    "no system's": (
        {"s/uv/uv.toml": index("a")},
        {"XDG_CONFIG_DIRS": "{root}/s", "UV_NO_SYSTEM_CONFIG": "1"},
        False,
    ),
    "no configuration": ({"p/uv.toml": index("a")}, {"UV_NO_CONFIG": "1"}, False),
    "a named file": (
        {"n.toml": index("a")},
        {"UV_NO_CONFIG": "1", "UV_CONFIG_FILE": "{root}/n.toml"},
        True,
    ),
    "the default index": ({}, {"UV_DEFAULT_INDEX": "https://a.invalid"}, True),
    "the old variable": ({}, {"UV_INDEX_URL": "https://a.invalid"}, True),
    "a further index": ({}, {"UV_INDEX": "https://a.invalid"}, False),
    "a variable there is not": ({}, {"UV_NO_INDEX": "1"}, False),
    "no index": ({"p/uv.toml": "no-index = true\n"}, {}, True),
}


@pytest.mark.parametrize("case", CASES)
def test_uv_itself_has_another_index_where_we_say_it_has(tmp_path: Path, case: str) -> None:
    files, variables, is_answered = CASES[case]
    for name, content in files.items():
        write(tmp_path / name, content)
    (tmp_path / "p").mkdir(exist_ok=True)
    environ = {name: value.format(root=tmp_path) for name, value in variables.items()}
    environ = {"XDG_CONFIG_DIRS": str(tmp_path / "none"), **environ, "HOME": f"{tmp_path}/home"}
    found = uv_settings(
        root=str(tmp_path / "p"), environ=environ, files=DiskFiles(), platform="linux"
    )
    assert ("index-url" in found.counterparts) == is_answered
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "uv", "pip", "install", "--show-settings"),
            *("--python", sys.executable, "-r", "/dev/null"),
        ],
        cwd=tmp_path / "p",
        env={**environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = re.search(r"index_locations: (.*?)\bindex_strategy", done.stdout, re.DOTALL)
    assert shown, done.stdout
    has_default = "default: true" in shown[1] or "no_index: true" in shown[1]
    assert has_default == is_answered, shown[1]
