"""``nixpy init``, for people: says what it is about to write, asks, writes, and goes on."""

from __future__ import annotations

import difflib
import os
import tempfile
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nixpy.direnv import library_path
from nixpy.errors import NixpyError, UsageError
from nixpy.files import DiskFiles
from nixpy.init.planning import Kind, Plan, Wishes, plan, template_for
from nixpy.init.surroundings import look_around, old_environments
from nixpy.init.template import TEMPLATES
from nixpy.init.writing import back_up, write
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nixpy.init.planning import Proposed
    from nixpy.init.surroundings import Present
    from nixpy.init.translation import Line
    from nixpy.process import Runner

__all__ = ["Conversation", "Manner", "bash_reads"]

_KINDS = {
    Kind.NEW: "new",
    Kind.APPEND: "add to it",
    Kind.TRANSLATE: "translate it",
    Kind.UNCHANGED: "stays",
    Kind.DIFFERS: "differs",
}


class Manner(NamedTuple):
    """How to go about it.

    Attributes:
        yes: agree to everything that loses nothing.
        dry_run: change nothing.
        is_quiet: print no report but messages: the caller prints JSON.
        can_ask: whether a person is there.
        with_sync: whether to sync at the end.
    """

    yes: bool = False
    dry_run: bool = False
    is_quiet: bool = False
    can_ask: bool = False
    with_sync: bool = True


@dataclass
class Conversation:
    """One run of ``nixpy init``.

    Args:
        directory: absolute path of the project to be.
        wishes: what was asked for.
        manner: how to go about it.
        environ: the environment.
        runner: starts programs.
        tell: says a line.
        show: shows what a program prints.
        command: calls this nixpy.
        sync: makes the environment of a directory.
    """

    directory: str
    wishes: Wishes
    manner: Manner
    environ: Mapping[str, str]
    runner: Runner
    tell: Callable[[str], None]
    show: Callable[[bytes], None]
    command: Sequence[str]
    sync: Callable[[str], None]
    written: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, str]] = field(default_factory=list)
    backup: str | None = None
    remarks: list[str] = field(default_factory=list)
    failed: bool = False

    def hold(self) -> dict[str, Any]:
        """Do all of it; return the report.

        Raises:
            UsageError: there is nobody to ask.
            NixpyError: what is there cannot be read, or a file cannot be written.
        """
        _check_place(self.directory, self.environ)
        present = self._look()
        asks = self.manner.can_ask and not self.manner.yes and not self.manner.dry_run
        if asks and self.wishes.template is None and present.is_new:
            self.wishes = self.wishes._replace(template=_asked_template(template_for(present)))
        planned = plan(present, self.wishes, is_valid=bash_reads(self.environ, self.runner))
        if not self.manner.is_quiet:
            self._show(planned)
        if not self.manner.dry_run:
            if planned.to_write and not self.manner.yes and not self.manner.can_ask:
                raise UsageError(
                    "there is nobody to ask whether to write this",
                    where="nixpy init",
                    next="Say `nixpy init --yes`, or `nixpy init --dry-run` to look alone.",
                )
            if self._write(planned):
                self._go_on()
        return self._report(planned)

    def _look(self) -> Present:
        return look_around(
            self.directory, files=DiskFiles(), environ=self.environ, runner=self.runner
        )

    def _show(self, planned: Plan) -> None:
        click.echo(f"{self.directory}, by the template {planned.template}:")
        width = max(len(one.path) for one in planned.files)
        for one in planned.files:
            click.echo(f"  {one.path:<{width}}  {_KINDS[one.kind]:<12}  {one.why}")
        for one in planned.files:
            if one.kind in {Kind.TRANSLATE, Kind.DIFFERS}:
                click.echo("\n" + _difference(one), nl=False)
        if planned.translation:
            for line in planned.translation.done:
                click.echo(f"  line {line.number}: {line.text.strip()} -> {line.note}")
            for line in planned.translation.left:
                click.echo(f"  line {line.number} is left as it is: {line.text.strip()}")
        for remark in planned.remarks:
            self.tell(remark)

    def _write(self, planned: Plan) -> bool:
        """Write what is agreed to; say whether to go on."""
        safe = [one for one in planned.to_write if one.is_safe]
        agreed = self.manner.yes or not safe or _confirmed(_question(safe))
        for one in planned.files:
            if one.kind is Kind.UNCHANGED:
                self.written[one.path] = "unchanged"
            elif one.is_safe and agreed:
                self._put(one)
            elif one.kind is Kind.DIFFERS and not self.manner.yes:
                if agreed and _confirmed(f"{one.path} is yours and differs: replace it?"):
                    self._put(one)
                else:
                    self.written[one.path] = "kept"
            else:
                self.written[one.path] = "kept"
                if one.kind is Kind.DIFFERS:
                    self.tell(f"{one.path} is yours and differs: it is left as it is")
        if planned.translation and self.backup:
            for line in planned.translation.left:
                self.tell(f".envrc line {line.number} could not be translated: {_left(line)}")
            self.tell(f"the old .envrc is kept as {os.path.basename(self.backup)}")
        return agreed

    def _put(self, one: Proposed) -> None:
        if one.kind is Kind.TRANSLATE and one.before is not None:
            self.backup = back_up(self.directory, one.before)
        write(self.directory, one)
        self.written[one.path] = "written"

    def _go_on(self) -> None:
        path = self.environ.get("PATH", "")
        direnv, git = find_program("direnv", path), find_program("git", path)
        has_flake = os.path.exists(os.path.join(self.directory, "flake.nix"))
        present = self._look()
        if has_flake and git and present.in_git and not self._is_tracked(git):
            add = partial(self._run, git, "add", "--intent-to-add", "--", "flake.nix")
            self._step("git add --intent-to-add flake.nix", "Nix sees tracked files alone", add)
        has_lock = os.path.exists(os.path.join(self.directory, "flake.lock"))
        if has_flake and present.has_nix and not has_lock:
            self._later("nix flake lock", "pins nixpkgs, which libraries are taken from")
        library = library_path(self.environ)
        is_set_up = library is not None and os.path.exists(library)
        if not is_set_up:
            self._later("nixpy setup", "teaches direnv `use nixpy`; once for all projects")
        is_allowed = False
        if direnv:
            why = "direnv loads what you allowed"
            allow = partial(self._run, direnv, "allow", self.directory)
            is_allowed = self._step("direnv allow", why, allow)
        else:
            self._later("direnv allow", "once direnv is installed (direnv.net)")
        if not self.manner.with_sync:
            self._later("nixpy sync", "makes the environment, as the next cd does")
        elif direnv and is_allowed and is_set_up:
            self._step("nixpy sync", "makes the environment", partial(self._load, direnv))
        else:
            self._step("nixpy sync", "makes the environment", partial(self.sync, self.directory))

        self._compare_environments()

    def _compare_environments(self) -> None:
        """Say what an environment from before has that the new one has not."""
        found = old_environments(self.directory)
        new = found.pop(".venv", None)
        if new is None or self.backup is None:
            return
        for place, pins in found.items():
            missing = [pin for name, pin in sorted(pins.items()) if name not in new]
            if missing:
                self._remark(
                    f"{place} has what no manifest names: {' '.join(missing)}; "
                    "add it to one, or `uv pip install` it"
                )

    def _remark(self, text: str) -> None:
        self.remarks.append(text)
        self.tell(text)

    def _load(self, direnv: str) -> None:
        """Sync as the next cd would: with what the rest of the ``.envrc`` sets.

        What ``use nixpy`` says is shown; whether it has worked, ``nixpy status`` knows.
        """
        argv = [direnv, "exec", self.directory, *self.command, "status"]
        environ = {**self.environ, "PWD": self.directory}
        done = self.runner.follow(argv, cwd=self.directory, environ=environ, heard=self.show)
        if done.status:
            raise NixpyError(
                "the environment could not be made",
                where=self.directory,
                next="The files are written; `nixpy sync` tries it again.",
            )

    def _is_tracked(self, git: str) -> bool:
        argv = [git, "ls-files", "--error-unmatch", "--", "flake.nix"]
        done = self.runner.capture(argv, cwd=self.directory, environ=self.environ)
        return done.status == 0

    def _run(self, *argv: str) -> None:
        environ = {**self.environ, "PWD": self.directory}
        done = self.runner.capture(argv, cwd=self.directory, environ=environ)
        if done.status:
            said = done.stderr.strip().splitlines()
            raise NixpyError(
                f"ended with status {done.status}: {said[-1] if said else 'it said nothing'}",
                where=" ".join((os.path.basename(argv[0]), *argv[1:])),
            )

    def _step(self, command: str, why: str, action: Callable[[], None]) -> bool:
        """Do what the user agrees to; say whether it was done."""
        if not self.manner.yes and not _confirmed(f"{command} ({why})?"):
            self._later(command, why)
            return False
        try:
            action()
        except (NixpyError, OSError) as error:
            self.failed = True
            for line in str(error).splitlines():
                self.tell(line)
            self.steps.append({"command": command, "why": why, "did": "failed"})
            return False
        self.steps.append({"command": command, "why": why, "did": "done"})
        if not self.manner.is_quiet:
            click.echo(f"done: {command}")
        return True

    def _later(self, command: str, why: str) -> None:
        self.steps.append({"command": command, "why": why, "did": "to do"})
        if not self.manner.is_quiet:
            click.echo(f"to do: {command} ({why})")

    def _report(self, planned: Plan) -> dict[str, Any]:
        translation = planned.translation
        return {
            "directory": self.directory,
            "template": planned.template,
            "dry_run": self.manner.dry_run,
            "files": [
                {
                    "path": one.path,
                    "kind": one.kind.value,
                    "did": self.written.get(one.path, "planned"),
                    "why": one.why,
                }
                for one in planned.files
            ],
            "remarks": [*planned.remarks, *self.remarks],
            "envrc": None
            if translation is None
            else {
                "backup": self.backup,
                "translated": [_line(one) for one in translation.done],
                "left": [_line(one) for one in translation.left],
            },
            "steps": self.steps,
        }


def bash_reads(environ: Mapping[str, str], runner: Runner) -> Callable[[str], bool]:
    """Return what tells whether bash can read a text, without running it."""
    bash = find_program("bash", environ.get("PATH", ""))

    def reads(text: str) -> bool:
        if bash is None:
            return True
        with tempfile.NamedTemporaryFile(prefix="nixpy-", suffix=".bash") as file:
            file.write(os.fsencode(text))
            file.flush()
            # An empty environment: BASH_ENV would be run.
            argv = [bash, "--norc", "-n", file.name]
            return runner.capture(argv, cwd="/", environ={"LC_ALL": "C"}).status == 0

    return reads


def _check_place(directory: str, environ: Mapping[str, str]) -> None:
    home = environ.get("HOME", "")
    if directory == "/" or (home and os.path.realpath(directory) == os.path.realpath(home)):
        raise UsageError(
            "everything below it would get this environment",
            where=directory,
            next="Name a directory of the project's own: `nixpy init DIRECTORY`.",
        )


def _asked_template(default: str) -> str:
    for name, what in TEMPLATES.items():
        click.echo(f"  {name:<9} {what}", err=True)
    chosen: str = click.prompt(
        "Which template", type=click.Choice(list(TEMPLATES)), default=default, err=True
    )
    return chosen


def _question(files: list[Proposed]) -> str:
    return f"Write {', '.join(one.path for one in files)}?"


def _confirmed(question: str) -> bool:
    return click.confirm(question, default=not question.endswith("replace it?"), err=True)


def _difference(one: Proposed) -> str:
    lines = difflib.unified_diff(
        (one.before or "").splitlines(keepends=True),
        one.content.splitlines(keepends=True),
        one.path,
        f"{one.path} (proposed)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _line(line: Line) -> dict[str, Any]:
    return {"line": line.number, "text": line.text, "note": line.note}


def _left(line: Line) -> str:
    return f"{line.text.strip()} ({line.note})"
