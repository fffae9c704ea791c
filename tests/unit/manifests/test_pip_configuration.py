"""pip's configuration: where it is, and which of its sources wins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.pip_configuration import (
    PipSetting,
    configuration_files,
    masked,
    pip_settings,
)

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def found(environ: dict[str, str], platform: str = "linux") -> dict[str, PipSetting]:
    every = pip_settings(environ=environ, files=DiskFiles(), platform=platform)
    return {one.name: one for one in every if not one.source.startswith("/etc/")}


def candidates(environ: dict[str, str], platform: str) -> tuple[str, ...]:
    return configuration_files(environ=environ, files=DiskFiles(), platform=platform)


def test_linux_reads_global_files_and_then_the_users(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert candidates({"HOME": home}, "linux") == (
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        f"{home}/.pip/pip.conf",
        f"{home}/.config/pip/pip.conf",
    )
    environ = {"HOME": home, "XDG_CONFIG_DIRS": "/a:relative::/b", "XDG_CONFIG_HOME": "/c"}
    assert candidates(environ, "linux") == (
        "/a/pip/pip.conf",
        "/b/pip/pip.conf",
        "/etc/pip.conf",
        f"{home}/.pip/pip.conf",
        "/c/pip/pip.conf",
    )


def test_macos_prefers_application_support_where_it_is(tmp_path: Path) -> None:
    shared = ("/Library/Application Support/pip/pip.conf", f"{tmp_path}/.pip/pip.conf")
    environ = {"HOME": str(tmp_path)}
    assert candidates(environ, "darwin") == (*shared, f"{tmp_path}/.config/pip/pip.conf")
    support = tmp_path / "Library/Application Support/pip/pip.conf"
    write(support, "")
    assert candidates(environ, "darwin") == (*shared, str(support))


def test_without_a_home_there_are_no_files_of_the_user() -> None:
    assert candidates({}, "linux") == ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
    assert candidates({}, "darwin") == ("/Library/Application Support/pip/pip.conf",)


def test_the_null_device_disables_all_files(tmp_path: Path) -> None:
    write(tmp_path / ".pip/pip.conf", "[global]\nindex-url = https://x.invalid\n")
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    assert candidates(environ, "linux") == ()
    assert found(environ) == {"no-index": PipSetting("no-index", "1", "variable PIP_NO_INDEX")}


def test_settings_say_where_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / ".config/pip/pip.conf"
    write(
        path,
        "[global]\nindex_url = https://one.invalid\n--trusted-host = one.invalid\ntimeout = 60\n"
        "find-links =\n    /a\n    /b\n"
        "[install]\nconstraint = c.txt\n"
        "[download]\nextra-index-url = https://other.invalid\n",
    )
    assert found({"HOME": str(tmp_path)}) == {
        "index-url": PipSetting("index-url", "https://one.invalid", f"{path}: [global]"),
        "find-links": PipSetting("find-links", "/a\n/b", f"{path}: [global]"),
        "trusted-host": PipSetting("trusted-host", "one.invalid", f"{path}: [global]"),
        "constraint": PipSetting("constraint", "c.txt", f"{path}: [install]"),
    }


@pytest.mark.parametrize(
    ("value", "is_set"),
    [("true", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("off", False)],
)
def test_no_index_counts_where_it_is_true(tmp_path: Path, value: str, is_set: bool) -> None:
    write(tmp_path / ".pip/pip.conf", f"[global]\nno-index = {value}\n")
    assert ("no-index" in found({"HOME": str(tmp_path)})) == is_set


def index(name: str, section: str = "global") -> str:
    return f"[{section}]\nindex-url = https://{name}.invalid\n"


CASES: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "nothing": ({}, {}, ""),
    "legacy": ({"home/.pip/pip.conf": index("a")}, {}, "a"),
    "the user's before the legacy": (
        {"home/.pip/pip.conf": index("a"), "home/.config/pip/pip.conf": index("b")},
        {},
        "b",
    ),
    "the later of the global": (
        {"one/pip/pip.conf": index("a"), "two/pip/pip.conf": index("b")},
        {"XDG_CONFIG_DIRS": "{root}/one:{root}/two"},
        "b",
    ),
    "the section before the file": (
        {"one/pip/pip.conf": index("a", "install"), "home/.pip/pip.conf": index("b")},
        {"XDG_CONFIG_DIRS": "{root}/one"},
        "a",
    ),
    "the named before the global": (
        {"one/pip/pip.conf": index("a"), "named.conf": index("b")},
        {"XDG_CONFIG_DIRS": "{root}/one", "PIP_CONFIG_FILE": "{root}/named.conf"},
        "b",
    ),
    "the named instead of the user's": (
        {"home/.pip/pip.conf": index("a"), "named.conf": ""},
        {"PIP_CONFIG_FILE": "{root}/named.conf"},
        "",
    ),
    "the user's where the named is not there": (
        {"home/.pip/pip.conf": index("a")},
        {"PIP_CONFIG_FILE": "{root}/named.conf"},
        "a",
    ),
    "the variable before all": (
        {"home/.pip/pip.conf": index("a", "install")},
        {"PIP_INDEX_URL": "https://b.invalid"},
        "b",
    ),
    "an empty variable is none": (
        {"home/.pip/pip.conf": index("a")},
        {"PIP_INDEX_URL": ""},
        "a",
    ),
    "another name": ({}, {"PIP_PYPI_URL": "https://a.invalid"}, "a"),
    "another case": ({}, {"PIP_index_url": "https://a.invalid"}, "a"),
    "another section": ({"home/.pip/pip.conf": index("a", "download")}, {}, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_pip_itself_takes_the_same_index(tmp_path: Path, case: str) -> None:
    pytest.importorskip("pip")
    files, variables, expected = CASES[case]
    for name, content in files.items():
        write(tmp_path / name, content)
    environ = {name: value.format(root=tmp_path) for name, value in variables.items()}
    environ["HOME"] = str(tmp_path / "home")
    ours = found(environ).get("index-url")
    assert (ours.value if ours else "") == (f"https://{expected}.invalid" if expected else "")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--help"],
        env={**environ, "COLUMNS": "400"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = re.search(r"Python Package Index \(default\s+(\S+)\)", done.stdout)
    assert theirs, done.stdout
    if ours:
        assert theirs[1] == ours.value
    else:
        assert not theirs[1].endswith(".invalid")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"index-url = x\n", ":1"),
        (b"[global]\nno value and no sign\n", ":2"),
        (b"[global]\na = 1\na = 2\n", ":3"),
        (b"[global]\n[global]\n", ":2"),
        (b"[global]\na = \xff\n", ""),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it(
    tmp_path: Path, content: bytes, where: str
) -> None:
    path = tmp_path / "pip.conf"
    path.write_bytes(content)
    with pytest.raises(ManifestError) as raised:
        found({"PIP_CONFIG_FILE": str(path)})
    assert raised.value.where == f"{path}{where}"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / ".pip/pip.conf"
    path.mkdir(parents=True)
    with pytest.raises(ManifestError, match="cannot be read"):
        found({"HOME": str(tmp_path)})


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(alphabet="[]global=: \n\t#;%-xindex", max_size=60).map(str.encode),
    )
)
def test_any_bytes_are_settings_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pip.conf"
    path.write_bytes(content)
    try:
        found({"PIP_CONFIG_FILE": str(path)})
    except ManifestError:
        pass


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://user:secret@host/simple", "https://****@host/simple"),
        ("https://token@host", "https://****@host"),
        ("https://host/simple", "https://host/simple"),
        ("https://host/@scope/", "https://host/@scope/"),
        ("https://user:secret@[broken/", "https://****@[broken/"),
        ("https://a:b@h1\nhttps://c:d@h2", "https://****@h1\nhttps://****@h2"),
        ("https://a:b@c@h", "https://****@h"),
        ("/links", "/links"),
    ],
)
def test_what_is_shown_has_no_credentials(value: str, shown: str) -> None:
    assert masked(value) == shown
