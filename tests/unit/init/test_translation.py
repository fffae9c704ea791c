from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixpy.cli.init import bash_reads
from nixpy.flags import parse_flags
from nixpy.init.replacement import Surroundings
from nixpy.init.translation import REFUSED, Fate, Translation, translate
from nixpy.process import SystemRunner

BESIDE = Surroundings(
    frozenset({"pyproject.toml", "requirements.txt", "environment.yml", "flake.nix", "shell.nix"}),
    conda_name="demo",
    directory="demo",
)

NIX_DIRENV = """\
if ! has nix_direnv_version || ! nix_direnv_version 3.0.6; then
  source_url "https://example.org/nix-direnv/3.0.6/direnvrc" "sha256-RYcUJa="
fi
"""

CONDA_SETUP = """\
__conda_setup="$('/opt/conda/bin/conda' 'shell.bash' 'hook' 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__conda_setup"
else
    if [ -f "/opt/conda/etc/profile.d/conda.sh" ]; then
        . "/opt/conda/etc/profile.d/conda.sh"
    else
        export PATH="/opt/conda/bin:$PATH"
    fi
fi
unset __conda_setup
conda activate demo
"""


def new(text: str, beside: Surroundings = BESIDE) -> str:
    return translate(text, beside).text


@pytest.mark.parametrize(
    ("old", "use"),
    [
        ("use flake", "use nixpy"),
        ("use flake .", "use nixpy"),
        ("use_flake", "use nixpy"),
        ("use flake .#ci", "use nixpy --flake '.#ci'"),
        ("use flake ../ --impure", "use nixpy --flake ../ --impure"),
        ("use flake . --override-input a path:b", "use nixpy --override-input a path:b"),
        ("use flake github:owner/name#dev", "use nixpy --flake 'github:owner/name#dev'"),
        ("has nix && use flake", "use nixpy"),
        ("use flake || use nix", "use nixpy --flake shell.nix"),
        ("use nix ./nix/dev.nix", "use nixpy --flake nix/dev.nix"),
        (f"{NIX_DIRENV}use flake", "use nixpy"),
        ("nix_direnv_manual_reload\nuse flake", "use nixpy"),
        ("nix_direnv_watch_file flake.lock data.json\nuse flake", "use nixpy --watch data.json"),
        ("use flake\nuv sync\nsource .venv/bin/activate", "use nixpy"),
        ("uv sync --extra a --extra b --group c -q", "use nixpy --extras a --extras b --groups c"),
        ("uv sync --all-extras --frozen", "use nixpy --extras all --lock frozen"),
        ("uv sync --inexact --python=3.12", "use nixpy --no-exact --python 3.12"),
        (
            "test -d .venv || uv venv --python 3.12\n. .venv/bin/activate\nuv sync",
            "use nixpy --python 3.12",
        ),
        (
            "[ -d venv ] || python3 -m venv venv\nsource ./venv/bin/activate",
            "use nixpy --venv venv --no-exact",
        ),
        ('source "$PWD/.venv/bin/activate"', "use nixpy --no-exact"),
        ("layout python", "use nixpy"),
        ("layout python3", "use nixpy"),
        ("layout_python3", "use nixpy"),
        ("layout python python3.11", "use nixpy --python 3.11"),
        ("layout python3.11", "use nixpy --python 3.11"),
        ("layout python /usr/bin/python3.11", "use nixpy --python /usr/bin/python3.11"),
        ("layout pyenv 3.11.4", "use nixpy --python 3.11.4"),
        ("use python 3.12", "use nixpy --python 3.12"),
        ("layout poetry", "use nixpy"),
        ("layout pipenv", "use nixpy"),
        ("layout pdm", "use nixpy"),
        ("layout uv", "use nixpy"),
        ("poetry install\nsource $(poetry env info --path)/bin/activate", "use nixpy"),
        ("layout anaconda demo", "use nixpy --venv named"),
        ("layout anaconda other", "use nixpy"),
        ("layout anaconda environment.yml", "use nixpy"),
        ("layout micromamba", "use nixpy"),
        ("layout anaconda env/dev.yml", "use nixpy --environment env/dev.yml"),
        (
            'eval "$(micromamba shell hook --shell bash)"\nmicromamba activate demo',
            "use nixpy --venv named",
        ),
        ('eval "$(conda shell.bash hook)"\nconda activate ./env', "use nixpy --venv ./env"),
        (
            "source ~/miniconda3/etc/profile.d/conda.sh\nconda activate demo",
            "use nixpy --venv named",
        ),
        ("layout python\npip install -qr dev.txt", "use nixpy --requirements dev.txt"),
        ("layout python\npip install -e '.[dev,docs]'", "use nixpy --extras dev --extras docs"),
        ("layout python\npip install -r dev.txt", "use nixpy --requirements dev.txt"),
        ("export VIRTUAL_ENV=$PWD/.venv\nPATH_add .venv/bin", "use nixpy --no-exact"),
        (
            'export VIRTUAL_ENV=venv\nexport PATH="$VIRTUAL_ENV/bin:$PATH"',
            "use nixpy --venv venv --no-exact",
        ),
        ("layout python\nexport LD_LIBRARY_PATH=/usr/lib:$LD_LIBRARY_PATH", "use nixpy"),
        (CONDA_SETUP, "use nixpy --venv named"),
        (
            'export VIRTUAL_ENV=$(poetry env info --path)\nPATH_add "$VIRTUAL_ENV/bin"',
            "use nixpy --no-exact",
        ),
        ('VIRTUAL_ENV="$(pipenv --venv)"\nexport VIRTUAL_ENV', "use nixpy --no-exact"),
        ("declare -x VIRTUAL_ENV=.venv", "use nixpy --no-exact"),
        ("unset PYTHONHOME\nlayout python", "use nixpy"),
    ],
)
def test_what_nixpy_does_becomes_one_line(old: str, use: str) -> None:
    made = translate(f"{old}\n", BESIDE)
    assert (made.text, made.left) == (f"{use}\n", ())
    parse_flags(made.arguments)


@pytest.mark.parametrize(
    "line",
    [
        "export A=1",
        "export A=$(pass show a)",
        "PATH_add bin",
        "dotenv",
        "dotenv_if_exists .env.local",
        "source_env ../.envrc",
        "source_up",
        "watch_file a b",
        "# use flake",
        "unset PS1",
        "layout node",
        "use node 20",
        "log_status 'python -m venv is not for here'",
        "if [[ -f .env ]]; then dotenv; fi",
        "set -euo pipefail",
        "strict_env",
        "greet() { echo hello; }",
        "",
    ],
)
def test_what_is_none_of_our_business_stays_as_it_is(line: str) -> None:
    made = translate(f"{line}\nuse flake\n", BESIDE)
    assert line in made.text.splitlines() or not line
    assert made.lines[0].fate is Fate.KEPT
    assert "use nixpy" in made.text.splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'conda activate "$NAME"',
        "source ~/envs/a/bin/activate",
        "source /opt/venv/bin/activate",
        "pip install requests",
        "uv sync --package a",
        "layout python2",
        "layout python python3 --system-site-packages",
        "poetry install --with docs",
        "use nix -p hello",
        "use flake $FLAKE",
        'eval "$(pixi shell-hook)"',
        "pyenv local 3.11",
        "mise install",
        "workon demo",
        "export VIRTUAL_ENV=$HOME/envs/a",
        "export VIRTUAL_ENV=.venv A=1",
        "if [[ -n $CI ]]; then uv sync --frozen; else uv sync; fi",
        "activate_it() { source .venv/bin/activate; }",
    ],
)
def test_what_only_its_author_can_say_is_listed_and_stays_behind_use_nixpy(line: str) -> None:
    made = translate(f"export A=1\n{line}\n", BESIDE)
    assert [one.text for one in made.left] == [line]
    assert all(one.note for one in made.left)
    new_lines = made.text.splitlines()
    assert new_lines.index("use nixpy") < new_lines.index(line)


def test_what_stays_keeps_the_order_and_the_place_that_it_had() -> None:
    old = "# nix\nstrict_env\nuse flake\nexport A=1\nuv sync --extra x\nPATH_add bin\ndotenv\n"
    assert new(old) == (
        "# nix\nstrict_env\nuse nixpy --extras x\nexport A=1\nPATH_add bin\ndotenv\n"
    )


def test_a_setting_that_the_sync_reads_goes_before_it() -> None:
    old = "use flake\nexport UV_INDEX_URL=https://a/simple\nexport A=1\nuv sync\nexport UV_B=1\n"
    made = translate(old)
    assert made.text == (
        "export UV_INDEX_URL=https://a/simple\nuse nixpy\nexport A=1\nexport UV_B=1\n"
    )
    assert [one.fate for one in made.lines][1] is Fate.MOVED


def test_empty_lines_stay_but_those_around_what_is_gone() -> None:
    document = "cat >a <<E\n\n\nx\n\n\nE"
    old = f"# a\n\n\nuse flake\n\nuv sync\n\n{document}\n\n\nexport A=1\n\nuv sync\n"
    assert new(old) == f"# a\n\n\nuse nixpy\n\n{document}\n\n\nexport A=1\n"


def test_functions_of_direnvs_wiki_go_with_their_call() -> None:
    old = """\
layout_poetry() {
  if [[ ! -f pyproject.toml ]]; then
    log_error 'No pyproject.toml found. Use `poetry new` or `poetry init` to create one first.'
    exit 2
  fi
  local VENV=$(poetry env info --path)
  export VIRTUAL_ENV=$VENV
  export POETRY_ACTIVE=1
  PATH_add "$VENV/bin"
}
layout poetry
export A=1
"""
    assert new(old) == "use nixpy\nexport A=1\n"


def test_a_function_that_something_calls_which_stays_stays_too() -> None:
    old = "layout_anaconda() {\n  conda activate $1\n}\nlayout anaconda $NAME\n"
    made = translate(old)
    assert made.text == f"use nixpy\n{old}"
    assert len(made.left) == 4


def test_the_hook_of_conda_stays_where_an_activation_stays() -> None:
    old = 'eval "$(conda shell.bash hook)"\nconda activate $NAME\n'
    assert new(old) == f"use nixpy\n{old}"


def test_a_mamba_recipe_becomes_the_manager_mamba() -> None:
    old = """\
eval "$(mamba shell hook --shell bash)"
mamba activate $(basename $PWD) || mamba create -y -n $(basename $PWD) python=3.11
mamba install -y -c conda-forge --file requirements.txt
pip install -r requirements.txt
export PYTHONPATH=$PWD
PATH_add bin
"""
    beside = Surroundings(frozenset({"requirements.txt"}), directory="demo")
    assert new(old, beside) == (
        "use nixpy --manager mamba --python 3.11 --channels conda-forge\n"
        "export PYTHONPATH=$PWD\nPATH_add bin\n"
    )


def test_an_environment_that_no_file_describes_says_how_to_describe_it() -> None:
    (left,) = translate("layout anaconda demo\n", Surroundings()).left
    assert "conda env export --from-history -n demo" in left.note


def test_without_anything_to_replace_it_comes_last_but_before_what_goes_on_path() -> None:
    assert new("export A=1\n") == "export A=1\nuse nixpy\n"
    assert new("export A=1\nPATH_add bin\n") == "export A=1\nuse nixpy\nPATH_add bin\n"
    assert new("") == "use nixpy\n"


def test_one_that_says_nixpy_is_left_alone() -> None:
    old = "use nixpy --exact\nsource .venv/bin/activate\n"
    made = translate(old)
    assert (made.text, made.changed, made.done, made.left) == (old, False, (), ())


def test_what_bash_cannot_read_becomes_comments() -> None:
    made = translate("use flake\nif\n", is_valid=lambda text: "\nif\n" not in text)
    assert made.text == f"use nixpy\n{REFUSED}use flake\n{REFUSED}if\n"
    assert len(made.left) == 2


def test_lines_that_end_in_carriage_returns_are_understood() -> None:
    assert new("use flake\r\nuv sync\r\n") == "use nixpy\n"


FRAGMENTS = st.sampled_from(
    [
        *("use flake", "use nix", "uv sync", "uv sync --extra a", "layout python3.11", "layout uv"),
        *("source .venv/bin/activate", "conda activate demo", "conda activate $A", "export A=1"),
        *("export UV_A='b c'", "PATH_add bin", "# comment", "", "if [ -f a ]; then", "fi", "else"),
        *("f() {", "}", "use flake; }", "cat <<E", "E", "a='", "'", 'b="$(', ')"', "\\", "(", ")"),
        *("export VIRTUAL_ENV=venv", "pip install -r a.txt", "for x in a; do", "done", "[[ a &&"),
        *("case $a in", "a) use flake ;;", "esac", "use nix || {", "layout_poetry() {", "&&", "\0"),
        *("unset VIRTUAL_ENV", "export LD_LIBRARY_PATH=a", "conda", "uv", "layout", "use", "eval"),
        *("pip install -e", "uv sync --extra", "use flake --override-input", "> a", "A=", "export"),
    ]
)
ANY = st.lists(st.one_of(FRAGMENTS, st.text(max_size=20))).map("\n".join)


def check_account(old: str, made: Translation) -> None:
    """Every line of the old file is translated, moved, kept or listed, and nothing is made up."""
    lines = old.split("\n")
    if lines[-1] == "":
        lines.pop()
    assert [(one.number, one.text) for one in made.lines] == list(enumerate(lines, 1))
    stays = [one.text for one in made.lines if one.fate is not Fate.TRANSLATED]
    new_lines = made.text.split("\n")
    if any("kept as comments" in one.note for one in made.lines):
        new_lines = [line.removeprefix(REFUSED) for line in new_lines if line != REFUSED.rstrip()]
        stays = [one.rstrip(" ") for one in stays]
    wanted = Counter(one for one in stays if one.strip(" \t\r"))
    there = Counter(one for one in new_lines if one.strip(" \t\r"))
    assert not wanted - there
    (added,) = (there - wanted).elements()
    assert added.startswith("use nixpy")


@given(ANY)
@settings(max_examples=150, deadline=None)
def test_any_text_is_accounted_for_line_by_line(old: str) -> None:
    made = translate(old, BESIDE)
    if made.changed:
        check_account(old, made)
        parse_flags(made.arguments)
        again = translate(made.text, BESIDE)
        assert again.text == made.text


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@given(ANY.filter(lambda text: "nixpy" not in text))
@settings(max_examples=40, deadline=None)
def test_the_result_is_something_that_bash_can_read(old: str) -> None:
    reads = bash_reads(os.environ, SystemRunner())
    made = translate(old, BESIDE, is_valid=reads)
    check_account(old, made)
    done = subprocess.run(
        ["bash", "-n"], input=os.fsencode(made.text), capture_output=True, check=False
    )
    assert done.returncode == 0, made.text
