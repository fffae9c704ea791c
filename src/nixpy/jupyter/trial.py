"""Starting a kernel to see whether it works, through ``jupyter_client``."""

from __future__ import annotations

import os
import tempfile
from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple

from nixpy.jupyter.installing import needs_extra

if TYPE_CHECKING:
    from nixpy.jupyter.kernelspecs import Kernelspec

__all__ = ["Trial", "try_kernel"]

ASKS = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])"

_OURS = "nixpy: "


class Trial(NamedTuple):
    """What starting a kernel came to.

    Attributes:
        works: whether a cell ran.
        executable: the kernel's ``sys.executable``; empty for a kernel that is not Python.
        python: its version; the same.
        detail: what went wrong, or what nixpy said as the kernel started.
    """

    works: bool
    executable: str
    python: str
    detail: str


def try_kernel(one: Kernelspec, *, directory: str, timeout: float) -> Trial:
    """Start a kernel in a directory, run a cell, and stop it.

    ``timeout`` is in seconds, for the start and for the cell each.

    Raises:
        ToolMissing: nixpy was installed without its extra ``jupyter``.
    """
    try:
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import KernelManager
    except ImportError:
        raise needs_extra("kernels") from None
    specs = KernelSpecManager(
        kernel_dirs=[os.path.dirname(one.directory)], ensure_native_kernel=False
    )
    with tempfile.TemporaryFile() as log:
        manager = KernelManager(kernel_name=one.name, kernel_spec_manager=specs)
        try:
            manager.start_kernel(cwd=directory, stdout=log.fileno(), stderr=log.fileno())
        except OSError as error:
            manager.cleanup_resources()
            return Trial(False, "", "", f"{one.argv[0]} cannot be started: {error.strerror}")
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=timeout)
            works, said = _run(client, ASKS if one.language == "python" else "", timeout)
        except (RuntimeError, Empty) as error:
            works, said = False, str(error) or f"no answer within {timeout:g} s"
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=not manager.is_alive())
        log.seek(0)
        logged = os.fsdecode(log.read()).strip()
    if not works:
        # The kernel that only says why has said that to the log, too.
        lines = (line.removeprefix(_OURS) for line in logged.splitlines())
        told = [line for line in lines if line.strip() and line not in said]
        return Trial(False, "", "", "\n".join((said, *told[-5:])) if told else said)
    executable, _, python = said.strip().partition("\n")
    ours = [line for line in logged.splitlines() if line.startswith(_OURS)]
    return Trial(True, executable, python, "\n".join(one.removeprefix(_OURS) for one in ours))


def _run(client: Any, code: str, timeout: float) -> tuple[bool, str]:
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            said.append(message["content"]["text"])

    try:
        reply = client.execute_interactive(
            code, allow_stdin=False, timeout=timeout, output_hook=hear
        )
    except TimeoutError:
        return False, f"the kernel started, and a cell took longer than {timeout:g} s"
    content = reply["content"]
    if content["status"] != "ok":
        return False, str(content.get("evalue", "the cell failed"))
    return True, "".join(said)
