"""What entering a directory costs, and what the commands cost: one table.

Run by ``scripts/bench``; benchmarks/README.md says what each figure means.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.hooks import hook_rows, hook_times
from benchmarks.measure import MeasurementError, Ratio, Subject, ratio, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOTHING: Mapping[str, str] = MappingProxyType({})
DEPENDENCIES = ("attrs", "iniconfig", "packaging")
TOUCHED_FROM = 1_600_000_000
"""Modification times that are given to touched files: always others, and never young."""


@dataclass(frozen=True)
class Comparison:
    """A subject, what it is measured against, and the bound of DESIGN.md (section 11), if any."""

    subject: str
    reference: str
    bound: float | None = None


@dataclass(frozen=True)
class Overhead:
    """What two subjects cost more than a third one: how often the first fits into the second."""

    small: str
    large: str
    base: str
    bound: float


@dataclass(frozen=True)
class Group:
    """Subjects that take turns, and how they compare."""

    subjects: tuple[Subject, ...]
    comparisons: tuple[Comparison, ...]
    rounds: int
    overheads: tuple[Overhead, ...] = ()


class Workshop:
    """A temporary machine: a HOME, a PATH and projects of its own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.skipped: list[str] = []
        programs = top / "bin"
        programs.mkdir()
        for name in ("nixpy", "uv"):
            (programs / name).symlink_to(Path(sys.executable).parent / name)
        # What is compared with the interpreter's own start runs on the very same interpreter.
        self.interpreter = sys.executable
        places = {
            f"XDG_{kind.upper()}_HOME": str(top / kind)
            for kind in ("cache", "config", "data", "state")
        }
        kept = ("LANG", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        self.environ = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **places,
            "HOME": str(top),
            "PATH": f"{programs}:{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            # An index configured for pip would make these projects for pip (rule 7).
            "PIP_CONFIG_FILE": os.devnull,
            "UV_PYTHON_DOWNLOADS": "never",
        }
        self.run("nixpy", "setup")

    def program(self, name: str) -> str:
        """Return the path of a program."""
        found = shutil.which(name, path=self.environ["PATH"])
        if found is None:
            raise FileNotFoundError(f"{name} is not installed")
        return found

    def run(
        self, *argv: str, cwd: Path | None = None, variables: Mapping[str, str] = NOTHING
    ) -> str:
        """Run a program to its end and return what it printed."""
        directory = cwd or self.top
        done = subprocess.run(
            [self.program(argv[0]), *argv[1:]],
            cwd=directory,
            env={**self.environ, **variables, "PWD": str(directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MeasurementError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def project(self, name: str, envrc: str, **files: str) -> Path:
        """Make a directory with an allowed ``.envrc``; ``a_toml`` names the file ``a.toml``."""
        path = self.top / "projects" / name
        path.mkdir(parents=True)
        for file, text in {"_envrc": envrc, **files}.items():
            (path / file.replace("_", ".")).write_text(text)
        self.run("direnv", "allow", cwd=path)
        return path

    def entering(
        self,
        name: str,
        path: Path,
        before: Callable[[int], None] | None = None,
        variables: Mapping[str, str] = NOTHING,
    ) -> Subject:
        """Return the subject of direnv loading a directory, after having loaded it once."""
        self.run("direnv", "export", "bash", cwd=path, variables=variables)
        argv = (self.program("direnv"), "export", "bash")
        return Subject(name, argv, path, {**self.environ, **variables}, before)

    def exported(self, path: Path) -> dict[str, str]:
        """Return the variables that direnv sets in a directory."""
        changes: dict[str, str | None] = json.loads(self.run("direnv", "export", "json", cwd=path))
        return {name: value for name, value in changes.items() if value is not None}

    def static(self, name: str, model: Path, *, watches: bool = False) -> Path:
        """Make a project whose ``.envrc`` exports, statically, what another one's comes to.

        With ``watches``, direnv's list of what is watched is one of these.
        """
        lines = [
            "export PATH=" + quoted(f"{model}/.venv/bin") + ':"$PATH"'
            if variable == "PATH"
            else f"export {variable}={quoted(value)}"
            for variable, value in self.exported(model).items()
            if not variable.startswith("DIRENV_") or (watches and variable == "DIRENV_WATCHES")
        ]
        return self.project(name, "\n".join([*lines, ""]))


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def manifest(name: str, dependencies: tuple[str, ...] = ()) -> str:
    return (
        f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.10"\n'
        f"dependencies = {json.dumps(list(dependencies))}\n"
    )


def touching(path: Path) -> Callable[[int], None]:
    """Return what gives a file a modification time that it never had."""

    def touch(number: int) -> None:
        seconds = TOUCHED_FROM + number
        os.utime(path, (seconds, seconds))

    return touch


def changing(path: Path) -> Callable[[int], None]:
    """Return what appends a comment to a file, as it were a while ago."""

    def change(number: int) -> None:
        with path.open("a") as file:
            file.write(f"# {number}\n")
        touching(path)(number)

    return change


def ten_inputs(workshop: Workshop, name: str) -> Path:
    """Make a project of ten files."""
    path = workshop.project(
        name,
        "use nixpy\n",
        requirements_txt="-r more.txt\n-c limits.txt\n",
        more_txt="",
        limits_txt="",
        nixpy_toml='watch = ["data/*.txt"]\n',
    )
    add_files(path, 6)
    return path


def hundred_inputs(workshop: Workshop, name: str) -> Path:
    """Make a project of a hundred files and a hundred variables."""
    table = "".join(f'EXAMPLE_{number} = "value {number}"\n' for number in range(100))
    path = workshop.project(
        name,
        "use nixpy\n",
        requirements_txt="",
        nixpy_toml=f'watch = ["data/*.txt"]\n[env]\n{table}',
    )
    add_files(path, 98)
    return path


def add_files(path: Path, count: int) -> None:
    (path / "data").mkdir()
    for number in range(count):
        (path / f"data/{number}.txt").write_text(f"{number}\n")


def warm_entries(workshop: Workshop, rounds: int) -> Group:
    """An entry that holds, beside an empty ``.envrc`` and one of the same exports."""
    empty = workshop.project("empty", "")
    ten = ten_inputs(workshop, "ten")
    workshop.run("direnv", "export", "bash", cwd=ten)
    static = workshop.static("static-ten", ten)
    watching = workshop.static("watching-ten", ten, watches=True)
    warm, watched = "nixpy, warm, 10 inputs", "static exports of the same and of its watches"
    return Group(
        (
            workshop.entering("empty `.envrc`", empty),
            workshop.entering(warm, ten),
            workshop.entering("static exports of the same", static),
            workshop.entering(watched, watching),
        ),
        (
            Comparison("static exports of the same", "empty `.envrc`"),
            Comparison(watched, "empty `.envrc`"),
            Comparison(warm, "empty `.envrc`", 1.05),
            Comparison(warm, watched),
        ),
        rounds,
    )


def large_entries(workshop: Workshop, rounds: int) -> Group:
    """The same with a hundred inputs and a hundred variables."""
    hundred = hundred_inputs(workshop, "hundred")
    workshop.run("direnv", "export", "bash", cwd=hundred)
    static = workshop.static("static-hundred", hundred)
    watching = workshop.static("watching-hundred", hundred, watches=True)
    warm, plain = "nixpy, warm, 100 inputs, 100 variables", "static exports, 100 variables"
    watched = "static exports, 100 variables, and the watches"
    return Group(
        (
            workshop.entering(plain, static),
            workshop.entering(warm, hundred),
            workshop.entering(watched, watching),
        ),
        (
            Comparison(watched, plain),
            Comparison(warm, plain, 1.05),
            Comparison(warm, watched),
        ),
        rounds,
    )


def other_ways(workshop: Workshop, rounds: int) -> Group:
    """Entries that do not hold, and what others do at every load."""
    empty = workshop.project("empty-again", "")
    touched = ten_inputs(workshop, "touched")
    changed = workshop.project("changed", "use nixpy\n", pyproject_toml=manifest("changed"))
    subjects = [
        workshop.entering("empty `.envrc`, again", empty),
        workshop.entering("nixpy, an input touched", touched, touching(touched / "more.txt")),
        workshop.entering(
            "nixpy, content changed, nothing to install",
            changed,
            changing(changed / "pyproject.toml"),
        ),
    ]
    for make in (layout_python3, uv_sync, use_flake, nix_direnv):
        subjects.extend(if_possible(workshop, make))
    others = tuple(Comparison(subject.name, "empty `.envrc`, again") for subject in subjects[1:])
    return Group(tuple(subjects), others, rounds)


def if_possible(workshop: Workshop, make: Callable[[Workshop], Subject]) -> tuple[Subject, ...]:
    """Return the subject that ``make`` makes, or none and keep the reason."""
    try:
        return (make(workshop),)
    except (MeasurementError, FileNotFoundError) as reason:
        name = make.__name__.replace("_", " ")
        workshop.skipped.append(f"{name}: {str(reason).strip().splitlines()[-1]}")
        return ()


def layout_python3(workshop: Workshop) -> Subject:
    path = workshop.project("layout", "layout python3\n")
    subject = workshop.entering("direnv's `layout python3`", path)
    if "VIRTUAL_ENV" not in workshop.exported(path):
        raise MeasurementError("direnv could not make the environment with this python3")
    return subject


def uv_sync(workshop: Workshop) -> Subject:
    envrc = "uv sync --quiet\nexport VIRTUAL_ENV=$PWD/.venv\nPATH_add .venv/bin\n"
    path = workshop.project("uv-sync", envrc, pyproject_toml=manifest("uv-sync"))
    return workshop.entering("`uv sync` on each load", path)


FLAKE = """\
{
  outputs = { self }: let
    system = "%s";
    built = name: script: derivation {
      inherit name system;
      outputs = [ "out" ];
      builder = "/bin/bash";
      args = [ "-c" "PATH=/usr/bin:/bin; ${script}" ];
    };
  in {
    devShells.${system}.default = derivation {
      name = "shell";
      inherit system;
      outputs = [ "out" ];
      builder = "/bin/bash";
      stdenv = built "stdenv" "mkdir $out; echo 'export PATH=$PATH:/usr/bin:/bin' > $out/setup";
      PATH = "${built "tool" "mkdir -p $out/bin; echo tool > $out/bin/tool"}/bin";
    };
  };
}
"""


def flake_project(workshop: Workshop, name: str, envrc: str) -> tuple[Path, dict[str, str]]:
    """Make a project with a flake that stands on nothing but /bin/bash, and Nix's settings."""
    nix = workshop.program("nix")
    settings = workshop.top / f"{name}-nix"
    settings.mkdir()
    (settings / "nix.conf").write_text(
        "build-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\n"
    )
    variables = {"NIX_CONF_DIR": str(settings)}
    system = workshop.run(
        nix, "eval", "--impure", "--raw", "--expr", "builtins.currentSystem", variables=variables
    )
    path = workshop.project(name, envrc)
    (path / "flake.nix").write_text(FLAKE % system)
    # Without a repository Nix would copy the whole directory into the store at each evaluation.
    workshop.run("git", "init", "-q", cwd=path)
    workshop.run("git", "add", "flake.nix", cwd=path)
    return path, variables


def use_flake(workshop: Workshop) -> Subject:
    path, variables = flake_project(workshop, "use-flake", "use flake\n")
    workshop.run("nix", "print-dev-env", cwd=path, variables=variables)
    return workshop.entering("direnv's `use flake`", path, variables=variables)


def nix_direnv(workshop: Workshop) -> Subject:
    library = os.environ.get("NIX_DIRENVRC", "")
    if not library:
        raise MeasurementError("give its direnvrc as NIX_DIRENVRC=path")
    envrc = f"source {quoted(os.path.abspath(library))}\nuse flake\n"
    path, variables = flake_project(workshop, "nix-direnv", envrc)
    workshop.run("nix", "print-dev-env", cwd=path, variables=variables)
    return workshop.entering("nix-direnv's `use flake`", path, variables=variables)


SHELLS = Path(__file__).parents[1] / "tests/flakes/shells"


def large_project(workshop: Workshop, name: str, envrc: str) -> tuple[Path, dict[str, str]]:
    """Make a project with a dev shell of 150 functions and 100 variables, and Nix's settings."""
    path, variables = flake_project(workshop, name, envrc)
    for file in ("flake.nix", "data.txt", "interpreter.txt", "nix", "hooks"):
        source = SHELLS / file
        if source.is_dir():
            shutil.copytree(source, path / file)
        else:
            shutil.copy(source, path / file)
    workshop.run("git", "add", "--all", cwd=path)
    return path, variables


def dev_shells(workshop: Workshop, rounds: int) -> Group:
    """A warm entry of a project with a dev shell, and direnv's own way to it."""
    empty = workshop.project("empty-beside-a-flake", "")
    own = "nixpy, warm, a dev shell of 150 functions and 100 variables"
    use = "direnv's `use flake` of that dev shell"
    plain, none = "static exports of that dev shell", "empty `.envrc`, beside dev shells"
    path, variables = large_project(workshop, "dev-shell", "use nixpy --flake .#large\n")
    other, _ = large_project(workshop, "dev-shell-by-direnv", "use flake .#large\n")
    workshop.environ.update(variables)
    workshop.run("direnv", "export", "bash", cwd=path)
    return Group(
        (
            workshop.entering(none, empty),
            workshop.entering(own, path),
            workshop.entering(plain, workshop.static("static-dev-shell", path)),
            workshop.entering(use, other),
        ),
        (
            Comparison(plain, none),
            Comparison(own, none),
            Comparison(own, plain, 1.05),
            Comparison(use, none),
        ),
        rounds,
        (Overhead(own, use, none, 10.0),),
    )


def conda(workshop: Workshop, rounds: int) -> Group:
    """A warm entry of a conda environment, beside one of a virtual environment."""
    own, other = "nixpy, warm, a conda environment", "nixpy, warm, a virtual environment"
    none = "empty `.envrc`, beside these"
    path = workshop.project("conda", "use nixpy --conda-engine rattler\n")
    lines = ("channels: []", "dependencies: []", "variables:", "  A: a")
    (path / "environment.yml").write_text("\n".join((*lines, "")))
    for name in ("activate.d", "env_vars.d"):
        (path / ".conda/etc/conda" / name).mkdir(parents=True, exist_ok=True)
    (path / ".conda/conda-meta").mkdir()
    (path / ".conda/conda-meta/history").write_text("")
    (path / ".conda/etc/conda/activate.d/b.sh").write_text("export B=b\n")
    beside = workshop.project("virtual", "use nixpy --env A=a --env B=b\n")
    (beside / "requirements.txt").write_text("")
    empty = workshop.project("empty-beside-conda", "")
    return Group(
        (
            workshop.entering(none, empty),
            workshop.entering(other, beside),
            workshop.entering(own, path),
        ),
        (Comparison(other, none), Comparison(own, none), Comparison(own, other, 1.05)),
        rounds,
    )


def commands(workshop: Workshop, rounds: int) -> Group:
    """What revalidates an entry, beside the start of the same interpreter."""
    path = ten_inputs(workshop, "commands")
    nixpy = workshop.program("nixpy")
    workshop.run("nixpy", "sync", cwd=path)
    touch = touching(path / "more.txt")
    start = (workshop.interpreter, "-I", "-c", "pass")
    python = "`python -I -c pass`"
    export, run = "`nixpy export bash`", "`nixpy run -- true`"
    environ = workshop.environ
    return Group(
        (
            Subject(python, start, path, environ),
            Subject(f"{export}, inputs touched", (nixpy, "export", "bash"), path, environ, touch),
            Subject(export, (nixpy, "export", "bash"), path, environ),
            Subject(run, (nixpy, "run", "--", "true"), path, environ),
            Subject(f"{run}, inputs touched", (nixpy, "run", "--", "true"), path, environ, touch),
        ),
        (
            Comparison(export, python, 1.6),
            Comparison(f"{export}, inputs touched", python, 1.6),
            Comparison(run, python, 1.6),
            Comparison(f"{run}, inputs touched", python, 1.6),
        ),
        rounds,
    )


LAUNCHER = "import sys\n"
"""What stands for ipykernel: its own start would hide what comes before it."""


def kernels(workshop: Workshop, rounds: int) -> Group:
    """What resolving the environment adds to the start of a kernel."""
    path = ten_inputs(workshop, "kernels")
    nixpy, environ = workshop.program("nixpy"), workshop.environ
    workshop.run("nixpy", "sync", cwd=path)
    site = next(path.glob(".venv/lib/python*/site-packages"))
    info = site / "ipykernel-7.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ipykernel\nVersion: 7.0.0\n")
    (site / "ipykernel").mkdir()
    (site / "ipykernel/__init__.py").touch()
    (site / "ipykernel_launcher.py").write_text(LAUNCHER)
    workshop.run("nixpy", "sync", cwd=path)
    python = str(path / ".venv/bin/python")
    connection = ("-f", str(path / "connection.json"))
    start, run = (
        "`python -I -c pass`, beside kernels",
        "`nixpy run -- python -m ipykernel_launcher`",
    )
    direct, ours = "`python -m ipykernel_launcher` of a stub", "`nixpy kernel start` of the same"
    launch = ("-m", "ipykernel_launcher", *connection)
    return Group(
        (
            Subject(start, (workshop.interpreter, "-I", "-c", "pass"), path, environ),
            Subject(direct, (python, *launch), path, environ),
            Subject(run, (nixpy, "run", "--", "python", *launch), path, environ),
            Subject(
                ours, (nixpy, "kernel", "start", "--project", str(path), *connection), path, environ
            ),
        ),
        (
            Comparison(ours, direct),
            # The bound of `nixpy run`, which runs nothing there, and a whole Python here.
            Comparison(ours, run, 1.05),
        ),
        rounds,
    )


DIAGNOSED = 300
"""Distributions of the environment that the doctor looks at."""

MODULE = b"value = 1\n"


def diagnoses(workshop: Workshop, rounds: int) -> Group:
    """What `nixpy doctor` costs where all is well, beside what it asks uv for."""
    names = [f"many{number}" for number in range(DIAGNOSED)]
    path = workshop.project("doctor", "use nixpy\n", requirements_txt="\n".join(names))
    workshop.run("uv", "venv", "--quiet", cwd=path)
    site = next(path.glob(".venv/lib/python*/site-packages"))
    digest = base64.urlsafe_b64encode(hashlib.sha256(MODULE).digest()).decode().rstrip("=")
    for name in names:
        info = site / f"{name}-1.0.dist-info"
        for directory in (site / name, info):
            directory.mkdir()
        files = [f"{name}/module{number}.py" for number in range(20)]
        for file in files:
            (site / file).write_bytes(MODULE)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py3-none-any\n")
        rows = [f"{file},sha256={digest},{len(MODULE)}\n" for file in files]
        (info / "RECORD").write_text("".join((*rows, f"{info.name}/METADATA,,\n")))
    workshop.run("nixpy", "sync", cwd=path)
    check = f"`uv pip check`, {DIAGNOSED} distributions"
    quick, deep = "`nixpy doctor` of these", "`nixpy doctor --deep` of these"
    nixpy, environ = workshop.program("nixpy"), workshop.environ
    return Group(
        (
            Subject(check, (workshop.program("uv"), "pip", "check"), path, environ),
            Subject(quick, (nixpy, "doctor"), path, environ),
            Subject(deep, (nixpy, "doctor", "--deep"), path, environ),
        ),
        (Comparison(quick, check), Comparison(deep, quick)),
        rounds,
    )


def syncs(workshop: Workshop, rounds: int) -> Group:
    """A sync with nothing to do, beside the manager's own."""
    dependencies = DEPENDENCIES
    path = workshop.project("sync", "use nixpy\n", pyproject_toml=manifest("sync", dependencies))
    try:
        workshop.run("nixpy", "sync", cwd=path)
    except MeasurementError:
        workshop.skipped.append("packages in the synced project: the package index did not answer")
        (path / "pyproject.toml").write_text(manifest("sync"))
        workshop.run("nixpy", "sync", cwd=path)
    environ = workshop.environ
    own, bare = "`nixpy sync`, nothing to do", "`uv sync`, nothing to do"
    return Group(
        (
            Subject(bare, (workshop.program("uv"), "sync"), path, environ),
            Subject(own, (workshop.program("nixpy"), "sync"), path, environ),
        ),
        (Comparison(own, bare, 1.25),),
        rounds,
    )


LIBRARIES = ("one", "two", "three")
DISTRIBUTIONS = 500
NATIVE = 5
"""Every so many distributions has shared objects: most are of Python alone."""

SCAN = "import sys; from nixpy.libraries.scan import kept_scan; kept_scan(*sys.argv[1:])"

FIX_PYTHON = """\
find "$1" -type f '(' -executable -o -name '*.so' -o -name '*.so.*' ')' -print0 |
while IFS= read -r -d '' file; do
  case "$(file -b "$file")" in ELF*) patchelf --print-rpath "$file" ;; esac
done
"""


def native_prefix(workshop: Workshop) -> Path:
    """Make an environment of many distributions, with copies of small shared objects."""
    top = workshop.top / "native"
    site = top / "venv/lib/python3/site-packages"
    site.mkdir(parents=True)
    (top / "venv/bin").mkdir()
    (top / "venv/bin/python").symlink_to(workshop.interpreter)
    gcc = workshop.program("gcc")
    (top / "source.c").write_text("int number(void) { return 1; }\n")
    options = ("-shared", "-fPIC", "-Wl,--no-as-needed", "-lm", "-Wl,-rpath,$ORIGIN")
    for name in LIBRARIES:
        workshop.run(gcc, "-o", str(top / name), str(top / "source.c"), *options)
    for number in range(DISTRIBUTIONS):
        package = site / f"package{number}"
        info = site / f"package{number}-1.0.dist-info"
        for directory in (package, info):
            directory.mkdir()
        names = [f"module{one}.py" for one in range(20)]
        for name in names:
            (package / name).write_text("value = 1\n")
        if number % NATIVE == 0:
            for name in LIBRARIES:
                shutil.copy(top / name, package / f"{name}.so")
            names += [f"{name}.so" for name in LIBRARIES]
        rows = (
            f"{package.name}/{name},sha256=0,{(package / name).stat().st_size}" for name in names
        )
        (info / "RECORD").write_text("\n".join((*rows, f"{info.name}/RECORD,,", "")))
    return top / "venv"


def libraries(workshop: Workshop, _: int) -> Group:
    """Looking at the shared objects of an environment, beside ways that start programs for each."""
    prefix = native_prefix(workshop)
    environ = workshop.environ
    count = DISTRIBUTIONS // NATIVE * len(LIBRARIES)
    of = f"{DISTRIBUTIONS} distributions, {count} shared objects"
    python, first = "`python -I -c pass`, beside scans", f"first scan of {of}"
    second, ldd = "second scan of these", "`ldd` on each of these"
    start = (workshop.interpreter, "-I", "-c")
    caches = {name: workshop.top / f"scans-{name}" for name in ("first", "second")}
    for cache in caches.values():
        workshop.run(*start, SCAN, str(cache), str(prefix))
    subjects = [
        Subject(python, (*start, "pass"), prefix, environ),
        Subject(
            first,
            (*start, SCAN, str(caches["first"]), str(prefix)),
            prefix,
            environ,
            lambda _: shutil.rmtree(caches["first"]),
        ),
        Subject(second, (*start, SCAN, str(caches["second"]), str(prefix)), prefix, environ),
        Subject(
            ldd,
            (workshop.program("find"), str(prefix), "-name", "*.so", "-exec", "ldd", "{}", ";"),
            prefix,
            environ,
        ),
    ]
    comparisons = [Comparison(first, python), Comparison(second, first), Comparison(ldd, first)]

    def fix_python(workshop: Workshop) -> Subject:
        for name in ("file", "patchelf"):
            workshop.program(name)
        argv = (workshop.program("bash"), "-c", FIX_PYTHON, "bash", str(prefix))
        return Subject("`file` and `patchelf --print-rpath` on each", argv, prefix, environ)

    for subject in if_possible(workshop, fix_python):
        subjects.append(subject)
        comparisons.append(Comparison(subject.name, first))
    # Few rounds: a single one of starting two programs for each file takes seconds.
    return Group(tuple(subjects), tuple(comparisons), 10)


def hooks(workshop: Workshop, rounds: int) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table about the hook, in each shell that is installed."""
    places = {
        "top": workshop.top,
        "empty": workshop.project("hook-empty", ""),
        "ten": ten_inputs(workshop, "hook-ten"),
        "other": ten_inputs(workshop, "hook-other"),
    }
    for name in ("ten", "other"):
        workshop.run("direnv", "export", "bash", cwd=places[name])
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell, path=workshop.environ["PATH"]) is None:
            workshop.skipped.append(f"the hook of {shell}, which is not installed")
        else:
            yield from hook_rows(shell, hook_times(shell, places, workshop.environ, rounds))


def stamps(workshop: Workshop) -> dict[Path, int]:
    """Return every stamp and which file it is: one that was written anew is another file."""
    return {
        path: path.stat().st_ino
        for path in (workshop.top / "cache/nixpy").rglob("@nixpy/*/*/stamp")
    }


def measured(workshop: Workshop, group: Group, *, is_warm: bool) -> dict[str, list[float]]:
    """Measure a group; of warm entries also that they were."""
    before = stamps(workshop)
    taken = take_turns(group.subjects, group.rounds)
    if is_warm and stamps(workshop) != before:
        raise MeasurementError("an entry that should have been warm was written again")
    return taken


def rows(group: Group, taken: dict[str, list[float]]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table that a group comes to."""
    against = {comparison.reference for comparison in group.comparisons}
    compared = {comparison.subject for comparison in group.comparisons}
    for name in (name for name in taken if name in against - compared):
        yield (name, f"{statistics.median(taken[name]):.1f}", "", "", "", "", "")
    for comparison in group.comparisons:
        found = ratio(taken[comparison.subject], taken[comparison.reference])
        yield (
            comparison.subject,
            f"{statistics.median(taken[comparison.subject]):.1f}",
            comparison.reference,
            f"{found.median:.3f}",
            f"{found.low:.3f} to {found.high:.3f}",
            *verdict(found, comparison.bound),
        )
    for overhead in group.overheads:
        base = taken[overhead.base]
        small, large = (
            statistics.median(a - b for a, b in zip(taken[name], base, strict=True))
            for name in (overhead.small, overhead.large)
        )
        times = large / max(small, 0.001)
        met = "met" if times >= overhead.bound else "**not met**"
        what = f"overhead of {overhead.large} over {overhead.base}"
        yield what, f"{large:.1f}", overhead.small, f"{times:.1f}", "", f"≥ {overhead.bound:g}", met


def verdict(found: Ratio, bound: float | None) -> tuple[str, str]:
    if bound is None:
        return "", ""
    return f"≤ {bound:g}", "met" if found.median <= bound else "**not met**"


def table(lines: list[tuple[str, ...]]) -> str:
    heads = ("what", "median ms", "against", "ratio", "95 %", "bound", "")
    cells = [heads, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (heads, rule, *lines)
    )


def versions(workshop: Workshop) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    direnv = workshop.run("direnv", "version").strip()
    uv = workshop.run("uv", "--version").split()[1]
    load = os.getloadavg()[0]
    return (
        f"Python {python}, direnv {direnv}, uv {uv}, {os.cpu_count()} processors, "
        f"load {load:.1f} before."
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=200, help="rounds of the shortest measurements (200)"
    )
    rounds = max(10, parser.parse_args().rounds)
    if shutil.which("direnv") is None:
        print("direnv is not installed, and nearly everything here is measured with it")
        return 1
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="nixpy-bench-")))
    try:
        workshop = Workshop(top)
        print(f"{versions(workshop)} Medians over {rounds} rounds and fewer.\n")
        lines: list[tuple[str, ...]] = []
        for make, share, is_warm in (
            (warm_entries, 1.0, True),
            (large_entries, 1.0, True),
            (other_ways, 0.2, False),
            (commands, 0.5, False),
            (kernels, 0.3, False),
            (diagnoses, 0.1, False),
            (syncs, 0.3, False),
            (dev_shells, 0.3, True),
            (conda, 0.5, True),
            (libraries, 0.0, False),
        ):
            try:
                group = make(workshop, max(10, int(rounds * share)))
            except FileNotFoundError as missing:
                workshop.skipped.append(f"{make.__name__.replace('_', ' ')}: {missing}")
                continue
            lines.extend(rows(group, measured(workshop, group, is_warm=is_warm)))
        lines.extend(hooks(workshop, rounds))
        print(table(lines))
        for reason in workshop.skipped:
            print(f"\nNot measured: {reason}.")
    except MeasurementError as failure:
        print(f"cannot measure: {failure}", file=sys.stderr)
        return 1
    finally:
        os.chdir("/")
        shutil.rmtree(top, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
