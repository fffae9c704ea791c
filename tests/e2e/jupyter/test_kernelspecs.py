"""What `nixpy kernel list`, `remove` and `prune` make of what lies on Jupyter's paths."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Jupyter


def write_spec(place: Path, argv: Any, **more: Any) -> Path:
    place.mkdir(parents=True)
    spec = {"argv": argv, "display_name": place.name, "language": "python", **more}
    (place / "kernel.json").write_text(json.dumps(spec))
    return place


@pytest.mark.parametrize(
    ("argv", "state", "problem"),
    [
        (["/bin/sh"], "ok", None),
        (["python3", "-m", "ipykernel_launcher"], "ok", None),
        (["{resource_dir}/run"], "ok", None),
        (["/nix/store/gone/bin/python"], "dead", "/nix/store/gone/bin/python is gone"),
        (["no-such-program"], "dead", "no-such-program is not on PATH"),
        (["/etc/passwd"], "dead", "/etc/passwd cannot be executed"),
        ([], "dead", "kernel.json has no argv"),
        ("python", "dead", "kernel.json has no argv"),
        ([1], "dead", "kernel.json has no argv"),
    ],
)
def test_foreign_kernels_that_cannot_start_are_found(
    jupyter: Jupyter, argv: Any, state: str, problem: str | None
) -> None:
    write_spec(jupyter.kernels / "one", argv)
    found = jupyter.listed()["one"]
    assert (found["kind"], found["state"]) == ("foreign", state)
    assert found["problems"] == ([problem] if problem else [])


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"metadata": {"nixpy": 1}}'])
def test_a_damaged_kernelspec_is_dead(jupyter: Jupyter, text: str) -> None:
    place = jupyter.kernels / "one"
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(text)
    assert jupyter.listed()["one"]["state"] == "dead"


def test_an_environment_without_ipykernel_is_found(jupyter: Jupyter) -> None:
    place = jupyter.world.directory / "venv"
    jupyter.world.run("uv", "venv", "-q", str(place))
    argv = [str(place / "bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    write_spec(jupyter.kernels / "one", argv)
    assert jupyter.listed()["one"]["problems"] == [f"{place} has no ipykernel"]
    shutil.rmtree(place)
    assert jupyter.listed()["one"]["problems"] == [f"{place}/bin/python is gone"]


def test_a_link_to_what_is_gone_is_said(jupyter: Jupyter) -> None:
    link = jupyter.world.directory / "python"
    link.symlink_to("/nowhere/python")
    write_spec(jupyter.kernels / "one", [str(link)])
    assert jupyter.listed()["one"]["problems"] == [f"{link} is a link to what is gone"]


def test_the_first_of_a_name_hides_the_others(jupyter: Jupyter) -> None:
    first = jupyter.world.directory / "first"
    jupyter.world.environ["JUPYTER_PATH"] = str(first)
    write_spec(first / "kernels/one", ["/bin/sh"])
    write_spec(jupyter.kernels / "One", ["/bin/sh"])
    found = jupyter.document("kernel", "list")["kernels"]
    mine = [(one["name"], one["hidden"]) for one in found if one["name"].lower() == "one"]
    assert mine == [("one", False), ("One", True)]
    jupyter.world.nixpy("kernel", "remove", "one")
    assert not (first / "kernels/one").exists()
    assert (jupyter.kernels / "One").exists()


def test_what_is_linked_is_not_followed_by_remove(jupyter: Jupyter) -> None:
    there = write_spec(jupyter.world.directory / "there", ["/bin/sh"])
    jupyter.kernels.mkdir(parents=True)
    (jupyter.kernels / "one").symlink_to(there)
    assert jupyter.world.nixpy("kernel", "remove", "ONE").stdout == (
        f"removed {jupyter.kernels}/one\n"
    )
    assert (there / "kernel.json").exists()


def test_a_name_that_is_none_is_said(jupyter: Jupyter) -> None:
    for command in ("remove", "check"):
        done = jupyter.world.nixpy("kernel", command, "nope", check=False)
        assert done.returncode == 1
        assert done.stderr == (
            "nixpy: there is no kernelspec 'nope' on Jupyter's paths\n"
            "nixpy: `nixpy kernel list` shows those that are.\n"
        )


class TestPrune:
    @pytest.fixture(autouse=True)
    def specs(self, jupyter: Jupyter) -> None:
        write_spec(jupyter.kernels / "dead", ["/nowhere/python"])
        write_spec(jupyter.kernels / "good", ["/bin/sh"])

    def names(self, jupyter: Jupyter) -> set[str]:
        return {one.name for one in jupyter.kernels.iterdir()}

    def test_nothing_goes_where_nobody_can_be_asked(self, jupyter: Jupyter) -> None:
        done = jupyter.world.nixpy("kernel", "prune", check=False)
        assert done.returncode == 2
        assert "nobody to ask" in done.stderr
        assert done.stdout == f"{jupyter.kernels}/dead: /nowhere/python is gone\n"
        assert self.names(jupyter) == {"dead", "good"}

    def test_a_dry_run_only_shows(self, jupyter: Jupyter) -> None:
        found = jupyter.document("kernel", "prune", "--dry-run")
        assert [one["name"] for one in found["dead"]] == ["dead"]
        assert found["removed"] == []
        assert self.names(jupyter) == {"dead", "good"}

    def test_with_yes_the_dead_go(self, jupyter: Jupyter) -> None:
        assert jupyter.world.nixpy("kernel", "prune", "--yes").stdout.endswith("removed 1\n")
        assert self.names(jupyter) == {"good"}
        assert jupyter.world.nixpy("kernel", "prune").stdout == "nothing to remove\n"

    @pytest.mark.parametrize(("answer", "left"), [("n", {"dead", "good"}), ("y", {"good"})])
    def test_a_person_is_asked(self, jupyter: Jupyter, answer: str, left: set[str]) -> None:
        asked = pexpect.spawn(
            "nixpy",
            ["kernel", "prune"],
            env=jupyter.world.environ,
            cwd=str(jupyter.world.directory),
            encoding="utf-8",
            timeout=60,
        )
        asked.expect_exact("/nowhere/python is gone")
        asked.expect_exact("remove 1 of them?")
        asked.sendline(answer)
        asked.expect(pexpect.EOF)
        asked.close()
        assert asked.exitstatus == 0
        assert self.names(jupyter) == left


def test_fifty_kernels_are_listed_within_a_second(jupyter: Jupyter) -> None:
    for number in range(50):
        project = jupyter.world.directory / f"project{number}"
        (project / ".venv/bin").mkdir(parents=True)
        (project / ".venv/bin/python").symlink_to(sys.executable)
        told = {"nixpy": {"version": 1, "project": str(project), "flags": []}}
        write_spec(jupyter.kernels / f"k{number}", ["/bin/sh"], metadata=told)
    taken = []
    for _ in range(3):
        started = time.monotonic()
        found = jupyter.listed()
        taken.append(time.monotonic() - started)
    assert len(found) == 50
    assert {one["state"] for one in found.values()} == {"stale"}
    assert min(taken) < 1, taken
