"""``nixpy setup --hook``: a real shell that starts afterwards has the hook."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import jsonschema
import pexpect
import pytest

from ..conftest import DIRENV, PREPARED, Shell, closing, startup_file
from ..test_json import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import World

SHELLS = ("bash", "zsh", "fish")
IS_HOOKED = {
    "bash": "declare -F _nixpy_known >/dev/null && declare -f _direnv_hook "
    "| command grep -q _nixpy_known",
    "zsh": "(( $+functions[_nixpy_known] )) && [[ $functions[_direnv_hook] == *_nixpy_known* ]]",
    "fish": "functions -q _nixpy_hook; and functions -q _nixpy_known; "
    "and functions __direnv_export_eval | string match -q '*_nixpy_hook*'",
}


class Started(Shell):
    """A shell that reads the startup file of its user, as it is."""

    def __init__(self, kind: str, world: World) -> None:
        super().__init__(kind, world, startup=None)

    def says(self, condition: str) -> bool:
        """Whether a condition holds in the shell."""
        joined = "; and" if self.kind == "fish" else " &&"
        # The shell may show the line that is typed, which is not the answer.
        return "it-does" in self.run(f"{condition}{joined} echo it''-does")


@pytest.fixture
def start(world: World) -> Iterator[Callable[[str], Started]]:
    """Starts shells."""
    with closing(lambda kind: Started(kind, world)) as start:
        yield start


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line", ["before", "after", "nowhere"])
def test_a_shell_is_hooked_wherever_the_line_of_direnv_stands(
    world: World, start: Callable[[str], Started], shell: str, line: str
) -> None:
    path = startup_file(world, shell)
    before = PREPARED[shell] + (DIRENV[shell] if line == "before" else "")
    path.write_text(before)
    world.nixpy("setup", "--hook", shell, "--yes")
    if line == "after":
        with path.open("a") as file:
            file.write(DIRENV[shell])
    project = world.project(envrc="export MARK=loaded\n")
    hooked = start(shell)
    assert hooked.says(IS_HOOKED[shell])
    hooked.cd(project.path)
    assert hooked.variable("MARK") == "loaded"
    hooked.cd(world.directory)
    assert hooked.variable("MARK") is None

    world.nixpy("setup", "--hook", shell, "--remove")
    assert path.read_text() == before + (DIRENV[shell] if line == "after" else "")
    bare = start(shell)
    assert not bare.says(IS_HOOKED[shell])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_starts_as_ever_once_nixpy_is_gone(
    world: World, start: Callable[[str], Started], shell: str
) -> None:
    startup_file(world, shell).write_text(PREPARED[shell])
    world.nixpy("setup", "--hook", shell, "--yes")
    (world.home / "bin/nixpy").unlink()
    bare = start(shell)
    said = bare.process.before or ""
    assert "nixpy" not in said
    assert not bare.says(IS_HOOKED[shell])
    status = "$status" if shell == "fish" else "$?"
    assert "status 0" in Started(shell, world).run(f'echo "status {status}"')


@pytest.mark.parametrize("shell", SHELLS)
def test_an_absolute_nixpy_is_called_where_none_is_on_path(
    world: World, start: Callable[[str], Started], shell: str
) -> None:
    path = startup_file(world, shell)
    path.write_text(PREPARED[shell])
    place = world.home / "it's a place"
    (world.home / "bin").rename(place)
    world.run(str(place / "nixpy"), "setup", "--hook", shell, "--yes")
    assert "it" in path.read_text()
    assert "command -" not in path.read_text()
    assert start(shell).says(IS_HOOKED[shell])


def test_a_shell_that_is_not_for_a_person_starts_nothing(world: World) -> None:
    world.nixpy("setup", "--hook", "bash", "--yes")
    world.nixpy("setup", "--hook", "fish", "--yes")
    script = '. "$HOME/.bashrc"; declare -F _nixpy_known || echo none'
    assert world.run("bash", "--norc", "-c", script).stdout == "none\n"
    if shutil.which("fish"):
        script = "functions -q _nixpy_known; or echo none"
        assert world.run("fish", "-c", script).stdout == "none\n"


def test_file_and_line_are_shown_and_asked_for(world: World) -> None:
    path = startup_file(world, "bash")
    path.write_text("alias a=b\n")
    environ = {**world.environ, "SHELL": "/bin/bash"}
    for answer, is_written in (("n", False), ("y", True)):
        terminal = pexpect.spawn(
            "nixpy", ["setup", "--hook"], env=environ, encoding="utf-8", timeout=60
        )
        terminal.expect_exact("Add it? [Y/n]")
        shown = terminal.before or ""
        assert str(path) in shown
        assert "nixpy hook bash" in shown
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
        assert ("nixpy hook bash" in path.read_text()) is is_written


def test_without_a_terminal_it_takes_yes(world: World) -> None:
    path = startup_file(world, "bash")
    path.write_text("alias a=b\n")
    done = world.nixpy("setup", "--hook", check=False, SHELL="/bin/bash")
    assert done.returncode == 2
    assert str(path) in done.stdout
    assert "nobody to ask" in done.stderr
    assert "--yes" in done.stderr
    assert path.read_text() == "alias a=b\n"


def test_checking_says_whether_it_is_there(world: World) -> None:
    check = ("setup", "--hook", "zsh", "--check")
    missing = world.nixpy(*check, check=False)
    assert missing.returncode == 1
    assert missing.stdout.splitlines()[0] == f"{world.home}/.zshrc: missing"
    world.nixpy("setup", "--hook", "zsh", "--yes")
    assert world.nixpy(*check).stdout == f"{world.home}/.zshrc: in order\n"


@pytest.mark.parametrize("arguments", [("--check",), ("--yes",), ("--remove",)])
def test_json_is_as_its_schema_says(world: World, arguments: tuple[str, ...]) -> None:
    printed = world.nixpy("setup", "--hook", "bash", "--json", *arguments, check=False).stdout
    found = json.loads(printed)
    jsonschema.validate(found, schema("setup"), jsonschema.Draft202012Validator)
    assert (found["shell"], found["path"]) == ("bash", f"{world.home}/.bashrc")
    assert "nixpy hook bash" in found["line"]


def test_a_shell_without_a_hook_is_named(world: World) -> None:
    done = world.nixpy("setup", "--hook", "--yes", check=False, SHELL="/bin/tcsh")
    assert done.returncode == 2
    assert "there is no hook for tcsh" in done.stderr
