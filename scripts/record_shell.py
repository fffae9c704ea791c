"""The recording: a story typed into a real interactive bash, and the picture of its terminal.

direnv, nixpy and uv are real, and so is what the terminal shows, with three exceptions:

- The HOME is a directory of eight letters in /tmp that is gone afterwards; in what is shown it is
  called /home/me, which is as long, so that no line breaks elsewhere.
- Longer pauses are cut: the picture says nothing of how long things take, benchmarks/ does.
- The terminal is as high as all of the story, and the picture shows a window on it that scrolls.

pyte is the terminal, rich draws it, and CSS in the picture lets the lines appear. Where nothing
moves, or nobody wants it to, the picture is the end of the story.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import string
import sys
import time
import xml.etree.ElementTree as ET
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs/recording.svg"

COLUMNS = 88
ROWS = 24
"""What the window shows of the terminal."""
ALL_ROWS = 100

SHOWN_HOME = "/home/me"
FILES = {".envrc": "use nixpy\n", "requirements.txt": "attrs\n"}


class Line(NamedTuple):
    """A line of the story, and what the terminal has to show after it."""

    typed: str
    shown: tuple[str, ...] = ()
    not_shown: tuple[str, ...] = ()


STORY = (
    Line("cat app/.envrc app/requirements.txt", ("use nixpy", "attrs")),
    Line("cd app", ("nixpy: syncing with uv", "+ attrs", "nixpy: synced with uv")),
    Line("which python", (f"{SHOWN_HOME}/app/.venv/bin/python",)),
    Line("cd ..", ("direnv: unloading",)),
    Line("cd app", ("direnv: using nixpy",), ("nixpy: sync",)),
    Line("echo iniconfig >> requirements.txt", ("nixpy: syncing with uv", "+ iniconfig")),
    Line("nixpy explain", ("requirements.txt", f"{SHOWN_HOME}/app/.venv", "fresh")),
    Line("rm .venv/lib/python3*/site-packages/iniconfig/_parse.py"),
    Line("nixpy doctor --only environment.record", ("environment.record-damaged", "--fix")),
)

PROMPT = "\\[\\e]133;A\\a\\e[1;34m\\]\\w\\[\\e[0;90m\\] $ \\[\\e[0m\\]"
PROMPT_BEGINS = b"\x1b]133;A\x07"
"""Not seen by users: terminals are told so where a prompt begins."""

# Seconds.
KEY = 0.05
READING = 1.2
LONGEST_PAUSE = 1.2
END = 6.0


class Piece(NamedTuple):
    """What the terminal received at once, and when."""

    at: float
    text: bytes


class StoryError(Exception):
    """The terminal does not show what the story tells."""


def prepared(top: Path) -> dict[str, str]:
    """Return an isolated environment, with nixpy set up and a project in its HOME."""
    programs = top / ".local/bin"
    programs.mkdir(parents=True)
    for name in ("nixpy", "uv"):
        (programs / name).symlink_to(Path(sys.executable).parent / name)
    # Not all of the machine's PATH: what is on it could be in the picture.
    direnv = os.path.dirname(shutil.which("direnv") or "")
    path = [str(programs), f"{sys.base_prefix}/bin", direnv, "/usr/local/bin", "/usr/bin", "/bin"]
    kept = {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}
    environ = {
        **kept,
        "HOME": str(top),
        "LANG": "C.UTF-8",
        # A configured index for pip would make this a project for pip (rule 7).
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(top / ".cache/uv"),
        "UV_NO_PROGRESS": "1",
        "TERM": "xterm-256color",
        "PATH": ":".join(path),
    }
    project = top / "app"
    project.mkdir()
    for name, text in FILES.items():
        (project / name).write_text(text)
    (top / ".bashrc").write_text(
        f"PS1='{PROMPT}'\nbind 'set enable-bracketed-paste off'\neval \"$(direnv hook bash)\"\n"
    )
    pexpect.run("nixpy setup", cwd=str(top), env=environ)
    pexpect.run("direnv allow", cwd=str(project), env=environ)
    return environ


class Recorder:
    """An interactive bash, and everything that it sends to its terminal."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.pieces: list[Piece] = []
        self._bash: pexpect.spawn[bytes] = pexpect.spawn(
            "bash",
            ["--noprofile", "--rcfile", f"{environ['HOME']}/.bashrc", "-i"],
            env=environ,
            cwd=environ["HOME"],
            timeout=300,
            dimensions=(ALL_ROWS, COLUMNS),
        )
        self._bash.delaybeforesend = None
        self._until_prompt()

    def type(self, line: str, key: float) -> bytes:
        """Type a line, with seconds for each key; return what came until the next prompt."""
        before = len(self.pieces)
        for character in line:
            self._bash.send(character)
            self._listen(key)
        self._bash.send("\r")
        self._until_prompt()
        return b"".join(piece.text for piece in self.pieces[before:])

    def close(self) -> None:
        """End the shell."""
        self._bash.close(force=True)

    def _until_prompt(self) -> None:
        since = len(self.pieces)
        deadline = time.monotonic() + 300
        while PROMPT_BEGINS not in b"".join(piece.text for piece in self.pieces[since:]):
            if time.monotonic() > deadline:
                raise StoryError("no prompt in five minutes")
            self._listen(0.1)
        self._listen(0.3)

    def _listen(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                text = self._bash.read_nonblocking(4096, timeout=left)
            except pexpect.TIMEOUT:
                return
            except pexpect.EOF:
                raise StoryError("the shell ended") from None
            self.pieces.append(Piece(time.monotonic(), text))


def recorded(story: Sequence[Line] = STORY, key: float = KEY) -> list[Piece]:
    """Tell a story to a real shell, typing with ``key`` seconds for each key.

    Raises:
        StoryError: the terminal shows something else.
    """
    top = fresh_home()
    try:
        bash = Recorder(prepared(top))
        try:
            for line in story:
                said = bash.type(line.typed, key).decode().replace(str(top), SHOWN_HOME)
                said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
                for words in line.shown:
                    if words not in said:
                        raise StoryError(f"{line.typed}: {words!r} is not shown, but: {said}")
                for words in line.not_shown:
                    if words in said:
                        raise StoryError(f"{line.typed}: {words!r} is shown: {said}")
        finally:
            bash.close()
        return _renamed(bash.pieces, str(top))
    finally:
        shutil.rmtree(top, ignore_errors=True)


def fresh_home() -> Path:
    """Make a directory whose path is as long as the one that is shown for it."""
    while True:
        letters = (secrets.choice(string.ascii_lowercase) for _ in SHOWN_HOME[len("/tmp/") :])
        top = Path("/tmp", "".join(letters))
        try:
            top.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return top


def _renamed(pieces: list[Piece], home: str) -> list[Piece]:
    # A path may lie across two pieces; as the lengths are the same, the borders stay.
    text = b"".join(piece.text for piece in pieces).replace(home.encode(), SHOWN_HOME.encode())
    result, start = [], 0
    for piece in pieces:
        end = start + len(piece.text)
        result.append(Piece(piece.at, text[start:end]))
        start = end
    return result


def paced(pieces: list[Piece]) -> list[Piece]:
    """Return pieces that begin at 0, without long pauses, and with time to read before a line."""
    result: list[Piece] = []
    now, before, is_output = 0.0, pieces[0].at, False
    for piece in pieces:
        now += min(piece.at - before, LONGEST_PAUSE)
        if is_output and len(piece.text) == 1:  # The first key of a line.
            now += READING
            is_output = False
        is_output |= b"\n" in piece.text
        before = piece.at
        result.append(Piece(now, piece.text))
    return result


class Picture(NamedTuple):
    """What a terminal shows in the end, and since when it shows it at each place."""

    screen: pyte.Screen
    since: dict[tuple[int, int], float]
    rows: int
    seconds: float


def played(pieces: list[Piece]) -> Picture:
    """Play what was recorded to a terminal.

    Raises:
        StoryError: it shows a name of this machine.
    """
    screen = pyte.Screen(COLUMNS, ALL_ROWS)
    stream = pyte.ByteStream(screen)
    since: dict[tuple[int, int], float] = {}
    seen: dict[tuple[int, int], pyte.screens.Char] = {}
    for piece in pieces:
        screen.dirty.clear()
        stream.feed(piece.text)
        for row in screen.dirty:
            for column, char in screen.buffer[row].items():
                if seen.get((row, column)) != char:
                    seen[row, column] = char
                    since[row, column] = piece.at
    machine = (os.path.expanduser("~/"), socket.gethostname(), str(ROOT), sys.base_prefix + "/")
    for name in machine:
        if len(name) > 2 and any(name in line for line in screen.display):
            raise StoryError(f"{name!r} is this machine's, and would be in the picture")
    rows = max((row for row, line in enumerate(screen.display) if line.strip()), default=0) + 1
    return Picture(screen, since, rows, pieces[-1].at + END)


def drawn(picture: Picture) -> str:
    """Draw a terminal as SVG, by rich."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, color_system="truecolor")
        for row in range(picture.rows):
            console.print(_row(picture.screen, row), soft_wrap=True)
        return console.export_svg(title="nixpy", unique_id="t", code_format=CODE_FORMAT)


CODE_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>A terminal: nixpy syncs, loads, resyncs and explains the environment of a project</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas,
"DejaVu Sans Mono", monospace; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="2" width="{terminal_width}" height="{terminal_height}"/>
</clipPath></defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""No fonts from elsewhere: a README's picture may load nothing."""


def _row(screen: pyte.Screen, row: int) -> Text:
    cells = [screen.buffer[row][column] for column in range(COLUMNS)]
    text = Text()
    for style, run in groupby(cells, key=_style):
        text.append("".join(cell.data for cell in run), style)
    text.rstrip()
    return text


def _style(cell: pyte.screens.Char) -> Style:
    name = "yellow" if cell.fg == "brown" else cell.fg
    color = re.sub(r"^bright(?=[a-z])", "bright_", name)
    if re.fullmatch("[0-9a-f]{6}", color):
        color = f"#{color}"
    return Style(color=None if color == "default" else color, bold=cell.bold)


SVG = "http://www.w3.org/2000/svg"
CHARACTER = 12.2
"""The width that rich gives a character, in its units; a line is twice as high."""
LINE = 2 * CHARACTER


def animated(svg: str, picture: Picture) -> str:
    """Let what is drawn appear as it was recorded, in a window of ``ROWS`` lines that scrolls."""
    ET.register_namespace("", SVG)
    tree = ET.fromstring(svg)
    matrix = next(one for one in tree.iter(f"{{{SVG}}}g") if one.get("class") == "t-matrix")
    rules: dict[str, str] = {}
    for text in list(matrix):
        row = int(text.attrib.pop("clip-path").rpartition("-")[2].rstrip(")"))
        column = round(float(text.get("x", "0")) / CHARACTER)
        shown = (text.text or "").rstrip("\n")
        if not shown.strip("\N{NO-BREAK SPACE} "):
            matrix.remove(text)
            continue
        times = [
            picture.since[row, at]
            for at in range(column, column + len(shown))
            if (row, at) in picture.since
        ]
        name, rule = _appearing(min(times), max(times), len(shown), picture.seconds)
        rules[name] = rule
        text.set("class", f"{text.get('class', '')} {name}")
    rules["scroll"] = _scrolling(picture)
    matrix.set("class", "t-matrix scroll")
    _cut(tree, picture)
    style = next(tree.iter(f"{{{SVG}}}style"))
    motion = "".join(rules.values())
    style.text = f"{style.text}@media (prefers-reduced-motion: no-preference) {{\n{motion}}}\n"
    return ET.tostring(tree, encoding="unicode") + "\n"


def _appearing(first: float, last: float, length: int, seconds: float) -> tuple[str, str]:
    start, end = 100 * first / seconds, 100 * last / seconds
    if last - first < KEY * length / 2:
        name = f"a{round(first * 1000)}"
        frames = f"0%,{start:.2f}%{{opacity:0}}{start + 0.01:.2f}%,to{{opacity:1}}"
        timing = "linear"
    else:  # Typed, a character at a time.
        name = f"k{round(first * 1000)}"
        hidden, whole = "clip-path:inset(-4px 100% -4px 0)", "clip-path:inset(-4px 0)"
        frames = f"0%,{start:.2f}%{{{hidden}}}{end:.2f}%,to{{{whole}}}"
        timing = f"steps({length})"
    return name, _rule(name, frames, timing, seconds)


def _rule(name: str, frames: str, timing: str, seconds: float) -> str:
    return (
        f".{name}{{animation:{name} {seconds:.1f}s {timing} infinite}}"
        f"@keyframes {name}{{{frames}}}\n"
    )


def _scrolling(picture: Picture) -> str:
    """Return what moves the lines up, and leaves them at the last ones where nothing moves."""
    first = [
        min((at for (on, _), at in picture.since.items() if on == row), default=0.0)
        for row in range(picture.rows)
    ]
    frames, last = ["0%{transform:none}"], 0
    for at, rows in groupby(range(ROWS, picture.rows), key=lambda row: first[row]):
        percent = 100 * at / picture.seconds
        if percent > 0:  # A line without anything came with those around it.
            frames.append(f"{percent - 0.01:.2f}%{{transform:translateY({-LINE * last:.1f}px)}}")
            last = max(rows) + 1 - ROWS
            frames.append(f"{percent:.2f}%{{transform:translateY({-LINE * last:.1f}px)}}")
    end = max(0, picture.rows - ROWS)
    frames.append(f"to{{transform:translateY({-LINE * end:.1f}px)}}")
    return _rule("scroll", "".join(frames), "linear", picture.seconds)


def _cut(tree: ET.Element, picture: Picture) -> None:
    """Make the window as high as what it shows."""
    surplus = LINE * max(0, picture.rows - ROWS)
    _, _, width, height = map(float, tree.get("viewBox", "").split())
    tree.set("viewBox", f"0 0 {width:g} {height - surplus:g}")
    frame = next(one for one in tree if one.tag == f"{{{SVG}}}rect")
    clip = next(tree.iter(f"{{{SVG}}}clipPath"))[0]
    for one in (frame, clip):
        one.set("height", f"{float(one.get('height', '0')) - surplus:g}")
    matrix = next(one for one in tree.iter(f"{{{SVG}}}g") if "scroll" in one.get("class", ""))
    matrix.set("transform", f"translate(0, {-surplus:g})")


def main(arguments: list[str]) -> int:
    """Record, and write the picture."""
    path = Path(arguments[0]) if arguments else PICTURE
    if shutil.which("direnv") is None:
        print("direnv is not installed, and the story is about it", file=sys.stderr)
        return 1
    try:
        picture = played(paced(recorded()))
    except StoryError as error:
        print(f"The story is not as told: {error}", file=sys.stderr)
        return 1
    path.write_text(animated(drawn(picture), picture), "utf-8")
    print(f"{path}: {picture.rows} lines, {picture.seconds:.0f} s, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
