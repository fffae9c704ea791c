"""What the documentation tells a reader to type does what it says: see ``pages.py``."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from .conftest import Shell
from .github_runner import Runner
from .nix.conftest import GIT, copy_flake, make_removable, own_store
from .pages import (
    ROOT,
    SCRIPTS,
    TYPED,
    Page,
    PageError,
    all_pages,
    commands,
    dialogue,
    is_as_said,
    read_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import World
    from .pages import Step

PAGES = [page for page in all_pages() if page.steps]

LONGEST = 300
"""Seconds for one line."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[=>])")


class Terminal(Shell):
    """An interactive shell that a page's lines are typed in, at home."""

    def __init__(self, kind: str, world: World, *, hook: bool) -> None:
        super().__init__(kind, world)
        self.process.timeout = LONGEST
        for line in _SETTINGS[kind] + ([] if hook else [_WITHOUT_HOOK[kind]]):
            self.run(line)
        self.run("cd")

    def type(self, line: str) -> list[str]:
        """Type a line that must succeed; return what it printed, and direnv before the prompt."""
        shown = self.run(line)
        status = self._last_status()
        if status != "0":
            pytest.fail(f"{line} ended with {status or 'nothing'}: {shown}", pytrace=False)
        return _lines(shown)

    def _last_status(self) -> str:
        # fish shows its prompt more often than once, so that prompts do not say what has ended.
        file = self.world.home / "status"
        self.run(f"echo {'$status' if self.kind == 'fish' else '$?'} > {file}")
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            if file.exists() and file.read_text().endswith("\n"):
                text = file.read_text().strip()
                file.unlink()
                return text
            time.sleep(0.02)
        return ""


_SETTINGS = {
    # Without line editing the terminal shows what commands print, and not what is typed.
    "bash": ["set +o emacs +o vi"],
    "zsh": ["setopt interactive_comments"],
    "fish": [],
}
_WITHOUT_HOOK = {
    "bash": "PROMPT_COMMAND=",
    "zsh": "precmd_functions=() chpwd_functions=()",
    "fish": "functions --erase __direnv_export_eval __direnv_cd_hook",
}


def _lines(shown: str) -> list[str]:
    text = _ESCAPE.sub("", shown).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


class Reader:
    """Does all that a page says, in its order, on one machine."""

    def __init__(self, page: Page, world: World) -> None:
        self.page = page
        self.world = world
        self.terminals: dict[str, Terminal] = {}

    def follow(self) -> None:
        """Do every step."""
        for step in self.page.steps:
            self._follow(step)

    def _follow(self, step: Step) -> None:
        try:
            self._do(step)
        except pytest.fail.Exception as failure:
            where = f"{self.page.name}:{step.line}"
            raise pytest.fail.Exception(f"{where}: {failure}", pytrace=False) from None

    def close(self) -> None:
        for terminal in self.terminals.values():
            terminal.close()

    def _do(self, step: Step) -> None:
        if step.kind == "file":
            path = self.world.home / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text)
        elif step.kind == "workflow":
            Runner(self.world, self.world.home / "app").run(yaml.safe_load(step.text))
        elif step.kind == "set-up":
            self._terminal("bash").type(step.text)
        elif step.language in SCRIPTS:
            self._script(step)
        elif step.language == "console":
            self._console(step)
        else:
            for line in commands(step.text):
                self._terminal(TYPED[step.language]).type(line)

    def _console(self, step: Step) -> None:
        for line, expected in dialogue(step.text):
            said = self._terminal("bash").type(line)
            home = str(self.world.home)
            if not is_as_said(said, [one.replace("/home/me", home) for one in expected]):
                text = "\n".join(said).replace(home, "/home/me")
                pytest.fail(f"{line} printed\n{text}\nand not\n" + "\n".join(expected))

    def _script(self, step: Step) -> None:
        program, *flags = SCRIPTS[step.language]
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        where = _lines(self._terminal("bash").run("pwd -P"))[-1]
        done = subprocess.run(
            [program, *flags, "-c", step.text],
            cwd=where,
            env=self.world.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{step.text}{done.stdout}{done.stderr}")

    def _terminal(self, kind: str) -> Terminal:
        if kind not in self.terminals:
            if shutil.which(kind) is None:
                pytest.skip(f"{kind} is not installed")
            others = list(self.terminals.values())
            started = Terminal(kind, self.world, hook="direnv" in self.page.needs)
            self.terminals[kind] = started
            for other in others[:1]:
                started.run(f"cd '{_lines(other.run('pwd -P'))[-1]}'")
        return self.terminals[kind]


def _parameters() -> list[object]:
    return [
        pytest.param(
            page, id=page.name, marks=[pytest.mark.network] if "network" in page.needs else []
        )
        for page in PAGES
    ]


@pytest.fixture
def reader(request: pytest.FixtureRequest, bare_world: World, tmp_path: Path) -> Iterator[Reader]:
    """A reader of a page, on a machine that has what the page needs."""
    page: Page = request.param
    world = bare_world
    plain = {
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "200",
        "LINES": "50",
        "UV_NO_PROGRESS": "1",
    }
    world.environ |= {**plain, **GIT}
    for need in page.needs & {"direnv", "git", "nix"}:
        if shutil.which(need) is None:
            pytest.skip(f"{need} is not installed")
    if "release" in page.needs:
        release(world, tmp_path / "release")
    elif "direnv" in page.needs:
        world.setup()
    if "nix" in page.needs:
        world.environ |= own_store(tmp_path.resolve() / "nix")
        nixpkgs = copy_flake("template-nixpkgs", tmp_path / "nixpkgs", world.environ)
        world.environ["NIXPY_NIX_OPTIONS"] = f"--override-input nixpkgs path:{nixpkgs.path}"
    reader = Reader(page, world)
    yield reader
    reader.close()
    make_removable(tmp_path.resolve() / "nix")


def release(world: World, place: Path) -> None:
    """Make ``uv tool install nixpy`` install the tree as it is, and take away what is installed."""
    tree = place / "tree"
    kept = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, tree, ignore=kept, symlinks=True)
    world.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(place / "dist"), cwd=tree)
    (world.home / "bin/nixpy").unlink()
    installed = world.home / ".local/bin"
    world.environ |= {
        "PATH": f"{installed}:{world.environ['PATH']}",
        "XDG_BIN_HOME": str(installed),
        "UV_FIND_LINKS": str(place / "dist"),
        # `nixpy init` would have a flake.nix rest on nixpkgs, which is out of reach.
        "NIXPY_FLAKE": "false",
    }


@pytest.mark.parametrize("reader", _parameters(), indirect=True)
def test_what_a_page_says_to_type_works(reader: Reader) -> None:
    reader.follow()


# The test of the test.


def test_a_page_is_read() -> None:
    text = """\
<!-- page: direnv, network -->
<!-- file: app/x -->
```toml
<!-- not a comment -->
```
<!-- set-up: true -->

<!-- run -->
```sh
echo 1 \\
  2
```
```sh
not run
```
"""
    page = read_page(ROOT / "docs/x.md", text)
    assert page.needs == {"direnv", "network"}
    assert [(one.kind, one.language, one.name, one.line) for one in page.steps] == [
        ("file", "toml", "app/x", 3),
        ("set-up", "sh", "", 6),
        ("run", "sh", "", 9),
    ]
    assert page.steps[0].text == "<!-- not a comment -->\n"
    assert commands(page.steps[2].text) == ["echo 1 \\\n  2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!-- run -->\n```ruby\n1\n```\n", "a block in ruby cannot be run"),
        ("<!-- run -->\n```\n1\n```\n", "a block in no language cannot be run"),
        ("<!-- run -->\n\n```sh\n1\n```\n", "no fenced block begins right below this"),
        ("<!-- run: workflow -->\n```sh\n1\n```\n", "a workflow is in YAML"),
        ("<!-- run: twice -->\n```sh\n1\n```\n", "twice is not understood"),
        ("<!-- runs -->\n```sh\n1\n```\n", "is not understood"),
        ("<!-- file: /etc/x -->\n```toml\n```\n", "below home"),
        ("<!-- page: windows -->\n", "a page needs some of"),
    ],
)
def test_a_page_that_cannot_be_run_is_refused(text: str, words: str) -> None:
    with pytest.raises(PageError, match=words):
        read_page(ROOT / "docs/x.md", text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "true\nfalse\ntrue\n"),
        ("zsh", "false\n"),
        ("fish", "false\n"),
        ("tcsh", "false\n"),
        ("elvish", "fail x\n"),
        ("python", "assert False\n"),
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ echo one; echo two\none\n"),
        ("console", "$ false\n"),
    ],
)
def test_a_block_that_does_not_do_as_it_says_fails(
    language: str, text: str, bare_world: World
) -> None:
    page = read_page(ROOT / "docs/x.md", f"<!-- run -->\n```{language}\n{text}```\n")
    reader = Reader(page, bare_world)
    try:
        with pytest.raises(pytest.fail.Exception, match=r"docs/x\.md:2: "):
            reader.follow()
    finally:
        reader.close()


def test_a_console_block_is_compared_but_for_what_differs_each_time(bare_world: World) -> None:
    text = "$ cd; pwd; echo 'it took 1.5 s'\n/home/me\nit took 0.2 s\n$ seq 9\n1\n…\n8\n…\n"
    page = read_page(ROOT / "docs/x.md", f"<!-- run -->\n```console\n{text}```\n")
    reader = Reader(page, bare_world)
    try:
        reader.follow()
    finally:
        reader.close()
