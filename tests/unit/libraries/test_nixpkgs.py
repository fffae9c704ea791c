from __future__ import annotations

import re

import pytest

from nixpy.libraries.nixpkgs import GLIBC, TABLE, attribute_of, shell_line

PEP_513 = {
    *("libpanelw.so.5", "libncursesw.so.5", "libgcc_s.so.1", "libstdc++.so.6", "libm.so.6"),
    *("libdl.so.2", "librt.so.1", "libc.so.6", "libnsl.so.1", "libutil.so.1", "libpthread.so.0"),
    *("libresolv.so.2", "libX11.so.6", "libXext.so.6", "libXrender.so.1", "libICE.so.6"),
    *("libSM.so.6", "libGL.so.1", "libgobject-2.0.so.0", "libgthread-2.0.so.0"),
    "libglib-2.0.so.0",
}
PEP_571 = PEP_513 - {"libpanelw.so.5", "libncursesw.so.5"}
PEP_599 = PEP_571
PEP_600 = PEP_599 | {"libz.so.1", "libexpat.so.1", "libatomic.so.1", "libanl.so.1", "libmvec.so.1"}


@pytest.mark.parametrize("policy", [PEP_513, PEP_571, PEP_599, PEP_600])
def test_what_a_policy_lets_a_wheel_expect_is_known(policy: set[str]) -> None:
    assert {one for one in policy if one not in GLIBC and attribute_of(one) is None} == set()


def test_every_row_is_one_and_has_its_source() -> None:
    assert len({row.soname for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert re.search(r"\.so(\.|$)", row.soname)
        assert re.fullmatch(r"[A-Za-z_][\w.-]*", row.attribute)
        assert row.source
        assert row.soname not in GLIBC


def test_the_line_names_each_attribute_once() -> None:
    assert shell_line(["zlib", "stdenv.cc.cc.lib", "zlib"]) == (
        "LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ pkgs.zlib pkgs.stdenv.cc.cc.lib ];"
    )


def test_what_is_unknown_is_none() -> None:
    assert attribute_of("libnixpydemo.so.1") is None
