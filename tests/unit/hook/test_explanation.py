"""Whether the hook answers for a directory, and in which shells."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from nixpy.hook.answers import Answers, write_place
from nixpy.hook.explanation import EXACT, NOT_EXACT, TOO_OLD, explain
from nixpy.hook.places import SHELLS, answers_place, hook_directory
from nixpy.process import Completed, SystemRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nixpy.hook.explanation import Explanation
    from nixpy.process import Runner


class Says(SystemRunner):
    """A runner whose programs end with a status, and do nothing."""

    def __init__(self, status: int) -> None:
        self.status = status

    def capture(
        self,
        argv: Sequence[str],  # noqa: ARG002
        *,
        cwd: str,  # noqa: ARG002
        environ: Mapping[str, str],  # noqa: ARG002
        timeout: float = 60.0,  # noqa: ARG002
    ) -> Completed:
        return Completed(self.status, "", "")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


def explained(
    directory: Path, environ: Mapping[str, str], runner: Runner | None = None
) -> Explanation:
    return explain(
        str(directory), environ, runner=runner or Says(EXACT), startup=lambda shell: f"rc:{shell}"
    )


def test_an_envrc_of_literals_is_replayed(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / ".envrc").write_text("export A=1\n")
    (tmp_path / "below").mkdir()
    found = explained(tmp_path / "below", environ)
    assert found.envrc == str(tmp_path / ".envrc")
    assert found.reasons == ()


def test_without_an_envrc_there_is_nothing_to_say(tmp_path: Path, environ: dict[str, str]) -> None:
    found = explained(tmp_path, environ)
    assert (found.envrc, found.reasons, found.answers) == ("", (), Answers())


def test_each_line_that_is_not_understood_is_a_reason(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    envrc = tmp_path / ".envrc"
    envrc.write_text("use nixpy\nuse flake\nexport A=$(date)\n")
    found = explained(tmp_path, environ)
    assert [(one.path, one.line, one.text) for one in found.reasons] == [
        (str(envrc), 2, "use flake"),
        (str(envrc), 3, "export A=$(date)"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("direnvrc", "a() { :; }\ndate\n", 2),
        ("lib/tools.sh", "use() { :; }\n", 1),
        ("direnv.toml", "[global]\nload_dotenv = true\n", 0),
    ],
)
def test_configuration_of_direnv_is_a_reason(
    tmp_path: Path, environ: dict[str, str], name: str, text: str, line: int
) -> None:
    (tmp_path / ".envrc").write_text("use nixpy\n")
    path = tmp_path / "config/direnv" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [(one.path, one.line) for one in explained(tmp_path, environ).reasons] == [
        (str(path), line)
    ]


@pytest.mark.parametrize("name", ["BASH_ENV", "DIRENV_DEBUG"])
def test_a_variable_is_a_reason(tmp_path: Path, environ: dict[str, str], name: str) -> None:
    (tmp_path / ".envrc").write_text("use nixpy\n")
    assert [one.path for one in explained(tmp_path, {**environ, name: "1"}).reasons] == [name]
    assert explained(tmp_path, {**environ, name: ""}).reasons == ()


def test_what_is_kept_is_read(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / ".envrc").write_text("use nixpy\n")
    top = str(tmp_path / "cache/nixpy")
    place = answers_place(hook_directory(top), str(tmp_path))
    kept = Answers(always="what it watches is another each time")
    write_place(place, top, kept, lambda _: "", "bash")
    assert explained(tmp_path, environ).answers == kept


def test_installed_shells_are_asked_themselves(tmp_path: Path, environ: dict[str, str]) -> None:
    found = explained(tmp_path, environ, SystemRunner())
    assert {one.shell for one in found.shells} == {shell for shell in SHELLS if shutil.which(shell)}
    for one in found.shells:
        assert (one.exact, one.why, one.startup) == (True, "", f"rc:{one.shell}")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_on_files_of_the_same_time_is_not_exact(
    tmp_path: Path, environ: dict[str, str], shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")

    class Elsewhere(SystemRunner):
        """Shows the shells files that a shell which counts seconds could not tell apart."""

        def capture(
            self,
            argv: Sequence[str],
            *,
            cwd: str,
            environ: Mapping[str, str],
            timeout: float = 60.0,
        ) -> Completed:
            argv = [*argv[:-1], str(tmp_path / "same")]
            return super().capture(argv, cwd=cwd, environ=environ, timeout=timeout)

    (tmp_path / "same").mkdir()
    for name in ("1", "2"):
        (tmp_path / "same" / name).touch()
        os.utime(tmp_path / "same" / name, (1, 1))
    found = explained(tmp_path, environ, Elsewhere())
    (one,) = (one for one in found.shells if one.shell == shell)
    assert one.exact is False
    assert "nanosecond" in one.why


@pytest.mark.parametrize(
    ("status", "exact", "why"),
    [(EXACT, True, ""), (NOT_EXACT, False, "nanosecond"), (TOO_OLD, False, "4.4"), (1, None, "1")],
)
def test_what_a_shell_says_is_told(
    tmp_path: Path, environ: dict[str, str], status: int, exact: bool | None, why: str
) -> None:
    environ["SHELL"] = "/nowhere/zsh"
    for one in explained(tmp_path, environ, Says(status)).shells:
        assert one.exact is exact
        assert why in one.why
        assert one.path != "/nowhere/zsh"


def test_the_users_own_shell_is_asked_before_one_on_path(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    own = tmp_path / "own/zsh"
    own.parent.mkdir()
    own.touch(0o755)
    found = explained(tmp_path, {**environ, "SHELL": str(own)})
    assert [one.path for one in found.shells if one.shell == "zsh"] == [str(own)]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "cache").write_text("a file")
    for one in explained(tmp_path, environ).shells:
        assert one.exact is None
        assert "cannot be found out" in one.why
