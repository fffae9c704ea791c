"""The options of a project: flag, variable, file, default (DESIGN.md, section 4).

What there is says :data:`nixpy.option_keys.OPTION_KEYS`. Every fault of every source is reported at
once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, cast

from nixpy.errors import OptionsError
from nixpy.option_keys import (
    CUDA_VERSION,
    EXTRA_NAME,
    OPTION_KEYS,
    VARIABLE_VALUE,
    CondaEngine,
    ExtrasByVersion,
    LibraryScope,
    Lock,
    Manager,
    OptionKey,
    ShellHook,
    Sync,
    Value,
    variable_name_fault,
)

if TYPE_CHECKING:
    from nixpy.files import Files
    from nixpy.manifests.toml import Check, Table

__all__ = ["Options", "did_you_mean", "load_options"]

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})

_BOOKKEEPING = frozenset(
    {
        *("NIXPY_PROJECT", "NIXPY_STALE", "NIXPY_RESTORE", "NIXPY_DEBUG", "NIXPY_SHELL_TIMEOUT"),
        "NIXPY_CALLERS_LIBRARY_PATH",
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a project.

    ``extras`` and ``groups`` of the single word ``all`` mean all; ``groups`` are additional to
    the manager's default groups; ``exact`` of None leaves it to the decision; ``venv`` is
    ``central``, ``named`` or a path; ``libraries`` holds attributes of nixpkgs and ``auto``, or
    ``off``; ``cuda`` may be pairs of a version, or ``none``, and extras; ``flake`` of None means
    what there is; ``path``, ``requirements`` and ``environment`` are paths, relative to the
    project's root or absolute.
    ``origins`` says for each key who set it: ``flag --python``, ``variable NIXPY_PYTHON``,
    ``pyproject.toml: tool.nixpy.python``, ``default``; it is no part of equality.
    """

    manager: Manager = "auto"
    python: str | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    conda_engine: CondaEngine = "auto"
    exporter: tuple[str, ...] = ()
    lock: Lock = "update"
    exact: bool | None = None
    venv: str = ".venv"
    flake: str | Literal[False] | None = None
    shell_hook: ShellHook = "cache"
    shell_exclude: tuple[str, ...] = ()
    nix_options: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ("auto",)
    library_scope: LibraryScope = "auto"
    nixpkgs: str | None = None
    cuda: Literal["auto", "off"] | ExtrasByVersion = "auto"
    env: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    sync: Sync = "auto"
    origins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({key.name: "default" for key in OPTION_KEYS}),
        compare=False,
    )


class _Values(TypedDict, total=False):
    manager: Manager
    python: str | None
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    requirements: tuple[str, ...]
    environment: tuple[str, ...]
    channels: tuple[str, ...]
    conda_engine: CondaEngine
    exporter: tuple[str, ...]
    lock: Lock
    exact: bool | None
    venv: str
    flake: str | Literal[False] | None
    shell_hook: ShellHook
    shell_exclude: tuple[str, ...]
    nix_options: tuple[str, ...]
    libraries: tuple[str, ...]
    library_scope: LibraryScope
    nixpkgs: str | None
    cuda: Literal["auto", "off"] | ExtrasByVersion
    env: tuple[tuple[str, str], ...]
    path: tuple[str, ...]
    watch: tuple[str, ...]
    sync: Sync


_Layer: TypeAlias = "dict[str, tuple[Value, str]]"  # key: value and origin


def load_options(
    root: str, *, flags: Mapping[str, object], environ: Mapping[str, str], files: Files
) -> Options:
    """Return the options of the project at ``root``.

    Args:
        root: the absolute path of the project.
        flags: values by key; None means that the flag was not given, a text is read as the
            variable of the same option would be.
        environ: the variables (:func:`nixpy.activation.base_environment`).
        files: reads ``pyproject.toml`` and ``nixpy.toml``.

    Raises:
        OptionsError: with every fault found.
        ManifestError: a file is not TOML or cannot be read.
    """
    faults: list[str] = []
    layers = (
        _from_flags(flags, faults),
        _from_variables(environ, faults),
        _from_uv_variables(environ, faults),
        _from_files(root, files, faults),
    )
    if faults:
        raise OptionsError(tuple(faults))
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for key in OPTION_KEYS:
        origins[key.name] = "default"
        for layer in layers:
            if key.name in layer:
                values[key.name], origins[key.name] = layer[key.name]
                break
    named = {name.replace("-", "_"): value for name, value in values.items()}
    return Options(**cast("_Values", named), origins=MappingProxyType(origins))


def _from_flags(flags: Mapping[str, object], faults: list[str]) -> _Layer:
    layer: _Layer = {}
    known = {key.name: key for key in OPTION_KEYS}
    for name, given in flags.items():
        if given is None:
            continue
        key = known.get(name)
        if key is None:
            faults.append(f"--{name}: unknown flag{did_you_mean(f'--{name}', _flag_names())}")
            continue
        value = _value(key, given, key.flag, faults)
        if value is not None:
            layer[name] = value, f"flag {key.flag}"
    return layer


def _from_variables(environ: Mapping[str, str], faults: list[str]) -> _Layer:
    layer: _Layer = {}
    known = {key.variable: key for key in OPTION_KEYS}
    for variable in sorted(name for name in environ if name.startswith("NIXPY_")):
        if not environ[variable]:
            continue
        key = known.get(variable)
        if key is not None:
            value = _value(key, environ[variable], variable, faults)
            if value is not None:
                layer[key.name] = value, f"variable {variable}"
        elif variable not in _BOOKKEEPING and not variable.startswith("NIXPY_TEST_"):
            # Names are compared without the prefix, which would make any two of them alike.
            meant = _nearest(variable[6:], [name[6:] for name in known], cutoff=0.75)
            if meant:
                faults.append(f"{variable}: unknown; did you mean NIXPY_{meant}?")
    return layer


def _from_uv_variables(environ: Mapping[str, str], faults: list[str]) -> _Layer:
    """Read uv's own variables for what is also an option of ours."""
    layer: _Layer = {}
    for variable, lock in (("UV_LOCKED", "locked"), ("UV_FROZEN", "frozen")):
        text = environ.get(variable, "")
        if not text:
            continue
        truth = _truth(text)
        if truth is None:
            faults.append(f"{variable}: expected a boolean, got {text!r}")
        elif truth:
            if "lock" in layer:
                faults.append("UV_FROZEN: cannot be used together with UV_LOCKED")
            layer["lock"] = lock, f"variable {variable}"
    if python := environ.get("UV_PYTHON"):
        layer["python"] = python, "variable UV_PYTHON"
    if venv := environ.get("UV_PROJECT_ENVIRONMENT"):
        layer["venv"] = venv, "variable UV_PROJECT_ENVIRONMENT"
    return layer


def _from_files(root: str, files: Files, faults: list[str]) -> _Layer:
    from nixpy.manifests.toml import read_toml

    tables: list[Table] = []
    path = os.path.join(root, "pyproject.toml")
    content = files.read(path)
    if content is not None:
        tool = read_toml(path, content).collecting(faults).table("tool")
        ours = None if tool is None else tool.table("nixpy")
        if ours is not None:
            tables.append(ours)
    path = os.path.join(root, "nixpy.toml")
    content = files.read(path)
    if content is not None:
        tables.append(read_toml(path, content).collecting(faults))
    if len(tables) > 1:
        faults.append(
            "pyproject.toml: tool.nixpy: nixpy.toml sets options too; keep them in one of the two"
        )
    layer: _Layer = {}
    for table in tables:
        layer.update(_from_table(table, faults))
    return layer


def _from_table(table: Table, faults: list[str]) -> _Layer:
    layer: _Layer = {}
    known = {key.name: key for key in OPTION_KEYS}
    for name in table:
        key = known.get(name)
        if key is None:
            table.fault(f"unknown key{did_you_mean(name, list(known))}", name)
            continue
        count = len(faults)
        value = _typed_entry(table, key)
        if value is not None and len(faults) == count:
            layer[name] = value, f"{table.file}: {table.place(name)}"
    return layer


def _typed_entry(table: Table, key: OptionKey) -> Value | None:
    if key.kind == "boolean":
        return table.boolean(key.name)
    if key.kind == "text or false" and table.is_false(key.name):
        return False
    if key.kind == "texts":
        return table.strings(key.name, check=_check(key), or_one=key.or_one)
    if key.kind == "choice or extras" and table.is_table(key.name):
        return table.arrays_by_key(key.name, check_key=_version_fault, check=_extra_fault)
    if key.kind == "variables":
        return table.strings_by_key(key.name, check_key=variable_name_fault, check=_value_fault)
    return table.string(key.name, check=_check(key))


def _value(key: OptionKey, given: object, where: str, faults: list[str]) -> Value | None:
    """Return what a flag or variable gives; None after a fault."""
    if key.kind == "variables":
        return _pairs(key, given, where, faults)
    if key.kind == "choice or extras" and given not in key.choices:
        return _extras_by_version(given, where, faults)
    if key.kind == "texts":
        return _texts(key, given, where, faults)
    if key.kind == "boolean":
        truth = _truth(given) if isinstance(given, str) else given
        if isinstance(truth, bool):
            return truth
        faults.append(f"{where}: expected true or false, got {given!r}")
        return None
    if key.kind == "text or false" and (
        given is False or (isinstance(given, str) and _truth(given) is False)
    ):
        return False
    what = _text_fault(key, given)
    if what is not None:
        faults.append(f"{where}: {what}")
        return None
    return cast("str", given)


def _texts(key: OptionKey, given: object, where: str, faults: list[str]) -> tuple[str, ...] | None:
    texts = _split(given, key.separator) if isinstance(given, str) else given
    if not isinstance(texts, Sequence):
        faults.append(f"{where}: expected several texts, got {given!r}")
        return None
    found = [what for text in texts if (what := _text_fault(key, text)) is not None]
    faults.extend(f"{where}: {what}" for what in found)
    return None if found else tuple(texts)


def _text_fault(key: OptionKey, given: object) -> str | None:
    return _check(key)(given) if isinstance(given, str) else f"expected a text, got {given!r}"


def _pairs(
    key: OptionKey, given: object, where: str, faults: list[str]
) -> tuple[tuple[str, str], ...] | None:
    """Return the pairs of a mapping, of pairs, or of texts ``NAME=value``."""
    items: Iterable[object]
    if isinstance(given, str):
        items = [line for line in given.split(key.separator) if line.strip()]
    elif isinstance(given, Mapping):
        items = given.items()
    else:
        items = given if isinstance(given, Sequence) else (given,)
    found: dict[str, str] = {}
    good = True
    for item in items:
        name, separator, value = item.partition("=") if isinstance(item, str) else _pair(item)
        if not separator:
            what: str | None = f"expected NAME=value, got {item!r}"
        else:
            what = variable_name_fault(name)
            if what is None and (value_fault := _value_fault(value)):
                what = f"{name}: {value_fault}"
        if what is not None:
            faults.append(f"{where}: {what}")
            good = False
        else:
            found[name] = value
    return tuple(found.items()) if good else None


def _extras_by_version(given: object, where: str, faults: list[str]) -> ExtrasByVersion | None:
    """Return the pairs of a mapping, or of a text ``12.8=cu128+more,none=cpu``."""
    items: list[tuple[object, object]]
    if isinstance(given, str) and "=" in given:
        items = [
            (version.strip(), extras.split("+") if extras else ())
            for version, _, extras in (one.partition("=") for one in _split(given, ","))
        ]
    elif isinstance(given, Mapping):
        items = list(given.items())
    else:
        faults.append(f"{where}: expected auto, off or VERSION=EXTRA,…, got {given!r}")
        return None
    found: list[tuple[str, tuple[str, ...]]] = []
    count = len(faults)
    for version, extras in items:
        texts = () if isinstance(extras, str) or not isinstance(extras, Sequence) else extras
        what = _version_fault(str(version))
        whats = [what, *(_extra_fault(str(extra)) for extra in texts)]
        if texts is not extras:
            whats.append(f"expected several extras, got {extras!r}")
        faults.extend(f"{where}: {version}: {one}" for one in whats if one)
        found.append((str(version), tuple(map(str, texts))))
    return tuple(found) if len(faults) == count else None


def _pair(item: object) -> tuple[str, str, str]:
    if isinstance(item, Sequence) and len(item) == 2:  # noqa: PLR2004 - a pair
        name, value = item
        if isinstance(name, str) and isinstance(value, str):
            return name, "=", value
    return "", "", ""


def _split(text: str, separator: str) -> tuple[str, ...]:
    parts = (part.strip() if separator == "," else part for part in text.split(separator))
    return tuple(part for part in parts if part)


def _check(key: OptionKey) -> Check:
    def check(text: str) -> str | None:
        if key.choices:
            if text in key.choices:
                return None
            return (
                f"expected one of {', '.join(key.choices)}, got {text!r}"
                f"{did_you_mean(text, key.choices)}"
            )
        if re.search(key.pattern, text):
            return None
        return f"{key.expected}, got {text!r}"

    return check


def _version_fault(version: str) -> str | None:
    is_one = re.search(CUDA_VERSION, version)
    return None if is_one else f'expected a version like "12.8", or none, got {version!r}'


def _extra_fault(extra: str) -> str | None:
    return None if re.search(EXTRA_NAME, extra) else f"expected the name of an extra, got {extra!r}"


def _value_fault(value: str) -> str | None:
    return None if re.search(VARIABLE_VALUE, value) else "a variable cannot hold NUL"


def _truth(text: str) -> bool | None:
    """Read a boolean as uv's command line does."""
    lowered = text.lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def _flag_names() -> list[str]:
    return [key.flag for key in OPTION_KEYS]


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """Return "; did you mean …?" for what is nearest to ``given``, or nothing."""
    meant = _nearest(given, known, cutoff=0.6)
    return f"; did you mean {meant}?" if meant else ""


def _nearest(given: str, known: Sequence[str], *, cutoff: float) -> str | None:
    import difflib

    matches = difflib.get_close_matches(given, known, n=1, cutoff=cutoff)
    return matches[0] if matches else None
