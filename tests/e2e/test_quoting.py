"""`render`, then a real shell, is `Environment.apply`: for every shell, and for any bytes.

A shell is started once for many examples. For each it starts from the example's variables, prints
its environment, evaluates what was rendered, and prints its environment again; what it printed
first is what the operations apply to, since shells change a few variables when they start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nixpy.environment import Environment, Operation, Prepend, Set, Unset
from nixpy.shells import render

NAMES = ("PLAIN", "EMPTY", "_under_9", "PATH_LIKE", "SOMEPATH", "NIX_PATH")

_PIECES = (
    *(bytes([byte]) for byte in range(1, 256)),
    *(bytes([byte]) for byte in b"'\"\\\n$`!:*~?[]{}()<>|&;# \t\r\x01\x7f%^=-@,/" * 8),
    *(text.encode() for text in ("é", "€", "\uf680", "\uf6ff", "\ue000", "\ufdd0", "😀", "’", "\xa0")),
    *(b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\xaf"),
    *(b"-n", b"--", b"-e", b"${HOME}", b"$(ls)", b"`ls`", b"!!", b"!$", b"\\n", b"\\x41", b"\\'"),
    *(b"\n\n", b"::", b":::::", b"  ", b"&", b"\\&", b"''", b"'\\''", b"EOF", b"~/x", b"/a", b"/A"),
)


def _bytes(pieces: Sequence[bytes], most: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=most).map(b"".join).map(os.fsdecode)
