"""Taking secrets out of text, and the home directory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nixpy.inputs import MASK, SECRET_NAMES, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["is_secret_name", "mask_secrets", "secrets_mask", "shorten_home"]

SHOWN = "***"
"""What a reader sees for a secret."""

SHORTEST = 6
"""Letters of a secret that is looked for in other text: ``1`` or ``true`` would be everywhere."""

_PARTS = re.compile(
    r"TOKEN|SECRET|PASSW(?:OR)?D|PASSPHRASE|CREDENTIAL|API_?KEY|PRIVATE|COOKIE|(?:^|_)(?:PAT|PWD|AUTH|PW|KEY)$"
)
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})

_TOKENS = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|pypi-[\w-]{16,}|hf_\w{20,}"
    r"|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
_PAIR = re.compile(
    r"(?P<name>\b\w*(?:token|secret|passw(?:or)?d|api_?key|credential)\w*[\"']?\s*[=:]\s*[\"']?)"
    r"(?P<value>[^\s\"'*]{4,})",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name holds a credential, as far as a name can tell."""
    upper = name.upper()
    if upper in _NOT_SECRET:
        return False
    return upper.endswith(SECRET_NAMES) or _PARTS.search(upper) is not None


def secrets_mask(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return what takes secrets out of a text: those of the variables, and what looks like one."""
    values = {
        value
        for name, value in environ.items()
        if is_secret_name(name) and len(value) >= SHORTEST and not value.startswith("/")
    }
    # The longest first: one may be part of another.
    known = sorted(values, key=len, reverse=True)

    def mask(text: str) -> str:
        for value in known:
            text = text.replace(value, SHOWN)
        return mask_secrets(text)

    return mask


def mask_secrets(text: str) -> str:
    """Return a text without users and passwords in URLs, and without what looks like a token."""
    text = without_secrets(text).replace(MASK, SHOWN)
    text = _TOKENS.sub(SHOWN, text)
    return _PAIR.sub(lambda match: match["name"] + SHOWN, text)


def shorten_home(text: str, home: str | None) -> str:
    """Return a text with ``~`` for the home directory."""
    if not home or home == "/":
        return text
    return re.sub(rf"{re.escape(home.rstrip('/'))}(?=/|\b|$)", "~", text)
