"""Running the tool that owns a lock file, in an environment of its own, and keeping the export.

The tools are pinned with all that they need (``poetry.txt`` and the like beside this module, made
by ``scripts/pin-exporters``): no entry may break because somebody released something.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from nixpy import cache
from nixpy.errors import SyncFailed
from nixpy.inputs import digest
from nixpy.logs import cause_of, log_lines
from nixpy.managers.foreign.prepare import prepared_pylock, prepared_requirements
from nixpy.managers.foreign.tools import ELSEWHERE, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nixpy.managers import Session
    from nixpy.managers.foreign.tools import Export

__all__ = ["exported", "exporter_key"]

SCHEMA = "1"
"""Of what is kept: another one is another export."""

LONGEST = 600.0
"""Seconds that an export may take."""

PYTHON = ">=3.10"
"""What the pinned tools run on."""

PYLOCK = "lock-version"
"""What the text of a pylock begins with."""

NO_PYLOCK = ("Invalid export format", "Cannot export pylock.toml", "invalid choice: 'pylock'")


def exporter_key(tool: str, override: tuple[str, ...], directory: str) -> str:
    """Return what tells the environments of exporters apart: the tool, and what is installed."""
    return f"{tool}-{digest(SCHEMA.encode(), _requirements(tool, override, directory))[:16]}"


def exported(export: Export, override: tuple[str, ...], top: str | None, session: Session) -> str:
    """Return the path of what a lock file pins, as uv reads it; exported if it was not yet.

    Args:
        export: what is to be exported.
        override: requirements for the tool instead of the pinned ones, or a file of them.
        top: nixpy's cache directory.
        session: what to work with.

    Raises:
        SyncFailed: the tool cannot be installed, or fails: with no network, say.
        ManifestError: what it exports cannot be used.
    """
    if top is None:
        raise SyncFailed(
            f"there is no place for what {export.tool} exports: HOME is not set",
            log=None,
            next="Set HOME or XDG_CACHE_HOME.",
        )
    contents = [_content(f"{export.directory}/{name}") for name in export.files]
    key = exporter_key(export.tool, override, export.directory)
    name = digest(
        SCHEMA.encode(),
        os.fsencode(export.directory),
        key.encode(),
        *(argument.encode() for argument in (*export.arguments, export.project)),
        *contents,
    )
    # uv knows a pylock by its name (PEP 751, "File name").
    pylock, requirements = (f"{top}/exports/{one}" for one in _names(name))
    for path in (pylock, requirements):
        if cache.is_private(path):
            return path
    python = _environment(export.tool, key, override, top, session, export)
    text = _text(export, python, session)
    path = pylock if text.lstrip().startswith(PYLOCK) else requirements
    cache.make_private_directory(os.path.dirname(path), top)
    cache.write_private(path, text.encode("utf-8", "surrogateescape"))
    return path


def _names(name: str) -> tuple[str, str]:
    return f"pylock.{name}.toml", f"requirements.{name}.txt"


def _text(export: Export, python: str, session: Session) -> str:
    """Run the tool on a private copy of what it reads; return what it exports, for uv."""
    with tempfile.TemporaryDirectory(prefix=f"nixpy-{export.tool}-") as made:
        scratch = os.path.realpath(made)
        copy = scratch + export.directory
        os.makedirs(copy)
        for name in export.files:
            if os.path.exists(f"{export.directory}/{name}"):
                shutil.copyfile(f"{export.directory}/{name}", f"{copy}/{name}")
        _check(export, python, copy, session)
        text = _printed(export, export.form, python, copy, session)
        if text is None:
            text = _printed(export, "requirements", python, copy, session) or ""
        place = {"scratch": scratch, "directory": export.directory, "project": export.project}
        if text.lstrip().startswith(PYLOCK):
            return prepared_pylock(text, **place)
        return prepared_requirements(text, **place, editables=_editables(export))


def _check(export: Export, python: str, copy: str, session: Session) -> None:
    """Ask the tool whether its lock file is that of its manifest.

    Raises:
        SyncFailed: it is not.
    """
    if not export.check:
        return
    argv = [python, "-m", export.tool, *export.check]
    environ = _variables(export.tool, copy, session.environ)
    done = session.runner.capture(argv, cwd=copy, environ=environ, timeout=LONGEST)
    session.log.write(os.fsencode(f"\n$ {' '.join(argv)}\n{done.stdout}{done.stderr}"))
    if done.status:
        lock, manifest = export.files[:2]
        raise session.failure(
            f"{lock} is not that of {manifest} any more, says {export.tool}",
            advice=f'run `{export.tool} lock`, or say `lock = "frozen"`',
        )


def _editables(export: Export) -> frozenset[str]:
    """Return what a Pipfile.lock says is editable, which Pipenv itself does not export."""
    if export.tool != "pipenv":
        return frozenset()
    try:
        lock = json.loads(_content(f"{export.directory}/{export.files[0]}"))
        entries = [one for section in lock.values() for one in section.values()]
    except (ValueError, AttributeError):
        return frozenset()
    return frozenset(
        os.path.normpath(os.path.join(export.directory, one["path"]))
        for one in entries
        if isinstance(one, dict) and one.get("editable") and isinstance(one.get("path"), str)
    )


def _printed(export: Export, form: str, python: str, copy: str, session: Session) -> str | None:
    """Return what a tool exports in a form; ``None`` where it cannot in this one.

    Older versions of Poetry's plugin know no pylock, and no version makes one of a lock file of
    Poetry 1.
    """
    argv = [python, "-m", export.tool, *export.arguments]
    if export.tool == "poetry":
        argv += ["--format", "pylock.toml" if form == "pylock" else "requirements.txt"]
    elif export.tool == "pdm":
        argv += ["--format", form]
    output = f"{copy}/pylock.toml"
    if export.tool != "pipenv":
        argv += ["--output", output]
    environ = _variables(export.tool, copy, session.environ)
    session.log.write(os.fsencode(f"\n$ {' '.join(argv)}\n"))
    done = session.runner.capture(argv, cwd=copy, environ=environ, timeout=LONGEST)
    session.log.write(os.fsencode(done.stderr))
    if done.status:
        session.log.write(os.fsencode(done.stdout))
        said = f"{done.stderr}\n{done.stdout}"
        if form == "pylock" and any(part in said for part in NO_PYLOCK):
            return None
        raise _failure(export, said, session)
    if export.tool == "pipenv":
        return done.stdout
    with open(output, encoding="utf-8") as file:
        return file.read()


def _environment(
    tool: str, key: str, override: tuple[str, ...], top: str, session: Session, export: Export
) -> str:
    """Return the interpreter of the environment that a tool is installed in; made if need be."""
    place = f"{top}/exporters/{key}"
    python = f"{place}/bin/python"
    if os.access(python, os.X_OK):
        return python
    cache.make_private_directory(os.path.dirname(place), top)
    # Made beside it and renamed: whoever is killed leaves nothing that looks done.
    made = tempfile.mkdtemp(prefix=f".{key}-", dir=os.path.dirname(place))
    try:
        venv = [session.uv, "venv", "--quiet", "--allow-existing", "--no-project", "--no-config"]
        commands = [[*venv, "--python", PYTHON, made]]
        install = [session.uv, "pip", "install", "--python", f"{made}/bin/python"]
        if override:
            commands.append([*install, *_override_arguments(override, export.directory)])
        else:
            pins = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{tool}.txt")
            commands.append([*install, "--require-hashes", "--no-deps", "--requirement", pins])
        for argv in commands:
            if session.show(argv, cwd=made, environ=session.environ):
                raise _failure(export, "", session, doing=f"{tool} cannot be installed")
        shutil.rmtree(place, ignore_errors=True)
        os.rename(made, place)
    except OSError as error:
        if not os.access(python, os.X_OK):
            raise SyncFailed(
                f"{tool} cannot be installed: {error.strerror}", log=None, next="Make room."
            ) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return python


def _override_arguments(override: tuple[str, ...], directory: str) -> list[str]:
    arguments = []
    for one in override:
        path = os.path.join(directory, one)
        arguments += ["--requirement", path] if os.path.isfile(path) else [one]
    return arguments


def _requirements(tool: str, override: tuple[str, ...], directory: str) -> bytes:
    """Return what an exporter's environment is made of."""
    if not override:
        here = os.path.dirname(os.path.abspath(__file__))
        return _content(f"{here}/{tool}.txt")
    parts = []
    for one in override:
        path = os.path.join(directory, one)
        parts.append(_content(path) if os.path.isfile(path) else one.encode())
    return b"\n".join(parts)


def _variables(tool: str, copy: str, environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(ELSEWHERE)}
    found = {**kept, **VARIABLES[tool]}
    if tool == "pipenv":
        found["PIPENV_PIPFILE"] = f"{copy}/Pipfile"
    return found


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _failure(export: Export, said: str, session: Session, *, doing: str = "") -> SyncFailed:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines and session.log_path:
        session.log.flush()
        lines = log_lines(session.log_path)
    why = cause_of(lines)
    what = doing or f"{export.tool} cannot export {export.files[0]}"
    return session.failure(
        f"{what}: {why}" if why else what,
        advice="" if doing else f"run `{export.tool} lock` if the lock file is old",
    )
