"""Real Poetry, PDM and Pipenv, an index on loopback made of real wheels, and small packages."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..conftest import Project, World

PINS = Path(__file__).parents[3] / "src/nixpy/managers/foreign"
WHEELS = (
    *("iniconfig==2.0.0", "pluggy==1.5.0", "six==1.16.0", "colorama==0.4.6", "packaging==24.2"),
    "pdm-backend==2.4.3",
)

SECRET = "very-secret-word"
KEY = base64.b64encode(f"user:{SECRET}".encode()).decode()

BACKEND = """\
import os, zipfile
NAME, VERSION = {name!r}, {version!r}
def _write(directory, extra):
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as file:
        for path, text in extra.items():
            file.writestr(path, text)
        file.writestr(f"{{info}}/METADATA",
                      f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n{requires}")
        file.writestr(f"{{info}}/WHEEL",
                      "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\n"
                      "Tag: py3-none-any\\n")
        file.writestr(f"{{info}}/RECORD", "")
    return wheel
def build_wheel(directory, config_settings=None, metadata_directory=None):
    return _write(directory, {{f"{{NAME}}/__init__.py": open(f"{{NAME}}/__init__.py").read()}})
def build_editable(directory, config_settings=None, metadata_directory=None):
    return _write(directory, {{f"{{NAME}}.pth": os.getcwd()}})
def build_sdist(directory, config_settings=None):
    raise NotImplementedError
"""

BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def write_package(directory: Path, name: str, requires: str = "") -> None:
    """Write a package that builds without anything else."""
    (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / name / "__init__.py").write_text("value = 1\n")
    (directory / "backend.py").write_text(
        BACKEND.format(name=name, version="1.0", requires=requires)
    )
    pyproject = directory / "pyproject.toml"
    if not pyproject.exists():
        pyproject.write_text(f'[project]\nname = "{name}"\nversion = "1.0"\n{BUILD_SYSTEM}')


@contextmanager
def once(path: Path) -> Iterator[bool]:
    """Hold a lock that all workers know; tell whether the work is still to be done."""
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not path.exists()
        path.touch()


@pytest.fixture(scope="session")
def shared(package_cache: Path) -> Path:
    """A directory that all workers share."""
    path = package_cache.parent / "foreign-tools"
    path.mkdir(exist_ok=True)
    return path


@dataclass
class Tools:
    """Tools in environments of their own."""

    directory: Path
    uv: str
    environ: dict[str, str]

    def python(self, name: str, *requirements: str) -> str:
        """The interpreter that a tool is installed for: nixpy's pins, or requirements."""
        place = self.directory / name
        with once(self.directory / f"{name}.done") as to_do:
            if to_do:
                self._run("venv", "--quiet", "--no-project", str(place), "-p", sys.executable)
                wanted = requirements or ("--requirement", str(PINS / f"{name}.txt"))
                self._run("pip", "install", "-q", "-p", str(place / "bin/python"), *wanted)
        return str(place / "bin/python")

    def _run(self, *arguments: str) -> None:
        subprocess.run([self.uv, *arguments], env=self.environ, check=True, capture_output=True)


@pytest.fixture(scope="session")
def tools(shared: Path, package_cache: Path, programs: Path) -> Tools:
    names = ("PATH", "SSL_CERT_FILE")
    environ = {name: os.environ[name] for name in names if name in os.environ}
    environ |= {"HOME": str(shared), "UV_CACHE_DIR": str(package_cache / "uv")}
    return Tools(shared, str(programs / "uv"), environ)


class Handler(http.server.BaseHTTPRequestHandler):
    """The simple repository API (PEP 503) over a directory of wheels."""

    def __init__(self, directory: Path, *arguments: object) -> None:
        self.directory = directory
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        kind, _, name = self.path.partition("?")[0].strip("/").partition("/")
        if kind == "private":
            # The same for those who know the secret.
            if self.headers.get("Authorization") != f"Basic {KEY}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
                self.send_header("content-length", "0")
                self.end_headers()
                return
            kind, _, name = name.partition("/")
        # A repository is served as the files that it is, which git calls dumb.
        path = Path("/", name) if kind == "git" else self.directory / name
        if kind in {"files", "git"} and path.is_file():
            self.answer(path.read_bytes(), "application/octet-stream")
        elif kind == "simple" and (links := "".join(self.links(name))):
            self.answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def links(self, name: str) -> Iterator[str]:
        for path in sorted(self.directory.glob("*.whl")):
            if re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() == name:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                yield f'<a href="../../files/{path.name}#sha256={digest}">{path.name}</a>'

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def index(shared: Path, tools: Tools) -> Iterator[str]:
    """The URL of a simple index of real wheels."""
    directory = shared / "wheels"
    pip = tools.python("pip", "pip")
    with once(shared / "wheels.done") as to_do:
        if to_do:
            command = [pip, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory)]
            subprocess.run([*command, *WHEELS], env=tools.environ, check=True, capture_output=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        server.shutdown()
        thread.join()


DISTRIBUTIONS = """
import importlib.metadata as m, json, re, sys
found = {}
for one in m.distributions(path=[p for p in sys.path if "site-packages" in p]):
    name = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()
    if name in ("pip", "setuptools", "wheel"):
        continue
    url = json.loads(one.read_text("direct_url.json") or "{}")
    where = url.get("url", "").rstrip("/").replace("file://None/", "file:///")
    found[name] = [one.version, where, bool(url.get("dir_info", {}).get("editable")),
                   url.get("vcs_info", {}).get("commit_id", "")]
print(json.dumps(found))
"""


def distributions(python: Path | str, world: World) -> dict[str, list[object]]:
    """What an environment holds: versions, direct URLs, editables, commits, by name."""
    found: dict[str, list[object]] = json.loads(
        world.run(str(python), "-I", "-c", DISTRIBUTIONS).stdout
    )
    return found


@dataclass
class Locked:
    """A project with a lock file of another tool."""

    project: Project
    tools: Tools

    def run(self, tool: str, *arguments: str, check: bool = True, **variables: str) -> str:
        """Run the tool itself, as its user does."""
        name = tool.partition("==")[0]
        python = self.tools.python(tool.replace("==", "-"), *([tool] if "==" in tool else []))
        done = self.project.world.run(
            python, "-m", name, *arguments, cwd=self.project.path, check=check, **variables
        )
        return done.stdout + done.stderr

    def theirs(self, tool: str, *arguments: str) -> dict[str, list[object]]:
        """What the tool itself installs, into an environment of its own."""
        venv = self.project.world.home / f"venv-{tool.partition('==')[0]}"
        self.project.world.run("uv", "venv", "-q", "--clear", str(venv))
        path = f"{venv}/bin:{self.project.world.environ['PATH']}"
        self.run(tool, *arguments, VIRTUAL_ENV=str(venv), PATH=path, PIPENV_VERBOSITY="-1")
        return distributions(venv / "bin/python", self.project.world)

    def ours(self) -> dict[str, list[object]]:
        """What nixpy has installed."""
        return distributions(self.project.path / ".venv/bin/python", self.project.world)


@pytest.fixture
def locked(world: World, tools: Tools) -> Locked:
    write_package(world.directory / "beside", "beside")
    write_package(world.directory / "fromgit", "fromgit")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0")
    commit = ("commit", "-q", "-m", "first")
    for arguments in (("init", "-q"), ("add", "."), commit, ("update-server-info",)):
        world.run(*git, *arguments, cwd=world.directory / "fromgit")
    return Locked(world.project(), tools)
