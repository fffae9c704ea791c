from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from nixpy.managers import Plan, Session
from nixpy.managers.uv import Uv
from nixpy.options import Options
from nixpy.process import Completed, Followed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Recorder:
    """A runner that starts nothing and keeps what it was to start."""

    def __init__(self) -> None:
        self.started: list[tuple[list[str], str, dict[str, str]]] = []

    def capture(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], timeout: float = 60.0
    ) -> Completed:
        del timeout
        self.started.append((list(argv), cwd, dict(environ)))
        return Completed(0, "", "")

    def ask(self, argv: Sequence[str], *, environ: Mapping[str, str]) -> Completed:
        return self.capture(argv, cwd="", environ=environ)

    def follow(self, argv: Sequence[str], **how: Any) -> Followed:
        self.capture(argv, cwd=how["cwd"], environ=how["environ"])
        return Followed(0, b"", timed_out=False, left_behind=False)

    def show(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        log: BinaryIO,
        keep_open: Sequence[int] = (),
    ) -> int:
        del log, keep_open
        self.started.append((list(argv), cwd, dict(environ)))
        return 0


def plan(install: Any = "project", *, options: Options | None = None, **changes: Any) -> Plan:
    plain: dict[str, Any] = {"requirements": (), "whole_workspace": False, "exact": True}
    plain |= {"root": "/p", "prefix": "/p/.venv", "is_central": False, **changes}
    return Plan(install, "/p", options=options or Options(), **plain)


@pytest.mark.parametrize(
    ("wanted", "arguments"),
    [
        (plan(), "sync"),
        (plan(exact=False), "sync --inexact"),
        (plan(reinstall=True, whole_workspace=True), "sync --all-packages --reinstall"),
        (plan(options=Options(extras=("a", "b"))), "sync --extra a --extra b"),
        (plan(options=Options(extras=("all",), groups=("all",))), "sync --all-extras --all-groups"),
        (plan(options=Options(lock="frozen")), "sync --frozen"),
        (plan("pylock", requirements=("/p/pylock.toml",)), "pip sync pylock.toml"),
        (
            plan("requirements", requirements=("/p/a.txt", "/p/b/c.txt")),
            "pip install --exact --requirement a.txt --requirement b/c.txt",
        ),
        (plan("editable", exact=False), "pip install --editable ."),
    ],
)
def test_uv_is_told_what_the_plan_says(wanted: Plan, arguments: str) -> None:
    runner = Recorder()
    session = Session(runner, {"UV_FROZEN": "1", "A": "a"}, io.BytesIO(), "/bin/uv")
    assert Uv().install(wanted, session) == 0
    [(argv, cwd, environ)] = runner.started
    assert argv == ["/bin/uv", *arguments.split(), "--python", "/p/.venv/bin/python"]
    assert cwd == "/p"
    if wanted.install == "project":
        assert environ == {"A": "a", "UV_PROJECT_ENVIRONMENT": "/p/.venv"}


def test_where_nothing_is_to_be_installed_nothing_starts() -> None:
    runner = Recorder()
    assert Uv().install(plan("nothing"), Session(runner, {}, io.BytesIO(), "uv")) == 0
    assert runner.started == []
