"""Kernels, started through jupyter_client as every Jupyter starts them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import jsonschema
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from ..test_json import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Project, World

TIMEOUT = 120

MANIFEST = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.10"
dependencies = []
"""


@dataclass
class Notebook:
    """A running kernel, and a front end that is connected to it."""

    manager: KernelManager
    client: BlockingKernelClient
    log: Path

    @property
    def pid(self) -> int:
        """The process that Jupyter has started, and signals."""
        pid: int = self.manager.provisioner.pid  # type: ignore[union-attr]
        return pid

    def run(self, code: str, *, answer: str | None = None) -> str:
        """Run a cell, and return what it prints; ``answer`` is what it gets for ``input()``."""
        content, said = self.try_(code, answer=answer)
        assert content["status"] == "ok", content
        return said.strip()

    def try_(self, code: str, *, answer: str | None = None) -> tuple[dict[str, Any], str]:
        """Run a cell; return the reply and what it printed."""
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        def ask(_: dict[str, Any]) -> None:
            assert answer is not None
            self.client.input(answer)

        reply = self.client.execute_interactive(
            code,
            allow_stdin=answer is not None,
            stdin_hook=ask,
            output_hook=hear,
            timeout=TIMEOUT,
        )
        return reply["content"], "".join(said)

    def restart(self) -> None:
        self.manager.restart_kernel(now=False)
        self.client.wait_for_ready(timeout=TIMEOUT)


@dataclass
class Jupyter:
    """A user's Jupyter."""

    world: World
    place: Path
    stack: contextlib.ExitStack

    @property
    def kernels(self) -> Path:
        return Path(self.world.environ["XDG_DATA_HOME"]) / "jupyter/kernels"

    def spec(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.kernels / name / "kernel.json").read_text())
        return found

    def document(self, *arguments: str, check: bool = True, cwd: Path | None = None) -> Any:
        """Run a command with --json; what it prints is as its schema says."""
        done = self.world.nixpy(*arguments, "--json", check=check, cwd=cwd)
        assert "Traceback" not in done.stderr
        found = json.loads(done.stdout)
        name = "-".join(word for word in arguments[:2])
        jsonschema.validate(found, schema(name), jsonschema.Draft202012Validator)
        return found

    def listed(self) -> dict[str, dict[str, Any]]:
        """The user's own kernelspecs, by name."""
        found = self.document("kernel", "list")["kernels"]
        return {one["name"]: one for one in found if one["directory"].startswith(str(self.kernels))}

    def open(self, name: str, directory: Path | None = None, **variables: str) -> Notebook:
        """Open a notebook in a directory: start a kernel there and connect to it."""
        specs = KernelSpecManager(kernel_dirs=[str(self.kernels)], ensure_native_kernel=False)
        number = len(list(self.place.iterdir()))
        manager = KernelManager(
            kernel_name=name,
            kernel_spec_manager=specs,
            connection_file=str(self.place / f"{number}.json"),
        )
        log = self.place / f"{number}.log"
        file = self.stack.enter_context(log.open("wb"))
        manager.start_kernel(
            cwd=str(directory or self.world.directory),
            env={**self.world.environ, **variables},
            stdout=file.fileno(),
            stderr=file.fileno(),
        )
        client = manager.blocking_client()
        client.start_channels()

        def close() -> None:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            client.context.destroy(linger=0)

        self.stack.callback(close)
        try:
            client.wait_for_ready(timeout=TIMEOUT)
        except RuntimeError as error:
            pytest.fail(f"{error}: {log.read_text()}")
        return Notebook(manager, client, log)


@pytest.fixture
def jupyter(bare_world: World, tmp_path: Path) -> Iterator[Jupyter]:
    """The Jupyter of a user on whose machine nothing was set up."""
    place = tmp_path / "runtime"
    place.mkdir()
    bare_world.environ["JUPYTER_RUNTIME_DIR"] = str(place / "own")
    with contextlib.ExitStack() as stack:
        yield Jupyter(bare_world, place, stack)


@pytest.fixture
def project_of(bare_world: World) -> Callable[..., Project]:
    """Makes a project without direnv."""
    from ..conftest import Project

    def make(name: str = "app", manifest: str = MANIFEST) -> Project:
        path = bare_world.directory / name
        path.mkdir(parents=True)
        project = Project(path, bare_world)
        project.write("pyproject.toml", manifest)
        return project

    return make


def http_status(
    url: str, path: str, *, token: bool = True, body: Any = None, method: str | None = None
) -> tuple[int, Any]:
    """Ask a server's API; return the status, 0 where it does not answer, and what it says."""
    parts = urlsplit(url)
    headers = {"Authorization": f"token {parts.query.partition('=')[2]}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"http://{parts.netloc}/{path}", data, headers, method=method)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
            text = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if text and is_json else None
    except HTTPError as error:
        with error:
            return error.code, None
    except OSError:
        return 0, None


def wait_for(client: BlockingKernelClient) -> None:
    """Wait until a kernel answers that a server has started.

    A client that has not started the kernel itself takes a silent one for dead, and this one may
    still be resolving its environment.
    """
    deadline = time.monotonic() + TIMEOUT
    while not answers(client):
        assert time.monotonic() < deadline, "the kernel does not answer"
        time.sleep(0.2)


def answers(client: BlockingKernelClient) -> bool:
    """Whether a kernel answers, or does so before its silence looks like its end."""
    try:
        client.wait_for_ready(timeout=TIMEOUT)
    except RuntimeError:
        return False
    return True


@contextlib.contextmanager
def attached(connection_file: Path) -> Iterator[Callable[[str], str]]:
    """Connect to a kernel that a server has started; yield what runs a cell in it."""
    client = BlockingKernelClient()
    client.load_connection_file(str(connection_file))
    client.start_channels()

    def run(code: str) -> str:
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        reply = client.execute_interactive(code, output_hook=hear, timeout=TIMEOUT)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(said).strip()

    try:
        wait_for(client)
        yield run
    finally:
        client.stop_channels()
        client.context.destroy(linger=0)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
