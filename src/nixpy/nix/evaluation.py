"""Evaluating a dev shell with Nix, and hearing what that reads."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nixpy.capture import LONGEST, capture
from nixpy.difference import CERTIFICATES, difference
from nixpy.environment import Environment, Prepend, Set, Unset
from nixpy.errors import DevShellFailed, ManifestError, UsageError
from nixpy.inputs import (
    ABSENT,
    Input,
    observe_directory,
    observe_file,
    observe_program,
    observe_root,
    observe_variable,
)
from nixpy.nix.dev_shell import DevShell, Interpreter
from nixpy.nix.flake import Tree, local_trees
from nixpy.nix.reads import SKIPPED, CannotWatch, Reads, directories_below
from nixpy.nix.source import git_top
from nixpy.process import find_program
from nixpy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nixpy.capture import Captured
    from nixpy.nix.command import Nix
    from nixpy.nix.log import Log
    from nixpy.nix.source import Source
    from nixpy.options import Options
    from nixpy.process import Runner

__all__ = ["TIMEOUT_VARIABLE", "Evaluation"]

TIMEOUT_VARIABLE = "NIXPY_SHELL_TIMEOUT"

VARIABLES = (
    *("NIX_PATH", "NIX_CONFIG", "NIX_CONF_DIR", "NIX_USER_CONF_FILES", "NIX_REMOTE"),
    *("NIX_STORE_DIR", "NIXPKGS_CONFIG", "NIXPKGS_ALLOW_UNFREE", "NIXPKGS_ALLOW_BROKEN"),
    *("NIXPKGS_ALLOW_INSECURE", TIMEOUT_VARIABLE),
)
"""What Nix and an impure evaluation of nixpkgs obey (nix.conf(5); nixpkgs manual)."""

MOST_ATTEMPTS = 3
"""How often a flake is evaluated whose tree is edited meanwhile."""

MOST_FILES = 2000
"""Files that a dev shell rests on where what was read cannot be heard."""

LOCK_FLAGS = frozenset({"--no-write-lock-file", "--recreate-lock-file", "--commit-lock-file"})

PROBE = """\
import os, platform, sysconfig
base = os.path.join(
    sysconfig.get_config_var("BINDIR") or "", "python" + sysconfig.get_python_version()
)
try:
    base = os.readlink("/proc/self/exe")
except OSError:
    pass
print(platform.python_version())
print(base)
"""
"""What a Python says of itself: behind a wrapper runs another program than was started."""

OVERLAPS: tuple[tuple[str, str], ...] = (
    (r"\buv\s+(?:sync|pip\s+install)\b", "installs with uv"),
    (r"(?<!uv )\bpip3?\s+install\b|\bpip-sync\b", "installs with pip"),
    (r"\bpoetry\s+(?:install|shell|run)\b", "runs poetry"),
    (r"(?:\bsource|(?<!\S)\.)\s+\S*bin/activate\b", "activates an environment"),
    (r"\b(?:python3?\s+-m\s+venv|virtualenv|uv\s+venv)\b", "makes a virtual environment"),
    (r"\bexec\s+(?:\S*/)?(?:fish|zsh|bash|nu)\b", "replaces the shell"),
)
"""What a ``shellHook`` does that nixpy does by itself, or that direnv cannot take over."""

_HOOK = re.compile(r"^shellHook=(\$?'(?:[^'\\]|\\.|'\\'')*')", re.MULTILINE)


@dataclass
class Evaluation:
    """One evaluation of a dev shell.

    Attributes:
        source: the dev shell.
        root: real path of the project.
        options: ``nix_options``, ``shell_hook`` and ``shell_exclude`` count.
        nix: Nix, called in ``root``.
        runner: starts bash and Python.
        environ: the caller's environment.
        roots: an empty directory for gc roots.
        heard: called with what the ``shellHook`` prints, as it comes.
    """

    source: Source
    root: str
    options: Options
    nix: Nix
    runner: Runner
    environ: Mapping[str, str]
    roots: str
    heard: Callable[[bytes], None]

    trees: tuple[Tree, ...] = ()
    reads: Reads | None = None
    said: Log | None = None
    inexact: str = ""
    notices: list[str] = field(default_factory=list)
    started: int = field(default_factory=time.time_ns)

    def result(self) -> DevShell:
        """Evaluate, and return what the dev shell is now.

        Raises:
            DevShellFailed: Nix failed; its ``inputs`` are what mending it would change.
            ToolMissing: there is no bash.
            UsageError: ``NIXPY_SHELL_TIMEOUT`` is no number of seconds.
        """
        try:
            script = self._script()
        except DevShellFailed as error:
            error.inputs = (*self._files_read(), *self._always())
            raise
        finally:
            if self.reads:
                self.reads.close()
        inputs = (*self._files_read(), *self._always())
        captured = self._captured(script)
        environment = self._environment(captured)
        changed = set(environment.names)
        interpreter = self._interpreter(environment, captured)
        inputs += (
            observe_root(f"{self.roots}/shell"),
            *self._programs(interpreter),
            *(
                observe_variable(name, self.environ)
                for name in (*VARIABLES, *CERTIFICATES)
                if name not in changed
            ),
        )
        unique = {one[:2]: one._replace(syncs=False) for one in inputs}
        return DevShell(
            version=__version__,
            reference=self.source.reference,
            roots=self.roots,
            environment=environment,
            interpreter=interpreter,
            inputs=tuple(unique.values()),
            notices=tuple(self.notices),
            inexact=self.inexact,
            overlaps=_overlaps(script),
        )

    def _script(self) -> str:
        if not self.source.is_flake:
            directory = os.path.dirname(self.source.file)
            top = git_top(directory) or directory
            self.trees = (Tree(top, top),)
            self._listen()
            return self._printed(self.options.nix_options)
        arguments = self.options.nix_options
        if not LOCK_FLAGS & set(arguments):
            # A user's files are the user's: `nix flake lock` writes it.
            arguments = (*arguments, "--no-write-lock-file")
        for _ in range(MOST_ATTEMPTS):
            metadata = self.nix.json("flake", "metadata", "--json", self.source.file, *arguments)
            self.trees = local_trees(metadata)
            self._listen()
            script = self._printed(arguments)
            if self.reads is None or self._has_heard_the_flake(self.reads):
                break
            # An edit between the two calls: it was evaluated from another copy of the tree.
            self._stop_listening("Nix reads another copy of the tree than it names")
        if len(metadata.get("locks", {}).get("nodes", {})) > 1:
            self._keep_flake_inputs(arguments)
        return script

    def _printed(self, arguments: tuple[str, ...]) -> str:
        printed, self.said = self.nix.run(
            "print-dev-env",
            *self.source.installable,
            *arguments,
            *("--profile", f"{self.roots}/shell"),
            *("--option", "eval-cache", "false", "-vvv"),
            meanwhile=self._take_in,
        )
        self._take_in()
        return os.fsdecode(printed)

    def _has_heard_the_flake(self, reads: Reads) -> bool:
        return not self.trees or any(
            os.path.basename(path) == "flake.nix" and self._tree_of(path) == self.trees[0]
            for path in reads.files
        )

    def _keep_flake_inputs(self, arguments: tuple[str, ...]) -> None:
        """Protect the sources of a flake's inputs, so that evaluating again works offline."""
        if self.said and any("lock file" in warning for warning in self.said.warnings):
            self.notices.append("flake.lock is missing or not current: run `nix flake lock`")
        try:
            archive = self.nix.json(
                "flake", "archive", "--json", "--dry-run", self.source.file, *arguments
            )
            paths = sorted(set(_archived(archive.get("inputs", {}))))
            if paths:
                self.nix.run("build", "--out-link", f"{self.roots}/input", *paths)
        except DevShellFailed:
            pass  # offline, say: the dev shell itself is there

    # What was read

    def _listen(self) -> None:
        store = self.source.is_flake
        self.inexact = ""
        try:
            self.reads = Reads()
            for tree in self.trees:
                self.reads.watch(directories_below(tree.path, all_of_them=store))
        except CannotWatch as why:
            self._stop_listening(str(why))

    def _stop_listening(self, why: str) -> None:
        self.inexact = why
        if self.reads:
            self.reads.close()
            self.reads = None

    def _take_in(self) -> None:
        if self.reads:
            try:
                self.reads.take_in()
            except CannotWatch as why:
                self._stop_listening(str(why))

    def _files_read(self) -> Iterator[Input]:
        """Yield what the evaluation looked at in the user's own trees."""
        said = self.said.paths if self.said else set()
        copies = {path for path in said if not os.path.isdir(path)}
        directories: set[str] = set()
        if self.reads:
            copies |= set(self._heard_files(self.reads))
            directories = {path for path in self.reads.directories if not self._copied(path)}
        elif self.inexact:
            copies |= set(self._all_files())
        for copy in sorted(copies):
            tree = self._tree_of(copy)
            if tree is None:
                if not self.source.is_flake and "/nix/store/" not in copy:
                    yield from self._file(copy, copy)
                continue
            yield from self._file(copy, tree.original(copy))
        for copy in sorted(directories):
            tree = self._tree_of(copy)
            # The names of the top directory change with every untracked file.
            if tree is not None and copy != tree.path:
                with contextlib.suppress(ManifestError):
                    yield observe_directory(tree.original(copy))[0]

    def _heard_files(self, reads: Reads) -> Iterator[str]:
        for path, count in reads.files.items():
            # Nix 2.26 copies the sources of inputs anew, and opens each file once for that.
            if count > self._copied(path):
                yield path

    def _copied(self, path: str) -> int:
        """Return how often the tree that a path lies in was copied as a whole."""
        tree = self._tree_of(path)
        return self.said.copied[tree.path] if tree and self.said else 0

    def _file(self, copy: str, original: str) -> Iterator[Input]:
        try:
            seen = observe_file(original)[0]
        except ManifestError:
            return
        if not os.path.exists(copy):
            # A file that git does not track is there and was not seen by Nix.
            if seen.value == ABSENT:
                yield seen
            return
        if seen.mtime >= self.started:
            # Edited meanwhile: what was evaluated is not what is there now.
            then = observe_file(copy)[0].value if copy != original else "edited"
            seen = seen._replace(value=then)
        yield seen

    def _tree_of(self, path: str) -> Tree | None:
        return next((tree for tree in self.trees if (path + "/").startswith(tree.path + "/")), None)

    def _all_files(self) -> Iterator[str]:
        count = 0
        for tree in self.trees:
            for directory, names, files in os.walk(tree.path):
                names[:] = [name for name in names if name not in SKIPPED]
                for name in files:
                    count += 1
                    if count > MOST_FILES:
                        self.inexact += f"; of more than {MOST_FILES} files, only what Nix named"
                        return
                    yield f"{directory}/{name}"

    def _always(self) -> Iterator[Input]:
        """Yield what counts whether it was read or not."""
        yield observe_program(self.nix.program)
        if not self.source.is_flake:
            yield from _observed((self.source.file,))
            return
        for tree in self.trees[:1]:
            flake = os.path.normpath(f"{tree.origin}/{tree.subdirectory}")
            yield from _observed((f"{flake}/flake.nix", f"{flake}/flake.lock"))
        if not self.trees:
            yield from _observed((f"{self.root}/flake.nix", f"{self.root}/flake.lock"))
            # That `git add` was forgotten is what goes wrong most often.
            yield from _observed((f"{git_top(self.root) or self.root}/.git/index",))

    # What it comes to

    def _captured(self, script: str) -> Captured:
        text = self.environ.get(TIMEOUT_VARIABLE, "")
        try:
            timeout = float(text) if text else LONGEST
        except ValueError:
            raise UsageError(
                f"expected a number of seconds, got {text!r}", where=TIMEOUT_VARIABLE
            ) from None
        captured = capture(
            script,
            directory=self.root,
            environ=self.environ,
            runner=self.runner,
            heard=self.heard,
            run_hook=self.options.shell_hook != "skip",
            timeout=timeout,
        )
        if captured is None:
            raise DevShellFailed(
                "the dev shell's setup failed in bash before its shellHook",
                log=getattr(self.nix.log, "name", None),
                next="What it printed is above.",
            )
        how, _, rest = captured.how.partition(" ")
        kept = "what it set until then counts"
        if how == "exits" and rest != "0":
            self.notices.append(f"the shellHook ended with status {rest}: {kept}")
        elif how == "replaces":
            self.notices.append(
                f"the shellHook replaces the shell with {rest.split(' ')[0]}, "
                f"which direnv cannot: {kept}"
            )
        elif how == "hangs":
            self.notices.append(
                f"the shellHook took longer than {timeout:g} s ({TIMEOUT_VARIABLE}): {kept}"
            )
        elif how == "killed":
            self.notices.append("the shellHook was killed: what it set does not count")
        if captured.left_behind:
            self.notices.append("the shellHook left processes running; they were ended")
        return captured

    def _environment(self, captured: Captured) -> Environment:
        store = self.environ.get("NIX_STORE_DIR", "/nix/store")
        found = difference(
            self.environ, captured.environ, exclude=self.options.shell_exclude, store=store
        )
        operations: list[Set | Unset | Prepend] = []
        for one in found.operations:
            if isinstance(one, Prepend) and one.name == "PATH":
                # A virtual environment that the hook activated: nixpy's own goes in front.
                elements = tuple(
                    element
                    for element in one.elements
                    if not os.path.exists(f"{os.path.dirname(element)}/pyvenv.cfg")
                )
                operations.append(Prepend("PATH", elements))
            else:
                operations.append(one)
        return Environment(tuple(operations))

    def _interpreter(self, environment: Environment, captured: Captured) -> Interpreter | None:
        elements = [
            element
            for one in environment.operations
            if isinstance(one, Prepend) and one.name == "PATH"
            for element in one.elements
        ]
        own = ":".join(elements)
        path = find_program("python3", own) or find_program("python", own)
        if path is None:
            return None
        try:
            done = self.runner.capture(
                [path, "-I", "-c", PROBE], cwd=self.root, environ=captured.environ, timeout=10
            )
        except OSError:
            return None
        lines = done.stdout.splitlines()
        if done.status or len(lines) != 2:  # noqa: PLR2004 - version and base
            self.notices.append(f"{path} of the dev shell does not run: it is passed over")
            return None
        version, base = lines
        return Interpreter(path, base if os.access(base, os.X_OK) else path, version)

    def _programs(self, interpreter: Interpreter | None) -> Iterator[Input]:
        if interpreter:
            yield observe_program(interpreter.path)
            yield observe_program(interpreter.base)


def _observed(paths: Iterable[str]) -> Iterator[Input]:
    for path in paths:
        with contextlib.suppress(ManifestError):
            yield observe_file(path)[0]


def _archived(inputs: dict[str, Any]) -> Iterator[str]:
    for one in inputs.values():
        if one.get("path"):
            yield one["path"]
        yield from _archived(one.get("inputs", {}))


def _overlaps(script: str) -> tuple[str, ...]:
    hook = _HOOK.search(script)
    if hook is None:
        return ()
    return tuple(does for pattern, does in OVERLAPS if re.search(pattern, hook[1]))
