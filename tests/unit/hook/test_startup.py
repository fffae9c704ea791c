"""The line in a startup file: added once, taken out again, and every other byte as it was."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import EnvironmentUnusable, UsageError
from nixpy.hook import startup
from nixpy.hook.startup import find_line, hook_shell, install_hook, startup_path

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ("bash", "zsh", "fish")

CONTENTS = {
    "empty": b"",
    "lines": b"alias ll='ls -l'\nexport A=1\n",
    "no newline": b"alias ll='ls -l'\nexport A=1",
    "no text": b"\xff\xfe\x00\x80\n\xe9\n",
    "carriage returns": b"alias ll='ls -l'\r\nexport A=1\r\n",
    "carriage returns, no newline": b"alias ll='ls -l'\r\nexport A=1",
    "ends with a carriage return": b"export A=1\r",
    "comment": b'# nixpy hook bash\n# eval "$(nixpy hook bash)"\n',
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "bin/nixpy"
    program.parent.mkdir()
    program.touch(0o755)
    return {"HOME": str(tmp_path), "PATH": str(program.parent)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_what_is_added_is_removed_to_the_byte(
    tmp_path: Path, environ: dict[str, str], shell: str, content: bytes
) -> None:
    path = tmp_path / "a/file"
    path.parent.mkdir()
    path.write_bytes(content)
    environ = {**environ, "ZDOTDIR": str(path.parent), "XDG_CONFIG_HOME": str(path.parent)}
    target = startup_path(shell, environ)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(path, target)
    os.chmod(target, 0o640)
    before = os.stat(target)

    assert not install_hook(shell, environ, check=True).in_order
    done = install_hook(shell, environ)
    assert (done.path, done.did, done.in_order) == (target, "added", False)
    with open(target, "rb") as file:
        there = file.read()
    assert there.startswith(content)
    assert done.line.encode() in there
    assert there.count(b"\r") == content.count(b"\r") + (b"\r\n" in content) * (
        1 if content.endswith(b"\n") else 2
    )

    again = install_hook(shell, environ)
    assert (again.did, again.in_order) == ("in order", True)
    assert install_hook(shell, environ, check=True).in_order
    with open(target, "rb") as file:
        assert file.read() == there

    assert install_hook(shell, environ, remove=True).did == "removed"
    with open(target, "rb") as file:
        assert file.read() == content
    after = os.stat(target)
    assert (after.st_ino, after.st_mode, after.st_uid) == (
        before.st_ino, before.st_mode, before.st_uid,
    )  # fmt: skip
    assert install_hook(shell, environ, remove=True).in_order


@given(before=st.binary(max_size=60), after=st.binary(max_size=60))
def test_what_is_written_behind_the_line_stays(before: bytes, after: bytes) -> None:
    if before.rstrip(b"\r\n").endswith(b"\\"):
        return
    with_line = startup._with_line(before, f"if x; then y; fi {startup.MARK}")
    kept = startup._without_lines(with_line + after)
    if after:
        ends = (b"", b"\n", b"\r\n")
        assert kept in {before + end + after for end in ends}
    else:
        assert kept == before


def test_a_file_that_is_not_there_is_made_and_goes_again(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = tmp_path / ".config/fish/config.fish"
    done = install_hook("fish", environ)
    assert (done.path, done.did) == (str(path), "added")
    assert path.read_text().count("\n") == 1
    install_hook("fish", environ, remove=True)
    assert not path.exists()
    install_hook("fish", environ)
    with path.open("a") as file:
        file.write("set -g fish_greeting\n")
    install_hook("fish", environ, remove=True)
    assert path.read_text() == "set -g fish_greeting\n"


def test_a_file_that_was_empty_is_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / ".bashrc"
    path.touch()
    install_hook("bash", environ)
    install_hook("bash", environ, remove=True)
    assert path.read_bytes() == b""


def test_links_are_written_through(tmp_path: Path, environ: dict[str, str]) -> None:
    path, target, other = (tmp_path / name for name in (".bashrc", "dotfiles", "hard-link"))
    target.write_text("alias a=b\n")
    other.hardlink_to(target)
    path.symlink_to("dotfiles")
    install_hook("bash", environ)
    assert path.is_symlink()
    assert startup.MARK in other.read_text()
    install_hook("bash", environ, remove=True)
    assert path.is_symlink()
    assert other.read_text() == target.read_text() == "alias a=b\n"


def test_a_link_to_nothing_is_kept_and_its_target_made(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = tmp_path / ".bashrc"
    path.symlink_to(tmp_path / "dotfiles/bashrc")
    install_hook("bash", environ)
    assert path.is_symlink()
    assert startup.MARK in (tmp_path / "dotfiles/bashrc").read_text()


@pytest.mark.parametrize(
    "line",
    [
        'eval "$(nixpy hook bash)"',
        '  eval "$(/opt/nixpy/bin/nixpy hook bash)"  # mine',
        "source <(nixpy  hook  bash)",
        "[[ -x '/opt/my nixpy' ]] && eval \"$('/opt/my nixpy' hook bash)\"",
        'eval "$(python -m nixpy hook bash)"',
    ],
)
def test_a_line_that_was_written_by_hand_counts_and_stays(
    tmp_path: Path, environ: dict[str, str], line: str
) -> None:
    path = tmp_path / ".bashrc"
    path.write_text(f"alias a=b\n{line}\n")
    there = install_hook("bash", environ)
    assert (there.did, there.in_order) == ("in order: line 2 is yours", True)
    assert install_hook("bash", environ, check=True).in_order
    left = install_hook("bash", environ, remove=True)
    assert not left.in_order
    assert left.hint == f"Take it out yourself: {path}:2"
    assert path.read_text() == f"alias a=b\n{line}\n"


@pytest.mark.parametrize(
    "line",
    [
        '# eval "$(nixpy hook bash)"',
        'eval "$(nixpy hook zsh)"',
        "alias hook='nixpy hook'",
        "true # nixpy hook bash",
        f"# if x; then y; fi {startup.MARK}",
    ],
)
def test_other_lines_do_not_count(tmp_path: Path, environ: dict[str, str], line: str) -> None:
    path = tmp_path / ".bashrc"
    path.write_text(line + "\n")
    assert not install_hook("bash", environ, check=True).in_order
    assert install_hook("bash", environ, remove=True).did == "was not there"
    assert path.read_text() == line + "\n"


def test_a_line_that_was_indented_is_the_users(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / ".bashrc"
    install_hook("bash", environ)
    path.write_text(f"if true; then\n  {path.read_text()}fi\n")
    assert install_hook("bash", environ).in_order
    assert "yours" in install_hook("bash", environ, remove=True).did


def test_a_line_of_another_nixpy_is_replaced_where_it_stands(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".bashrc"
    path.write_text("first\n")
    monkeypatch.setattr("sys.argv", [str(tmp_path / "bin/nixpy")])
    by_path = install_hook("bash", {**environ, "PATH": ""})
    assert f"-x '{tmp_path}/bin/nixpy'" in by_path.line
    with path.open("a") as file:
        file.write("last\n")
    checked = install_hook("bash", environ, check=True)
    assert (checked.did, checked.in_order) == ("not from this nixpy", False)
    by_name = install_hook("bash", environ)
    assert by_name.did == "updated"
    assert "command -v nixpy" in by_name.line
    assert path.read_text() == f"first\n{by_name.line}\nlast\n"
    install_hook("bash", environ, remove=True)
    assert path.read_text() == "first\nlast\n"


def test_a_nixpy_of_an_active_environment_is_not_called_by_name(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [str(tmp_path / "bin/nixpy")])
    done = install_hook("zsh", {**environ, "VIRTUAL_ENV": str(tmp_path)})
    assert f"'{tmp_path}/bin/nixpy' hook zsh" in done.line


@pytest.mark.parametrize("kind", ["read-only", "directory", "pipe", "store", "parent", "goes on"])
@pytest.mark.parametrize("remove", [False, True])
def test_a_file_that_cannot_be_changed_is_left_and_the_line_is_said(
    tmp_path: Path,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    remove: bool,
) -> None:
    path = tmp_path / ".bashrc"
    line = install_hook("bash", {**environ, "HOME": str(tmp_path / "bin")}).line
    content = f"{line}\n" if remove else "alias a=b\n"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "parent":
        environ["HOME"] = str(tmp_path / "bin/nixpy")
        path = tmp_path / "bin/nixpy/.bashrc"
    elif kind == "goes on":
        content += "export A=1 \\\n"
        path.write_text(content)
        if remove:
            assert install_hook("bash", environ, remove=True).did == "removed"
            return
    else:
        path.write_text(content)
        path.chmod(0o444)
    if kind == "store":
        path.chmod(0o644)
        monkeypatch.setattr(os.path, "realpath", lambda _: "/nix/store/abc-home/.bashrc")
    if remove and kind == "pipe":
        assert install_hook("bash", environ, remove=True).in_order
        return
    with pytest.raises(EnvironmentUnusable) as caught:
        install_hook("bash", environ, remove=remove)
    assert caught.value.where == str(path)
    assert line in str(caught.value)
    if path.is_file():
        assert path.read_text() == content
        assert stat.S_IMODE(path.stat().st_mode) in {0o444, 0o644}


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".bashrc"
    path.write_text("alias a=b\n")
    real = os.pwrite
    written: list[int] = []

    def full(descriptor: int, content: bytes, at: int) -> int:
        if len(written) == 1:
            written.append(0)
            raise OSError(28, "No space left on device")
        written.append(real(descriptor, content[:5], at))
        return written[-1]

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(EnvironmentUnusable, match="no space left"):
        install_hook("bash", environ)
    assert path.read_text() == "alias a=b\n"


def test_the_shell_is_the_users_own_by_default() -> None:
    assert hook_shell("", {"SHELL": "/usr/bin/zsh"}) == "zsh"
    assert hook_shell("fish", {"SHELL": "/usr/bin/zsh"}) == "fish"
    for name, environ in (("", {"SHELL": "/bin/tcsh"}), ("", {}), ("nu", {"SHELL": "/bin/bash"})):
        with pytest.raises(UsageError, match=r"SHELL|no hook for"):
            hook_shell(name, environ)


@pytest.mark.parametrize(
    ("shell", "environ", "expected"),
    [
        ("bash", {"HOME": "/h"}, "/h/.bashrc"),
        ("zsh", {"HOME": "/h"}, "/h/.zshrc"),
        ("zsh", {"HOME": "/h", "ZDOTDIR": "/z"}, "/z/.zshrc"),
        ("fish", {"HOME": "/h"}, "/h/.config/fish/config.fish"),
        ("fish", {"XDG_CONFIG_HOME": "/c"}, "/c/fish/config.fish"),
    ],
)
def test_each_shell_has_its_file(shell: str, environ: dict[str, str], expected: str) -> None:
    assert startup_path(shell, environ) == expected


def test_without_a_home_there_is_no_place() -> None:
    for shell in SHELLS:
        with pytest.raises(UsageError, match="no place"):
            startup_path(shell, {"HOME": ""})


def test_a_missing_file_has_no_line(tmp_path: Path) -> None:
    assert find_line(str(tmp_path / "none"), "bash") is None
