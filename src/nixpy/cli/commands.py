"""The commands, for people: parse, call, print."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from nixpy.activation import RESTORE, activation, base_environment, deactivation
from nixpy.cli import doctor, hook, kernel, lab, reports  # noqa: F401 - each adds its own
from nixpy.cli.fast import with_watches
from nixpy.cli.shared import (
    FLAGS,
    Command,
    accept,
    cli,
    examples,
    find,
    flags_argument,
    json_option,
    make_resolver,
    print_json,
    project_option,
    show,
    tell,
    tell_error,
    write,
)
from nixpy.direnv import WATCHES, watches_after
from nixpy.errors import NixpyError, UsageError
from nixpy.flags import parse_flags
from nixpy.freshness import revalidated, watched_paths
from nixpy.process import SystemRunner
from nixpy.project import Project, current_directory, find_project
from nixpy.shells import SHELLS, render
from nixpy.shells.bash import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixpy.hook.startup import Startup
    from nixpy.resolver import Resolver
    from nixpy.setup import Setup


__all__ = ["cli", "run_command"]

COMMAND_NOT_FOUND = 127
CANNOT_EXECUTE = 126
MOST_ATTEMPTS = 3
"""How often an edit made during a resolution makes us look again."""


def run_command(arguments: list[str]) -> int:
    """Run a command; return its exit status."""
    command: list[str] | None = None
    if arguments[:1] == ["run"] and "--" in arguments:
        split = arguments.index("--")
        arguments, command = arguments[:split], arguments[split + 1 :]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Paths are printed as the bytes that they are.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        result = cli.main(arguments, prog_name="nixpy", standalone_mode=False, obj=command)
    except click.exceptions.Abort:
        return 130
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        tell(error.format_message())
        return 2
    except NixpyError as error:
        tell_error(error)
        return error.exit_code
    return result if isinstance(result, int) else 0


@cli.command(
    **FLAGS,
    epilog=examples(
        'eval "$(nixpy export bash)"',
        "nixpy export fish | source",
        "nixpy export json --project ~/src/app",
        options=True,
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--direnv", hidden=True)
@project_option
@flags_argument
def export(shell: str, direnv: str | None, directory: str | None, flags: tuple[str, ...]) -> None:
    """Print what enters the environment, for a shell to evaluate."""
    if direnv:
        _export_to_direnv(direnv, directory, flags)
        return
    project, values = find(directory, flags)
    resolution = make_resolver().resolve(project, values)
    accept(resolution)
    assert resolution.environment is not None
    if shell == "github":
        reports.write_github(resolution.environment, os.environ)
        return
    operations = activation(resolution.environment, os.environ)
    write(_rendered(shell, operations))


def _export_to_direnv(direnv: str, directory: str | None, flags: tuple[str, ...]) -> None:
    here = os.path.abspath(directory) if directory else current_directory(os.environ)
    project = Project.at(here, flags)
    resolver = make_resolver()
    for _ in range(MOST_ATTEMPTS):
        try:
            values = parse_flags(flags)
        except NixpyError:
            write(_watch_export(direnv, (f"{here}/.envrc",)))
            raise
        resolution = resolver.resolve(project, values)
        entry = resolver.read_entry(project)
        if resolution.error or entry is None:
            paths = watched_paths(resolution.inputs, resolution.prefix, project.root)
            write(_watch_export(direnv, paths))
            break
        after = with_watches(project, entry, direnv, os.environ)
        # direnv noted the times of now: what was edited since we looked would go unnoticed.
        if revalidated(entry, project.root, resolver.environ):
            if after is not None:
                write(f"export {WATCHES}={quote(after)}\n")
            break
    accept(resolution)
    assert resolution.environment is not None
    write(_rendered("bash", resolution.environment.operations))


def _watch_export(direnv: str, paths: Sequence[str]) -> str:
    after = watches_after(direnv, paths, runner=SystemRunner(), environ=os.environ)
    return "" if after is None else f"export {WATCHES}={quote(after)}\n"


def _rendered(shell: str, operations: Sequence[Any]) -> str:
    try:
        return render(shell, operations, os.environ)
    except ValueError as error:
        raise UsageError(str(error), where=shell, next="Use another shell or rename.") from None


@cli.command(cls=Command, epilog=examples('eval "$(nixpy deactivate bash)"'))
@click.argument("shell", type=click.Choice(SHELLS[:7]))
def deactivate(shell: str) -> None:
    """Print what leaves the environment that `export` entered."""
    if RESTORE not in os.environ:
        raise UsageError(
            "no environment was entered by `nixpy export`",
            next="One that direnv loaded is left by leaving its directory.",
        )
    write(_rendered(shell, deactivation(os.environ)))


@cli.command(
    **FLAGS, epilog=examples("nixpy run -- pytest -x", "nixpy run --extras gpu -- python train.py")
)
@project_option
@flags_argument
@click.pass_obj
def run(command: list[str] | None, directory: str | None, flags: tuple[str, ...]) -> int:
    """Run a command in the environment."""
    if command is None:
        if any(flag.startswith("-") for flag in flags[:1]):
            raise click.UsageError("say `nixpy run [FLAGS] -- COMMAND [ARGUMENTS]`")
        command, flags = list(flags), ()
    if not command:
        raise click.UsageError("no command was given: `nixpy run -- COMMAND [ARGUMENTS]`")
    return _execute(command, directory, flags)


@cli.command(**FLAGS, epilog=examples("nixpy shell", "nixpy shell --project ../other"))
@project_option
@flags_argument
def shell(directory: str | None, flags: tuple[str, ...]) -> int:
    """Start your shell in the environment; leave it with `exit`."""
    return _execute([os.environ.get("SHELL", "/bin/sh")], directory, flags)


def _execute(command: list[str], directory: str | None, flags: tuple[str, ...]) -> int:
    project, values = find(directory, flags)
    resolution = make_resolver().resolve(project, values)
    accept(resolution)
    assert resolution.environment is not None
    environ = resolution.environment.apply(base_environment(os.environ))
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606
    except FileNotFoundError:
        tell(f"{command[0]}: not found on the environment's PATH")
        return COMMAND_NOT_FOUND
    except OSError as error:
        tell(f"{command[0]}: cannot be executed: {error.strerror}")
        return CANNOT_EXECUTE


@cli.command(
    **FLAGS, epilog=examples("nixpy sync", "nixpy sync --force", "nixpy sync --lock locked")
)
@project_option
@json_option
@click.option("--force", is_flag=True, help="Run the manager, whatever is known.")
@flags_argument
def sync(directory: str | None, as_json: bool, force: bool, flags: tuple[str, ...]) -> None:
    """Bring the environment up to date, and say what stood in the way."""
    project, values = find(directory, flags)
    resolver = make_resolver()
    resolution = resolver.resolve(project, values, sync="always" if force else "asked")
    if resolution.error:
        raise resolution.error
    if as_json:
        print_json("sync", reports.resolution_report(resolution))
    elif not resolution.synced:
        tell("already in sync")


@cli.command(
    **FLAGS,
    epilog=examples("nixpy explain", "nixpy explain --all-rules", "nixpy explain --hook"),
)
@click.option("--all-rules", is_flag=True, help="Say of every rule whether it holds, and why.")
@click.option(
    "--hook", "with_hook", is_flag=True, help="Say whether direnv is asked on each entry, and why."
)
@project_option
@json_option
@flags_argument
def explain(
    all_rules: bool,
    with_hook: bool,
    directory: str | None,
    as_json: bool,
    flags: tuple[str, ...],
) -> None:
    """Say what was decided and why, by which files, and what changed since."""
    project, values = find(directory, flags)
    of_hook = hook.explanation(directory) if with_hook else None
    if of_hook and not as_json:
        hook.print_explanation(of_hook)
    resolver = make_resolver()
    rules = reports.rules(resolver, project, values) if all_rules else None
    if rules and not as_json:
        reports.print_rules(rules)
    report = reports.explanation(resolver, project, values)
    if as_json:
        asked = {"rules": rules, "hook": of_hook}
        said = {name: one for name, one in asked.items() if one is not None}
        print_json("explain", {**report, **said})
    else:
        reports.print_explanation(report)


@cli.command(**FLAGS, epilog=examples("nixpy status", "nixpy status --json"))
@project_option
@json_option
@flags_argument
def status(directory: str | None, as_json: bool, flags: tuple[str, ...]) -> int:
    """Say in one line whether the environment is in order; exit 1 if it is not."""
    project, values = find(directory, flags)
    report = reports.state(make_resolver(), project, values)
    if as_json:
        print_json("status", report)
    else:
        click.echo(f"{report['state']}: {report['detail']}")
    return 0 if report["state"] == "fresh" else 1


@cli.command(
    **FLAGS,
    epilog=examples("nixpy libs", "nixpy libs --missing", "nixpy libs --nix"),
)
@click.option("--missing", is_flag=True, help="Only what is missing.")
@click.option("--nix", "as_nix", is_flag=True, help="The line for a flake that supplies it.")
@click.option("--restore", is_flag=True, help="Make files what they were before any library-scope.")
@project_option
@json_option
@flags_argument
def libs(
    missing: bool,
    as_nix: bool,
    restore: bool,
    directory: str | None,
    as_json: bool,
    flags: tuple[str, ...],
) -> int:
    """Say which shared libraries the packages need, where each is found, and what supplies it.

    Exits with 1 if something is missing.
    """
    from nixpy.cli import libs as report_of

    project, values = find(directory, flags)
    resolver = make_resolver()
    if restore:
        derivation = resolver.derive(project, values)
        return _restore(resolver, report_of.prefix_of(project, derivation))
    report = report_of.libraries(resolver, project, values)
    is_complete = not report["damaged"] and all(one["found"] for one in report["needs"])
    if missing:
        report["needs"] = [one for one in report["needs"] if one["found"] is None]
    if as_json:
        print_json("libs", report)
    elif as_nix:
        report_of.print_shell_line(report)
    else:
        report_of.print_libraries(report)
    return 0 if is_complete else 1


def _restore(resolver: Resolver, prefix: str) -> int:
    restored = resolver.restore_libraries(prefix)
    for path in restored:
        click.echo(f"restored {path}")
    if restored:
        tell('the next sync does it again unless `library-scope` is "shell" or `libraries` "off"')
    else:
        tell("nothing is to be restored")
    return 0


@cli.command(
    cls=Command,
    epilog=examples("nixpy setup", "nixpy setup --check", "nixpy setup --hook zsh"),
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something is to be done.")
@click.option("--remove", is_flag=True, help="Take the library, or the line, out again.")
@click.option(
    "--hook",
    "shell",
    is_flag=False,
    flag_value="",
    metavar="[SHELL]",
    help="Add the line of `nixpy hook` to the startup file of a shell, or of yours.",
)
@click.option("--yes", is_flag=True, help="Add the line without asking.")
@json_option
def setup(check: bool, remove: bool, shell: str | None, yes: bool, as_json: bool) -> int:
    """Teach direnv `use nixpy`: install the library where direnv looks for it.

    With --hook instead: add one line to your shell's startup file, that saves asking direnv what is
    known. It shows the file and the line, and asks; without a terminal it takes --yes.
    """
    report: Setup | Startup
    if shell is None:
        from nixpy.setup import install

        report = install(os.environ, check=check, remove=remove)
    else:
        report = _set_up_hook(shell, check=check, remove=remove, yes=yes, as_json=as_json)
    if as_json:
        print_json("setup", report._asdict())
    else:
        click.echo(f"{report.path}: {report.did}")
        if report.hint:
            click.echo(report.hint)
    return 1 if check and not report.in_order else 0


def _set_up_hook(name: str, *, check: bool, remove: bool, yes: bool, as_json: bool) -> Startup:
    from nixpy.cli.diagnosis import is_interactive
    from nixpy.hook.startup import hook_shell, install_hook

    shell = hook_shell(name, os.environ)
    if remove and not check:
        return install_hook(shell, os.environ, remove=True)
    planned = install_hook(shell, os.environ, check=True)
    if check or planned.in_order:
        return planned
    if not as_json:
        click.echo(f"{planned.path} is to have this line:\n  {planned.line}")
    if not yes and (as_json or not is_interactive()):
        raise UsageError(
            "there is nobody to ask whether to write this",
            where="nixpy setup --hook",
            next="Say `nixpy setup --hook --yes`, or `nixpy setup --hook --check` to look alone.",
        )
    if not yes and not click.confirm("Add it?", default=True, err=True):
        return planned._replace(did="left as it is", hint="")
    return install_hook(shell, os.environ)


@cli.command(
    cls=Command,
    epilog=examples(
        "nixpy init",
        "nixpy init --dry-run",
        "nixpy init app --template ml --yes",
    ),
)
@click.argument("directory", required=False, type=click.Path(file_okay=False))
@click.option("--template", metavar="NAME", help="uv, pip, mamba, ml, jupyter, poetry or nix-only.")
@click.option("--python", metavar="VERSION", help="The Python to name, as in 3.12.")
@click.option("--nix/--no-nix", default=None, help="With or without a flake.nix.")
@click.option("--cuda", is_flag=True, help="A flake.nix with the CUDA toolkit.")
@click.option("--yes", is_flag=True, help="Do all that loses nothing, without asking.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--no-sync", is_flag=True, help="Leave the first sync to the next cd.")
@json_option
def init(
    directory: str | None,
    template: str | None,
    python: str | None,
    nix: bool | None,
    cuda: bool,
    yes: bool,
    dry_run: bool,
    no_sync: bool,
    as_json: bool,
) -> int:
    """Write what a project lacks for `use nixpy`: .envrc, flake.nix, manifest, .gitignore.

    Nothing of yours is overwritten: an old .envrc is translated and kept beside the new one, other
    files that differ are shown and asked for. Without a terminal it takes --yes or --dry-run.
    """
    from nixpy.cli.diagnosis import is_interactive
    from nixpy.cli.init import Conversation, Manner
    from nixpy.init.planning import Wishes
    from nixpy.setup import own_command

    try:
        place = os.path.abspath(directory) if directory else current_directory(os.environ)
    except OSError:
        raise UsageError("the working directory is gone", next="cd to one that exists.") from None
    conversation = Conversation(
        place,
        Wishes(template, python, nix, cuda),
        Manner(
            yes=yes,
            dry_run=dry_run,
            is_quiet=as_json,
            can_ask=is_interactive() and not as_json,
            with_sync=not no_sync,
        ),
        environ=os.environ,
        runner=SystemRunner(),
        tell=tell,
        show=show,
        command=own_command(),
        sync=_first_sync,
    )
    report = conversation.hold()
    if as_json:
        print_json("init", report)
    return 1 if conversation.failed else 0


def _first_sync(directory: str) -> None:
    project = find_project(directory)
    resolution = make_resolver().resolve(project, parse_flags(project.arguments), sync="asked")
    if resolution.error:
        raise resolution.error


@cli.command("list", cls=Command, epilog=examples("nixpy list", "nixpy list --json"))
@json_option
def list_(as_json: bool) -> None:
    """List the projects that nixpy keeps entries for."""
    entries = reports.entries(make_resolver())
    if as_json:
        print_json("list", {"entries": entries})
    else:
        reports.print_entries(entries)


@cli.command(cls=Command, epilog=examples("nixpy gc --dry-run", "nixpy gc"))
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@json_option
def gc(dry_run: bool, as_json: bool) -> None:
    """Remove what belongs to projects that are gone: entries, logs, central environments.

    And what the hook keeps for directories that have no .envrc any more.
    """
    from nixpy.collect import collect

    removed = collect(os.environ, dry_run=dry_run)
    if as_json:
        print_json("gc", {"dry_run": dry_run, "removed": [one._asdict() for one in removed]})
        return
    for one in removed:
        click.echo(f"{'would remove' if dry_run else 'removed'} {one.path} ({one.why})")
    if not removed:
        click.echo("nothing to remove")


@cli.command(cls=Command, epilog=examples('eval "$(nixpy completion bash)"'))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "nixpy", "_NIXPY_COMPLETE").source())
