"""The shells that a user has, and the files that these read when they start."""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

from nixpy.hook.startup import evaluates
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.examination import Examination

__all__ = ["HOOKS", "hook_line", "login_shell", "own_files", "startup_lines", "used_shells"]

HOOKS: dict[str, str] = {
    "bash": """echo 'eval "$(direnv hook bash)"' >> ~/.bashrc""",
    "zsh": """echo 'eval "$(direnv hook zsh)"' >> "${ZDOTDIR:-$HOME}/.zshrc\"""",
    "fish": "echo 'direnv hook fish | source' >> "
    '"${XDG_CONFIG_HOME:-$HOME/.config}/fish/config.fish"',
    "tcsh": "echo 'eval `direnv hook tcsh`' >> ~/.cshrc",
    "elvish": """mkdir -p "${XDG_CONFIG_HOME:-$HOME/.config}/elvish/lib" """
    """&& direnv hook elvish > "${XDG_CONFIG_HOME:-$HOME/.config}/elvish/lib/direnv.elv" """
    """&& echo 'use direnv' >> "${XDG_CONFIG_HOME:-$HOME/.config}/elvish/rc.elv\"""",
}
"""What puts direnv's hook into a shell's startup file (direnv.net, "Setup"), as a POSIX shell's
command. nushell's hook is longer than a line: its own cookbook has it."""

NAMES = ("bash", "zsh", "fish", "tcsh", "elvish", "nu")

DEEPEST = 3
MOST_FILES = 60

_SOURCE = re.compile(
    r"(?:^|[;&|{]|\bthen\b|\bdo\b)\s*(?:source|\.)\s+[\"']?([~$/][^\s\"';&|]*)", re.MULTILINE
)


def login_shell(seen: Examination) -> str | None:
    """Return the name of the user's own shell, if it is one that is known here."""
    name = os.path.basename(seen.environ.get("SHELL", "")).lstrip("-")
    return name if name in NAMES else None


def used_shells(seen: Examination) -> tuple[str, ...]:
    """Return the shells that are installed and that the user has a startup file for."""
    path = seen.environ.get("PATH", "")
    return tuple(
        name
        for name in NAMES
        if find_program(name, path) and any(map(os.path.isfile, own_files(seen, name)))
    )


def own_files(seen: Examination, shell: str) -> tuple[str, ...]:
    """Return where a shell looks for the user's startup files, whether these are there or not.

    From the shells' manuals, "Startup files".
    """
    home = seen.home
    configuration = seen.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    zsh = seen.environ.get("ZDOTDIR") or home
    if shell == "bash":
        names = (".bashrc", ".bash_profile", ".bash_login", ".profile")
        return tuple(f"{home}/{name}" for name in names)
    if shell == "zsh":
        return tuple(f"{zsh}/{name}" for name in (".zshrc", ".zshenv", ".zprofile", ".zlogin"))
    if shell == "fish":
        more = glob.glob(f"{glob.escape(configuration)}/fish/conf.d/*.fish")
        return (f"{configuration}/fish/config.fish", *sorted(more))
    if shell == "tcsh":
        return (f"{home}/.tcshrc", f"{home}/.cshrc")
    if shell == "elvish":
        return (f"{configuration}/elvish/rc.elv", f"{home}/.elvish/rc.elv")
    places = [f"{configuration}/nushell", f"{home}/Library/Application Support/nushell"]
    found = [f"{place}/{name}" for place in places for name in ("config.nu", "env.nu")]
    for place in places:
        found += sorted(glob.glob(f"{glob.escape(place)}/autoload/*.nu"))
    return tuple(found)


def _system_files(seen: Examination, shell: str) -> tuple[str, ...]:
    etc = f"{seen.root}/etc"
    if shell == "bash":
        files = (f"{etc}/bash.bashrc", f"{etc}/bashrc", f"{etc}/profile")
        return (*files, *sorted(glob.glob(f"{etc}/profile.d/*.sh")))
    if shell == "zsh":
        names = ("zshrc", "zshenv", "zprofile")
        return tuple(f"{etc}{place}/{name}" for name in names for place in ("", "/zsh"))
    if shell == "fish":
        data = seen.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        found = [f"{etc}/fish/config.fish", *sorted(glob.glob(f"{etc}/fish/conf.d/*.fish"))]
        for place in (*data.split(":"), "/run/current-system/sw/share"):
            found += sorted(glob.glob(f"{seen.root}{glob.escape(place)}/fish/vendor_conf.d/*.fish"))
        return tuple(found)
    if shell == "tcsh":
        return (f"{etc}/csh.cshrc", f"{etc}/csh.login")
    return (f"{etc}/xdg/elvish/rc.elv",) if shell == "elvish" else ()


def startup_lines(seen: Examination, shell: str) -> Iterator[tuple[str, int, str]]:
    """Yield the lines of a shell's startup files, and of what these source: file, number, text.

    Comments are left out. What a file sources by a computed name is not found.
    """
    waiting = [(path, 0) for path in (*own_files(seen, shell), *_system_files(seen, shell))]
    done: set[str] = set()
    while waiting and len(done) < MOST_FILES:
        path, depth = waiting.pop(0)
        real = os.path.realpath(path)
        if real in done:
            continue
        text = seen.read(path)
        if text is None:
            continue
        done.add(real)
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield path, number, line.strip()
        if depth < DEEPEST:
            waiting += [(_expanded(seen, one), depth + 1) for one in _SOURCE.findall(text)]


def hook_line(seen: Examination, shell: str) -> tuple[str, int, str] | None:
    """Return the line of a shell's startup files that evaluates nixpy's hook.

    As its file, number and text.
    """
    for path, number, line in startup_lines(seen, shell):
        if evaluates(os.fsencode(line), shell):
            return path, number, line
    return None


def _expanded(seen: Examination, path: str) -> str:
    path = re.sub(r"^~(?=/)|\$\{?HOME\}?", lambda _: seen.home, path)
    return re.sub(
        r"\$\{?(XDG_CONFIG_HOME|ZDOTDIR)\}?", lambda one: seen.environ.get(one[1], ""), path
    )
