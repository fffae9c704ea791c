"""The demonstration: a project, a real interactive bash with direnv's hook, and the times.

Everything happens in a temporary directory with a HOME of its own. Exits with 1 if something is
not as the README promises.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect

PROMPT = "__prompt__ "
ROUNDS = 15

PYPROJECT = """\
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["attrs", "iniconfig"]
"""


def tell(text: str) -> None:
    """Explain a step."""
    print(f"\n# {text}")


def check(claim: bool, text: str) -> None:
    """End the demonstration where something is not as promised."""
    if not claim:
        print(f"\nThis is not as promised: {text}")
        sys.exit(1)


def prepared(top: Path) -> dict[str, str]:
    """Return an isolated environment with nixpy and uv on PATH, but not the python they run on."""
    programs = top / "bin"
    programs.mkdir()
    for name in ("nixpy", "uv"):
        (programs / name).symlink_to(Path(sys.executable).parent / name)
    own = {"VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"}
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in own and not name.startswith(("DIRENV_", "NIXPY_", "PIP_"))
    }
    beside = str(Path(sys.executable).parent)
    path = [one for one in environ.get("PATH", os.defpath).split(":") if one and one != beside]
    places = {f"XDG_{kind}_HOME": str(top / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return {
        **environ,
        **places,
        "XDG_STATE_HOME": str(top / "state"),
        "HOME": str(top),
        # A configured index for pip would make this a project for pip (rule 7).
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(top / "uv-cache"),
        "UV_NO_PROGRESS": "1",
        "TERM": os.environ.get("TERM", "dumb") if sys.stdout.isatty() else "dumb",
        "PATH": ":".join([str(programs), *path]),
    }


class Transcript:
    """A real interactive bash whose every line is shown."""

    def __init__(self, environ: dict[str, str], directory: Path) -> None:
        startup = Path(environ["HOME"]) / "bashrc"
        hook = 'eval "$(direnv hook bash)"' if shutil.which("direnv") else ":"
        startup.write_text(
            f"PS1='{PROMPT}'\nbind 'set enable-bracketed-paste off'\n"
            f"export DIRENV_LOG_FORMAT=\n{hook}\n"
        )
        self._bash = pexpect.spawn(
            "bash",
            ["--noprofile", "--rcfile", str(startup), "-i"],
            env=environ,
            cwd=str(directory),
            encoding="utf-8",
            echo=False,
            timeout=300,
            dimensions=(50, 120),
        )
        self._bash.expect_exact(PROMPT)

    def type(self, line: str) -> str:
        """Type a line and return what the terminal showed."""
        print(f"$ {line}")
        self._bash.sendline(line)
        self._bash.expect_exact(PROMPT)
        shown = (self._bash.before or "").replace("\r", "").strip("\n")
        if shown:
            print(shown)
        return shown

    def close(self) -> None:
        """End the shell."""
        self._bash.close(force=True)


def seconds(environ: dict[str, str], directory: Path) -> float:
    """Return how long direnv takes to load a directory."""
    started = time.perf_counter()
    subprocess.run(
        ["direnv", "export", "bash"],
        cwd=directory,
        env={**environ, "PWD": str(directory)},
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - started


def with_direnv(environ: dict[str, str], top: Path, project: Path) -> None:
    """Show the main job."""
    empty = top / "empty"
    empty.mkdir()
    (empty / ".envrc").write_text("")
    (project / ".envrc").write_text("use nixpy\n")
    for directory in (empty, project):
        subprocess.run(["direnv", "allow"], cwd=directory, env=environ, check=True)
    bash = Transcript(environ, top)
    tell("Once for each user: teach direnv the line `use nixpy`.")
    bash.type("nixpy setup")
    tell("A project, and its .envrc.")
    bash.type("cat project/pyproject.toml project/.envrc")
    tell("The first cd makes the environment. (`direnv allow` was run before.)")
    started = time.perf_counter()
    shown = bash.type("cd project")
    first = time.perf_counter() - started
    check("synced with uv" in shown, "the first cd syncs")
    shown = bash.type("python -c 'import attrs, iniconfig, sys; print(sys.prefix)'")
    check(str(project / ".venv") in shown, "the packages are importable")
    tell("What was decided, and why.")
    bash.type("nixpy explain")
    tell("Leaving takes the environment away.")
    bash.type("cd ..")
    check("gone" in bash.type("echo ${VIRTUAL_ENV-gone}"), "leaving takes the environment away")
    tell("In again: nothing changed, so nixpy is not even started. To prove it, it is taken away.")
    bash.type("mv bin/nixpy bin/nixpy.away")
    check(bash.type("cd project") == "", "the second cd is silent")
    shown = bash.type("echo ${VIRTUAL_ENV-gone}")
    check(shown == str(project / ".venv"), "the second cd loads the environment without nixpy")
    bash.type("mv ~/bin/nixpy.away ~/bin/nixpy")
    bash.close()

    warm, bare = [], []
    for _ in range(ROUNDS):
        bare.append(seconds(environ, empty))
        warm.append(seconds(environ, project))
    tell(f"What a cd costs (medians of {ROUNDS}; the first is one alone).")
    for name, value in (
        ("first cd, with the sync", first),
        ("second cd", statistics.median(warm)),
        ("cd to an empty .envrc", statistics.median(bare)),
    ):
        print(f"{name:34} {value * 1000:8.1f} ms")


def without_direnv(environ: dict[str, str], top: Path) -> None:
    """Show the way without direnv."""
    tell("direnv is not installed and could not be installed here: this is the way without it.")
    bash = Transcript(environ, top)
    bash.type("cat project/pyproject.toml")
    bash.type("cd project")
    bash.type('eval "$(nixpy export bash)"')
    shown = bash.type("python -c 'import attrs, iniconfig, sys; print(sys.prefix)'")
    check("project/.venv" in shown, "the packages are importable")
    tell("What was decided, and why.")
    bash.type("nixpy explain")
    tell("And back.")
    bash.type('eval "$(nixpy deactivate bash)"')
    check("gone" in bash.type("echo ${VIRTUAL_ENV-gone}"), "leaving takes the environment away")
    bash.close()


def main() -> None:
    """Run the demonstration."""
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="nixpy-demo-")))
    try:
        project = top / "project"
        project.mkdir()
        (project / "pyproject.toml").write_text(PYPROJECT)
        environ = prepared(top)
        if shutil.which("direnv"):
            with_direnv(environ, top, project)
        else:
            without_direnv(environ, top)
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()
