"""The public names, and what they cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import pytest

import nixpy
from nixpy.directories import nixpy_directory


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(dir(nixpy)) == sorted(nixpy.__all__)
    for name in nixpy.__all__:
        assert getattr(nixpy, name) is not None


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        nixpy.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; old = set(sys.modules); import nixpy; print(*sorted(set(sys.modules) - old))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"nixpy", "__future__"}


def test_the_library_resolves_a_project(tmp_path: Path) -> None:
    (tmp_path / "nixpy.toml").write_text('manager = "none"\nenv = { A = "1" }\n')
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    resolution = nixpy.resolve(tmp_path, environ=environ)
    assert resolution.manager == "none"
    assert resolution.environment is not None
    assert resolution.environment.apply({})["A"] == "1"
    with pytest.raises(nixpy.NixpyError, match="unknown flag"):
        nixpy.resolve(tmp_path, {"envv": {}}, environ=environ, strict=True)
    # Not strict: what was good before serves.
    assert nixpy.resolve(tmp_path, {"envv": {}}, environ=environ).stale


@pytest.mark.parametrize("xdg", ["", "/elsewhere", "relative"])
@pytest.mark.parametrize("purpose", ["cache", "state", "data"])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_directories_are_those_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, purpose: str, xdg: str, platform: str
) -> None:
    for kind in ("CACHE", "STATE", "DATA"):
        monkeypatch.delenv(f"XDG_{kind}_HOME", raising=False)
    environ = {"HOME": str(Path.home())}
    if xdg:
        environ[f"XDG_{purpose.upper()}_HOME"] = xdg
        monkeypatch.setenv(f"XDG_{purpose.upper()}_HOME", xdg)
    ours = nixpy_directory(purpose, environ, platform)  # type: ignore[arg-type]
    if xdg == "relative":  # the specification: "should consider the path invalid and ignore it"
        environ.pop(f"XDG_{purpose.upper()}_HOME")
        assert ours == nixpy_directory(purpose, environ, platform)  # type: ignore[arg-type]
        return
    kinds = {"linux": platformdirs.unix.Unix, "darwin": platformdirs.macos.MacOS}
    theirs = getattr(kinds[platform]("nixpy"), f"user_{purpose}_dir")
    assert ours == theirs


def test_without_a_home_there_is_no_directory() -> None:
    assert nixpy_directory("cache", {}) is None
