"""The launcher of the scope ``python``, on environments of several makes."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixpy.libraries.launcher import (
    CALLERS_VALUE,
    find_shell,
    install_launcher,
    remove_launcher,
)
from nixpy.marker import interpreter_of
from nixpy.process import SystemRunner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this is for Linux alone")

SEEN = (
    "import os, sys; own = open('/proc/self/environ', 'rb').read().split(b'\\0');"
    "print([os.fsdecode(x) for x in own if x.startswith(b'LD_LIBRARY_PATH=')],"
    f" os.environ.get('LD_LIBRARY_PATH'), os.environ.get('{CALLERS_VALUE}'), sys.prefix, sys.argv)"
)


@pytest.fixture(scope="module")
def shell() -> str:
    found = find_shell("", SystemRunner(), dict(os.environ))
    assert found is not None
    return found


@pytest.fixture(params=["links", "copies"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An environment."""
    path = Path(os.path.realpath(tmp_path)) / "an env"
    venv.create(path, symlinks=request.param == "links")
    return path


def state(prefix: Path) -> dict[str, str | bytes]:
    """What the interpreters of an environment are."""
    found = (path for path in (prefix / "bin").iterdir() if path.name.startswith("python"))
    return {
        path.name: os.readlink(path) if path.is_symlink() else path.read_bytes() for path in found
    }


def run(program: Path, *arguments: str, **variables: str) -> str:
    environ = {"PATH": "/usr/bin:/bin", **variables}
    argv = [str(program), "-I", "-c", SEEN, *arguments]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout


def test_the_interpreter_alone_sees_the_farm(prefix: Path, shell: str) -> None:
    install_launcher(str(prefix), "/a farm", shell)
    for name in ("python", "python3"):
        said = run(prefix / "bin" / name, "an argument", "")
        assert said == f"['LD_LIBRARY_PATH=/a farm'] None None {prefix} ['-c', 'an argument', '']\n"
    said = run(prefix / "bin/python", LD_LIBRARY_PATH="/own:/other")
    assert said.startswith("['LD_LIBRARY_PATH=/a farm:/own:/other'] /own:/other None ")
    said = run(prefix / "bin/python", LD_LIBRARY_PATH="")
    assert said.startswith("['LD_LIBRARY_PATH=/a farm']  None ")


def test_a_program_named_by_it_runs_as_ever(prefix: Path, shell: str, tmp_path: Path) -> None:
    install_launcher(str(prefix), "/farm", shell)
    short = tmp_path / "short"  # the kernel takes no blank in this line
    short.symlink_to(prefix)
    script = tmp_path / "tool"
    script.write_text(f"#!{short}/bin/python\nimport sys; print(sys.prefix, sys.argv[1:])\n")
    script.chmod(0o755)
    done = subprocess.run([script, "x y"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{short} ['x y']\n"


def test_what_a_bash_reads_at_its_start_is_not_read(prefix: Path, shell: str) -> None:
    install_launcher(str(prefix), "/farm", shell)
    hostile = prefix / "hostile"
    hostile.write_text("echo hostile; exit 1\n")
    variables = {
        "BASH_ENV": str(hostile),
        "ENV": str(hostile),
        "SHELLOPTS": "xtrace",
        "BASH_FUNC_exec%%": "() { echo hostile; }",
    }
    assert "hostile" not in run(prefix / "bin/python", **variables)


def test_it_is_undone_exactly(prefix: Path, shell: str) -> None:
    before = state(prefix)
    base = os.path.realpath(prefix / "bin/python")
    for farm in ("/one", "/two"):
        install_launcher(str(prefix), farm, shell)
    assert "'LD_LIBRARY_PATH=/two'" in run(prefix / "bin/python")
    if (prefix / ".nixpy/was-python").is_symlink() or not (prefix / ".nixpy/python").is_symlink():
        assert os.path.realpath(interpreter_of(str(prefix))) == base
    for _ in range(2):
        remove_launcher(str(prefix))
        assert state(prefix) == before
    assert interpreter_of(str(prefix)) == f"{prefix}/bin/python"
    assert not list(prefix.rglob("_nixpy.pth"))
    assert run(prefix / "bin/python").startswith("[] None None ")


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(exclude_characters="\0:", exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_any_directory_and_any_value_pass_unharmed(
    tmp_path_factory: pytest.TempPathFactory, shell: str, farm: str, callers: str
) -> None:
    prefix = Path(os.path.realpath(tmp_path_factory.mktemp("env"))) / "env"
    venv.create(prefix, symlinks=True)
    install_launcher(str(prefix), f"/{farm}", shell)
    code = (
        "import os, sys; own = open('/proc/self/environ', 'rb').read().split(b'\\0');"
        "sys.stdout.buffer.write([x for x in own if x.startswith(b'LD_LIBRARY_PATH=')][0][16:]"
        " + b'\\0' + os.environb[b'LD_LIBRARY_PATH'])"
    )
    done = subprocess.run(
        [prefix / "bin/python", "-I", "-c", code],
        env={b"LD_LIBRARY_PATH": os.fsencode(callers), b"LC_ALL": b"C.UTF-8"},
        capture_output=True,
        check=True,
    )
    inside, restored = done.stdout.split(b"\0")
    assert inside == os.fsencode(f"/{farm}" + (f":{callers}" if callers else ""))
    assert restored == os.fsencode(callers)


def test_without_a_shell_that_can_there_is_none(tmp_path: Path) -> None:
    class Runner(SystemRunner):
        def capture(self, *_: object, **__: object):  # type: ignore[no-untyped-def]
            raise OSError

    assert find_shell(str(tmp_path), Runner(), {}) is None
