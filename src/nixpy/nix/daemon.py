"""Whether a Nix daemon answers, and which one it is.

Source: Nix' worker protocol (``src/libstore/worker-protocol.hh``, ``daemon.cc``), of which this is
the greeting alone: no operation is asked for.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

__all__ = ["NoDaemon", "daemon_socket", "greet", "state_directory", "store_directory"]

HELLO, HELLO_BACK = 0x6E697863, 0x6478696F
LAST = 0x616C7473

PROTOCOL = (1, 35)
"""What we claim to speak: known since Nix 2.7, and the oldest that Lix still takes."""

TELLS_VERSION, TELLS_TRUST = (1, 33), (1, 35)

LONGEST_VERSION = 1000


class NoDaemon(Exception):  # noqa: N818
    """Nobody answers as a Nix daemon does; the message says how that shows."""


def state_directory(environ: Mapping[str, str]) -> str:
    """Return where Nix keeps its profiles, its gc roots and the daemon's socket."""
    return environ.get("NIX_STATE_DIR") or "/nix/var/nix"


def store_directory(environ: Mapping[str, str]) -> str:
    """Return the store directory."""
    return environ.get("NIX_STORE_DIR") or "/nix/store"


def daemon_socket(environ: Mapping[str, str], root: str = "") -> str | None:
    """Return the socket of the daemon that Nix would ask; ``None`` where it uses the store itself.

    As ``openStore`` decides with ``NIX_REMOTE`` unset or ``auto``: whoever may write to the state
    directory needs no daemon.

    Args:
        environ: the variables.
        root: in front of the path of the system's state directory.
    """
    remote = environ.get("NIX_REMOTE", "")
    own = environ.get("NIX_STATE_DIR")
    state = own or f"{root}{state_directory(environ)}"
    path = environ.get("NIX_DAEMON_SOCKET_PATH") or f"{state}/daemon-socket/socket"
    if remote.startswith("unix://"):
        return remote.removeprefix("unix://").partition("?")[0] or path
    if remote == "daemon":
        return path
    if remote not in {"", "auto"} or not os.path.isdir(state):
        return None
    return None if os.access(state, os.R_OK | os.W_OK) else path


def greet(path: str, timeout: float) -> str:
    """Return the version of the daemon behind a socket; empty for one older than 2.5.

    Args:
        path: the socket.
        timeout: seconds that each part of the answer may take.

    Raises:
        NoDaemon: there is no answer, or none as a Nix daemon gives it.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
        except OSError as error:
            raise NoDaemon(error.strerror or str(error)) from None
        try:
            with connection.makefile("rb") as answer:
                return _greeted(connection, answer)
        except TimeoutError:
            raise NoDaemon(f"no answer within {timeout:g} s") from None
        except OSError as error:
            raise NoDaemon(error.strerror or str(error)) from None


def _greeted(connection: socket.socket, answer: BinaryIO) -> str:
    connection.sendall(_number(HELLO))
    if _read_number(answer) != HELLO_BACK:
        raise NoDaemon("what answers is no Nix daemon")
    number = _read_number(answer)
    spoken = min(PROTOCOL, (number >> 8, number & 0xFF))
    # Two settings follow that no daemon looks at any more: the processor, and reserved memory.
    connection.sendall(_number(PROTOCOL[0] << 8 | PROTOCOL[1]) + _number(0) + _number(0))
    version = ""
    if spoken >= TELLS_VERSION:
        length = _read_number(answer)
        if length > LONGEST_VERSION:
            raise NoDaemon("what answers is no Nix daemon")
        version = answer.read(length + -length % 8)[:length].decode("utf-8", "replace")
    if spoken >= TELLS_TRUST:
        _read_number(answer)
    # Whoever leaves before the greeting's end has the daemon complain in its log.
    while _read_number(answer) != LAST:
        pass
    return version


def _number(value: int) -> bytes:
    return struct.pack("<Q", value)


def _read_number(answer: BinaryIO) -> int:
    read = answer.read(8)
    if len(read) != 8:  # noqa: PLR2004 - a number's size
        raise NoDaemon("the connection was closed")
    number: int = struct.unpack("<Q", read)[0]
    return number
