"""Interpreters: which Python a virtual environment is made with (DESIGN.md, section 5).

uv's own discovery does the finding; nixpy says what is asked for, whether an environment that is
there already satisfies it, and, when none does, what was wrong with each candidate.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import InterpreterNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.managers.prefix import Prefix
    from nixpy.nix.dev_shell import Interpreter
    from nixpy.process import Runner

__all__ = ["Request", "can_download", "choose_interpreter", "interpreter_not_found", "satisfies"]

PROBE = "import platform; print(platform.python_implementation(), platform.python_version())"


class Request(NamedTuple):
    """Which interpreter is asked for.

    Attributes:
        text: a version, a range, an implementation or a path as ``uv python find`` takes it
            (docs.astral.sh/uv/concepts/python-versions), or ``None`` for any.
        origin: who asks, for messages.
        requires: the ``requires-python`` that holds besides (a version specifier), or ``None``.
        requires_origin: who requires it.
        preferred: the dev shell's interpreter, if it is what is asked for.
    """

    text: str | None
    origin: str
    requires: str | None = None
    requires_origin: str = ""
    preferred: Interpreter | None = None

    def accepts(self, version: str) -> bool:
        """Whether a CPython of a version, ``3.12.4``, is surely what is asked for."""
        if self.requires and not _is_in(version, self.requires):
            return False
        text = self.text
        if text is None:
            return True
        if text.replace(".", "").isdigit():
            return (version + ".").startswith(text + ".")
        return text[:1] in "<>=~!" and _is_in(version, text)

    def __str__(self) -> str:
        parts = []
        if self.text:
            parts.append(f"Python {self.text} ({self.origin})")
        if self.requires:
            parts.append(f"Python {self.requires} ({self.requires_origin})")
        return " and ".join(parts) or "a Python"


def choose_interpreter(
    request: Request, *, uv: str, runner: Runner, environ: Mapping[str, str], cwd: str
) -> str:
    """Return the interpreter to make an environment with: a path, or a request that uv downloads.

    Candidates are those on ``PATH`` first, then those that uv manages.

    Raises:
        InterpreterNotFound: none satisfies the request; the error names every candidate.
    """
    if request.preferred:
        return request.preferred.base
    asked = request.text or request.requires
    argv = [
        uv,
        "python",
        "find",
        "--no-project",
        "--system",
        "--no-python-downloads",
        "--no-config",
    ]
    argv += ["--python-preference", "system"]
    done = runner.capture([*argv, *([asked] if asked else [])], cwd=cwd, environ=environ)
    found = done.stdout.strip()
    if done.status == 0 and found:
        version = _probe(found, runner, environ, cwd)
        if request.requires is None or _is_in(version.split(" ")[-1], request.requires):
            return found
    elif asked and can_download(environ):
        return asked
    raise interpreter_not_found(request, runner, environ, cwd)


def satisfies(
    prefix: Prefix, request: Request, *, uv: str, runner: Runner, environ: Mapping[str, str]
) -> bool:
    """Return whether the interpreter of an environment is the one that is asked for."""
    version = prefix.version()
    if version is None or not prefix.runs():
        return False
    if request.preferred:
        return os.path.realpath(prefix.python) == os.path.realpath(request.preferred.base)
    text = request.text
    release, wants_free_threading, wants_debug = _variants(text)
    if release is not None:
        if wants_free_threading != prefix.is_free_threaded:
            return False
        if wants_debug and not _is_debug(prefix, runner, environ):
            return False
        request = request._replace(text=release)
        text = release
    if request.accepts(version):
        return True
    if text is None or text.replace(".", "").isdigit():
        return False
    if request.requires and not _is_in(version, request.requires):
        return False
    # Everything else uv answers itself: an active environment is its first candidate.
    argv = [uv, "python", "find", "--no-project", "--no-python-downloads", "--no-config", text]
    within = {**environ, "VIRTUAL_ENV": prefix.path}
    done = runner.capture(argv, cwd=os.path.dirname(prefix.path), environ=within)
    if done.status != 0:
        return True  # nothing better is to be had
    found = done.stdout.strip()
    return found.startswith(prefix.path + "/") or os.path.realpath(found) == os.path.realpath(
        prefix.python
    )


def _variants(text: str | None) -> tuple[str | None, bool, bool]:
    """Return the release of a request for CPython, and which of its builds it is for.

    ``None`` for what is no plain release: a range, a path, another implementation.
    """
    release, *variants = (text or "").removeprefix("cpython@").split("+")
    if not release.replace(".", "").isdigit():
        return None, False, False
    return release, "freethreaded" in variants, "debug" in variants


def _is_debug(prefix: Prefix, runner: Runner, environ: Mapping[str, str]) -> bool:
    argv = [prefix.python, "-I", "-c", "import sys; print(hasattr(sys, 'gettotalrefcount'))"]
    try:
        done = runner.capture(argv, cwd="/", environ=environ, timeout=10)
    except OSError:
        return False
    return done.stdout.strip() == "True"


def can_download(environ: Mapping[str, str], release: str = "/etc/NIXOS") -> bool:
    """Return whether a Python that uv downloads can run here.

    On NixOS it cannot without nix-ld, which sets ``NIX_LD`` (github.com/nix-community/nix-ld).
    """
    if environ.get("UV_PYTHON_DOWNLOADS", "") in {"never", "manual"}:
        return False
    if environ.get("UV_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return False
    return "NIX_LD" in environ or not os.path.exists(release)


def _is_in(version: str, specifier: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def interpreter_not_found(
    request: Request, runner: Runner, environ: Mapping[str, str], cwd: str
) -> InterpreterNotFound:
    """Return the error that names every candidate on ``PATH``, and what each says of itself."""
    seen = []
    for candidate in _candidates(environ.get("PATH", "")):
        said = _probe(candidate, runner, environ, cwd)
        seen.append(f"{candidate} ({said})")
    tried = ", ".join(seen) or "no python on PATH"
    return InterpreterNotFound(
        f"no interpreter is {request}; tried: {tried}",
        next="Install one (nixpkgs' python3…, `uv python install`), or change what is asked for.",
    )


def _candidates(path: str) -> Iterator[str]:
    seen = set()
    for directory in path.split(os.pathsep):
        if not directory.startswith("/"):
            continue
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            suffix = name.removeprefix("python")
            if name == suffix or suffix.replace(".", "").strip("0123456789t") != "":
                continue
            candidate = f"{directory}/{name}"
            identity = os.path.realpath(candidate)
            if identity not in seen:
                seen.add(identity)
                yield candidate


def _probe(candidate: str, runner: Runner, environ: Mapping[str, str], cwd: str) -> str:
    try:
        done = runner.capture([candidate, "-I", "-c", PROBE], cwd=cwd, environ=environ, timeout=10)
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    if done.status != 0:
        lines = (done.stderr.strip() or "no message").splitlines()
        return f"fails with status {done.status}: {lines[-1]}"
    return done.stdout.strip()
