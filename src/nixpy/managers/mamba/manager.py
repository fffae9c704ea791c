"""Conda environments: specs and locked packages by an engine, the rest by uv into the prefix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

from nixpy.managers.mamba.by_uv import absolute_line, install_by_uv
from nixpy.managers.mamba.engine import Channels, Transaction
from nixpy.managers.mamba.engines import choose_engine
from nixpy.managers.mamba.locks import read_lock
from nixpy.managers.mamba.names import candidates
from nixpy.managers.mamba.records import (
    Asked,
    added_by_hand,
    read_asked,
    read_records,
    write_asked,
    write_variables,
)
from nixpy.manifests.conda import name_of
from nixpy.manifests.conda_configuration import without_credentials
from nixpy.manifests.pip_configuration import masked
from nixpy.manifests.requirements import Kind
from nixpy.marker import is_conda

if TYPE_CHECKING:
    from nixpy.errors import SyncFailed
    from nixpy.managers import CondaPlan, Plan, Session
    from nixpy.managers.mamba.engine import Engine
    from nixpy.manifests.conda_lock import Locked, Package
    from nixpy.manifests.requirements import Entry

__all__ = ["Mamba", "channels_of"]


class _Wanted(NamedTuple):
    """What a prefix is to hold: by the engine, and by uv."""

    specs: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    by_uv: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    editable: bool = False


class Mamba:
    """The manager mamba: conda environments, whichever engine makes them."""

    makes: Literal["virtual", "conda"] = "conda"

    def create(self, interpreter: str, prefix: str, *, name: str, session: Session) -> int:  # noqa: ARG002
        """See :meth:`nixpy.managers.Manager.create`."""
        os.makedirs(f"{prefix}/conda-meta", exist_ok=True)
        with open(f"{prefix}/conda-meta/history", "a", encoding="utf-8"):
            pass
        with open(f"{prefix}/.gitignore", "w", encoding="utf-8") as file:
            file.write("*\n")
        return 0

    def install(self, plan: Plan, session: Session) -> int:
        """See :meth:`nixpy.managers.Manager.install`."""
        conda = plan.conda
        assert conda is not None
        before = read_asked(plan.prefix)
        engine = choose_engine(plan.options.conda_engine, before.engine, session)
        channels = channels_of(plan, conda)
        wanted = _wanted(plan, conda, engine, channels, session)
        by_hand = added_by_hand(plan.prefix, before)
        names = {name_of(spec) for spec in wanted.specs}
        kept = tuple(spec for spec in by_hand if not plan.exact and name_of(spec) not in names)
        gone = (*before.specs, *(by_hand if plan.exact else ()))
        transaction = Transaction(
            prefix=plan.prefix,
            specs=(*wanted.specs, *kept) if not wanted.packages else kept,
            packages=wanted.packages,
            removed=tuple(name for spec in gone if (name := name_of(spec)) and name not in names),
            exact=plan.exact,
            reinstall=plan.reinstall,
        )
        # What is there may be of this transaction: it is known as asked for from here on.
        write_asked(plan.prefix, _together(before, engine, wanted))
        engine.carry_out(transaction, channels, session)
        _verify(transaction, engine, session)
        installed, status = install_by_uv(
            plan,
            wanted.by_uv,
            before,
            constraints=wanted.constraints,
            editable=wanted.editable,
            session=session,
        )
        if status:
            return status
        write_variables(plan.prefix, dict(conda.manifest.variables), before)
        asked = Asked(
            engine=engine.name,
            specs=wanted.specs,
            by_uv=tuple(map(masked, wanted.by_uv)),
            installed_by_uv=installed,
            variables=tuple(f"{name}={value}" for name, value in conda.manifest.variables),
        )
        write_asked(plan.prefix, asked)
        return 0


def channels_of(plan: Plan, conda: CondaPlan) -> Channels:
    """Return where the packages of a plan come from."""
    configuration = conda.configuration
    named = (*plan.options.channels, *conda.manifest.channels)
    return Channels(
        urls=configuration.urls(named, plan.directory),
        priority=configuration.priority or "flexible",
        platform=conda.platform,
        caches=configuration.caches,
        is_offline=configuration.is_offline,
        verifies=configuration.verifies,
        proxies=configuration.proxies,
    )


def _together(before: Asked, engine: Engine, wanted: _Wanted) -> Asked:
    """Return what was asked for before together with what is asked for now."""
    return Asked(
        engine=engine.name,
        specs=tuple(dict.fromkeys((*before.specs, *wanted.specs))),
        by_uv=before.by_uv,
        installed_by_uv=before.installed_by_uv,
        variables=before.variables,
    )


def _wanted(
    plan: Plan, conda: CondaPlan, engine: Engine, channels: Channels, session: Session
) -> _Wanted:
    if conda.lock:
        locked: Locked = read_lock(plan, conda, channels, session)
        lines = tuple(absolute_line(line, plan.directory) for line in locked.pip)
        return _Wanted(packages=locked.packages, by_uv=lines)
    specs = tuple(_with_channel(spec, plan, conda) for spec in conda.manifest.specs)
    by_uv = tuple(absolute_line(line, directory) for line, directory in conda.manifest.pip)
    constraints: tuple[str, ...] = ()
    if plan.install == "requirements":
        specs, by_uv = _split(conda, engine, channels, session)
        entries = conda.requirements.entries
        constraints = tuple(one.text for one in entries if one.is_constraint)
    is_by_uv = bool(by_uv) or plan.install == "editable"
    has_python = any(name_of(spec) == "python" for spec in specs)
    if conda.python:
        specs = (*specs, conda.python)
    elif not has_python and (is_by_uv or plan.install in {"requirements", "nothing"}):
        specs = (*specs, "python")
    return _Wanted(
        specs=specs,
        by_uv=by_uv,
        constraints=constraints,
        editable=plan.install == "editable",
    )


def _split(
    conda: CondaPlan, engine: Engine, channels: Channels, session: Session
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the match specs of those requirements that the channels have, and the others."""
    found = candidates(conda.requirements.entries)
    names = [name for one in found for name in one.names]
    known = engine.known(names, channels, session) if names else frozenset()
    specs, texts = [], set()
    for one in found:
        name = next((name for name in one.names if name in known), None)
        if name is not None:
            specs.append(one.spec(name))
            texts.add(one.text)
    others = [
        _line(one)
        for one in conda.requirements.entries
        if not one.is_constraint and one.text not in texts
    ]
    if others:
        others = [f"{one.name} {one.value}" for one in conda.requirements.options] + others
    return tuple(specs), tuple(others)


def _line(entry: Entry) -> str:
    """Return a requirement as a line for uv."""
    text = entry.path or entry.text
    if entry.kind is Kind.EDITABLE:
        return f"--editable {text}"
    return " ".join((text, *(f"--hash={one}" for one in entry.hashes)))


def _with_channel(spec: str, plan: Plan, conda: CondaPlan) -> str:
    """Return a match spec whose channel is a URL, where it names one."""
    channel, separator, rest = spec.partition("::")
    if not separator or "://" in channel:
        return spec
    urls = conda.configuration.urls((channel, "nodefaults"), plan.directory)
    return f"{without_credentials(urls[0])}::{rest}"


def _verify(transaction: Transaction, engine: Engine, session: Session) -> None:
    """Compare what is there with what was asked for: engines' statuses have lied.

    Raises:
        SyncFailed: something is missing, or is not what a lock file pins.
    """
    records = {one.name: one for one in read_records(transaction.prefix)}
    for spec in transaction.specs:
        name = name_of(spec)
        if name and "*" not in name and name not in records:
            raise _not_there(f"{name} is not there", engine, session)
    urls = {without_credentials(one.url): one for one in records.values()}
    for package in transaction.packages:
        stem = os.path.basename(package.url)
        record = urls.get(without_credentials(package.url))
        if record is None:
            raise _not_there(f"{stem} is not there", engine, session)
        for wanted, got in ((package.sha256, record.sha256), (package.md5, record.md5)):
            if wanted and got and wanted != got:
                raise _not_there(f"{stem} is another than the lock file pins", engine, session)
    if not is_conda(transaction.prefix):
        raise _not_there("there is no conda-meta/history", engine, session)


def _not_there(what: str, engine: Engine, session: Session) -> SyncFailed:
    said = f"{engine.name} {engine.version} says that it is done, but {what}"
    return session.failure(said, is_dirty=True)
