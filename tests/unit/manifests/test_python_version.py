from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.python_version import FILES, find_python_request, request_of

UV = Path(sys.executable).parent / "uv"


def found(directory: Path) -> tuple[str | None, str] | None:
    one = find_python_request(DiskFiles(), [str(directory)])
    return (one.text, Path(one.path).name) if one else None


@pytest.mark.parametrize(
    ("word", "request_"),
    [
        ("3", "3"),
        ("3.12", "3.12"),
        ("3.12.1", "3.12.1"),
        ("3.14rc1", "3.14rc1"),
        ("3.14-dev", "3.14"),
        ("3.13t", "3.13+freethreaded"),
        ("3.13.0t", "3.13.0+freethreaded"),
        ("3.13+freethreaded", "3.13+freethreaded"),
        ("3.13d", "3.13+debug"),
        ("3.13td", "3.13+freethreaded+debug"),
        ("python3.12", "3.12"),
        ("cpython@3.12", "cpython@3.12"),
        ("cpython-3.12", "cpython@3.12"),
        ("cpython3.12", "cpython@3.12"),
        ("cpython-3.12.3-linux-x86_64-gnu", "cpython-3.12.3-linux-x86_64-gnu"),
        ("pypy3.10", "pypy@3.10"),
        ("pypy@3.10", "pypy@3.10"),
        ("pypy3.10-7.3.12", "pypy@3.10"),
        ("pypy", "pypy"),
        ("graalpy-24.1.0", "graalpy"),
        ("graalpy-community-24.1.0", "graalpy"),
        (">=3.10, <3.14", ">=3.10,<3.14"),
        (">=3.9,!=3.11.*,<3.13", ">=3.9,!=3.11.*,<3.13"),
        ("~=3.12", "~=3.12"),
        ("system", None),
        ("latest", None),
        ("latest:3.12", "3.12"),
        ("prefix:3.12", "3.12"),
        ("v3.12.1", "3.12.1"),
        ("/opt/my python/bin/python", "/opt/my python/bin/python"),
        ("../python/bin/python3", "/a/python/bin/python3"),
        ("path:../python", "/a/python/bin/python"),
    ],
)
def test_every_form_is_a_request_for_uv(word: str, request_: str | None) -> None:
    assert request_of(word, "/a/b", ".python-version:1") == request_


@pytest.mark.parametrize(
    "word",
    ["miniconda3-23.5.2-0", "anaconda3-2024.06", "stackless-3.7", "jython-2.7", "my-virtualenv"],
)
def test_what_uv_cannot_find_is_an_error_that_says_what_to_write(word: str) -> None:
    with pytest.raises(ManifestError, match="names no interpreter") as caught:
        request_of(word, "/a", ".python-version:3")
    assert caught.value.where == ".python-version:3"
    assert "3.12" in (caught.value.next or "")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".python-version": "# pinned\n\n3.12.1  # why\n3.11.9\n"}, ("3.12.1", ".python-version")),
        ({".python-version": "3.12.1 3.11.9\n"}, ("3.12.1", ".python-version")),
        ({".python-version": "\ufeff3.12\r\n"}, ("3.12", ".python-version")),
        ({".python-versions": "3.12\n3.11\n"}, ("3.12", ".python-versions")),
        (
            {".tool-versions": "nodejs 20.1\npython 3.12.1 3.11.9 # why\n"},
            ("3.12.1", ".tool-versions"),
        ),
        ({".tool-versions": "nodejs 20.1\n"}, None),
        ({".tool-versions": "python system\n"}, (None, ".tool-versions")),
        ({"mise.toml": '[tools]\npython = "3.12"\n'}, ("3.12", "mise.toml")),
        ({".mise.toml": '[tools]\npython = ["3.12", "3.11"]\n'}, ("3.12", ".mise.toml")),
        ({"mise.toml": '[tools]\npython = {version = "3.12"}\n'}, ("3.12", "mise.toml")),
        ({"mise.toml": '[tools]\nnode = "20"\n'}, None),
        (
            {".python-version": "\n# none\n", ".tool-versions": "python 3.11\n"},
            ("3.11", ".tool-versions"),
        ),
        (
            {".python-version": "3.12\n", ".tool-versions": "python 3.11\n"},
            ("3.12", ".python-version"),
        ),
        ({}, None),
    ],
)
def test_the_first_file_that_asks_counts(
    tmp_path: Path, files: dict[str, str], expected: tuple[str | None, str] | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert found(tmp_path) == expected


@given(st.text(max_size=20), st.sampled_from(FILES))
def test_any_word_is_a_request_or_an_error(word: str, name: str) -> None:
    with contextlib.suppress(ManifestError):
        found = request_of(word.strip() or "3", "/a", name)
        assert found is None or found


@pytest.mark.parametrize(
    "request_",
    ["3.12", "3.13+freethreaded", "cpython@3.12", "pypy@3.10", "graalpy", ">=3.9,!=3.11.*"],
)
def test_uv_takes_them_for_what_they_are(request_: str, tmp_path: Path) -> None:
    argv = [str(UV), "python", "find", "--no-project", "--no-python-downloads", request_]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    # What is taken for the name of a program is looked for on PATH alone.
    assert "executable name" not in done.stderr
    assert "invalid" not in done.stderr.lower()
