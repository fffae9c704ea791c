from __future__ import annotations

import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from nixpy.doctor.checks.nixpy import cache_on_network, mount_of
from nixpy.doctor.examination import Examination
from nixpy.doctor.finding import Absent
from nixpy.doctor.once import once

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 28 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw
31 30 0:41 / /home/me/with\\040blank rw - tmpfs tmpfs rw
32 30 0:42 / /home/sshfs rw master:1 - fuse.sshfs server: rw
broken
"""


class Counted:
    def __init__(self) -> None:
        self.kept: dict[str, object] = {}
        self.calls = 0

    @once
    def value(self) -> int:
        self.calls += 1
        time.sleep(0.05)
        return 7

    @once
    def absent(self) -> int:
        self.calls += 1
        raise Absent("not here")


def test_a_value_is_computed_once_by_however_many_threads() -> None:
    one = Counted()
    threads = [threading.Thread(target=lambda: one.value) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (one.value, one.calls) == (7, 1)


def test_an_absence_is_found_out_once() -> None:
    one = Counted()
    for _ in range(2):
        with pytest.raises(Absent, match="not here"):
            _ = one.absent
    assert one.calls == 1


def test_a_program_that_takes_too_long_is_an_absence(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(stat.S_IRWXU)
    seen = Examination(environ={"PATH": os.defpath})
    started = time.monotonic()
    with pytest.raises(Absent, match=r"`slow` took longer than"):
        seen.ask([str(slow)])
    assert time.monotonic() - started < 5
    with pytest.raises(Absent, match="no time was left to ask other"):
        seen.ask(["/bin/other"])


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/usr/lib", ("/", "ext4")),
        ("/home/me/.cache", ("/home", "nfs4")),
        ("/home/me/with blank/x", ("/home/me/with blank", "tmpfs")),
        ("/homes", ("/", "ext4")),
        ("/home/sshfs", ("/home/sshfs", "fuse.sshfs")),
    ],
)
def test_the_mount_of_a_path_is_the_innermost(path: str, mount: tuple[str, str]) -> None:
    assert mount_of(path, MOUNTS) == mount


def test_a_cache_on_a_network_file_system_is_found(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    point = tmp_path / "home"
    (point / "nixpy").mkdir(parents=True)
    line = f"30 22 0:40 / {point} rw,relatime - nfs4 server:/home rw\n"
    (tmp_path / "proc/self/mountinfo").write_text(MOUNTS + line)
    environ = {"XDG_CACHE_HOME": str(point), "XDG_STATE_HOME": "/", "TMPDIR": "/"}
    seen = Examination(environ=environ, directory=str(tmp_path), root=str(tmp_path))
    found = [line for one in cache_on_network(seen) for line in one.evidence]
    assert found == [f"{point}/nixpy (nixpy's cache) is on {point}, which is nfs4"]
    environ["XDG_CACHE_HOME"] = "/"
    seen = Examination(environ=environ, directory=str(tmp_path), root=str(tmp_path))
    assert list(cache_on_network(seen)) == []
