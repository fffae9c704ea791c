from __future__ import annotations

import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from nixpy.nix.daemon import NoDaemon, daemon_socket, greet

if TYPE_CHECKING:
    from pathlib import Path


def numbers(*values: int) -> bytes:
    return b"".join(struct.pack("<Q", value) for value in values)


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (numbers(0x6478696F, 0x122, 5) + b"2.8.0\0\0\0" + numbers(0x616C7473), "2.8.0"),
        (numbers(0x6478696F, 0x126, 6) + b"2.26.3\0\0" + numbers(1, 0x616C7473), "2.26.3"),
        (numbers(0x6478696F, 0x115, 0x616C7473), ""),
        (b"HTTP/1.1 400 Bad Request", None),
        (numbers(0x6478696F, 0x122, 2**60), None),
        (numbers(0x6478696F), None),
        (b"", None),
    ],
)
def test_a_daemon_is_told_from_what_is_none(
    tmp_path: Path, answer: bytes, version: str | None
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(100):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        if version is None:
            with pytest.raises(NoDaemon):
                greet(path, 2)
        else:
            assert greet(path, 2) == version
        thread.join()


def test_one_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(NoDaemon, match=r"no answer within 0\.1 s"):
            greet(path, 0.1)


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        greet(str(tmp_path / ("x" * 200)), 0.1)


@pytest.mark.parametrize(
    ("remote", "socket_path"),
    [
        ("daemon", "{}/daemon-socket/socket"),
        ("unix:///run/other?root=/x", "/run/other"),
        ("unix://", "{}/daemon-socket/socket"),
        ("local", None),
        ("ssh://host", None),
    ],
)
def test_which_socket_is_meant(tmp_path: Path, remote: str, socket_path: str | None) -> None:
    environ = {"NIX_REMOTE": remote, "NIX_STATE_DIR": str(tmp_path)}
    assert daemon_socket(environ) == (socket_path and socket_path.format(tmp_path))


@pytest.mark.parametrize("remote", ["", "auto"])
def test_whoever_may_write_to_the_store_needs_no_daemon(tmp_path: Path, remote: str) -> None:
    environ = {"NIX_REMOTE": remote}
    assert daemon_socket(environ, str(tmp_path)) is None
    state = tmp_path / "nix/var/nix"
    state.mkdir(parents=True)
    assert daemon_socket(environ, str(tmp_path)) is None
    state.chmod(0o500)
    if os.geteuid():
        assert daemon_socket(environ, str(tmp_path)) == f"{state}/daemon-socket/socket"
