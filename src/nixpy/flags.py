"""The flags of ``use nixpy``: arguments to values, by the one list of options.

``use nixpy``, the commands and the library all take the same flags; ``--name value``,
``--name=value``, and for what is true or false also ``--no-name``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nixpy.errors import OptionsError
from nixpy.options import OPTION_KEYS, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.options import OptionKey

__all__ = ["STRICT", "parse_flags"]

STRICT = "--strict"
"""Not an option of the environment: whether an old one may serve. `use nixpy` takes it too."""


def parse_flags(arguments: Sequence[str]) -> dict[str, object]:
    """Return the values of options by name; a flag given twice adds to a list, or is the last.

    Raises:
        OptionsError: an unknown flag, a flag without its value, or an argument that is no flag.
    """
    known = {key.flag: key for key in OPTION_KEYS}
    negative = {f"--no-{key.name}": key for key in OPTION_KEYS if key.kind == "boolean"}
    values: dict[str, object] = {}
    faults = []
    rest = [argument for argument in arguments if argument != STRICT]
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag in negative and not equals:
            values[negative[flag].name] = False
        elif flag not in known:
            mean = did_you_mean(flag, [*known, *negative])
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
    earlier = values.get(key.name, ())
    assert isinstance(earlier, tuple)
    values[key.name] = (*earlier, *texts)
