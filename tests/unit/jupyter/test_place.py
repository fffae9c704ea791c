"""Paths in kernelspecs."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.jupyter.place import path_of, place_of

PATHS = st.binary().map(lambda tail: os.fsdecode(b"/" + tail.replace(b"\0", b"")))


@given(PATHS)
def test_a_path_comes_back_through_json_and_holds_no_template(path: str) -> None:
    place = place_of(path)
    place.encode()
    assert path_of(json.loads(json.dumps(place))) == path
    assert "{" not in place
    assert "$" not in place


@pytest.mark.parametrize("path", ["/home/me/app", "/home/me/with space", "/home/ünï"])
def test_a_plain_path_is_written_as_it_is(path: str) -> None:
    assert place_of(path) == path
