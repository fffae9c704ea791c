"""The flags of ``use nixpy``: arguments to values, by the one list of options.

``use nixpy``, the commands and the library all take the same flags; ``--name value``,
``--name=value``, and for what is true or false also ``--no-name``. Those of Nix that people know
from ``use flake`` are taken as they are: they become ``nix-options``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.errors import OptionsError
from nixpy.option_keys import OPTION_KEYS
from nixpy.options import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.option_keys import OptionKey

__all__ = ["STRICT", "parse_flags"]

STRICT = "--strict"
"""Not an option of the environment: whether an old one may serve. `use nixpy` takes it too."""

NIX_FLAGS: dict[str, int] = {
    "--impure": 0,
    "--accept-flake-config": 0,
    "--no-accept-flake-config": 0,
    "--no-write-lock-file": 0,
    "--no-update-lock-file": 0,
    "--recreate-lock-file": 0,
    "--no-registries": 0,
    "--offline": 0,
    "--refresh": 0,
    "--update-input": 1,
    "--override-flake": 2,
    "--override-input": 2,
    "--option": 2,
    "--arg": 2,
    "--argstr": 2,
}
"""Options of ``nix print-dev-env``, and how many arguments they take (Nix manual)."""


def parse_flags(arguments: Sequence[str]) -> dict[str, object]:
    """Return the values of options by name; a flag given twice adds to a list, or is the last.

    Raises:
        OptionsError: an unknown flag, a flag without its value, or an argument that is no flag.
    """
    known = {key.flag: key for key in OPTION_KEYS}
    negative = {
        f"--no-{key.name}": key for key in OPTION_KEYS if key.kind in {"boolean", "text or false"}
    }
    values: dict[str, object] = {}
    faults = []
    rest = [argument for argument in arguments if argument != STRICT]
    while rest:
        argument = rest.pop(0)
        flag, equals, value = argument.partition("=")
        if argument in NIX_FLAGS:
            count = NIX_FLAGS[argument]
            if len(rest) < count:
                faults.append(f"{argument}: expected {count} values")
            _append(values, "nix-options", (argument, *rest[:count]))
            del rest[:count]
        elif flag in negative and not equals:
            values[negative[flag].name] = False
        elif flag not in known:
            mean = did_you_mean(flag, [*known, *negative, *NIX_FLAGS])
            faults.append(f"{flag}: unknown flag{mean}" if flag[:1] == "-" else _no_flag(flag))
        elif known[flag].kind == "boolean":
            values[known[flag].name] = value if equals else True
        elif not equals and not rest:
            faults.append(f"{flag}: expected a value")
        else:
            _add(values, known[flag], value if equals else rest.pop(0))
    if faults:
        raise OptionsError(tuple(faults))
    return values


def _no_flag(argument: str) -> str:
    return f"{argument}: expected a flag; see `nixpy export --help`"


def _add(values: dict[str, object], key: OptionKey, text: str) -> None:
    if key.kind == "texts":
        texts = tuple(part.strip() for part in text.split(key.separator) if part.strip())
    elif key.kind == "variables":
        texts = (text,)
    else:
        values[key.name] = text
        return
    _append(values, key.name, texts)


def _append(values: dict[str, object], name: str, texts: tuple[str, ...]) -> None:
    earlier = values.get(name, ())
    assert isinstance(earlier, tuple)
    values[name] = (*earlier, *texts)
