from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy import stamp
from nixpy.cache import Entry
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.inputs import (
    Input,
    observe,
    observe_directory,
    observe_file,
    observe_program,
    observe_root,
    observe_variable,
    observe_variables,
)
from nixpy.marker import Marker, marker_mtime, write_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

AGO = 1_700_000_000_123_456_789
NAMES = {
    "plain": b"plain",
    "quotes": b'it\'s "quoted"',
    "newline": b"two\nlines",
    "substitution": b"$(touch hit) `touch hit` ${HOME}",
    "pattern": b"*?[a]\\",
    "not UTF-8": b"caf\xe9 \xff",
    "a flag": b"-nt && exit",
}
WATCHES = {"DIRENV_WATCHES": "before"}
SCRIPT = """
set -euo pipefail
source "$1/stamp"
cd "$2"
if _nixpy_hit "$1/refs"; then printf 'hit\\0'; env -0; else printf 'miss\\0'; fi
"""


class World:
    """A project with an input of each kind, and its stamp."""

    def __init__(self, base: Path, name: bytes = b"plain") -> None:
        self.odd = os.fsdecode(name)
        self.project = base / self.odd
        self.prefix = self.project / ".venv"
        self.slot = base / "slot"
        self.slot.mkdir(mode=0o700)
        self.file = self.project / f"file {self.odd}"
        self.absent = self.project / f"absent {self.odd}"
        self.listing = self.project / f"listing {self.odd}"
        self.program = self.project / f"program {self.odd}"
        self.link = self.project / f"link {self.odd}"
        self.targets = (self.project / "one", self.project / "other")
        (self.prefix / "bin").mkdir(parents=True)
        self.listing.mkdir()
        (self.listing / "member").touch()
        for path in (self.file, self.program, *self.targets):
            path.write_text("content")
        self.program.chmod(0o755)
        self.link.symlink_to(self.targets[0])
        self.python = self.prefix / "bin/python"
        self.python.symlink_to("/bin/sh")
        self.collectable = self.project / f"store {self.odd}"
        self.collectable.mkdir()
        self.root = self.project / f"root {self.odd}"
        self.root.symlink_to(self.collectable)
        write_marker(Marker("synced", "f", str(self.prefix), -1, "uv", "", str(self.project)))
        for path in (self.file, self.program, *self.targets, self.listing):
            os.utime(path, ns=(AGO, AGO))
        os.utime(self.prefix / ".nixpy/marker", ns=(AGO + 1, AGO + 1))
        self.environ = {
            **WATCHES,
            "PATH": os.environ["PATH"],
            "VALUE": f"value {self.odd}",
            "GROUP_A": "a",
            "GROUP_B": self.odd,
        }
        self.entry = Entry(
            version="1",
            root=str(self.project),
            fingerprint="f",
            manager="uv",
            reason="r",
            rests_on=(),
            passed_over=(),
            prefix=str(self.prefix),
            synced="f",
            marker_mtime=marker_mtime(str(self.prefix)),
            inputs=(
                observe_file(str(self.file))[0],
                observe_file(str(self.absent))[0],
                observe_file(str(self.link))[0],
                observe_directory(str(self.listing))[0],
                observe_program(str(self.program)),
                observe_root(str(self.root)),
                observe_variable("VALUE", self.environ),
                observe_variable("UNSET", self.environ),
                *observe_variables("GROUP_", self.environ),
                Input("text", "fact", "anything"),
            ),
            operations=Environment(
                (
                    Set("RESULT", self.odd),
                    Unset("VALUE"),
                    Prepend("PATH", ("/front",)),
                )
            ),
            watches=(("before", f"after {self.odd}"),),
        )

    def write(self) -> bool:
        return stamp.write_stamp(str(self.slot), self.entry)

    def ask(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str] | None:
        """Return what a shell exports after a hit, and None after a miss."""
        merged = {**self.environ, **(changes or {})}
        done = subprocess.run(
            ["bash", "-c", SCRIPT, "bash", self.slot, self.project],
            env={name: value for name, value in merged.items() if value is not None},
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
        verdict, *variables = os.fsdecode(done.stdout).rstrip("\0").split("\0")
        assert verdict in {"hit", "miss"}
        if verdict == "miss":
            return None
        return dict(variable.split("=", 1) for variable in variables)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project whose stamp holds."""
    made = World(tmp_path)
    assert made.write()
    assert made.ask() is not None
    return made


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_stamp_holds_and_exports_whatever_things_are_called(tmp_path: Path, name: bytes) -> None:
    made = World(tmp_path, name)
    assert made.write()
    exported = made.ask()
    assert exported is not None
    assert exported["RESULT"] == made.odd
    assert exported["DIRENV_WATCHES"] == f"after {made.odd}"
    assert exported["PATH"] == f"/front:{os.environ['PATH']}"
    assert "VALUE" not in exported
    assert not any("hit" in path.name and "touch" not in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_changed_file_is_noticed_whatever_it_is_called(tmp_path: Path, name: bytes) -> None:
    made = World(tmp_path, name)
    assert made.write()
    os.utime(made.file, ns=(AGO, AGO + 1))
    assert made.ask() is None


def replace_by_older(made: World) -> None:
    other = made.project / "older"
    other.write_text("older")
    os.utime(other, ns=(AGO - 1, AGO - 1))
    other.rename(made.file)


def retarget(made: World) -> None:
    made.link.unlink()
    made.link.symlink_to(made.targets[1])


def dangle(made: World) -> None:
    made.python.unlink()
    made.python.symlink_to("/nowhere/python")


def touch(path: Path, by: int = 1) -> None:
    moment = path.stat().st_mtime_ns + by
    os.utime(path, ns=(moment, moment))


def move_project(made: World) -> None:
    made.project.rename(made.project.parent / "moved")
    made.project.mkdir()


def lose_with_its_reference(made: World) -> None:
    touch(made.file, 7)
    inputs = tuple(observe(one, made.environ) for one in made.entry.inputs)
    made.entry = made.entry._replace(inputs=inputs)
    assert made.write()
    assert made.ask() is not None
    (made.slot / f"refs/{made.file.stat().st_mtime_ns}").unlink()
    made.file.unlink()


CHANGES: dict[str, Callable[[World], object]] = {
    "a file is a nanosecond newer": lambda made: touch(made.file),
    "a file is a nanosecond older": lambda made: touch(made.file, -1),
    "a file is replaced by an older one": replace_by_older,
    "a file is gone": lambda made: made.file.unlink(),
    "an absent file appears": lambda made: made.absent.touch(),
    "an absent file appears as a directory": lambda made: made.absent.mkdir(),
    "a name is added to a listing": lambda made: (made.listing / "new").touch(),
    "a name is taken from a listing": lambda made: (made.listing / "member").unlink(),
    "a listing is gone": lambda made: made.listing.rename(made.project / "renamed"),
    "a program is replaced": lambda made: touch(made.program),
    "a program is gone": lambda made: made.program.unlink(),
    "a link leads to another file of the same time": retarget,
    "the target of a link changes": lambda made: touch(made.targets[0]),
    "a gc root is gone": lambda made: made.root.unlink(),
    "what a gc root protects was collected": lambda made: made.collectable.rmdir(),
    "the marker is written": lambda made: touch(made.prefix / ".nixpy/marker"),
    "the marker is gone": lambda made: (made.prefix / ".nixpy/marker").unlink(),
    "the interpreter is gone": dangle,
    "the project is another directory": move_project,
    "a file and its reference are gone": lose_with_its_reference,
    "the reference files are gone": lambda made: (made.slot / "refs").rename(made.slot / "gone"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_single_change_is_noticed(world: World, change: Callable[[World], object]) -> None:
    change(world)
    assert world.ask() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"VALUE": "another"},
        {"VALUE": ""},
        {"VALUE": None},
        {"UNSET": "set"},
        {"UNSET": ""},
        {"GROUP_A": "b"},
        {"GROUP_C": "new"},
        {"GROUP_A": None},
        {"GROUP_A": None, "GROUP_C": "a"},
        {"DIRENV_WATCHES": "another"},
        {"DIRENV_WATCHES": None},
    ],
    ids=str,
)
def test_a_single_changed_variable_is_noticed(world: World, changes: dict[str, str | None]) -> None:
    assert world.ask(changes) is None


def test_a_stamp_that_rests_on_a_gc_root_holds_for_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for age, holds in ((0, True), (stamp.DAY - 60, True), (stamp.DAY + 60, False)):
        monkeypatch.setattr(time, "time", lambda age=age: now - age)
        world.write()
        assert (world.ask() is not None) is holds


def test_what_no_input_is_about_is_not_noticed(world: World) -> None:
    (world.project / "unrelated").touch()
    assert world.ask({"UNRELATED": "x"}) is not None


def test_many_inputs_are_each_looked_at(tmp_path: Path) -> None:
    made = World(tmp_path)
    paths = [made.project / f"many {number}" for number in range(2 * stamp.BATCH + 5)]
    for path in paths:
        path.touch()
        os.utime(path, ns=(AGO, AGO))
    seen = tuple(observe_file(str(path))[0] for path in paths)
    made.entry = made.entry._replace(inputs=seen)
    assert made.write()
    assert made.ask() is not None
    for path in (paths[0], paths[stamp.BATCH - 2], paths[stamp.BATCH], paths[-1]):
        touch(path)
        assert made.ask() is None
        touch(path, -1)
    assert made.ask() is not None


def test_inputs_of_one_time_share_a_reference_and_old_references_go(world: World) -> None:
    references = world.slot / "refs"
    assert {path.name for path in references.iterdir()} == {str(AGO), str(AGO + 1)}
    world.entry = world.entry._replace(inputs=())
    assert world.write()
    assert {path.name for path in references.iterdir()} == {str(AGO + 1)}


def test_a_stamp_carries_the_time_that_only_its_owner_can_give_it(world: World) -> None:
    assert (world.slot / "stamp").stat().st_mtime_ns == stamp.TRUSTED_TIME


def test_a_removed_stamp_is_gone_and_may_be_removed_again(world: World) -> None:
    stamp.remove_stamp(str(world.slot))
    assert not (world.slot / "stamp").exists()
    stamp.remove_stamp(str(world.slot))


def test_a_young_input_is_waited_for(world: World) -> None:
    world.file.write_text("young")
    mtime = time.time_ns() // 10 * 10 + 1
    os.utime(world.file, ns=(mtime, mtime))
    young = observe_file(str(world.file))[0]
    world.entry = world.entry._replace(inputs=(young,))
    assert world.write()
    assert time.time_ns() >= stamp.settles_at(mtime)


def test_an_input_that_is_young_for_long_has_no_stamp(world: World) -> None:
    second = time.time_ns() // stamp.NANOSECONDS * stamp.NANOSECONDS
    os.utime(world.file, ns=(second, second))
    world.entry = world.entry._replace(inputs=(observe_file(str(world.file))[0],))
    assert not world.write()
    assert not (world.slot / "stamp").exists()


@given(st.integers(min_value=0, max_value=2**62))
def test_a_time_settles_after_a_tick_of_its_file_system(mtime: int) -> None:
    whole = mtime // stamp.NANOSECONDS * stamp.NANOSECONDS
    assert stamp.settles_at(whole) == whole + stamp.COARSE_TICK
    if mtime != whole:
        assert stamp.settles_at(mtime) == mtime + stamp.TICK
