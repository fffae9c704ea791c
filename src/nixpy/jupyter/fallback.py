"""A kernel that can do one thing: say why the real one could not start.

It speaks as much of Jupyter's messaging protocol as a front end needs to connect and to run a
cell (jupyter-client.readthedocs.io, "Messaging in Jupyter", version 5). A kernel that ends at once
would be seen as "Kernel died", tried again, and explained by nobody.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from nixpy.version import __version__

if TYPE_CHECKING:
    import zmq
    from jupyter_client.session import Session

__all__ = ["serve"]

LINGER = 1000
"""Milliseconds that what was sent last has to arrive."""

TICK = 1000
"""Milliseconds between two looks at whether whoever started us still lives."""

Content = dict[str, Any]


def serve(connection_file: str, text: str, *, status: int) -> int:
    """Serve a connection with an error until it is shut down; return the exit status.

    Where that cannot be, because nixpy was installed without its extra ``jupyter`` or there is no
    such connection, return at once: the text has gone to the log.
    """
    try:
        import zmq
        from jupyter_client.session import Session
    except ImportError:
        return status
    try:
        with open(connection_file, encoding="utf-8") as file:
            told = json.load(file)
        key = told["key"].encode()
        session = Session(key=key, signature_scheme=told["signature_scheme"])
        with zmq.Context() as context:
            context.linger = LINGER
            _Kernel(text, told, session, context).run()
    except (OSError, ValueError, KeyError, zmq.ZMQError):
        pass
    return status


class _Kernel:
    def __init__(
        self, text: str, told: Content, session: Session, context: zmq.Context[Any]
    ) -> None:
        import zmq

        self.text = text
        self.session = session
        self.count = 0
        self.is_over = False

        def bound(kind: int, name: str) -> zmq.Socket[bytes]:
            socket: zmq.Socket[bytes] = context.socket(kind)
            if "curve_secretkey" in told:
                # Jupyter connects with encryption where it has made keys (jupyter_client 8.9).
                socket.curve_secretkey = told["curve_secretkey"].encode()
                socket.curve_publickey = told["curve_publickey"].encode()
                socket.curve_server = True
            separator = "-" if told["transport"] == "ipc" else ":"
            socket.bind(f"{told['transport']}://{told['ip']}{separator}{told[f'{name}_port']}")
            return socket

        self.shell = bound(zmq.ROUTER, "shell")
        self.control = bound(zmq.ROUTER, "control")
        self.stdin = bound(zmq.ROUTER, "stdin")
        self.heartbeat = bound(zmq.REP, "hb")
        self.iopub = bound(zmq.PUB, "iopub")

    def run(self) -> None:
        """Answer until a shutdown is asked for, or whoever started us is gone."""
        import zmq

        # An interrupt is meant for a cell that runs, and none ever does.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        parent = os.getppid()
        poller = zmq.Poller()
        for socket in (self.shell, self.control, self.heartbeat):
            poller.register(socket, zmq.POLLIN)
        while not self.is_over and os.getppid() == parent:
            for socket, _ in poller.poll(TICK):
                if socket is self.heartbeat:
                    self.heartbeat.send(self.heartbeat.recv())
                else:
                    self._hear(socket)

    def _hear(self, socket: zmq.Socket[bytes]) -> None:
        identities, frames = self.session.feed_identities(socket.recv_multipart())
        try:
            message = self.session.deserialize(frames)
        except ValueError:
            return  # not signed by who holds the key
        kind = message["header"]["msg_type"]
        self._publish("status", {"execution_state": "busy"}, message)
        answer = getattr(self, f"_on_{kind}", None)
        if answer is not None:
            reply = kind.replace("_request", "_reply")
            content = answer(message)
            self.session.send(socket, reply, content, parent=message, ident=identities)
        self._publish("status", {"execution_state": "idle"}, message)

    def _publish(self, kind: str, content: Content, parent: Content) -> None:
        self.session.send(self.iopub, kind, content, parent=parent, ident=kind.encode())

    def _on_kernel_info_request(self, _: Content) -> Content:
        return {
            "status": "ok",
            "protocol_version": "5.3",
            "implementation": "nixpy",
            "implementation_version": __version__,
            "language_info": {
                "name": "python",
                "version": "3",
                "mimetype": "text/x-python",
                "file_extension": ".py",
            },
            "banner": f"The kernel did not start.\n{self.text}",
            "help_links": [],
        }

    def _on_execute_request(self, message: Content) -> Content:
        asked = message["content"]
        self.count += not asked.get("silent")
        code = {"code": asked.get("code", ""), "execution_count": self.count}
        self._publish("execute_input", code, message)
        lines = ["The kernel did not start.", *self.text.splitlines()]
        error = {"ename": "NixpyError", "evalue": self.text, "traceback": lines}
        self._publish("error", error, message)
        return {"status": "error", "execution_count": self.count, **error}

    def _on_is_complete_request(self, _: Content) -> Content:
        return {"status": "complete"}

    def _on_complete_request(self, message: Content) -> Content:
        position = message["content"].get("cursor_pos", 0)
        return {
            "status": "ok",
            "matches": [],
            "cursor_start": position,
            "cursor_end": position,
            "metadata": {},
        }

    def _on_inspect_request(self, _: Content) -> Content:
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}

    def _on_history_request(self, _: Content) -> Content:
        return {"status": "ok", "history": []}

    def _on_comm_info_request(self, _: Content) -> Content:
        return {"status": "ok", "comms": {}}

    def _on_interrupt_request(self, _: Content) -> Content:
        return {"status": "ok"}

    def _on_shutdown_request(self, message: Content) -> Content:
        self.is_over = True
        return {"status": "ok", "restart": message["content"].get("restart", False)}
