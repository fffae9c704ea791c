"""The completions that are installed, in real shells: the first Tab loads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pexpect
import pytest

from .conftest import PROMPT, World

SHARE = Path(__file__).parents[2] / "share"
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


def typed(world: World, argv: list[str], keys: str, expected: str) -> None:
    """Type keys into an interactive shell; what is expected then stands on its line."""
    shell = pexpect.spawn(
        argv[0],
        argv[1:],
        env={**world.environ, "TERM": "dumb"},
        cwd=str(world.directory),
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 200),
    )
    try:
        shell.expect_exact(PROMPT)
        shell.send(keys)
        shell.expect_exact(expected)
    finally:
        shell.close(force=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("do", ["doctor"]),
        ("doctor --de", ["--deep"]),
        ("kernel pr", ["prune"]),
        ("export fi", ["fish"]),
        ("xyz", []),
    ],
)
def test_bash_completes_by_the_installed_file(
    words: str, expected: list[str], bare_world: World
) -> None:
    script = f"""
      set -eu
      source '{SHARE}/bash-completion/completions/nixpy'
      read -ra words <<<'{words}'
      COMP_WORDS=(nixpy "${{words[@]}}") COMP_CWORD=${{#words[@]}} COMPREPLY=()
      function=$(complete -p nixpy)
      function=${{function#*-F }}
      "${{function% nixpy}}" nixpy "${{words[-1]}}"
      ((${{#COMPREPLY[@]}} == 0)) || printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert bare_world.run("bash", "-c", script).stdout.split() == expected


def test_a_tab_in_bash_loads_it_by_bash_completion(bare_world: World) -> None:
    if not BASH_COMPLETION.exists():
        pytest.skip("bash-completion is not installed")
    rc = bare_world.home / "bashrc"
    rc.write_text(f"PS1='{PROMPT}'\nsource {BASH_COMPLETION}\n")
    bare_world.environ["XDG_DATA_DIRS"] = str(SHARE)
    argv = ["bash", "--noprofile", "--rcfile", str(rc), "-i"]
    typed(bare_world, argv, "nixpy do\t", "nixpy doctor ")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [("nixpy do\t", "nixpy doctor "), ("nixpy do\texpl\t", " explain ")],
    ids=["first tab", "second tab"],
)
def test_a_tab_in_zsh_loads_it_from_fpath(keys: str, expected: str, bare_world: World) -> None:
    needs("zsh")
    (bare_world.home / ".zshrc").write_text(
        f"PS1='{PROMPT}'\nfpath=({SHARE}/zsh/site-functions $fpath)\n"
        f"autoload -Uz compinit && compinit -u -d {bare_world.home}/dump\n"
    )
    typed(bare_world, ["zsh", "-i"], keys, expected)


def test_fish_loads_it_from_the_data_directories(bare_world: World) -> None:
    needs("fish")
    bare_world.environ["XDG_DATA_DIRS"] = str(SHARE)
    said = bare_world.run("fish", "-c", "complete -C 'nixpy do'").stdout
    assert [line.split()[0] for line in said.splitlines()] == ["doctor"]
    said = bare_world.run("fish", "-c", "complete -C 'nixpy kernel pr'").stdout
    assert [line.split()[0] for line in said.splitlines()] == ["prune"]
