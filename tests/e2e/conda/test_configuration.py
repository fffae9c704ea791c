"""`.condarc` and `CONDA_*` in force; credentials reach the server and nothing else."""

from __future__ import annotations

import base64
import http.server
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from .channel import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import CondaProject

SECRET = "very-secret-word"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a channel to those who know the secret, as basic authentication or in the path."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.replace(f"/t/{SECRET}", "", 1))

    def do_GET(self) -> None:
        if self.is_known():
            super().do_GET()
        else:
            self.send_error(401)

    def do_HEAD(self) -> None:
        if self.is_known():
            super().do_HEAD()
        else:
            self.send_error(401)

    def is_known(self) -> bool:
        expected = base64.b64encode(f"user:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {expected}":
            return True
        return self.path.startswith(f"/t/{SECRET}/")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port(channel: Channel) -> Iterator[int]:
    handler = partial(Handler, directory=str(channel.path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def holds_secret(*directories: Path) -> list[Path]:
    return [
        path
        for directory in dict.fromkeys(directories)
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("form", ["user:{}@127.0.0.1:{}", "127.0.0.1:{1}/t/{0}"])
@pytest.mark.parametrize("where", ["condarc", "variable", "option"])
def test_credentials_reach_the_server_and_nothing_else(
    conda: CondaProject, port: int, form: str, where: str
) -> None:
    conda.channel.add("tool")
    url = f"http://{form.format(SECRET, port)}/{conda.channel.path.name}"
    conda.write("tool", channels=["nothing"])
    conda.project.write("environment.yml", "dependencies: [tool]\n")
    world = conda.project.world
    own: list[Path] = []
    if where == "condarc":
        own = [world.home / ".condarc"]
        own[0].write_text(f"channels:\n  - {url}\n")
    elif where == "variable":
        world.environ["CONDA_CHANNELS"] = url
    else:
        own = [conda.project.write("nixpy.toml", f'channels = ["{url}"]\n')]
    entered = conda.project.entered()
    assert entered.synced, entered.stderr
    assert conda.packages() == {"tool": "1.0"}
    assert not conda.project.entered().said
    explained = conda.project.nixpy("explain", "--json").stdout
    for text in (entered.stderr, entered.stdout, explained):
        assert SECRET not in text
    conda.write("absent-package", channels=[])
    conda.project.write("environment.yml", "dependencies: [absent-package]\n")
    refused = conda.project.entered()
    assert "absent-package" in refused.stderr
    assert SECRET not in refused.stderr
    found = holds_secret(world.home, world.directory)
    assert found == own


def test_names_of_channels_are_what_the_configuration_makes_of_them(
    conda: CondaProject, tmp_path: Path
) -> None:
    world = conda.project.world
    for name in ("aliased", "custom", "main", "several"):
        Channel(tmp_path / "served" / name, conda.channel.subdir).add(f"from-{name}")
    served = (tmp_path / "served").as_uri()
    (world.home / ".condarc").write_text(
        f"channel_alias: {served}\n"
        f"custom_channels:\n  custom: ${{SERVED}}\n"
        f"default_channels: [{served}/main]\n"
        f"custom_multichannels:\n  all: [several, custom]\n"
    )
    world.environ["SERVED"] = served
    conda.write(
        "from-aliased",
        "from-custom",
        "from-main",
        "from-several",
        channels=["aliased", "all", "defaults"],
    )
    assert conda.project.entered().synced
    assert len(conda.packages()) == 4
    (world.home / ".condarc").write_text("channel_alias: file:///nonexistent\n")
    assert "last good environment" in conda.project.entered().stderr


def test_the_package_cache_is_the_one_that_the_configuration_names(
    conda: CondaProject, tmp_path: Path
) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.sync(CONDA_PKGS_DIRS=str(tmp_path / "packages"))
    assert (tmp_path / "packages/tool-1.0-0").is_dir()


def test_offline_the_last_good_environment_stays(conda: CondaProject, port: int) -> None:
    conda.channel.add("tool")
    conda.channel.add("other")
    url = f"http://user:{SECRET}@127.0.0.1:{port}/{conda.channel.path.name}"
    conda.write("tool", channels=[url])
    conda.sync()
    conda.write("tool", "other", channels=[url])
    entered = conda.project.entered(CONDA_OFFLINE="1")
    assert entered.environ["CONDA_PREFIX"] == str(conda.prefix)
    assert conda.packages() == {"tool": "1.0"}
    conda.sync()
    assert set(conda.packages()) == {"tool", "other"}


def test_without_an_engine_both_ways_to_get_one_are_named(conda: CondaProject) -> None:
    conda.write("tool")
    refused = conda.sync("--conda-engine", "command", check=False, NIXPY_CONDA_ENGINE="")
    assert refused.returncode == 3
    assert "micromamba" in refused.stderr
    assert "nixpy[conda]" in refused.stderr


def test_the_configuration_of_a_base_counts(conda: CondaProject, tmp_path: Path) -> None:
    conda.channel.add("tool")
    root = tmp_path / "base"
    for name in ("bin", "conda-meta"):
        (root / name).mkdir(parents=True)
    (root / "bin/conda").write_text("#!/bin/sh\n")
    (root / "bin/conda").chmod(0o755)
    (root / ".condarc").write_text(f"channels: [{conda.channel.url}]\n")
    conda.project.write("environment.yml", "dependencies: [tool]\n")
    flags = ("--conda-engine", "rattler")
    conda.sync(*flags, CONDA_EXE=str(root / "bin/conda"))
    assert conda.packages() == {"tool": "1.0"}
    conda.project.write("nixpy.toml", 'venv = "named"\n')
    conda.project.write("environment.yml", "name: demo\ndependencies: [tool]\n")
    conda.sync(*flags, CONDA_EXE=str(root / "bin/conda"))
    assert (root / "envs/demo/conda-meta/tool-1.0-0.json").exists()
