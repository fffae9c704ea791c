from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nixpy.errors import InterpreterNotFound
from nixpy.interpreter import (
    Request,
    can_download,
    choose_interpreter,
    interpreter_not_found,
    satisfies,
)
from nixpy.managers.prefix import Prefix
from nixpy.nix.dev_shell import Interpreter
from nixpy.process import Completed, SystemRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SHELL = Interpreter("/nix/store/e/bin/python3", "/nix/store/b/bin/python3.12", "3.12.4")


class Programs:
    """A runner on which uv finds one interpreter, and interpreters say what they are."""

    def __init__(self, found: str = "", status: int = 0, said: str = "CPython 3.12.4") -> None:
        self.found, self.status, self.said = found, status, said
        self.asked: list[Sequence[str]] = []

    def capture(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], timeout: float = 60.0
    ) -> Completed:
        del cwd, environ, timeout
        self.asked.append(argv)
        if argv[0] == "uv":
            return Completed(self.status, f"{self.found}\n", "")
        return Completed(0, f"{self.said}\n", "")


def choose(request: Request, programs: Any, **environ: str) -> str:
    return choose_interpreter(request, uv="uv", runner=programs, environ=environ, cwd="/")


@pytest.mark.parametrize(
    ("text", "requires", "version", "accepted"),
    [
        (None, None, "3.12.4", True),
        ("3.12", None, "3.12.4", True),
        ("3.1", None, "3.12.4", False),
        ("3", None, "3.12.4", True),
        ("3.12.4", None, "3.12.4", True),
        (">=3.11,<3.13", None, "3.12.4", True),
        (">=3.13", None, "3.12.4", False),
        (None, ">=3.13", "3.12.4", False),
        ("3.12", ">=3.12.5", "3.12.4", False),
        ("cpython@3.12", None, "3.12.4", False),
        ("/usr/bin/python3", None, "3.12.4", False),
        ("pypy", None, "3.12.4", False),
    ],
)
def test_a_request_accepts_what_surely_satisfies_it(
    text: str | None, requires: str | None, version: str, accepted: bool
) -> None:
    assert Request(text, "", requires).accepts(version) is accepted


def test_the_dev_shells_goes_before_all_others() -> None:
    programs = Programs("/usr/bin/python3")
    assert choose(Request("3.12", "here", preferred=SHELL), programs) == SHELL.base
    assert programs.asked == []


def test_uv_finds_it_among_those_of_the_system_without_downloading() -> None:
    programs = Programs("/usr/bin/python3")
    assert choose(Request("3.12", "here"), programs) == "/usr/bin/python3"
    assert programs.asked[0][-1] == "3.12"
    assert {"--system", "--no-python-downloads", "--no-project"} <= set(programs.asked[0])


def test_one_that_no_project_allows_is_none() -> None:
    with pytest.raises(InterpreterNotFound, match=r">=3\.13"):
        choose(Request("3.12", "here", ">=3.13", "there"), Programs("/usr/bin/python3"))


def test_where_there_is_none_uv_may_download_what_is_asked_for() -> None:
    assert choose(Request("3.99", "here"), Programs(status=2)) == "3.99"
    with pytest.raises(InterpreterNotFound):
        choose(Request("3.99", "here"), Programs(status=2), UV_PYTHON_DOWNLOADS="never")
    with pytest.raises(InterpreterNotFound):
        choose(Request(None, ""), Programs(status=2))


@pytest.mark.parametrize(
    ("environ", "is_nixos", "expected"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"NIX_LD": "/ld.so"}, True, True),
        ({"UV_PYTHON_DOWNLOADS": "manual"}, False, False),
        ({"UV_OFFLINE": "1"}, False, False),
        ({"UV_OFFLINE": "0"}, False, True),
    ],
)
def test_a_download_must_be_allowed_and_able_to_run(
    tmp_path: Path, environ: dict[str, str], is_nixos: bool, expected: bool
) -> None:
    release = tmp_path / "NIXOS"
    if is_nixos:
        release.touch()
    assert can_download(environ, str(release)) is expected


def prefix(tmp_path: Path, version: str) -> Prefix:
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").write_text(f"version_info = {version}\n")
    base = tmp_path / "base"
    base.touch(0o755)
    (tmp_path / "bin/python").symlink_to(base)
    return Prefix(str(tmp_path))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(None, ""), True),
        (Request("3.12", ""), True),
        (Request("3.11", ""), False),
        (Request(None, "", ">=3.13"), False),
        (Request("/somewhere/python", "", ">=3.13"), False),
        (Request(None, "", preferred=SHELL), False),
    ],
)
def test_an_environment_satisfies_by_its_version_or_its_interpreter(
    tmp_path: Path, request_: Request, expected: bool
) -> None:
    programs: Any = Programs("/elsewhere/python")
    found = satisfies(prefix(tmp_path, "3.12.4"), request_, uv="uv", runner=programs, environ={})
    assert found is expected


def test_an_environment_made_with_the_dev_shells_satisfies(tmp_path: Path) -> None:
    made = prefix(tmp_path, "3.12.4")
    request = Request(None, "", preferred=SHELL._replace(base=str(tmp_path / "base")))
    assert satisfies(made, request, uv="uv", runner=Programs(), environ={})  # type: ignore[arg-type]


def test_an_environment_whose_interpreter_is_gone_does_not(tmp_path: Path) -> None:
    made = prefix(tmp_path, "3.12.4")
    (tmp_path / "base").unlink()
    assert not satisfies(made, Request(None, ""), uv="uv", runner=Programs(), environ={})  # type: ignore[arg-type]


def test_every_candidate_is_named_with_what_it_says(tmp_path: Path) -> None:
    for name in ("python3", "python3.12", "python3-config", "pythonw", "pip"):
        (tmp_path / name).touch(0o755)
    programs: Any = Programs(said="CPython 3.9.1")
    error = interpreter_not_found(
        Request("3.12", "flag --python"), programs, {"PATH": f"{tmp_path}:relative"}, "/"
    )
    assert f"{tmp_path}/python3 (CPython 3.9.1)" in error.what
    assert f"{tmp_path}/python3.12 (CPython 3.9.1)" in error.what
    assert "config" not in error.what
    assert "pythonw" not in error.what
    assert "Python 3.12 (flag --python)" in error.what


@pytest.mark.parametrize(
    ("library", "text", "expected"),
    [
        ("python3.13", "3.13", True),
        ("python3.13t", "3.13", False),
        ("python3.13t", "3.13+freethreaded", True),
        ("python3.13", "3.13+freethreaded", False),
        ("python3.13t", "3.13.0+freethreaded", True),
        ("python3.13", "3.13+debug", False),
        ("python3.13t", None, True),
    ],
)
def test_a_build_without_the_lock_is_another_one(
    tmp_path: Path, library: str, text: str | None, expected: bool
) -> None:
    prefix = tmp_path / "venv"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib" / library).mkdir(parents=True)
    python = prefix / "bin/python"
    python.write_text("#!/bin/sh\necho False\n")
    python.chmod(0o755)
    (prefix / "pyvenv.cfg").write_text("version = 3.13.0\n")
    runner = SystemRunner()
    found = satisfies(
        Prefix(str(prefix)), Request(text, "flag"), uv="uv", runner=runner, environ={}
    )
    assert found is expected
