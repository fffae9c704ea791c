"""With the hook and without it a shell has the same environment, whatever is done."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from nixpy.direnv import WATCHES, unpacked

from .conftest import counted, counts, hooked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..conftest import Shell, World
    from .conftest import Start

OWN = {"_", "SHLVL", "COLUMNS", "LINES", "OLDPWD", "SHELL"}
"""Variables that a shell changes by itself."""

VALUES = ["", "plain", "with space", "a'b\"c", "$HOME `x` \\", "*[?", "-n", "ä\nb"]


def variables(shell: Shell) -> dict[str, str]:
    return {name: value for name, value in shell.environment().items() if name not in OWN}


def direnv_lines(text: str) -> list[str]:
    """What direnv says, without colours and without what nixpy says of a sync."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\(B|\r", "", text)
    return [line for line in plain.splitlines() if line.startswith("direnv: ")]


@dataclass
class Pair:
    """A shell with direnv's hook, one with nixpy's too, and where both are."""

    plain: Shell
    hooked: Shell
    at: Path

    def run(self, line: str) -> None:
        """Type a line into both, and have them say and come to the same."""
        shown = [shell.run(line) for shell in (self.plain, self.hooked)]
        there = [variables(shell) for shell in (self.plain, self.hooked)]
        if there[1] != there[0]:
            raise AssertionError("\n".join((*shown, repr(differences(*there)))))
        if direnv_lines(shown[1]) != direnv_lines(shown[0]):
            raise AssertionError("\n".join(shown))


def differences(one: dict[str, str], other: dict[str, str]) -> dict[str, tuple[object, object]]:
    """What differs, of direnv's lists only those items that do."""
    names = one.keys() | other.keys()
    pairs = {name: (one.get(name), other.get(name)) for name in names - {"DIRENV_DIFF"}}
    found: dict[str, tuple[object, object]] = {}
    for name, (mine, theirs) in pairs.items():
        if name == WATCHES and mine and theirs and mine != theirs:
            lists = unpacked(mine), unpacked(theirs)
            only = [[item for item in a if item not in b] for a, b in (lists, lists[::-1])]
            found[name] = (only[0], only[1])
        elif mine != theirs:
            found[name] = (mine, theirs)
    return found or {"DIRENV_DIFF": (one.get("DIRENV_DIFF"), other.get("DIRENV_DIFF"))}


@dataclass
class Walk:
    """A random walk of two terminals over a few projects."""

    world: World
    top: Path
    pairs: list[Pair]
    chance: random.Random
    trail: list[str] = field(default_factory=list)
    count: int = 0

    def step(self) -> None:
        """Do one thing at random."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (8, self.go),
            (3, self.idle),
            (2, self.touch),
            (1, self.edit),
            (1, self.replace),
            (1, self.allow),
            (1, self.revoke),
            (2, self.set),
            (1, self.path),
            (1, self.unset),
            (1, self.reload),
            (1, self.appear),
            (1, self.vanish),
            (1, self.configure),
            (1, self.meddle),
            (1, self.move),
        ]
        weights = [weight for weight, _ in steps]
        _, chosen = self.chance.choices(steps, weights)[0]
        chosen()

    @property
    def pair(self) -> Pair:
        return self.chance.choice(self.pairs)

    def note(self, what: str) -> None:
        self.trail.append(what)

    def envrcs(self) -> list[Path]:
        return sorted(self.top.rglob(".envrc"))

    def direnv(self, *arguments: str) -> None:
        self.note(f"direnv {shlex.join(arguments)}")
        self.world.run("direnv", *arguments, cwd=self.top, check=False)

    def type(self, line: str) -> None:
        pair = self.pair
        self.note(f"{self.pairs.index(pair)}: {line}")
        pair.run(line)

    def go(self) -> None:
        pair = self.pair
        places = [self.top, *(path for path in self.top.rglob("*") if is_place(path))]
        pair.at = self.chance.choice(places)
        self.note(f"{self.pairs.index(pair)}: cd {pair.at.relative_to(self.top)}")
        pair.run(f"cd {shlex.quote(str(pair.at))}")

    def idle(self) -> None:
        self.type("true")

    def touch(self) -> None:
        others = [self.top / name for name in ("a/pyproject.toml", "b/x.txt", "b/.env")]
        path = self.chance.choice([*self.envrcs(), *others])
        if path.exists():
            self.note(f"touch {path.relative_to(self.top)}")
            os.utime(path)
        self.idle()

    def edit(self) -> None:
        path = self.chance.choice([path for path in self.envrcs() if path.parent.name != "a"])
        self.count += 1
        value = shlex.quote(self.chance.choice([one for one in VALUES if "\n" not in one]))
        with path.open("a") as file:
            file.write(f"export EDIT_{self.count % 3}={value}\n")
        self.note(f"edit {path.relative_to(self.top)}: EDIT_{self.count % 3}={value}")
        if self.chance.random() < 0.7:
            self.direnv("allow", str(path))
        self.idle()

    def replace(self) -> None:
        """Put an older file in the place of one."""
        path = self.top / "b/x.txt"
        if not path.parent.exists():
            return
        other = self.top / "b/other"
        other.write_text("")
        seconds = time.time() - self.chance.randrange(10_000)
        os.utime(other, (seconds, seconds))
        other.rename(path)
        self.note("replace b/x.txt")
        self.idle()

    def allow(self) -> None:
        self.direnv("allow", str(self.chance.choice(self.envrcs())))
        self.idle()

    def revoke(self) -> None:
        self.direnv("revoke", str(self.chance.choice(self.envrcs())))
        self.idle()

    def set(self) -> None:
        name = self.chance.choice(["A", "B", "DOT", "EDIT_1", "UV_OFFLINE", "DIRENV_LOG_FORMAT"])
        value = self.chance.choice(VALUES)
        if name == "UV_OFFLINE":
            value = self.chance.choice(["0", "false"])
        if name == "DIRENV_LOG_FORMAT":
            value = self.chance.choice(["", "direnv: [%s]"])
        if self.pairs[0].plain.kind == "fish":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "'\\n'")
            self.type(f"set -gx {name} '{quoted}'")
        else:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
            self.type(f"export {name}=$'{quoted}'")

    def unset(self) -> None:
        name = self.chance.choice(["A", "B", "DOT", "EDIT_0", "UV_OFFLINE", "DIRENV_LOG_FORMAT"])
        fish = self.pairs[0].plain.kind == "fish"
        self.type(f"set -eg {name}; true" if fish else f"unset {name}")

    def path(self) -> None:
        self.count += 1
        if self.pairs[0].plain.kind == "fish":
            self.type(f"set -gx PATH /opt/{self.count % 2} $PATH")
        else:
            self.type(f"export PATH=/opt/{self.count % 2}:$PATH")

    def reload(self) -> None:
        # Typed into both it would be two reloads.
        at = self.pair.at
        self.note(f"direnv reload in {at.relative_to(self.top)}")
        if at.is_dir():
            self.world.run("direnv", "reload", cwd=at, check=False)
        self.idle()

    def appear(self) -> None:
        """Put an ``.envrc`` where there was none."""
        path = self.chance.choice([self.top, self.top / "d", self.top / "a/sub"]) / ".envrc"
        if path.parent.is_dir() and not path.exists():
            self.note(f"new {path.relative_to(self.top)}")
            path.write_text("export NEW=1\n")
            if self.chance.random() < 0.7:
                self.direnv("allow", str(path))
        self.idle()

    def vanish(self) -> None:
        if self.chance.random() < 0.5:
            self.note("d is gone, or back")
            if (self.top / "d").is_dir():
                shutil.rmtree(self.top / "d")
            else:
                (self.top / "d").mkdir()
        else:
            for path in (self.top / ".envrc", self.top / "a/sub/.envrc"):
                self.note(f"rm {path.relative_to(self.top)}")
                path.unlink(missing_ok=True)
        self.idle()

    def meddle(self) -> None:
        """Change what direnv knows by."""
        name = self.chance.choice(
            ["DIRENV_DIFF", "DIRENV_FILE", "DIRENV_WATCHES", "DIRENV_DISABLE"]
        )
        fish = self.pairs[0].plain.kind == "fish"
        if name == "DIRENV_DISABLE":
            self.type(f"set -gx {name} 1" if fish else f"export {name}=1")
        self.type(f"set -eg {name}; true" if fish else f"unset {name}")

    def move(self) -> None:
        """Give a project another name, or its own again."""
        a, b = self.top / "b", self.top / "moved"
        if b.exists():
            a, b = b, a
        if all(pair.at != a for pair in self.pairs):
            self.note(f"mv {a.name} {b.name}")
            a.rename(b)
        self.idle()

    def configure(self) -> None:
        path = self.world.home / "config/direnv/direnv.toml"
        if path.exists():
            self.note("no direnv.toml")
            path.unlink()
        else:
            self.note("direnv.toml")
            path.write_text("[global]\nstrict_env = true\n")
        self.idle()


def is_place(path: Path) -> bool:
    return path.is_dir() and not {".venv", "bin"} & set(path.parts)


def projects(world: World) -> Path:
    """Some directories: nested, beside each other, plain and not, allowed and not."""
    top = world.directory / "top"
    files = {
        "a/.envrc": "use nixpy\nexport A=1\n",
        "a/pyproject.toml": '[project]\nname = "a"\nversion = "0"\nrequires-python = ">=3.10"\n',
        "a/sub/empty": "",
        "a/inner/.envrc": 'source_up\nPATH_add bin\nexport INNER="$PWD/x"\n',
        "b/.envrc": (
            "dotenv\nwatch_file x.txt\nexport B=2\npath_add MANPATH share\n"
            "source_env_if_exists .envrc.local\nenv_vars_required DOT\n"
        ),
        "b/.env": "DOT='a b'\n",
        "b/x.txt": "",
        "c/.envrc": "export C=$(cat number)\n",
        "c/number": "1\n",
        "blocked/.envrc": "export BLOCKED=1\n",
        "d/empty": "",
    }
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.endswith(".envrc") and "blocked" not in name:
            world.run("direnv", "allow", str(path), cwd=top)
    return top


KINDS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize(("kind", "steps"), [("bash", 200), ("zsh", 60), ("fish", 60)])
def test_a_walk_comes_to_the_same_with_the_hook_and_without(
    kind: str, steps: int, world: World, start: Start
) -> None:
    walk(kind, 1, steps, world, start)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1, 31))
@pytest.mark.parametrize("kind", KINDS)
def test_many_walks_come_to_the_same(kind: str, seed: int, world: World, start: Start) -> None:
    walk(kind, seed, 200, world, start)


def walk(kind: str, seed: int, steps: int, world: World, start: Start) -> None:
    top = projects(world)
    pairs = []
    for _ in range(2):
        pair = Pair(start(kind), counted(hooked(start(kind))), top)
        for shell in (pair.plain, pair.hooked):
            shell.cd(top)
        pairs.append(pair)
    walking = Walk(world, top, pairs, random.Random(seed))
    try:
        for _ in range(steps):
            walking.step()
    except AssertionError as error:
        pytest.fail("\n".join((*walking.trail[-40:], str(error))), pytrace=False)
    # Otherwise nothing would have been shown.
    for pair in pairs:
        hits, misses = counts(pair.hooked)
        assert hits > misses
