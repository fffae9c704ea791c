"""The embedded engine: py-rattler, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nixpy.manifests.conda_configuration import without_credentials
from nixpy.manifests.conda_lock import Package

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nixpy.managers import Session
    from nixpy.managers.mamba.engine import Channels, Transaction

__all__ = ["Rattler"]

PROGRAM = (
    "import json, sys; sys.path[:] = json.load(open(sys.argv[1]))['modules']; "
    "from nixpy.managers.mamba.embedded import main; main()"
)
"""Python that answers a request, with the modules of the Python that asks, however it got them."""

SEGMENTATION_FAULTS = frozenset({-signal.SIGSEGV, 128 + signal.SIGSEGV})

_TOKEN = re.compile(r"/t/(?P<token>[^/]+)/")


class Rattler:
    """The engine py-rattler (:class:`nixpy.managers.mamba.engine.Engine`)."""

    name = "rattler"

    def __init__(self) -> None:
        self.version = importlib.metadata.version("py-rattler")

    @staticmethod
    def is_installed() -> bool:
        """Return whether py-rattler can be imported."""
        return importlib.util.find_spec("rattler") is not None

    def carry_out(self, transaction: Transaction, channels: Channels, session: Session) -> None:
        """See :meth:`nixpy.managers.mamba.engine.Engine.carry_out`."""
        answer = _asked(
            {
                "operation": "carry out",
                "prefix": transaction.prefix,
                "specs": transaction.specs,
                "packages": [
                    {"url": one.url, "sha256": one.sha256, "md5": one.md5}
                    for one in transaction.packages
                ],
                "reinstall": transaction.reinstall,
                "scripts": channels.runs_link_scripts,
            },
            channels,
            session,
        )
        missing = [
            stem
            for stem in answer["records"]
            if not os.path.exists(f"{transaction.prefix}/conda-meta/{stem}.json")
        ]
        if missing:
            what = f"rattler: it says that it linked {missing[0]}, which is not there"
            raise session.failure(what, is_dirty=True)

    def known(self, names: Sequence[str], channels: Channels, session: Session) -> frozenset[str]:
        """See :meth:`nixpy.managers.mamba.engine.Engine.known`."""
        answer = _asked({"operation": "known", "names": list(names)}, channels, session)
        return frozenset(answer["names"])

    def read_lock(
        self, path: str, environment: str, channels: Channels, session: Session
    ) -> tuple[tuple[Package, ...], tuple[str, ...]]:
        """Return what an environment of a ``pixi.lock`` pins: packages, and lines for uv.

        Raises:
            SyncFailed: it cannot be read, or pins nothing for this platform.
        """
        request = {"operation": "read lock", "path": path, "environment": environment}
        answer = _asked(request, channels, session)
        return tuple(Package(**one) for one in answer["packages"]), tuple(answer["pip"])


def _asked(request: dict[str, Any], channels: Channels, session: Session) -> dict[str, Any]:
    """Return what the process answers to a request; once more after a segmentation fault."""
    with tempfile.TemporaryDirectory(prefix="nixpy-rattler-") as scratch:
        _write(f"{scratch}/credentials.json", json.dumps(dict(_credentials(channels))))
        document = {
            **request,
            "modules": sys.path,
            "channels": [without_credentials(url) for url in channels.urls],
            "priority": channels.priority,
            "platform": channels.platform,
            "caches": channels.caches,
            "offline": channels.is_offline,
            "config": _configuration(channels, scratch),
        }
        _write(f"{scratch}/request.json", json.dumps(document))
        argv = [sys.executable, "-I", "-c", PROGRAM]
        argv += [f"{scratch}/request.json", f"{scratch}/answer.json"]
        environ = dict(session.environ)
        if isinstance(channels.verifies, str):
            environ["SSL_CERT_FILE"] = channels.verifies
        for _ in range(2):
            status = session.show(argv, cwd="/", environ=environ)
            with contextlib.suppress(FileNotFoundError):
                with open(f"{scratch}/answer.json", encoding="utf-8") as file:
                    answer: dict[str, Any] = json.load(file)
                break
            if status not in SEGMENTATION_FAULTS:
                what = f"rattler: py-rattler ended with status {status}"
                raise session.failure(what, is_dirty=True)
        else:
            what = "rattler: py-rattler ended with a segmentation fault, twice"
            raise session.failure(what, is_dirty=True)
    if "refused" in answer:
        session.log.write(os.fsencode(f"{answer['refused']}: {answer['why']}\n"))
        is_dirty = bool(answer.get("dirty"))
        what = f"rattler: {_in_short(answer['why'], channels)}"
        raise session.failure(what, is_dirty=is_dirty)
    return answer


def _configuration(channels: Channels, scratch: str) -> str:
    """Return the configuration of rattler as TOML (rattler's ``config`` crate)."""
    lines = [f"authentication-override-file = {json.dumps(scratch + '/credentials.json')}"]
    if channels.verifies is False:
        lines.append("tls-no-verify = true")
    elif isinstance(channels.verifies, str):
        lines.append('tls-root-certs = "system"')
    proxies = [f"{scheme} = {json.dumps(url)}" for scheme, url in channels.proxies]
    if proxies:
        lines += ["[proxy-config]", *proxies]
    return "\n".join(lines) + "\n"


def _credentials(channels: Channels) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what hosts ask for, out of the URLs that hold it (rattler's file of credentials)."""
    for url in channels.urls:
        parts = urlsplit(url)
        token = _TOKEN.search(parts.path)
        if token:
            yield parts.hostname or "", {"CondaToken": token["token"]}
        elif parts.username:
            user, password = unquote(parts.username), unquote(parts.password or "")
            yield parts.hostname or "", {"BasicHTTP": {"username": user, "password": password}}


def _in_short(why: str, channels: Channels) -> str:
    """Return what is wrong, on one line, without any credentials."""
    for url in channels.urls:
        why = why.replace(url, without_credentials(url))
    lines = [line.strip(" ├─└│\t") for line in why.splitlines()]
    text = "; ".join(line for line in lines if line)
    return re.sub(r":; ", ": ", text)


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
