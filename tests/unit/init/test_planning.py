from __future__ import annotations

import pytest

from nixpy.errors import UsageError
from nixpy.init.planning import Kind, Plan, Wishes, plan, template_for
from nixpy.init.surroundings import Present
from nixpy.init.template import TEMPLATES, read_template

NEW = Present("/home/me/my_app", has_nix=True, python="3.12")
PROJECT = '[project]\nname = "a"\nversion = "1"\n'


def present(*names: str, **texts: str) -> Present:
    """A directory of names; texts are given with underscores for dots."""
    written = {name.replace("__", ".", 1): text for name, text in texts.items()}
    manifests: list[str] = [
        one for one in ("uv.lock", "requirements.txt", "environment.yml") if one in names
    ]
    if "[project]" in written.get("pyproject.toml", ""):
        manifests.insert(0, "pyproject.toml")
    return NEW._replace(
        names=frozenset((*names, *written)), texts=written, manifests=tuple(manifests)
    )


def kinds(made: Plan) -> dict[str, Kind]:
    return {one.path: one.kind for one in made.files}


def content(made: Plan, path: str) -> str:
    return next(one.content for one in made.files if one.path == path)


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_empty_directory_gets_all_of_a_template(name: str) -> None:
    made = plan(NEW, Wishes(template=name))
    assert kinds(made) == dict.fromkeys(read_template(name).files, Kind.NEW)
    assert all(one.why for one in made.files)


def test_a_flake_is_left_out_where_nix_is_not_installed_unless_asked_for() -> None:
    bare = NEW._replace(has_nix=False)
    assert "flake.nix" not in kinds(plan(bare, Wishes()))
    for wishes in (Wishes(nix=True), Wishes(cuda=True), Wishes(template="nix-only")):
        assert "flake.nix" in kinds(plan(bare, wishes))
    assert "flake.nix" not in kinds(plan(NEW, Wishes(nix=False)))


def test_the_interpreter_is_that_of_nixpkgs_with_a_flake_and_one_on_path_without() -> None:
    with_flake = plan(NEW, Wishes())
    assert content(with_flake, ".python-version") == "3.13\n"
    assert "pkgs.python313" in content(with_flake, "flake.nix")
    assert content(plan(NEW, Wishes(nix=False)), ".python-version") == "3.12\n"
    asked = plan(NEW, Wishes(python="3.11"))
    assert content(asked, ".python-version") == "3.11\n"
    assert "pkgs.python311" in content(asked, "flake.nix")


def test_a_project_is_named_by_its_directory() -> None:
    assert 'name = "my-app"' in content(plan(NEW, Wishes()), "pyproject.toml")
    odd = NEW._replace(directory="/home/me/--Ünï Code--")
    assert 'name = "n-code"' in content(plan(odd, Wishes()), "pyproject.toml")
    assert "name: my-app" in content(plan(NEW, Wishes(template="mamba")), "environment.yml")


def test_cuda_switches_its_lines_on() -> None:
    flake = content(plan(NEW, Wishes(cuda=True)), "flake.nix")
    assert "            pkgs.cudaPackages.cudatoolkit\n" in flake
    assert "config.allowUnfree = true;" in flake


@pytest.mark.parametrize(
    ("there", "template"),
    [
        (present(), "uv"),
        (present("uv.lock", **{"pyproject.toml": PROJECT}), "uv"),
        (present(**{"pyproject.toml": PROJECT}), "uv"),
        (present("requirements.txt"), "pip"),
        (present("environment.yml", **{"pyproject.toml": PROJECT}), "mamba"),
        (present(**{"pyproject.toml": "[tool.poetry]\n"}), "poetry"),
        (present("flake.nix"), "nix-only"),
        (present("shell.nix"), "nix-only"),
        (present()._replace(installed=("a==1",)), "pip"),
    ],
)
def test_the_template_is_the_one_that_fits(there: Present, template: str) -> None:
    assert template_for(there) == template


@pytest.mark.parametrize(
    "there",
    [
        present("requirements.txt"),
        present("environment.yml"),
        present("app.py", **{"pyproject.toml": PROJECT}),
        present("app.py", "setup.py")._replace(manifests=("setup.py",)),
    ],
)
def test_a_project_gets_what_it_lacks_alone(there: Present) -> None:
    written = {one.path for one in plan(there, Wishes()).to_write}
    assert written == {".envrc", ".gitignore"}


def test_a_manifest_is_not_given_another_one_beside_it() -> None:
    made = plan(present("requirements.txt"), Wishes(template="uv"))
    assert not {"pyproject.toml", "main.py", ".python-version"} & set(kinds(made))
    assert made.remarks == (
        "pyproject.toml of the template is left out: requirements.txt says what to install",
    )


def test_code_without_a_manifest_gets_one_without_the_example() -> None:
    made = plan(present("app.py"), Wishes())
    assert "main.py" not in kinds(made)
    assert "dependencies = []" in content(made, "pyproject.toml")


def test_a_pyproject_that_only_configures_tools_is_added_to() -> None:
    before = "[tool.ruff]\nline-length = 100\n"
    made = plan(present("app.py", **{"pyproject.toml": before}), Wishes())
    assert kinds(made)["pyproject.toml"] is Kind.APPEND
    assert content(made, "pyproject.toml").startswith(f"{before}\n[project]")


def test_gitignore_gets_the_lines_that_it_lacks() -> None:
    made = plan(present("requirements.txt", **{".gitignore": "*.log\n/.venv"}), Wishes())
    assert content(made, ".gitignore") == "*.log\n/.venv\n.direnv/\n__pycache__/\n"
    assert kinds(made)[".gitignore"] is Kind.APPEND
    again = present("requirements.txt", **{".gitignore": content(made, ".gitignore")})
    assert kinds(plan(again, Wishes()))[".gitignore"] is Kind.UNCHANGED


def test_a_file_that_differs_is_never_safe_to_write() -> None:
    there = present(**{"main.py": "mine\n", "flake.nix": "{ }\n", ".python-version": "3.11\n"})
    made = plan(there, Wishes(template="uv", nix=True))
    assert kinds(made)["main.py"] is Kind.DIFFERS
    assert kinds(made)["flake.nix"] is Kind.DIFFERS
    assert kinds(made)[".python-version"] is Kind.UNCHANGED
    assert not any(one.is_safe for one in made.files if one.kind is Kind.DIFFERS)
    asked = plan(there, Wishes(template="uv", python="3.12"))
    assert kinds(asked)[".python-version"] is Kind.DIFFERS


def test_an_old_envrc_is_translated_and_one_of_nixpy_stays() -> None:
    made = plan(present("requirements.txt", **{".envrc": "layout python\n"}), Wishes())
    assert kinds(made)[".envrc"] is Kind.TRANSLATE
    assert content(made, ".envrc") == "use nixpy\n"
    assert made.translation is not None
    stays = plan(present("requirements.txt", **{".envrc": "use nixpy\n"}), Wishes())
    assert kinds(stays)[".envrc"] is Kind.UNCHANGED


def test_what_was_installed_by_hand_becomes_requirements() -> None:
    there = present("app.py", **{".envrc": "layout python\n"})
    made = plan(there._replace(installed=("a==1", "b==2")), Wishes())
    assert content(made, "requirements.txt") == "a==1\nb==2\n"
    assert {one.path for one in made.to_write} == {".envrc", "requirements.txt", ".gitignore"}


def test_an_envrc_that_names_its_requirements_needs_no_manifest() -> None:
    there = present("app.py", **{".envrc": "layout python\npip install -r requirements/dev.txt\n"})
    assert {one.path for one in plan(there, Wishes()).to_write} == {".envrc", ".gitignore"}


def test_nothing_is_to_be_written_twice() -> None:
    first = plan(NEW, Wishes())
    there = {one.path: one.content for one in first.files}
    again = NEW._replace(names=frozenset(there), texts=there, manifests=("pyproject.toml",))
    assert plan(again, Wishes()).to_write == ()


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (Wishes(template="uvv"), "did you mean uv?"),
        (Wishes(template="../uv"), "there is no template"),
        (Wishes(python="3"), "no version of Python"),
        (Wishes(python="2.7"), "no version of Python"),
    ],
)
def test_what_does_not_exist_is_said(wishes: Wishes, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        plan(NEW, wishes)
