"""Loading files to see whether they load: each in a process of its own, which may crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nixpy.process import Runner

__all__ = ["LIMIT", "Loading", "Outcome", "load"]

MOST_LOADS = 500
"""Files that one process loads: their paths are its arguments, whose length has a limit."""

LIMIT = 30.0
"""Seconds that a file has to load: some hundred megabytes, from a disk that is cold."""

CHECK = """\
import ctypes, json, os, resource, select, signal, sys

def load(path, answer):
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        try:
            ctypes.CDLL(path)
            said = b"+"
        except Exception:
            # What the linker says has names in it, which ctypes may fail to decode: it is asked
            # for the bytes.
            own = ctypes.CDLL(None)
            dlopen, dlerror = own.dlopen, own.dlerror
            dlerror.restype = ctypes.c_char_p
            dlopen(os.fsencode(path), os.RTLD_NOW)
            said = b"-" + (dlerror() or b"")
        os.write(answer, said[:4096])
    finally:
        os._exit(0)

limit = float(sys.argv[1])
for path in sys.argv[2:]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        load(path, writing)
    os.close(writing)
    in_time = select.select([reading], [], [], limit)[0]
    said = os.read(reading, 4096) if in_time else b""
    os.close(reading)
    for kill in os.killpg, os.kill:
        try:
            kill(child, signal.SIGKILL)
        except OSError:
            pass
    status = os.waitpid(child, 0)[1]
    if said:
        outcome = "loaded" if said[:1] == b"+" else "said"
        text = os.fsdecode(said[1:])
    else:
        outcome = "ended"
        if not in_time:
            text = "it does not load within %g s" % limit
        elif os.WIFSIGNALED(status):
            text = "loading it crashes, with signal %d" % os.WTERMSIG(status)
        else:
            text = "loading it ends the interpreter"
    print(json.dumps([path, outcome, text]), flush=True)
"""
"""Loads files, each in a process of its own; what libraries print is not to be mixed with it."""


class Outcome(NamedTuple):
    """What came of loading a file: ``said`` is an answer of the dynamic linker."""

    kind: Literal["loaded", "said", "ended"]
    text: str = ""


Loading: TypeAlias = "tuple[Runner, Mapping[str, str], float]"
"""What starts the interpreter, its environment, and the seconds that a file has."""


def load(
    prefix: str, files: Iterable[str], library_path: str, loading: Loading
) -> dict[str, Outcome]:
    """Load files with an environment's interpreter, and return what came of each.

    Args:
        prefix: path of the environment.
        files: their paths.
        library_path: ``LD_LIBRARY_PATH`` of the interpreter; empty for none.
        loading: what starts it.
    """
    runner, environ, limit = loading
    environ = {name: value for name, value in environ.items() if name != "LD_LIBRARY_PATH"}
    if library_path:
        environ["LD_LIBRARY_PATH"] = library_path
    found: dict[str, Outcome] = {}
    pending = list(files)
    while pending:
        batch, pending = pending[:MOST_LOADS], pending[MOST_LOADS:]
        # Without site, whose .pth files are programs of the environment.
        argv = [f"{prefix}/bin/python", "-I", "-S", "-c", CHECK, f"{limit:g}", *batch]
        try:
            done = runner.capture(argv, cwd="/", environ=environ, timeout=60 + limit * len(batch))
        except OSError as error:
            lines, why = [], error.strerror
        else:
            lines = done.stdout.splitlines()
            why = (done.stderr.strip().splitlines() or [f"status {done.status}"])[-1]
        untried = Outcome("ended", f"whether it loads could not be found out: {why}")
        found.update(dict.fromkeys(batch, untried))
        found.update((file, Outcome(kind, text)) for file, kind, text in map(json.loads, lines))
    return found
