"""The decision table, as a table: small trees and what is decided for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.decision import Decision, decide
from nixpy.errors import NixpyError, NothingToDo, NotYetSupported, UsageError
from nixpy.files import DiskFiles
from nixpy.manifests.survey import survey
from nixpy.options import load_options

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = '[project]\nname = "demo"\nversion = "1"\n'
GROUPS = '[dependency-groups]\ndev = ["attrs"]\n'
POETRY = '[tool.poetry]\nname = "demo"\n'
UV = PROJECT + "[tool.uv]\n"
RUFF = "[tool.ruff]\nline-length = 100\n"
WORKSPACE = PROJECT + '[tool.uv.workspace]\nmembers = ["packages/*"]\n'

INDEX = {"PIP_INDEX_URL": "https://index.example/simple"}
LINKS = {"PIP_FIND_LINKS": "/wheels"}
HOST = {"PIP_TRUSTED_HOST": "index.example"}


def decided(
    root: Path, files: dict[str, str], environ: dict[str, str], flags: dict[str, object]
) -> Decision:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    everything = {"HOME": str(root / "home"), **environ}
    options = load_options(str(root), flags=flags, environ=everything, files=DiskFiles())
    found = survey(str(root), options, files=DiskFiles(), environ=everything, platform="linux")
    return decide(found, options)


def named(paths: tuple[str, ...], root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in paths]


Row = tuple[dict[str, str], dict[str, str], dict[str, object], str, str, int, list[str], list[str]]

# files, variables, flags → manager, install, rule, rests on, passed over
TABLE: dict[str, Row] = {
    "project": ({"pyproject.toml": PROJECT}, {}, {}, "uv", "project", 6, ["pyproject.toml"], []),
    "groups": ({"pyproject.toml": GROUPS}, {}, {}, "uv", "project", 6, ["pyproject.toml"], []),
    "poetry": ({"pyproject.toml": POETRY}, {}, {}, "uv", "editable", 6, ["pyproject.toml"], []),
    "lock": (
        {"pyproject.toml": PROJECT, "uv.lock": ""},
        *({}, {}, "uv", "project", 2, ["uv.lock", "pyproject.toml"], []),
    ),
    "pylock": ({"pylock.toml": ""}, {}, {}, "uv", "pylock", 2, ["pylock.toml"], []),
    "pylock and project": (
        {"pylock.toml": "", "pyproject.toml": PROJECT},
        *({}, {}, "uv", "pylock", 2, ["pylock.toml"], ["pyproject.toml"]),
    ),
    "both locks": (
        {"pylock.toml": "", "pyproject.toml": PROJECT, "uv.lock": ""},
        *({}, {}, "uv", "project", 2, ["uv.lock", "pyproject.toml"], ["pylock.toml"]),
    ),
    "a lock without its project": (
        {"uv.lock": "", "requirements.txt": ""},
        *({}, {}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "requirements": (
        {"requirements.txt": ""},
        *({}, {}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "project and requirements": (
        {"pyproject.toml": PROJECT, "requirements.txt": ""},
        *({}, {}, "uv", "project", 6, ["pyproject.toml"], ["requirements.txt"]),
    ),
    "ruff alone and requirements": (
        {"pyproject.toml": RUFF, "requirements.txt": ""},
        *({}, {}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "requirements that were asked for": (
        {"pyproject.toml": PROJECT, "dev.txt": ""},
        *({}, {"requirements": ("dev.txt",)}, "uv", "requirements", 1, ["dev.txt"]),
        ["pyproject.toml"],
    ),
    "an index for pip": (
        {"requirements.txt": ""},
        *(INDEX, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "an index for both": (
        {"requirements.txt": ""},
        {**INDEX, "UV_INDEX_URL": "https://index.example/simple"},
        *({}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "an index for uv by a newer name": (
        {"requirements.txt": ""},
        {**INDEX, "UV_DEFAULT_INDEX": "https://index.example/simple"},
        *({}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "links for pip": (
        {"requirements.txt": ""},
        *(LINKS, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "links for pip, an index for uv": (
        {"requirements.txt": ""},
        {**LINKS, "UV_INDEX_URL": "https://index.example/simple"},
        *({}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "a host that pip trusts": (
        {"requirements.txt": ""},
        *(HOST, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "a configuration file of pip": (
        {"requirements.txt": "", "home/.config/pip/pip.conf": "[global]\nno-index = true\n"},
        *({}, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "a configuration file of pip that is switched off": (
        {"requirements.txt": "", "home/.config/pip/pip.conf": "[global]\nno-index = true\n"},
        {"PIP_CONFIG_FILE": os.devnull},
        *({}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "a setting of pip that does not matter": (
        {"requirements.txt": ""},
        {"PIP_TIMEOUT": "3"},
        *({}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "an index for pip and one in uv.toml": (
        {"requirements.txt": "", "uv.toml": 'index-url = "https://index.example/simple"\n'},
        *(INDEX, {}, "uv", "requirements", 7, ["requirements.txt"], []),
    ),
    "an option that uv passes over": (
        {"requirements.txt": "--pre\nattrs\n"},
        *({}, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "an option that uv passes over, included": (
        {"requirements.txt": "-r a/b.txt\n", "a/b.txt": "--prefer-binary\n"},
        *({}, {}, "pip", "requirements", 7, ["requirements.txt"], []),
    ),
    "an index for pip and a project": (
        {"pyproject.toml": PROJECT},
        *(INDEX, {}, "pip", "editable", 6, ["pyproject.toml"], []),
    ),
    "an index for pip and a project for uv": (
        {"pyproject.toml": UV},
        *(INDEX, {}, "uv", "project", 6, ["pyproject.toml"], []),
    ),
    "an index for pip and a lock": (
        {"pyproject.toml": PROJECT, "uv.lock": ""},
        *(INDEX, {}, "uv", "project", 2, ["uv.lock", "pyproject.toml"], []),
    ),
    "a version alone": (
        {".python-version": "3.12\n"},
        *({}, {}, "uv", "nothing", 9, [".python-version"], []),
    ),
    "an option alone": ({}, {}, {"python": "3.12"}, "uv", "nothing", 9, [], []),
    "a version and ruff": (
        {".python-version": "3.12\n", "pyproject.toml": RUFF},
        *({}, {}, "uv", "nothing", 9, [".python-version"], []),
    ),
    "a version and requirements": (
        {".python-version": "3.12\n", "requirements.txt": ""},
        *({}, {}, "uv", "requirements", 7, ["requirements.txt"], [".python-version"]),
    ),
    "none": (
        {"pyproject.toml": PROJECT},
        *({}, {"manager": "none"}, "none", "nothing", 1, [], ["pyproject.toml"]),
    ),
    "uv by name": (
        {"requirements.txt": ""},
        {**INDEX},
        *({"manager": "uv"}, "uv", "requirements", 1, ["requirements.txt"], []),
    ),
    "pip by name": (
        {"requirements.txt": ""},
        *({}, {"manager": "pip"}, "pip", "requirements", 1, ["requirements.txt"], []),
    ),
    "pip by a variable, for a project": (
        {"pyproject.toml": PROJECT},
        *({"NIXPY_MANAGER": "pip"}, {}, "pip", "editable", 1, ["pyproject.toml"], []),
    ),
    "uv by name, past a conda manifest": (
        {"environment.yml": "", "requirements.txt": ""},
        *({}, {"manager": "uv"}, "uv", "requirements", 1, ["requirements.txt"]),
        ["environment.yml"],
    ),
    "a project with a flake": (
        {"pyproject.toml": PROJECT, "flake.nix": ""},
        *({}, {}, "uv", "project", 6, ["pyproject.toml"], ["flake.nix"]),
    ),
    "a project with a setup.py": (
        {"pyproject.toml": PROJECT, "setup.py": ""},
        *({}, {}, "uv", "project", 6, ["pyproject.toml"], ["setup.py"]),
    ),
    "the root of a workspace": (
        {"pyproject.toml": WORKSPACE, "packages/a/pyproject.toml": PROJECT.replace("demo", "a")},
        *({}, {}, "uv", "project", 6, ["pyproject.toml"], []),
    ),
}


@pytest.mark.parametrize("case", sorted(TABLE))
def test_the_first_rule_that_holds_decides(tmp_path: Path, case: str) -> None:
    files, environ, flags, manager, install, rule, rests_on, passed_over = TABLE[case]
    decision = decided(tmp_path, files, environ, flags)
    assert (decision.manager, decision.install, decision.rule) == (manager, install, rule)
    assert named(decision.rests_on, tmp_path) == rests_on
    assert named(decision.passed_over, tmp_path) == passed_over
    assert decision.reason


def test_a_member_uses_the_lock_of_its_workspace(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text(WORKSPACE)
    member = tmp_path / "packages/a"
    decision = decided(member, {"pyproject.toml": PROJECT}, {}, {})
    assert (decision.manager, decision.install, decision.rule) == ("uv", "project", 2)
    assert named(decision.rests_on, tmp_path) == ["uv.lock", "packages/a/pyproject.toml"]


ERRORS: dict[str, tuple[dict[str, str], dict[str, object], type[NixpyError], str]] = {
    "nothing": ({}, {}, NothingToDo, "nothing here that nixpy recognises"),
    "ruff alone": ({"pyproject.toml": RUFF}, {}, NothingToDo, "pyproject.toml with [project]"),
    "other requirements": ({"requirements-dev.txt": ""}, {}, NothingToDo, "requirements-dev.txt"),
    "conda manifest": ({"environment.yml": ""}, {}, NotYetSupported, "environment.yml"),
    "conda manifest by its long name": (
        *({"environment.yaml": ""}, {}, NotYetSupported, "environment.yaml"),
    ),
    "conda manifest and project": (
        *({"environment.yml": "", "pyproject.toml": PROJECT}, {}, NotYetSupported),
        "environment.yml",
    ),
    "conda lock": ({"conda-lock.yml": ""}, {}, NotYetSupported, "conda-lock.yml"),
    "explicit": ({"requirements.txt": "@EXPLICIT\n"}, {}, NotYetSupported, "requirements.txt"),
    "poetry": ({"poetry.lock": "", "pyproject.toml": POETRY}, {}, NotYetSupported, "poetry.lock"),
    "pdm": ({"pdm.lock": "", "pyproject.toml": PROJECT}, {}, NotYetSupported, "pdm.lock"),
    "pipenv": ({"Pipfile.lock": "{}"}, {}, NotYetSupported, "Pipfile.lock"),
    "setup": ({"setup.py": ""}, {}, NotYetSupported, "setup.py"),
    "flake": ({"flake.nix": ""}, {}, NotYetSupported, "flake.nix"),
    "mamba by name": ({"requirements.txt": ""}, {"manager": "mamba"}, NotYetSupported, "mamba"),
    "pip for nothing": ({".python-version": "3"}, {"manager": "pip"}, UsageError, "manager pip"),
    "missing requirements": ({}, {"requirements": ("no.txt",)}, UsageError, "no.txt"),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
def test_what_cannot_be_decided_names_the_manifest(tmp_path: Path, case: str) -> None:
    files, flags, error, says = ERRORS[case]
    with pytest.raises(error) as raised:
        decided(tmp_path, files, {}, flags)
    assert says in str(raised.value)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_in_which_files_were_made_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = {
        "pyproject.toml": PROJECT,
        "requirements.txt": "",
        "setup.py": "",
        "pylock.toml": "",
        ".python-version": "3",
        "flake.nix": "",
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(files)), min_size=1))
    one, other = (data.draw(st.permutations(sorted(chosen))) for _ in range(2))

    def outcome(order: list[str]) -> object:
        root = tmp_path_factory.mktemp("tree")
        try:
            decision = decided(root, {name: files[name] for name in order}, {}, {})
        except NixpyError as error:
            return type(error)
        return (
            *(decision.manager, decision.rule),
            *(named(decision.rests_on, root), named(decision.passed_over, root)),
        )

    assert outcome(one) == outcome(other)
