"""With the hook, direnv decides, and what anybody else has written is not evaluated."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from .hooked import ONE_OF_SHELLS, SHELLS, HookedShell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ..conftest import Project, World


@pytest.fixture(params=ONE_OF_SHELLS)
def shell(request: pytest.FixtureRequest, start_noted: Callable[..., HookedShell]) -> HookedShell:
    """A shell with the hook."""
    return start_noted(request.param)


@pytest.fixture
def project(world: World) -> Project:
    """A project that needs no nixpy."""
    return world.project(envrc="export A=1\n")


def allowed(project: Project, text: str) -> None:
    project.write(".envrc", text)
    project.allow()


def test_what_is_known_is_not_asked_about(shell: HookedShell, project: Project) -> None:
    shell.warm(project)
    for _ in range(2):
        assert "A" not in shell.exported()
        shell.cd(project.path)
        assert shell.variable("A") == "1"
        shell.cd(project.world.directory)
    assert shell.asked() == 0


def test_a_variable_that_had_its_value_already_is_set_when_it_has_not(
    shell: HookedShell, project: Project
) -> None:
    value = {"fish": "set -gx A 1"}.get(shell.kind, "export A=1")
    gone = {"fish": "set -e A"}.get(shell.kind, "unset A")
    shell.run(value)
    shell.warm(project)
    shell.run(gone)
    shell.cd(project.path)
    assert shell.variable("A") == "1"


@pytest.mark.parametrize("command", ["deny", "revoke"])
def test_what_is_denied_is_unloaded_at_the_next_prompt(
    shell: HookedShell, project: Project, command: str
) -> None:
    shell.warm(project)
    shell.cd(project.path)
    assert shell.variable("A") == "1"
    said = shell.run(f"direnv {command}") + shell.run("true")
    assert "blocked" in said
    assert shell.variable("A") is None
    shell.cd(project.world.directory)
    assert "blocked" in shell.cd(project.path)
    assert shell.variable("A") is None
    shell.run("direnv allow")
    assert shell.variable("A") == "1"


def test_what_is_denied_in_another_terminal_is_not_entered(
    shell: HookedShell, project: Project
) -> None:
    shell.warm(project)
    project.world.run("direnv", "deny", cwd=project.path)
    assert "blocked" in shell.cd(project.path)
    assert shell.variable("A") is None


@pytest.mark.parametrize("kind", SHELLS)
def test_an_envrc_that_is_always_asked_about_costs_no_process_at_a_prompt(
    start_noted: Callable[..., HookedShell], project: Project, kind: str
) -> None:
    allowed(project, "export A=$(cat number)\nwatch_file number\n")
    project.write("number", "1\n")
    shell = start_noted(kind)
    for number in ("1", "2", "3"):
        project.write("number", f"{number}\n")
        shell.asked()
        shell.cd(project.path)
        assert shell.asked() > 0
        assert shell.variable("A") == number
        if number == "1":
            shell.run("true")  # a young time proves nothing yet
            shell.asked()
        shell.run("true")
        shell.run("true")
        assert shell.asked() == 0
        shell.cd(project.world.directory)
        assert shell.variable("A") is None


def test_an_envrc_that_changes_what_direnv_reads_is_known(
    shell: HookedShell, project: Project
) -> None:
    allowed(project, "export DIRENV_LOG_FORMAT= XDG_CACHE_HOME=/nowhere A=1\n")
    shell.warm(project)
    shell.cd(project.path)
    shell.run("true")
    assert shell.asked() == 0
    assert (shell.variable("A"), shell.variable("DIRENV_LOG_FORMAT")) == ("1", "")
    shell.cd(project.world.directory)
    assert shell.variable("DIRENV_LOG_FORMAT") is None


def test_an_edit_blocks_until_it_is_allowed(shell: HookedShell, project: Project) -> None:
    shell.warm(project)
    shell.cd(project.path)
    shell.wait_for_next_second()
    project.write(".envrc", "export A=2\n")
    assert "blocked" in shell.run("true")
    assert shell.variable("A") is None
    shell.run("direnv allow")
    assert shell.variable("A") == "2"
    shell.cd(project.world.directory)
    project.write(".envrc", "export A=3\n")
    assert "blocked" in shell.cd(project.path)
    assert shell.variable("A") is None


def test_direnv_edit_is_obeyed(shell: HookedShell, project: Project, world: World) -> None:
    editor = world.home / "bin/editor"
    editor.write_text('#!/bin/sh\necho "export A=edited" >"$1"\n')
    editor.chmod(0o755)
    shell.warm(project)
    shell.cd(project.path)
    shell.wait_for_next_second()
    shell.run(f"env EDITOR={editor} direnv edit .")
    assert shell.variable("A") == "edited"


def test_direnv_reload_and_allow_ask_again(shell: HookedShell, project: Project) -> None:
    shell.warm(project)
    shell.cd(project.path)
    for command in ("reload", "allow"):
        shell.wait_for_next_second()
        shell.asked()
        said = shell.run(f"direnv {command}")
        assert "loading" in said
        assert shell.asked() > 0
    assert shell.variable("A") == "1"


def test_everything_that_is_kept_is_the_users_own_and_outside_of_the_project(
    shell: HookedShell, project: Project
) -> None:
    shell.warm(project)
    shell.cd(project.path)
    kept = project.world.cache / "hook"
    assert shell.place(project).is_dir()
    for path in [kept, *kept.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert os.listdir(project.path) == [".envrc"]


def append(path: Path, poison: bytes) -> None:
    with path.open("ab") as file:
        file.write(poison)


def prepend(path: Path, poison: bytes) -> None:
    path.write_bytes(poison + path.read_bytes())


def replace(path: Path, poison: bytes) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + poison)


def let_the_group_write(path: Path, poison: bytes) -> None:
    append(path, poison)
    path.chmod(0o660)
    path.parent.chmod(0o770)
    (path.parent / "later").write_text("")


def give_another_time(path: Path, poison: bytes) -> None:
    append(path, poison)
    os.utime(path, (100_000_000, 100_000_000))


def give_away(path: Path, poison: bytes) -> None:
    append(path, poison)
    os.utime(path, (0, 0))
    os.chown(path, 65534, 65534)


def give_the_directory_away(path: Path, poison: bytes) -> None:
    append(path, poison)
    os.utime(path, (0, 0))
    os.chown(path.parent, 65534, 65534)


DAMAGES = [
    append,
    prepend,
    replace,
    let_the_group_write,
    give_another_time,
    give_away,
    give_the_directory_away,
]


@pytest.mark.parametrize(
    ("kind", "name", "damage"),
    [
        *(("bash", "project", damage) for damage in DAMAGES),
        *(("bash", "direnv", damage) for damage in (append, give_away)),
        *((kind, "project", append) for kind in ("zsh", "fish")),
    ],
)
def test_what_somebody_else_could_have_written_is_not_evaluated(
    start_noted: Callable[..., HookedShell],
    project: Project,
    kind: str,
    name: str,
    damage: Callable[[Path, bytes], None],
) -> None:
    if damage in {give_away, give_the_directory_away} and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    first = start_noted(kind)
    first.warm(project)
    first.close()
    place = first.place(project)
    if name == "direnv":
        place = project.world.cache / "hook/1/@direnv"
    damage(place / kind, f"touch {project.world.home}/ran\n".encode())
    shell = start_noted(kind)
    for _ in range(2):
        shell.cd(project.path)
        assert shell.variable("A") == "1"
        shell.cd(project.world.directory)
        assert shell.variable("A") is None
        shell.forget()
    assert not (project.world.home / "ran").exists()


@pytest.mark.parametrize("name", ["project", "direnv"])
def test_what_is_cut_off_does_nothing(
    shell: HookedShell, project: Project, world: World, name: str
) -> None:
    cut_off(shell, project, world, name, step=1500)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["project", "direnv"])
def test_what_is_cut_off_anywhere_does_nothing(
    shell: HookedShell, project: Project, world: World, name: str
) -> None:
    cut_off(shell, project, world, name, step=100)


def cut_off(shell: HookedShell, project: Project, world: World, name: str, *, step: int) -> None:
    other = world.project("other", "export B=2\n")
    shell.warm(project)
    shell.warm(other)
    place = shell.place(project) if name == "project" else world.cache / "hook/1/@direnv"
    path = place / shell.kind
    content = path.read_bytes()
    # Nothing is recorded meanwhile, which would mend it.
    shell.run({"fish": "set -g _nixpy_command false"}.get(shell.kind, "_nixpy_command=(false)"))
    broken = {"fish": "function _nixpy_direnv; return 1; end"}
    end = len(content) - 2
    for length in (*range(0, end, step), *range(end - 60, end, 5)):
        path.write_bytes(content[:length])
        os.utime(path, (0, 0))  # as damage by a disk would leave it
        shell.forget()
        if name == "direnv":
            shell.run(broken.get(shell.kind, "_nixpy_direnv() { return 1; }"))
        said = shell.cd(project.path)
        assert "loading" in said, length
        assert "rror" not in said, length
        assert "<1>" in shell.run('echo "<$A>"')
        shell.cd(world.directory)
        assert "<>" in shell.run('echo "<$A>"')


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Lets every user into what tests have made."""
    modes = {path: path.stat().st_mode for path in tmp_path.parents if path.owner() == "root"}
    modes = {path: mode for path, mode in modes.items() if not mode & 0o001}

    def open_to_all() -> None:
        for path in modes:
            path.chmod(0o711)
        for path in (tmp_path, *tmp_path.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o077)

    yield open_to_all
    for path, mode in modes.items():
        path.chmod(mode)


# zsh reads no startup file for such a user.
@pytest.mark.parametrize("kind", ["bash", "fish"])
def test_another_user_with_the_same_home_does_not_evaluate_it(
    start_noted: Callable[..., HookedShell],
    project: Project,
    world: World,
    kind: str,
    open_to_all: Callable[[], None],
) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else, by setpriv")
    first = start_noted(kind)
    first.warm(project)
    first.close()
    for path in (first.place(project) / kind, world.cache / "hook/1/@direnv" / kind):
        append(path, f"touch {world.home}/ran\n".encode())
        os.utime(path, (0, 0))
    (world.home / f"direnv-calls-{kind}-True").touch()
    open_to_all()
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    shell = start_noted(kind, as_nobody)
    assert "65534" in shell.run("id -u")
    shell.cd(project.path)
    assert shell.run('echo "<$A>"').count("<1>") == 1
    assert not (world.home / "ran").exists()


def assignment(kind: str, name: str, value: str) -> str:
    return f"set -gx {name} {value}" if kind == "fish" else f"export {name}={value}"


@pytest.mark.parametrize("name", ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "DIRENV_CONFIG"])
def test_a_record_made_in_one_place_is_not_used_in_another(
    shell: HookedShell, project: Project, world: World, name: str
) -> None:
    shell.warm(project)
    other = world.directory / "other"
    (other / "direnv").mkdir(parents=True)
    for place in (other, other / "direnv"):
        (place / "direnvrc").write_text("export CONFIGURED=1\n")
        (place / ".direnvrc").write_text("export CONFIGURED=1\n")
    shell.run(assignment(shell.kind, name, str(other)))
    said = shell.cd(project.path)
    assert shell.asked() > 0
    if name == "XDG_DATA_HOME":
        assert "blocked" in said
        assert shell.variable("A") is None
    else:
        assert shell.variable("A") == "1"
        assert shell.variable("CONFIGURED") == "1"


HOSTILE_NAMES = [
    b"two words",
    b"it's",
    b'a"b',
    b"$(touch ran)",
    b"`touch ran`",
    b"a\nb",
    b"{b,c}",
    b"a;touch ran;b",
    b"-rf",
    b"a\xffb",
    "é 😀".encode(),
    b"~",
    b"!!",
    # No backslash and no pattern: direnv 2.32 itself looks for ever at such a name.
    b"a && touch ran",
]

HOSTILE_VALUES = """\
export A='$(touch ran) `touch ran` "; touch ran #' B='back\\slash\\n' C="it's \\$HOME \\`x\\`"
export D='*?[a]{b,c} ~ !! !$ &' E='' F='-n' G='é 😀' H=' two  spaces ' HERE=$PWD
"""


@pytest.mark.parametrize("kind", SHELLS)
def test_a_line_feed_in_the_name_of_a_directory_is_no_trouble(
    start_noted: Callable[..., HookedShell], project: Project, kind: str
) -> None:
    place = project.world.directory / "a\nb/c"
    place.mkdir(parents=True)
    project.world.environ["PLACE"] = str(place)
    shell = start_noted(kind)
    for _ in range(3):
        shell.run('cd "$PLACE"')
        assert shell.environment()["PWD"] == str(place)
        assert "A" not in shell.exported()
        shell.cd(project.path)
        assert shell.variable("A") == "1"


@pytest.mark.parametrize(
    ("kind", "some"),
    [("bash", slice(0, None, 2)), ("zsh", slice(1, None, 3)), ("fish", slice(1, None, 3))],
)
def test_hostile_names_and_values_run_nothing_and_arrive_exactly(
    start_noted: Callable[..., HookedShell], world: World, kind: str, some: slice
) -> None:
    enter_hostile_places(start_noted, world, kind, HOSTILE_NAMES[some])


@pytest.mark.campaign
@pytest.mark.parametrize("kind", SHELLS)
def test_all_hostile_names_and_values_run_nothing_and_arrive_exactly(
    start_noted: Callable[..., HookedShell], world: World, kind: str
) -> None:
    enter_hostile_places(start_noted, world, kind, HOSTILE_NAMES)


def enter_hostile_places(
    start_noted: Callable[..., HookedShell], world: World, kind: str, names: Sequence[bytes]
) -> None:
    plain = start_noted(kind, hooked=False)
    hooked = start_noted(kind)
    for name in names:
        if kind == "fish" and b"\n" in name:
            continue  # direnv's own hook for fish does not know such a directory
        project = world.project(b"below/" + name, HOSTILE_VALUES)
        for _ in range(2 if kind != "bash" else 3):
            plain.cd(project.path)
            hooked.asked()
            hooked.cd(project.path)
            assert hooked.exported() == plain.exported()
            plain.cd(world.directory)
            hooked.cd(world.directory)
        assert hooked.exported() == plain.exported()
        asked = hooked.asked()
        if any(sign in name for sign in (b'"', b"$", b"`")):
            # direnv 2.32 itself has bash expand such a name.
            assert asked > 0, name
        elif b"\xff" not in name:  # What is not UTF-8 is lost in direnv's JSON.
            assert asked == 0, name
    assert not list(world.home.rglob("ran"))


def upgrade(shell: HookedShell) -> None:
    text = shell.direnv.read_text()
    shell.direnv.unlink()
    shell.direnv.write_text(text)
    shell.direnv.chmod(0o755)


def configure(shell: HookedShell) -> None:
    path = shell.world.home / "config/direnv/direnv.toml"
    path.write_text("[global]\nwarn_timeout = '1m'\n")


def write_direnvrc(shell: HookedShell) -> None:
    (shell.world.home / "config/direnv/direnvrc").write_text("export ADDED=1\n")


def add_library(shell: HookedShell) -> None:
    (shell.world.home / "config/direnv/lib/own.sh").write_text("export ADDED=1\n")


@pytest.mark.parametrize("change", [upgrade, configure, write_direnvrc, add_library])
def test_another_direnv_and_another_configuration_are_noticed(
    shell: HookedShell, project: Project, change: Callable[[HookedShell], None]
) -> None:
    shell.warm(project)
    change(shell)
    shell.cd(project.path)
    assert shell.asked() > 0
    added = change in {write_direnvrc, add_library}
    assert shell.variable("ADDED") == ("1" if added else None)
    shell.cd(project.world.directory)
    shell.warm(project)
    shell.cd(project.path)
    assert shell.variable("ADDED") == ("1" if added else None)
    assert shell.asked() == 0
