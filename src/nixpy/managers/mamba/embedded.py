"""The process that py-rattler runs in, and the only module that imports it.

py-rattler 0.28 ends one Python in ten with a segmentation fault when the interpreter exits, after
all work was done. So it runs in a process of its own, whose answer is a file and whose exit status
says nothing; it leaves by ``os._exit``.

A request and an answer are JSON (:mod:`nixpy.managers.mamba.rattler` writes and reads them).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import platformdirs
import rattler
from rattler import config, package_streaming
from rattler.exceptions import SolverError

from nixpy.manifests.conda import name_of
from nixpy.manifests.conda_configuration import without_credentials
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from rattler import PrefixRecord, RepoDataRecord

Request = dict[str, Any]
Answer = dict[str, Any]

CHUNK = 1 << 20

_LINKING = threading.Event()
"""Set once files of a prefix may have changed."""


class Refused(Exception):  # noqa: N818 - it is an answer
    """What cannot be done, in words for the user."""


def main() -> None:
    """Answer the request in the file that the first argument names, into the second one."""
    request_path, answer_path = sys.argv[1:3]
    with open(request_path, encoding="utf-8") as file:
        request: Request = json.load(file)
    try:
        answer = asyncio.run(OPERATIONS[request["operation"]](request))
    except Refused as refusal:
        answer = {"refused": "", "why": str(refusal)}
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        answer = {"refused": type(error).__name__, "why": str(error), "dirty": _LINKING.is_set()}
    with open(f"{answer_path}.new", "w", encoding="utf-8") as file:
        json.dump(answer, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{answer_path}.new", answer_path)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def carry_out(request: Request) -> Answer:
    """Bring a prefix to what a transaction says; answer with the records that it came to."""
    prefix = Path(request["prefix"])
    installed, damaged = _installed(prefix)
    if request["packages"]:
        known = {one.url: one for one in installed}
        records = [
            await _pinned(package, known, _client(request)) for package in request["packages"]
        ]
    else:
        records = await _solved(request, installed)
    names = {one.name.normalized for one in records}
    again = names if request["reinstall"] else names & damaged
    present = {(one.url, one.sha256) for one in installed if one.name.normalized not in again}
    for record in records:
        if (record.url, record.sha256) not in present:
            _verify_local(record)
    before = {_stem(one) for one in installed}
    caches: list[str | os.PathLike[str]] = list(request["caches"] or [_default_cache()])
    cache = rattler.PackageCache.new_layered(caches)
    if request["offline"]:
        index = await cache.index()
        for record in records:
            is_new = (record.url, record.sha256) not in present
            if is_new and not _local_path(record.url) and not index.contains_record(record):
                raise Refused(f"offline, and {record.file_name} is not in the package cache")
    specs = {name_of(spec): spec for spec in request["specs"]}
    _LINKING.set()
    await rattler.install(
        records,
        prefix,
        package_cache=cache,
        installed_packages=installed,
        reinstall_packages=again or None,
        execute_link_scripts=request["scripts"],
        show_progress=True,
        client=_client(request),
        # The public MatchSpec is refused here (0.28); what it wraps is taken.
        requested_specs=[rattler.MatchSpec(spec)._match_spec for spec in specs.values()],  # noqa: SLF001
    )
    after = {_stem(one) for one in records}
    for name in os.listdir(prefix / "conda-meta"):
        if name.endswith(".json"):
            # Other programs of the user's, and other users, read it too (0.28 makes it 0600).
            os.chmod(prefix / "conda-meta" / name, 0o644)
    if after != before:
        _write_history(prefix, before, after, tuple(request["specs"]))
    return {"records": sorted(after)}


async def known(request: Request) -> Answer:
    """Answer with those names that the channels have."""
    gateway = _gateway(request)
    found = await gateway.names(request["channels"], [request["platform"], "noarch"])
    return {"names": sorted({one.normalized for one in found} & set(request["names"]))}


async def read_lock(request: Request) -> Answer:
    """Answer with what a ``pixi.lock`` pins for a platform."""
    lock = rattler.LockFile.from_path(Path(request["path"]))
    environment = lock.environment(request["environment"])
    if environment is None:
        names = ", ".join(name for name, _ in lock.environments())
        raise Refused(f"it has no environment {request['environment']!r}, only {names}")
    platform = next(
        (one for one in environment.platforms() if str(one.subdir) == request["platform"]), None
    )
    if platform is None:
        raise Refused(f"it pins nothing for {request['platform']}")
    packages = [
        {
            "url": one.url,
            "sha256": one.sha256.hex() if one.sha256 else None,
            "md5": one.md5.hex() if one.md5 else None,
        }
        for one in environment.conda_repodata_records_for_platform(platform) or ()
    ]
    pip = []
    for one in environment.pypi_packages_for_platform(platform) or ():
        location = one.location
        if "://" in location:
            line = f"{one.name} @ {location}"
            hashes = one.hashes
            if hashes and hashes.sha256 and not location.startswith("git+"):
                line += f" --hash=sha256:{hashes.sha256.hex()}"
        else:
            line = f"--editable {location}"
        pip.append(line)
    return {"packages": packages, "pip": pip}


OPERATIONS: dict[str, Callable[[Request], Coroutine[Any, Any, Answer]]] = {
    "carry out": carry_out,
    "known": known,
    "read lock": read_lock,
}


def _installed(prefix: Path) -> tuple[list[PrefixRecord], set[str]]:
    """Return the records of a prefix, and the names of packages to link again.

    Those are packages whose record is damaged, or of which files are missing: a kill leaves both.
    """
    records, damaged = [], set()
    for path in sorted(prefix.glob("conda-meta/*.json")):
        try:
            record = rattler.PrefixRecord.from_path(path)
            records.append(record)
            if not all(os.path.lexists(prefix / file) for file in record.files):
                damaged.add(record.name.normalized)
        except Exception:  # noqa: BLE001, PERF203 - its package is linked again, whatever it is
            damaged.add("-".join(path.stem.split("-")[:-2]))
            path.unlink()
    return records, damaged


async def _solved(request: Request, installed: Sequence[PrefixRecord]) -> list[RepoDataRecord]:
    async def solve(priority: Any) -> list[RepoDataRecord]:
        return await rattler.solve(
            request["channels"],
            request["specs"],
            gateway=_gateway(request),
            platforms=[request["platform"], "noarch"],
            locked_packages=list(installed),
            virtual_packages=rattler.VirtualPackage.detect(),
            channel_priority=priority,
            add_pip_as_python_dependency=False,
        )

    priority = rattler.ChannelPriority
    if request["priority"] == "disabled":
        return await solve(priority.Disabled)
    try:
        return await solve(priority.Strict)
    except SolverError:
        if request["priority"] == "strict":
            raise
        # Flexible: a channel further down serves where the first one that has a package does not.
        return await solve(priority.Disabled)


async def _pinned(
    package: dict[str, str | None], installed: dict[str, PrefixRecord], client: Any
) -> RepoDataRecord:
    """Return the record of a package that a lock file pins: by its own ``info/index.json``."""
    url, sha256, md5 = package["url"], package["sha256"], package["md5"]
    assert url is not None
    there = installed.get(url)
    if there and (not sha256 or there.sha256 == bytes.fromhex(sha256)):
        return there
    path = _local_path(url)
    with tempfile.TemporaryDirectory(prefix="nixpy-package-") as scratch:
        index = Path(scratch, "index.json")
        if path is None:
            fetch = package_streaming.fetch_raw_package_file_from_url
            index.write_bytes(await fetch(client, url, "info/index.json"))
        elif not os.path.exists(path):
            raise Refused(f"there is no {path}")
        else:
            archive = await package_streaming.PackageArchive.from_path(path)
            index.write_bytes(await archive.read_file("info/index.json") or b"")
        record = rattler.PackageRecord.from_index_json(index)
    base, _, name = url.rpartition("/")
    channel = base.rpartition("/")[0]
    found = rattler.RepoDataRecord(record, name, url, channel)
    found.sha256 = bytes.fromhex(sha256) if sha256 else None
    found.md5 = bytes.fromhex(md5) if md5 else None
    return found


def _verify_local(record: RepoDataRecord) -> None:
    """Compare the digest of an archive on ``file://``, which rattler does not."""
    path = _local_path(record.url)
    if path is None:
        return
    kind, wanted = ("sha256", record.sha256) if record.sha256 else ("md5", record.md5)
    if wanted is None:
        return
    state = hashlib.new(kind, usedforsecurity=False)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                state.update(chunk)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    if state.digest() != wanted:
        raise Refused(
            f"{path} is not what was indexed or locked: its {kind} is {state.hexdigest()}, "
            f"expected {wanted.hex()}"
        )


def _default_cache() -> str:
    """Return where rattler keeps packages by itself (its ``default_cache_dir``)."""
    top = os.environ.get("RATTLER_CACHE_DIR") or f"{platformdirs.user_cache_dir('rattler')}/cache"
    return f"{top}/pkgs"


def _local_path(url: str) -> str | None:
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else None


def _gateway(request: Request) -> rattler.Gateway:
    action: Any = "force-cache-only" if request["offline"] else "cache-or-fetch"
    return rattler.Gateway(
        default_config=rattler.SourceConfig(cache_action=action), client=_client(request)
    )


def _client(request: Request) -> rattler.Client:
    return rattler.Client.from_config(config.Config.from_toml(request["config"]))


def _stem(record: RepoDataRecord) -> str:
    return f"{record.name.normalized}-{record.version}-{record.build}"


def _write_history(prefix: Path, before: set[str], after: set[str], specs: Sequence[str]) -> None:
    """Append to ``conda-meta/history``, by which conda and mamba know what was asked for.

    Its form: docs.conda.io, "conda list --revisions"; ``conda.history`` reads it.
    """
    shown = [without_credentials(spec) for spec in specs]
    lines = [
        f"==> {time.strftime('%Y-%m-%d %H:%M:%S')} <==",
        "# cmd: nixpy sync",
        f"# nixpy version: {__version__}",
        *(f"-{stem}" for stem in sorted(before - after)),
        *(f"+{stem}" for stem in sorted(after - before)),
        f"# update specs: {json.dumps(shown)}",
    ]
    with open(prefix / "conda-meta/history", "a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
