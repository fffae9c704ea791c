"""A real JupyterHub: two users, each with a project of their own, and one that both have."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from ..conftest import Project
from .conftest import MANIFEST, TIMEOUT, attached, http_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..conftest import World
    from .conftest import Jupyter

pytestmark = pytest.mark.network

TOKEN = "0123456789abcdef"

CONFIGURATION = """\
import os
from jupyterhub.spawner import SimpleLocalProcessSpawner

class Spawner(SimpleLocalProcessSpawner):
    home_dir_template = {homes!r} + "/{{username}}"

c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.spawner_class = Spawner
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.services = [{{"name": "test", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{
    "name": "test",
    "services": ["test"],
    "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"],
}}]
# As it is in a terminal: what uv obeys is an input.
c.Spawner.environment = {{
    name: text for name, text in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))
}}
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 120
"""


class Hub:
    """A hub that runs, asked by its API."""

    def __init__(self, url: str, homes: Path) -> None:
        self.url = url
        self.homes = homes

    def api(self, path: str, *, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        return http_status(f"{self.url}?token={TOKEN}", path, body=body, method=method)

    def start_server(self, user: str) -> None:
        """Start a user's server, and wait until it runs."""
        assert self.api(f"hub/api/users/{user}", method="POST")[0] == 201
        assert self.api(f"hub/api/users/{user}/server", method="POST")[0] in {201, 202}
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if self.api(f"user/{user}/api/status")[0] == 200:
                return
            time.sleep(0.3)
        pytest.fail(f"the server of {user} does not start")

    def run(self, user: str, kernel: str, code: str) -> str:
        """Start a kernel by the API of a user's server, and run a cell."""
        status, started = self.api(f"user/{user}/api/kernels", body={"name": kernel})
        assert status == 201
        runtime = self.homes / user / ".local/share/jupyter/runtime"
        with attached(runtime / f"kernel-{started['id']}.json") as run:
            return run(code)


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def user_s(world: World, home: Path) -> World:
    """The machine as another user sees it."""
    environ = {name: text for name, text in world.environ.items() if not name.startswith("XDG_")}
    return replace(world, environ={**environ, "HOME": str(home)}, directory=home)


@pytest.fixture
def hub_prefix(bare_world: World) -> Path:
    """The environment that a hub and its single-user servers run in."""
    place = bare_world.directory / "hub"
    bare_world.run("uv", "venv", "-q", str(place))
    packages = ("jupyterhub", "jupyterlab")
    bare_world.run("uv", "pip", "install", "-q", "--python", str(place / "bin/python"), *packages)
    return place


@pytest.fixture
def hub(jupyter: Jupyter, hub_prefix: Path) -> Iterator[Hub]:
    """A hub whose users live below the world's directory."""
    modules = os.environ.get("NIXPY_TEST_NODE_MODULES", "")
    proxy = f"{modules}/.bin/configurable-http-proxy"
    if not os.path.exists(proxy) or shutil.which("node") is None:
        pytest.skip("configurable-http-proxy is not installed")
    world = jupyter.world
    homes = world.directory / "homes"
    port, hub_port, proxy_port = free_ports(3)
    configuration = world.directory / "jupyterhub_config.py"
    configuration.write_text(
        CONFIGURATION.format(
            homes=str(homes),
            port=port,
            hub_port=hub_port,
            proxy=proxy,
            proxy_port=proxy_port,
            token=TOKEN,
        )
    )
    environ = {name: text for name, text in world.environ.items() if not name.startswith("XDG_")}
    environ |= {
        "VIRTUAL_ENV": str(hub_prefix),
        "PATH": f"{hub_prefix}/bin:{environ['PATH']}",
    }
    del environ["JUPYTER_RUNTIME_DIR"]
    log = world.directory / "hub.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [str(hub_prefix / "bin/jupyterhub"), "-f", str(configuration)],
            cwd=world.directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        ) as process,
    ):
        hub = Hub(f"http://127.0.0.1:{port}/", homes)
        try:
            deadline = time.monotonic() + TIMEOUT
            while hub.api("hub/api/")[0] != 200:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(log.read_text())
                time.sleep(0.3)
            yield hub
        finally:
            for user in ("anna", "ben"):
                hub.api(f"hub/api/users/{user}/server", method="DELETE")
            process.terminate()
            process.wait(TIMEOUT)


def test_each_user_has_the_kernels_of_their_own_projects(
    jupyter: Jupyter, hub: Hub, hub_prefix: Path
) -> None:
    assert urlsplit(hub.url).hostname == "127.0.0.1"
    for user in ("anna", "ben"):
        world = user_s(jupyter.world, hub.homes / user)
        project = Project(hub.homes / user / f"app of {user}", world)
        project.path.mkdir(parents=True)
        project.write("pyproject.toml", MANIFEST)
        project.nixpy("kernel", "install", "--name", "mine")
    shared = Project(jupyter.world.directory / "shared", jupyter.world)
    shared.path.mkdir()
    shared.write("pyproject.toml", MANIFEST)
    shared.nixpy("kernel", "install", "--prefix", str(hub_prefix))

    code = (
        "import json, os, sys; print(json.dumps([sys.prefix, os.environ['VIRTUAL_ENV'],"
        " os.environ['PATH'].split(':')[0], os.environ.get('PYTHONPATH'), sys.path]))"
    )
    for user in ("anna", "ben"):
        hub.start_server(user)
        specs = hub.api(f"user/{user}/api/kernelspecs")[1]["kernelspecs"]
        names = {name: one["spec"]["display_name"] for name, one in specs.items()}
        assert names["mine"] == f"Python (app of {user})"
        assert names["nixpy-shared"] == "Python (shared)"
        for kernel, project_path in (
            ("mine", hub.homes / user / f"app of {user}"),
            ("nixpy-shared", shared.path),
        ):
            prefix, own, first, python_path, path = json.loads(hub.run(user, kernel, code))
            assert prefix == own == f"{project_path}/.venv"
            assert first == f"{prefix}/bin"
            assert python_path is None
            assert not [one for one in path if one.startswith(str(hub_prefix))]
