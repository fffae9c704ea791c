"""A dev shell: what it changes, and everything that this rests on.

It is evaluated by ``nix print-dev-env`` and bash (:mod:`nixpy.capture`) and then kept as a
record, until one of the files that the evaluation read changes, a variable that Nix obeys, Nix
itself, or until its outputs were collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nixpy import cache
from nixpy.errors import ManifestError
from nixpy.inputs import Input, digest, observe
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.environment import Environment
    from nixpy.nix.source import Source
    from nixpy.options import Options

__all__ = ["DevShell", "Interpreter", "is_fresh", "key_of", "read_dev_shell", "write_dev_shell"]


class Interpreter(NamedTuple):
    """A Python that a dev shell puts on ``PATH``.

    Attributes:
        path: as ``PATH`` leads to it; perhaps a wrapper, as nixpkgs' ``withPackages`` makes them.
        base: the interpreter behind it, which a virtual environment can stand on.
        version: its version, ``3.12.4``.
    """

    path: str
    base: str
    version: str


class DevShell(NamedTuple):
    """What evaluating a dev shell came to.

    Attributes:
        version: the nixpy that evaluated it.
        reference: the flake reference or file, as asked for.
        roots: directory of its gc roots; empty where there are none.
        environment: what it changes.
        interpreter: the Python that it puts on ``PATH``, if it does.
        inputs: what the evaluation read, and the rest that it depends on.
        notices: lines that a user should see of it.
        inexact: why ``inputs`` are more than what was read; empty where they are just that.
        overlaps: what its ``shellHook`` does that nixpy does by itself.
    """

    version: str
    reference: str
    roots: str
    environment: Environment
    interpreter: Interpreter | None
    inputs: tuple[Input, ...]
    notices: tuple[str, ...] = ()
    inexact: str = ""
    overlaps: tuple[str, ...] = ()


def key_of(source: Source, options: Options) -> str:
    """Return what tells the dev shells of a project, and how they are evaluated, apart."""
    parts = (source.reference, options.shell_hook, *options.nix_options, "", *options.shell_exclude)
    return digest(*(part.encode("utf-8", "surrogateescape") for part in parts))[:16]


def is_fresh(dev_shell: DevShell, environ: Mapping[str, str]) -> bool:
    """Whether everything that a dev shell rests on is as it was."""
    try:
        return dev_shell.version == __version__ and all(
            observe(one, environ).is_same(one) for one in dev_shell.inputs
        )
    except ManifestError:
        return False


def read_dev_shell(path: str) -> DevShell | None:
    """Return the record at a path; a missing, damaged or foreign one is ``None``."""
    return cache.read_record(path, _dev_shell)


def write_dev_shell(path: str, top: str, dev_shell: DevShell) -> None:
    """Write a record, in a directory below nixpy's cache directory ``top``.

    Raises:
        OSError: it cannot be written.
    """
    cache.write_record(path, top, _fields(dev_shell))


def _fields(one: DevShell) -> Iterator[str]:
    yield from (one.version, one.reference, one.roots, one.inexact)
    yield from cache.string_fields(one.interpreter or ())
    yield from cache.string_fields(one.notices)
    yield from cache.string_fields(one.overlaps)
    yield from cache.input_fields(one.inputs)
    yield from cache.operation_fields(one.environment)


def _dev_shell(fields: Iterator[str]) -> DevShell:
    version, reference, roots, inexact = (next(fields) for _ in range(4))
    interpreter = cache.read_strings(fields)
    notices, overlaps = cache.read_strings(fields), cache.read_strings(fields)
    inputs = cache.read_inputs(fields)
    return DevShell(
        version=version,
        reference=reference,
        roots=roots,
        environment=cache.read_operations(fields),
        interpreter=Interpreter(*interpreter) if interpreter else None,
        inputs=inputs,
        notices=notices,
        inexact=inexact,
        overlaps=overlaps,
    )
