from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomli

from nixpy.init.template import CUDA, MANIFESTS, PYTHON, TEMPLATES, read_template, rendered
from nixpy.option_keys import OPTION_KEYS

ROOT = Path(__file__).parents[3]
FOLDERS = ROOT / "src/nixpy/templates"


def test_every_folder_is_a_template_and_the_other_way_round() -> None:
    assert {one.name for one in FOLDERS.iterdir() if one.is_dir()} == set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_whole(name: str) -> None:
    files = read_template(name).files
    assert {".envrc", ".gitignore", "flake.nix"} <= set(files)
    assert len(set(MANIFESTS) & set(files)) == (name != "nix-only")
    assert all(text.endswith("\n") for text in files.values())
    assert "\nuse nixpy\n" in files[".envrc"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_text_that_is_filled_in_is_there(name: str) -> None:
    files = read_template(name).files
    chosen = rendered(read_template(name), python="3.10", name="Other", cuda=True)
    for said, _ in CUDA:
        assert files["flake.nix"].count(said) == 1
        assert said not in chosen["flake.nix"]
    for path, text in chosen.items():
        assert PYTHON not in text, path
        assert f"python{PYTHON.replace('.', '')}" not in text, path
    if "pyproject.toml" in files:
        table = tomli.loads(chosen["pyproject.toml"])
        named = table.get("project") or table["tool"]["poetry"]
        assert named["name"] == "other"
        assert set(table.get("tool", {}).get("nixpy", {})) <= {key.name for key in OPTION_KEYS}


def test_nothing_changes_where_the_templates_own_values_are_chosen() -> None:
    for name in TEMPLATES:
        template = read_template(name)
        assert rendered(template, python=PYTHON, name="example", cuda=False) == template.files


def test_flakes_differ_in_their_packages_alone() -> None:
    def rest(name: str) -> list[str]:
        lines = read_template(name).files["flake.nix"].splitlines()
        packages = ("            pkgs.", "            (pkgs.")
        texts = ("description =", "# The interpreter")
        return [
            line
            for line in lines
            if not line.startswith(packages) and not any(text in line for text in texts)
        ]

    assert all(rest(name) == rest("uv") for name in TEMPLATES)


@pytest.mark.network
def test_the_wheel_has_every_file_of_every_template(tmp_path: Path) -> None:
    build = [str(Path(sys.executable).parent / "uv"), "build", "--wheel", "-q", "-o", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    for name in TEMPLATES:
        for path in read_template(name).files:
            assert f"nixpy/templates/{name}/{path}" in names
