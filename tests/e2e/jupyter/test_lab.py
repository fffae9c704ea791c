"""A project's server in the background: real servers, asked over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pexpect
import pytest

from .conftest import MANIFEST, TIMEOUT, attached, http_status, is_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Project
    from .conftest import Jupyter

pytestmark = pytest.mark.network

AS_ROOT = ("--allow-root",) if os.geteuid() == 0 else ()
WITH_SERVER = MANIFEST.replace("[]", '["jupyter-server"]')


def start(jupyter: Jupyter, project: Project, *arguments: str) -> Any:
    return jupyter.document("lab", "start", *AS_ROOT, *arguments, cwd=project.path)


def status(jupyter: Jupyter, project: Project) -> Any:
    return jupyter.document("lab", "status", check=False, cwd=project.path)


@pytest.fixture
def project(jupyter: Jupyter, project_of: Callable[..., Project]) -> Iterator[Project]:
    """A project that has a server of its own: smaller than a lab, and the same."""
    project = project_of("my app", WITH_SERVER)
    yield project
    project.nixpy("lab", "stop")


def test_a_lab_that_uv_runs_has_the_project_s_kernel(
    jupyter: Jupyter, project_of: Callable[..., Project]
) -> None:
    project = project_of("my app")
    found = start(jupyter, project)
    assert found["started"]
    url = found["url"]
    try:
        assert http_status(url, "api/contents", token=False)[0] == 403
        assert http_status(url, "api/kernelspecs", token=False)[0] == 403
        specs = http_status(url, "api/kernelspecs")[1]
        assert specs["default"] == "python3"
        assert specs["kernelspecs"]["python3"]["spec"]["display_name"] == "Python (my app)"
        kernel = http_status(url, "api/kernels", body={"name": "python3"})[1]["id"]
        runtime = Path(jupyter.world.environ["JUPYTER_RUNTIME_DIR"])
        with attached(runtime / f"kernel-{kernel}.json") as run:
            said = run("import os, sys; print(os.getpid(), sys.prefix)")
        pid, _, prefix = said.partition(" ")
        assert prefix == str(project.path / ".venv")
    finally:
        project.nixpy("lab", "stop")
    assert not is_running(int(pid))
    assert not is_running(found["pid"])
    assert status(jupyter, project)["running"] is False
    assert not list(project.path.glob("*.ipynb"))
    assert not list(project.path.glob(".venv/lib/*/site-packages/jupyterlab"))


def test_an_envrc_may_start_it_and_direnv_does_not_wait(project: Project) -> None:
    if shutil.which("direnv") is None:
        pytest.skip("direnv is not installed")
    project.world.setup()
    flags = " ".join(AS_ROOT)
    project.write(".envrc", f"use nixpy\nnixpy lab start --app server {flags} >/dev/null\n")
    project.allow()
    entered = project.entered()
    assert entered.status == 0, entered.stderr
    assert entered.environ["VIRTUAL_ENV"] == str(project.path / ".venv")
    assert json.loads(project.nixpy("lab", "status", "--json").stdout)["running"] is True
    again = project.entered()
    assert again.status == 0
    assert "started" not in again.stderr


def test_starting_twice_answers_with_the_one_that_runs(jupyter: Jupyter, project: Project) -> None:
    first = start(jupyter, project, "--app", "server")
    second = start(jupyter, project, "--app", "server")
    assert (first["started"], second["started"]) == (True, False)
    assert (first["pid"], first["url"]) == (second["pid"], second["url"])
    assert status(jupyter, project)["pid"] == first["pid"]
    said = project.nixpy("lab", "start")
    assert said.stdout == first["url"] + "\n"
    assert said.stderr == f"nixpy: jupyter server runs already, process {first['pid']}\n"


def test_two_starts_at_once_are_one_server(jupyter: Jupyter, project: Project) -> None:
    project.nixpy("sync")
    found = []

    def begin() -> None:
        found.append(start(jupyter, project, "--app", "server"))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one["pid"] for one in found}) == 1
    assert sorted(one["started"] for one in found) == [False, True]


def test_it_is_nobody_s_child_and_holds_nothing(jupyter: Jupyter, project: Project) -> None:
    # That this returns, with its output read through pipes, is what direnv needs.
    pid = start(jupyter, project, "--app", "server")["pid"]
    assert os.getsid(pid) == pid
    assert os.getsid(pid) != os.getsid(0)
    files = {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)}
    log = status(jupyter, project)["log"]
    assert files == {os.devnull, log}
    assert stat.S_IMODE(Path(log).stat().st_mode) == 0o600
    state = Path(jupyter.world.environ["XDG_STATE_HOME"]) / "nixpy/servers"
    for path in state.rglob("*.json"):
        if path.name != "kernel.json":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    token = urlsplit(status(jupyter, project)["url"]).query.partition("=")[2]
    assert token.encode() not in command


def test_it_outlives_the_terminal(jupyter: Jupyter, project: Project) -> None:
    project.nixpy("sync")
    environ = {**jupyter.world.environ, "PS1": "$ "}
    terminal = pexpect.spawn(
        "bash", ["--norc", "-i"], env=environ, cwd=str(project.path), encoding="utf-8", timeout=120
    )
    terminal.sendline(" ".join(("nixpy lab start --app server", *AS_ROOT, "; echo status=$?")))
    terminal.expect("status=0")
    terminal.close(force=True)
    time.sleep(1)
    found = status(jupyter, project)
    assert found["running"]
    assert http_status(found["url"], "api/contents")[0] == 200


def test_a_server_that_is_gone_is_noticed(jupyter: Jupyter, project: Project) -> None:
    first = start(jupyter, project, "--app", "server")
    os.kill(first["pid"], signal.SIGKILL)
    said = project.nixpy("lab", "status", check=False)
    assert said.returncode == 1
    assert said.stdout.startswith(f"process {first['pid']} has ended by itself; its log: ")
    second = start(jupyter, project, "--app", "server")
    assert second["started"]
    assert second["pid"] != first["pid"]


def test_another_process_of_the_same_number_is_left_alone(
    jupyter: Jupyter, project: Project
) -> None:
    start(jupyter, project, "--app", "server")
    state = Path(jupyter.world.environ["XDG_STATE_HOME"]) / "nixpy/servers"
    path = next(state.glob("*/server.json"))
    told = path.read_text()
    project.nixpy("lab", "stop")
    with subprocess.Popen(["sleep", "60"]) as other:
        path.write_text(json.dumps({**json.loads(told), "pid": other.pid, "leader": other.pid}))
        assert status(jupyter, project)["running"] is False
        assert project.nixpy("lab", "stop").stderr == "nixpy: nothing runs\n"
        assert other.poll() is None
        other.kill()
    assert not path.exists()


@pytest.mark.parametrize("trait", ["ServerApp", "IdentityProvider"])
def test_a_configuration_that_turns_the_token_off_is_not_obeyed(
    jupyter: Jupyter, project: Project, trait: str
) -> None:
    place = jupyter.world.home / ".jupyter"
    place.mkdir()
    (place / "jupyter_server_config.py").write_text(f"c.{trait}.token = ''\nc.{trait}.ip = '*'\n")
    done = project.nixpy("lab", "start", "--app", "server", *AS_ROOT, check=False)
    if done.returncode:
        assert "answers whoever asks" in done.stderr
        assert status(jupyter, project)["running"] is False
        return
    url = done.stdout.strip()
    assert urlsplit(url).hostname == "127.0.0.1"
    assert http_status(url, "api/contents", token=False)[0] == 403
    assert http_status(url, "api/contents")[0] == 200


def test_a_port_that_is_taken_is_said(jupyter: Jupyter, project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = project.nixpy(
            "lab", "start", "--app", "server", "--port", port, *AS_ROOT, check=False
        )
    assert done.returncode == 1
    assert "jupyter-server ended with status" in done.stderr
    assert "The full log: " in done.stderr
    assert "Traceback" not in done.stderr
    assert status(jupyter, project)["running"] is False


def test_what_is_not_there_is_said(jupyter: Jupyter, project: Project) -> None:
    done = project.nixpy("lab", "start", "--app", "nope", check=False)
    assert done.returncode == 3
    assert "has no jupyter-nope" in done.stderr
    for command in ("open", "logs"):
        done = project.nixpy("lab", command, check=False)
        assert done.returncode == 1
        assert "nixpy lab start" in done.stderr
    assert project.nixpy("lab", "stop").stderr == "nixpy: nothing runs\n"


def test_list_shows_the_servers_of_others_too(jupyter: Jupyter, project: Project) -> None:
    ours = start(jupyter, project, "--app", "server")
    assert "is running at" in project.nixpy("lab", "logs").stdout
    argv = [str(project.path / ".venv/bin/jupyter-server"), "--no-browser", *AS_ROOT]
    with subprocess.Popen(
        argv,
        cwd=jupyter.world.directory,
        env=jupyter.world.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as other:
        try:
            deadline = time.monotonic() + TIMEOUT
            found: list[Any] = []
            while len(found) < 2 and time.monotonic() < deadline:
                found = jupyter.document("lab", "list")["servers"]
                time.sleep(0.1)
        finally:
            other.terminate()
    assert [(one["pid"], one["ours"]) for one in found] == [
        (ours["pid"], True),
        (other.pid, False),
    ]
    assert found[0]["directory"] == str(project.path)
    assert found[1]["directory"] == str(jupyter.world.directory)


def test_open_hands_the_browser_a_page_without_the_token(
    jupyter: Jupyter, project: Project
) -> None:
    browser = jupyter.world.home / "bin/browser"
    told = jupyter.world.directory / "opened"
    browser.write_text(f"#!/bin/sh\nprintf '%s' \"$1\" > {told}\n")
    browser.chmod(0o755)
    jupyter.world.environ["BROWSER"] = "browser %s"
    url = start(jupyter, project, "--app", "server")["url"]
    project.nixpy("lab", "open")
    page = told.read_text()
    assert page.startswith("file:///")
    token = urlsplit(url).query.partition("=")[2]
    assert token not in page
    assert token in Path(page.removeprefix("file://")).read_text()
