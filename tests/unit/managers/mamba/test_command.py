"""Every command line that nixpy makes is one that the programs document."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import pytest
import yaml

from nixpy.errors import SyncFailed, ToolMissing
from nixpy.managers import Session
from nixpy.managers.mamba.command import Command
from nixpy.managers.mamba.engine import Channels, Transaction
from nixpy.managers.mamba.programs import DIALECTS, Program, find_conda_program
from nixpy.manifests.conda_lock import Package
from nixpy.process import Completed

from .recordings import PROGRAMS, option_table, recording, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

COMMON = {
    **dict.fromkeys(("--yes", "--offline", "--dry-run", "--json", "--override-channels"), False),
    **dict.fromkeys(("--prefix", "--channel", "--file"), True),
}
DOCUMENTED: dict[str, dict[str, dict[str, bool]]] = {
    # docs.conda.io, "Command reference": conda create, install, remove (23.10 and later).
    "conda": {
        "create": COMMON,
        "install": {**COMMON, "--force-reinstall": False},
        "remove": {key: value for key, value in COMMON.items() if key != "--file"},
    },
    # micromamba 1.5.8: `micromamba install --help`.
    "micromamba 1.5": {
        "create": {**COMMON, "--platform": True},
        "install": {
            **COMMON,
            "--platform": True,
            "--force-reinstall": False,
            "--allow-downgrade": False,
        },
        "remove": {"--yes": False, "--offline": False, "--prefix": True},
    },
}
DOCUMENTED["mamba 1"] = DOCUMENTED["conda"]

VERSIONS = {
    "mamba": ("mamba", "2.0.5"),
    "micromamba": ("micromamba", "2.8.1"),
    "micromamba 1.5": ("micromamba", "1.5.8"),
    "mamba 1": ("mamba", "1.5.8"),
    "conda": ("conda", "24.11.0"),
}


def table(kind: str, subcommand: str) -> dict[str, bool]:
    if kind in PROGRAMS:
        return option_table(recording(kind, f"help-{subcommand}").stdout)
    return DOCUMENTED[kind][subcommand]


class Replayed:
    """Runs nothing: refuses what the program would refuse, and prints what was recorded."""

    def __init__(self, kind: str, outputs: Sequence[tuple[int, str]] = ()) -> None:
        self.kind = kind
        self.outputs = list(outputs)
        self.calls: list[list[str]] = []
        self.configurations: list[dict[str, object]] = []

    def _take(self, argv: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str]:
        subcommand, *arguments = argv[1:]
        why = refused(list(arguments), table(self.kind, subcommand))
        assert why is None, f"{argv}: {why}"
        assert not {"-q", "--quiet"} & set(arguments)
        assert os.path.isabs(arguments[arguments.index("--prefix") + 1])
        self.calls.append(list(argv))
        with open(environ["CONDARC"], encoding="utf-8") as file:
            assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
            self.configurations.append(yaml.safe_load(file))
        return self.outputs.pop(0) if self.outputs else (0, "")

    def show(self, argv, *, environ, log, **_):  # type: ignore[no-untyped-def]
        status, text = self._take(argv, environ)
        log.write(text.encode())
        return status

    def capture(self, argv, *, environ, **_):  # type: ignore[no-untyped-def]
        status, text = self._take(argv, environ)
        return Completed(status, text, "")


@contextlib.contextmanager
def session(runner: object, directory: Path, **variables: str) -> Iterator[Session]:
    environ = {"HOME": str(directory), "PATH": "/usr/bin:/bin", **variables}
    with open(directory / "log", "w+b", buffering=0) as log:
        yield Session(runner=runner, environ=environ, log=log, uv="uv")  # type: ignore[arg-type]


def carry_out(
    kind: str,
    runner: Replayed,
    directory: Path,
    transaction: Transaction | None = None,
    channels: Channels | None = None,
    **variables: str,
) -> None:
    transaction = transaction or Transaction(prefix=prefix_with(directory), specs=("a",))
    with session(runner, directory, **variables) as one:
        command(kind).carry_out(transaction, channels or CHANNELS, one)


def command(kind: str) -> Command:
    name, version = VERSIONS[kind]
    numbers = tuple(int(part) for part in version.split("."))
    dialect = next(one for one in DIALECTS if one.name == name and numbers >= one.since)
    return Command(Program(f"/opt/bin/{name}", version, dialect))


def prefix_with(directory: Path, *packages: str) -> str:
    prefix = directory / "prefix"
    (prefix / "conda-meta").mkdir(parents=True, exist_ok=True)
    for name in packages:
        record = f'{{"name": "{name}", "version": "1.0", "build": "0"}}'
        (prefix / f"conda-meta/{name}-1.0-0.json").write_text(record)
    return str(prefix)


CHANNELS = Channels(("https://host/forge", "https://host/other"), "strict", "linux-64")
LOCKED = (Package("https://host/forge/noarch/a-1.0-0.conda", "0" * 64, "1" * 32),)


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("reinstall", [False, True])
@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("kind", VERSIONS)
def test_command_lines_are_those_that_the_programs_document(
    kind: str, locked: bool, reinstall: bool, exact: bool, offline: bool, tmp_path: Path
) -> None:
    runner = Replayed(kind)
    transaction = Transaction(
        prefix=prefix_with(tmp_path, "old", "kept"),
        specs=() if locked else ("a >=1", "b"),
        packages=LOCKED if locked else (),
        removed=("old", "never-there"),
        exact=exact,
        reinstall=reinstall,
    )
    channels = Channels(CHANNELS.urls, "flexible", "linux-64", ("/pkgs",), offline, "/ca.pem")
    carry_out(kind, runner, tmp_path, transaction, channels)
    subcommands = [argv[1] for argv in runner.calls]
    assert subcommands == ["remove", "install"]
    removed = {"old", "kept"} if locked and exact else {"old"}
    assert set(runner.calls[0][-len(removed) :]) == removed
    assert ("--offline" in runner.calls[1]) == offline
    assert runner.configurations[-1] == {
        "channel_priority": "flexible",
        "pkgs_dirs": ["/pkgs"],
        "ssl_verify": "/ca.pem",
    }
    if not locked:
        assert runner.calls[1][-2:] == ["a >=1", "b"] or reinstall
    assert ("--force-reinstall" in runner.calls[1]) == reinstall


@pytest.mark.parametrize("kind", VERSIONS)
def test_credentials_stand_in_a_private_configuration_alone(kind: str, tmp_path: Path) -> None:
    runner = Replayed(kind)
    url = "https://user:word@host/forge"
    channels = Channels((url,), "strict", "linux-64")
    carry_out(kind, runner, tmp_path, None, channels)
    assert not any("word" in argument for argv in runner.calls for argument in argv)
    assert runner.configurations[0]["channels"] == [url]
    assert "word" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unsatisfiable-plain", ("hello-lib <1", "hello-tool >3", "does not exist")),
        ("missing-package", ("nothing-like-it",)),
        ("missing-channel", ("file:///demo/nowhere",)),
    ],
)
def test_what_went_wrong_is_said_in_two_lines(
    kind: str, name: str, said: tuple[str, ...], tmp_path: Path
) -> None:
    one = recording(kind, name)
    runner = Replayed(kind, [(one.status, one.stdout + one.stderr)])
    with pytest.raises(SyncFailed) as caught:
        carry_out(kind, runner, tmp_path)
    assert all(part in caught.value.what for part in said)
    assert str(caught.value).count("\n") == 1
    assert "issues/new" not in str(caught.value)


def test_one_segmentation_fault_is_tried_again(tmp_path: Path) -> None:
    runner = Replayed("micromamba", [(-signal.SIGSEGV, ""), (0, "")])
    carry_out("micromamba", runner, tmp_path)
    assert len(runner.calls) == 2
    runner = Replayed("micromamba", [(139, ""), (139, "")])
    with pytest.raises(SyncFailed, match="139"):
        carry_out("micromamba", runner, tmp_path)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_offline_is_told_from_missing(kind: str, tmp_path: Path) -> None:
    one = recording(kind, "missing-package")
    runner = Replayed(kind, [(one.status, one.stderr)])
    channels = Channels(CHANNELS.urls, "strict", "linux-64", is_offline=True)
    with pytest.raises(SyncFailed, match="never fetched"):
        carry_out(kind, runner, tmp_path, None, channels)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_names_that_the_channels_have_are_known_by_what_a_solver_misses(
    kind: str, tmp_path: Path
) -> None:
    one = recording(kind, "missing-package")
    runner = Replayed(kind, [(one.status, one.stderr), (0, "")])
    names = ["hello-tool", "nothing-like-it"]
    with session(runner, tmp_path) as one_session:
        known = command(kind).known(names, CHANNELS, one_session)
    assert known == {"hello-tool"}
    assert runner.calls[0][1] == "create"
    assert "--dry-run" in runner.calls[0]


def test_the_user_s_own_configuration_file_stays_in_force(tmp_path: Path) -> None:
    own = tmp_path / "condarc"
    own.write_text("always_copy: true\nchannel_priority: disabled\n")
    runner = Replayed("conda")
    carry_out("conda", runner, tmp_path, CONDARC=str(own))
    assert runner.configurations == [{"always_copy": True, "channel_priority": "strict"}]


class Said:
    """Says a version."""

    def __init__(self, text: str) -> None:
        self.text = text

    def capture(self, *_, **__):  # type: ignore[no-untyped-def]
        return Completed(0, self.text, "")


def program(directory: Path, name: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "said", "version", "since"),
    [
        ("micromamba", recording("micromamba", "version").stdout, "2.8.1", (2,)),
        ("mamba", recording("mamba", "version").stdout, "2.0.5", (2,)),
        ("micromamba", "1.5.8\n", "1.5.8", (1, 5)),
        ("mamba", "mamba 1.5.8\nconda 24.1.2\n", "1.5.8", (1, 4)),
        ("conda", "conda 24.11.0\n", "24.11.0", (23, 10)),
    ],
)
def test_programs_say_their_versions(
    tmp_path: Path, name: str, said: str, version: str, since: tuple[int, ...]
) -> None:
    path = program(tmp_path / "bin", name)
    environ = {"PATH": str(path.parent)}
    found = find_conda_program(environ, Said(said))  # type: ignore[arg-type]
    assert found is not None
    assert (found.path, found.version, found.dialect.since) == (str(path), version, since)


@pytest.mark.parametrize(
    ("name", "said"), [("conda", "conda 4.12.0"), ("mamba", "hello"), ("micromamba", "0.27.0")]
)
def test_what_is_too_old_or_says_nothing_is_an_error(tmp_path: Path, name: str, said: str) -> None:
    environ = {"PATH": str(program(tmp_path / "bin", name).parent)}
    with pytest.raises(ToolMissing) as caught:
        find_conda_program(environ, Said(said))  # type: ignore[arg-type]
    assert caught.value.where == f"{tmp_path}/bin/{name}"


def test_programs_are_found_in_their_order(tmp_path: Path) -> None:
    home = program(tmp_path / "home/miniforge3/bin", "conda")
    environ = {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}

    def found() -> str:
        one = find_conda_program(environ, Said("24.11.0"))  # type: ignore[arg-type]
        assert one is not None
        return one.path

    assert found() == str(home)
    micromamba = program(tmp_path / "bin", "micromamba")
    assert found() == str(micromamba)
    mamba = program(tmp_path / "bin", "mamba")
    assert found() == str(mamba)
    environ["CONDA_EXE"] = str(program(tmp_path / "conda", "conda"))
    assert found() == environ["CONDA_EXE"]
    # Under another name mamba would not activate.
    environ["MAMBA_EXE"] = str(program(tmp_path / "other", "mm"))
    assert found() == environ["CONDA_EXE"]
    environ["MAMBA_EXE"] = str(program(tmp_path / "own", "micromamba"))
    assert found() == environ["MAMBA_EXE"]


def test_a_name_that_is_no_option_is_refused() -> None:
    install = table("micromamba", "install")
    assert refused(["--prefix", "/a", "--channel", "b", "c"], install) is None
    assert refused(["--prune"], install) == "no such option: --prune"
    assert refused(["--prefix"], install) == "--prefix needs a value"
    assert refused(["--yes=1"], install) == "--yes takes no value"
    for kind in PROGRAMS:
        options = table(kind, "create")
        assert options["--yes"] is False
        assert options["-p"] is options["--prefix"] is True
