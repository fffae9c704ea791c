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
from nixpy.files import DiskFiles
from nixpy.init.template import TEMPLATES, read_template
from nixpy.options import load_options

ROOT = Path(__file__).parents[2]
MODULE_SYSTEM = ROOT / "tests" / "flakes" / "module-system"
STUB = ROOT / "tests" / "flakes" / "stub-nixpkgs"
SYSTEMS = ("x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin")
USED = (
    *("flake.nix", "pyproject.toml", "direnvrc", "nix/module.nix"),
    *("src/nixpy/version.py", "src/nixpy/options.schema.json"),
)

OLDER = shutil.which("nix")
NEWER = os.environ.get("NIXPY_TEST_NEWER_NIX")


class Flake:
    """The flake, copied so that Nix does not copy a whole checkout into its store."""

    def __init__(self, directory: Path, program: str) -> None:
        self.program = program
        self.path = directory / "flake"
        for name in USED:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.path / name)
        shutil.copytree(ROOT / "src/nixpy/templates", self.path / "src/nixpy/templates")
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
        argv = [self.program, *arguments, "--json", "--no-write-lock-file"]
        argv += ["--override-input", "nixpkgs", f"path:{self.stub}"]
        done = subprocess.run(
            argv, env=self.environ, cwd=self.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def evaluate(self, attribute: str, apply: str = "value: value") -> Any:
        """Return the value of an attribute of the flake's outputs."""
        return self.nix("eval", f"path:{self.path}#{attribute}", "--apply", apply)


@pytest.fixture(scope="module", params=["the machine's Nix", "a newer Nix"])
def flake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Flake:
    program = OLDER
    if request.param == "a newer Nix":
        if not NEWER:
            pytest.skip("there is no second Nix: NIXPY_TEST_NEWER_NIX is not set")
        program = f"{NEWER}/nix"
    if program is None:
        pytest.skip("nix is not installed")
    # Nix refuses a store below a symbolic link, as macOS's temporary directory is.
    return Flake(tmp_path_factory.mktemp("nix").resolve(), program)


def test_it_shows_a_package_and_a_dev_shell_for_every_system(flake: Flake) -> None:
    shown = flake.nix("flake", "show", f"path:{flake.path}")
    assert set(shown) == {
        *("packages", "overlays", "devShells", "checks", "formatter"),
        *("templates", "nixosModules", "homeManagerModules"),
    }
    for output in ("packages", "devShells"):
        assert set(shown[output]) == set(SYSTEMS)
        assert all(set(shown[output][system]) == {"default"} for system in SYSTEMS)
    assert set(shown["checks"]) == set(shown["formatter"]) == set(SYSTEMS)
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


def test_the_package_has_the_extras_of_the_wheel(flake: Flake) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomli.load(file)["project"]["optional-dependencies"]
    named = "builtins.mapAttrs (_: map (one: one.name))"
    found = flake.evaluate(
        f"packages.{SYSTEMS[0]}.default.passthru.optional-dependencies", f"extras: {named} extras"
    )
    assert found == {
        name: [Requirement(one).name for one in wanted] for name, wanted in extras.items()
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_uv_is_left_out_by_an_override(flake: Flake, system: str) -> None:
    package = f"packages.{system}.default"
    without = "package: (package.override { withUv = false; }).passthru.makeWrapperArgs"
    assert flake.evaluate(package, without) == []
    back = "package: ((package.override { withUv = false; }).override { withUv = true; }).drvPath"
    assert flake.evaluate(package, back) == flake.evaluate(f"{package}.drvPath")


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_checks_and_the_formatter_instantiate(flake: Flake, system: str) -> None:
    package = f"packages.{system}.default"
    paths = flake.evaluate(f"checks.{system}", "builtins.mapAttrs (_: check: check.drvPath)")
    assert set(paths) == {"package", "package-without-uv", "installed", "format"}
    assert paths["package"] == flake.evaluate(f"{package}.drvPath")
    assert len(set(paths.values())) == len(paths)
    assert flake.evaluate(f"formatter.{system}.name") == "nixfmt-tree"


def test_the_check_of_what_is_installed_holds_for_a_tree_like_the_packages(
    flake: Flake, tmp_path: Path
) -> None:
    """Its script is run, with a stand-in for the package; only the build is nixpkgs' own."""
    (script,) = flake.evaluate(f"checks.{SYSTEMS[0]}.installed.passthru.script")
    package = flake.evaluate(f"packages.{SYSTEMS[0]}.default.outPath")
    tree = tmp_path / "package"
    shutil.copytree(ROOT / "share", tree / "share")
    (tree / "share/nixpy").mkdir()
    (tree / "bin").mkdir()
    (tree / "bin/nixpy").write_text(f"#!/bin/sh\necho nixpy, version {__version__}\n")
    (tree / "bin/nixpy").chmod(0o755)
    library = (ROOT / "direnvrc").read_text().replace("(nixpy)", f"('{tree}/bin/nixpy')", 1)
    (tree / "share/nixpy/direnvrc").write_text(library)

    def passes() -> bool:
        environ = {"PATH": f"{tree}/bin:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
        environ["out"] = str(tmp_path / "out")
        argv = ["bash", "-euc", script.replace(package, str(tree))]
        return subprocess.run(argv, env=environ, capture_output=True, check=False).returncode == 0

    assert package in script
    assert passes()
    (tree / "share/zsh/site-functions/_nixpy").unlink()
    assert not passes()


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


def test_it_shows_the_templates_of_nixpy_init(flake: Flake) -> None:
    shown = flake.nix("flake", "show", f"path:{flake.path}")["templates"]
    assert {name: one["description"] for name, one in shown.items()} == {
        **TEMPLATES,
        "default": TEMPLATES["uv"],
    }


@pytest.mark.parametrize("name", [*TEMPLATES, None])
def test_nix_flake_init_writes_what_nixpy_init_does(
    name: str | None, flake: Flake, tmp_path: Path
) -> None:
    # It takes no --override-input, and locks the flake that it takes the template from.
    source = tmp_path / "source"
    shutil.copytree(flake.path, source)
    text = (source / "flake.nix").read_text()
    nixpkgs = "github:NixOS/nixpkgs/nixpkgs-unstable"
    assert text.count(nixpkgs) == 1
    (source / "flake.nix").write_text(text.replace(nixpkgs, f"path:{flake.stub}"))
    reference = f"path:{source}#{name}" if name else f"path:{source}"
    place = tmp_path / "place"
    place.mkdir()
    done = subprocess.run(
        [flake.program, "flake", "init", "--template", reference],
        env=flake.environ,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = {
        str(path.relative_to(place)): path.read_text()
        for path in place.rglob("*")
        if path.is_file()
    }
    assert written == read_template(name or "uv").files


def configured(flake: Flake, module: str, system: str, said: str) -> Any:
    """Evaluate a module, with what a user says in ``programs.direnv.nixpy``."""
    shutil.copytree(MODULE_SYSTEM, flake.path.parent / "module-system", dirs_exist_ok=True)
    evaluate = (
        f"module: import {flake.path.parent}/module-system {{ inherit module;"
        f' system = "{system}"; said.programs.direnv.nixpy = {said}; }}'
    )
    return flake.nix("eval", "--impure", f"path:{flake.path}#{module}.default", "--apply", evaluate)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_modules_place_the_library_and_the_package(flake: Flake, system: str) -> None:
    package = flake.evaluate(f"packages.{system}.default.outPath")
    home = configured(flake, "homeManagerModules", system, "{ enable = true; }")
    assert home["xdg"]["configFile"]["direnv/lib/nixpy.sh"] == {
        "source": f"{package}/share/nixpy/direnvrc"
    }
    assert home["home"] == {"packages": [package], "sessionVariables": {}}
    assert home["programs"]["direnv"]["enable"] is True
    machine = configured(flake, "nixosModules", system, "{ enable = true; }")
    assert machine["environment"] == {
        "etc": {"direnv/lib/nixpy.sh": {"source": f"{package}/share/nixpy/direnvrc"}},
        "systemPackages": [package],
        "sessionVariables": {},
    }
    for module in ("homeManagerModules", "nixosModules"):
        assert configured(flake, module, system, "{ }") == {}


def test_the_settings_of_a_module_are_options_as_nixpy_reads_them(
    flake: Flake, tmp_path: Path
) -> None:
    said = """{
      enable = true;
      package = "/nixpy";
      settings = {
        sync = "manual";
        exact = true;
        extras = [ "a" "b" ];
        nix-options = [ "--impure" "--offline" ];
        path = [ "bin" "scripts" ];
        env = { A = "b c"; B = "d"; };
        cuda = { "12.8" = [ "cu128" "more" ]; none = [ "cpu" ]; };
      };
    }"""
    found = configured(flake, "homeManagerModules", SYSTEMS[0], said)
    variables = found["home"]["sessionVariables"]
    options = load_options(str(tmp_path), flags={}, environ=variables, files=DiskFiles())
    assert (options.sync, options.exact, options.extras) == ("manual", True, ("a", "b"))
    assert options.nix_options == ("--impure", "--offline")
    assert options.path == ("bin", "scripts")
    assert dict(options.env) == {"A": "b c", "B": "d"}
    assert options.cuda == (("12.8", ("cu128", "more")), ("none", ("cpu",)))
    assert all(one["assertion"] for one in found["assertions"])


def test_a_setting_that_nixpy_does_not_have_is_said(flake: Flake) -> None:
    said = '{ enable = true; settings = { snyc = "manual"; }; }'
    (one,) = configured(flake, "nixosModules", SYSTEMS[0], said)["assertions"]
    assert not one["assertion"]
    assert "snyc" in one["message"]
