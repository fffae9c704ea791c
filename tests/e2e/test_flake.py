"""``flake.nix`` evaluates, for every system, with a nixpkgs that is ours (``tests/flakes``).

Real nixpkgs is not fetched: what is tested is our side of it. The store, Nix's state and its
configuration are in a directory of the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli
from packaging.requirements import Requirement

from nixpy import __version__

ROOT = Path(__file__).parents[2]
STUB = ROOT / "tests" / "flakes" / "stub-nixpkgs"
SYSTEMS = ("x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin")
USED = ("flake.nix", "pyproject.toml", "direnvrc", "src/nixpy/version.py")

NIX = shutil.which("nix")

pytestmark = pytest.mark.skipif(NIX is None, reason="nix is not installed")


class Flake:
    """The flake, copied so that Nix does not copy a whole checkout into its store."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "flake"
        for name in USED:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.path / name)
        self.stub = directory / "stub"
        shutil.copytree(STUB, self.stub)
        configuration = directory / "etc"
        configuration.mkdir()
        (configuration / "nix.conf").write_text(
            "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\n"
        )
        home = directory / "home"
        home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "NIX_CONF_DIR": str(configuration),
            "NIX_REMOTE": "local",
            "NIX_STORE_DIR": str(directory / "store"),
            "NIX_STATE_DIR": str(directory / "var"),
            "NIX_LOG_DIR": str(directory / "log"),
        }

    def nix(self, *arguments: str) -> Any:
        """Run a command of nix on the flake; return the JSON that it prints."""
        assert NIX is not None
        argv = [NIX, *arguments, "--json", "--no-write-lock-file"]
        argv += ["--override-input", "nixpkgs", f"path:{self.stub}"]
        done = subprocess.run(
            argv, env=self.environ, cwd=self.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def evaluate(self, attribute: str, apply: str = "value: value") -> Any:
        """Return the value of an attribute of the flake's outputs."""
        return self.nix("eval", f"path:{self.path}#{attribute}", "--apply", apply)


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Flake:
    # Nix refuses a store below a symbolic link, as macOS's temporary directory is.
    return Flake(tmp_path_factory.mktemp("nix").resolve())


def test_it_shows_a_package_and_a_dev_shell_for_every_system(flake: Flake) -> None:
    shown = flake.nix("flake", "show", f"path:{flake.path}")
    assert set(shown) == {"packages", "overlays", "devShells"}
    for output in ("packages", "devShells"):
        assert set(shown[output]) == set(SYSTEMS)
        assert all(set(shown[output][system]) == {"default"} for system in SYSTEMS)
    assert shown["overlays"]["default"]["type"] == "nixpkgs-overlay"


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_package_and_the_dev_shell_instantiate(flake: Flake, system: str) -> None:
    package = flake.evaluate(f"packages.{system}.default.drvPath")
    assert package.endswith(f"-nixpy-{__version__}.drv")
    assert flake.evaluate(f"devShells.{system}.default.drvPath").endswith("-nix-shell.drv")


def test_the_package_has_the_dependencies_of_the_wheel_but_for_uv(flake: Flake) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = {Requirement(one).name for one in tomli.load(file)["project"]["dependencies"]}
    package = f"packages.{SYSTEMS[0]}.default.passthru"
    names = flake.evaluate(f"{package}.dependencies", "map (one: one.name)")
    assert {*names, *flake.evaluate(f"{package}.pythonRemoveDeps")} == declared
    wrapper = flake.evaluate(f"{package}.makeWrapperArgs")
    assert wrapper[:3] == ["--suffix", "PATH", ":"]
    assert wrapper[3].endswith("-uv/bin")


def test_the_package_fills_in_what_setup_fills_in(flake: Flake) -> None:
    script = flake.evaluate(f"packages.{SYSTEMS[0]}.default.passthru.postInstall")
    template = (ROOT / "direnvrc").read_text()
    for text in ("_nixpy_command=(nixpy)", "# nixpy-version: development"):
        assert f'"{text}"' in script
        assert template.count(text) == 1
    assert f"# nixpy-version: {__version__}" in script


def test_the_overlay_adds_the_package(flake: Flake) -> None:
    stub = f'(builtins.getFlake "path:{flake.stub}").legacyPackages.{SYSTEMS[0]}'
    name = flake.nix(
        "eval",
        "--impure",
        f"path:{flake.path}#overlays.default",
        "--apply",
        f"overlay: (overlay ({stub}) {{ }}).nixpy.name",
    )
    assert name == f"nixpy-{__version__}"


def test_the_dev_shell_has_strace_on_linux_alone(flake: Flake) -> None:
    for system in SYSTEMS:
        names = flake.evaluate(
            f"devShells.{system}.default.passthru.packages", "map (one: one.name)"
        )
        assert ("strace" in names) == system.endswith("-linux")
        assert {"uv", "direnv", "python3"} <= set(names)
