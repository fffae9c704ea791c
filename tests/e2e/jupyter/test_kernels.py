"""Kernels that nixpy registers, as a notebook has them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ..doctor.conftest import write_wheel
from .conftest import MANIFEST, is_running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..conftest import Project, World
    from .conftest import Jupyter

    Make = Callable[..., Project]

pytestmark = pytest.mark.network

WITH_WHEEL = """\
[project]
name = "app"
version = "1"
requires-python = ">=3.10"
dependencies = ["alpha"]

[tool.uv]
find-links = ["wheels"]
"""


def test_a_kernel_runs_in_the_project_s_environment(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    project.write(
        "nixpy.toml", 'path = ["tools"]\n[env]\nLD_LIBRARY_PATH = "/opt/farm"\nGREETING = "hi"\n'
    )
    before = (project.path / "pyproject.toml").read_bytes()
    installed = project.nixpy("kernel", "install")
    assert installed.stdout.startswith("nixpy-app: Python (app), in ")
    assert "installing ipykernel into" in installed.stderr
    lock = (project.path / "uv.lock").read_bytes()
    assert b"ipykernel" not in lock
    assert (project.path / "pyproject.toml").read_bytes() == before
    assert project.nixpy("status").stdout.startswith("fresh")
    assert project.nixpy("sync").stderr == "nixpy: already in sync\n"

    notebook = jupyter.open("nixpy-app", project.path)
    assert notebook.run("import sys; print(sys.prefix)") == str(project.path / ".venv")
    assert notebook.run("import os; print(os.environ['LD_LIBRARY_PATH'])") == "/opt/farm"
    assert notebook.run("print(os.environ['GREETING'], os.environ['VIRTUAL_ENV'])") == (
        f"hi {project.path}/.venv"
    )
    path = notebook.run("print(os.environ['PATH'])").split(":")
    assert path[:2] == [f"{project.path}/tools", f"{project.path}/.venv/bin"]
    assert notebook.run("print(os.getcwd())") == str(project.path)


def test_the_process_that_jupyter_signals_is_the_kernel(jupyter: Jupyter, project_of: Make) -> None:
    project_of().nixpy("kernel", "install")
    notebook = jupyter.open("nixpy-app")
    pid = notebook.pid
    ids = notebook.run("import os; print(os.getpid(), os.getpgid(0), os.getsid(0), os.getppid())")
    assert ids.split() == [str(pid)] * 3 + [str(os.getpid())]

    asked = notebook.client.execute("import time\ntime.sleep(60)")
    time.sleep(0.5)
    started = time.monotonic()
    notebook.manager.interrupt_kernel()
    reply = notebook.client.get_shell_msg(timeout=30)
    assert reply["parent_header"]["msg_id"] == asked
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - started < 20

    notebook.run("kept = 1")
    notebook.restart()
    assert notebook.try_("kept")[0]["ename"] == "NameError"
    assert notebook.pid != pid
    notebook.manager.shutdown_kernel()
    assert not notebook.manager.is_alive()


def test_input_and_comms_work(jupyter: Jupyter, project_of: Make) -> None:
    project_of().nixpy("kernel", "install")
    notebook = jupyter.open("nixpy-app")
    assert notebook.run("print(input('name? ')[::-1])", answer="anna b") == "b anna"
    notebook.run(
        "def opened(comm, message):\n"
        "    comm.send({'echo': message['content']['data']})\n"
        "get_ipython().kernel.comm_manager.register_target('widget', opened)"
    )
    client = notebook.client
    content = {"comm_id": "1", "target_name": "widget", "data": {"value": 7}}
    client.shell_channel.send(client.session.msg("comm_open", content))
    while True:
        message = client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "comm_msg":
            break
    assert message["content"]["data"] == {"echo": {"value": 7}}


def test_a_restart_sees_a_package_that_was_added(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    project.nixpy("kernel", "install")
    notebook = jupyter.open("nixpy-app", project.path)
    assert notebook.try_("import alpha")[0]["ename"] == "ModuleNotFoundError"
    write_wheel(project.path / "wheels", "alpha", "1.0")
    project.write("pyproject.toml", WITH_WHEEL)
    notebook.restart()
    assert notebook.run("import alpha; print(alpha.version)") == "1.0"


def test_an_exact_sync_takes_ipykernel_out_and_the_start_brings_it_back(
    jupyter: Jupyter, project_of: Make
) -> None:
    project = project_of()
    project.nixpy("kernel", "install")
    write_wheel(project.path / "wheels", "alpha", "1.0")
    project.write("pyproject.toml", WITH_WHEEL)
    project.nixpy("sync")
    assert not list(project.path.glob(".venv/lib/*/site-packages/ipykernel"))
    assert jupyter.listed()["nixpy-app"]["problems"] == [f"{project.path}/.venv has no ipykernel"]
    assert jupyter.listed()["nixpy-app"]["state"] == "stale"
    notebook = jupyter.open("nixpy-app", project.path)
    assert notebook.run("import alpha; print(alpha.version)") == "1.0"
    assert "installing ipykernel" in notebook.log.read_text()
    assert jupyter.listed()["nixpy-app"]["state"] == "ok"


def test_what_an_exact_sync_took_out_comes_back_without_a_network(
    jupyter: Jupyter, project_of: Make
) -> None:
    project = project_of()
    project.nixpy("kernel", "install")
    project.nixpy("sync", "--force")
    assert not list(project.path.glob(".venv/lib/*/site-packages/ipykernel"))
    nowhere = "http://127.0.0.1:9"
    notebook = jupyter.open(
        "nixpy-app", project.path, HTTPS_PROXY=nowhere, HTTP_PROXY=nowhere, UV_HTTP_RETRIES="0"
    )
    assert notebook.run("import sys; print(sys.prefix)") == str(project.path / ".venv")


def test_a_failed_sync_leaves_the_last_good_environment(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    project.nixpy("kernel", "install")
    project.write("pyproject.toml", MANIFEST.replace("[]", '["no-such-thing-anywhere"]'))
    notebook = jupyter.open(
        "nixpy-app",
        project.path,
        UV_OFFLINE="1",
    )
    assert notebook.run("import sys; print(sys.prefix)") == str(project.path / ".venv")
    stale = notebook.run("import os; print(os.environ['NIXPY_STALE'])")
    assert "no-such-thing-anywhere" in stale
    assert f"the last good environment serves: {stale}" in notebook.log.read_text()


@pytest.mark.parametrize(
    "name", ["with space", 'it\'s "quoted"', "ünï ☃", "{connection_file}", "$HOME", "a%20b"]
)
def test_a_project_may_be_called_anything(jupyter: Jupyter, project_of: Make, name: str) -> None:
    project = project_of(name)
    installed = jupyter.document("kernel", "install", cwd=project.path)
    assert installed["display_name"] == f"Python ({name})"
    found = jupyter.listed()[installed["name"]]
    assert (found["project"], found["state"]) == (str(project.path), "ok")
    notebook = jupyter.open(installed["name"])
    assert notebook.run("import sys; print(sys.prefix)") == str(project.path / ".venv")


def test_two_projects_of_one_name_have_two_kernels(jupyter: Jupyter, project_of: Make) -> None:
    first, second = project_of("one/app"), project_of("two/app")
    names = [
        jupyter.document("kernel", "install", cwd=project.path)["name"]
        for project in (first, second, first, second)
    ]
    assert names[0] == "nixpy-app"
    assert names[1].startswith("nixpy-app-")
    assert names[2:] == names[:2]
    found = jupyter.listed()
    assert {one["display_name"] for one in found.values()} == {
        "Python (app)",
        f"Python (app, {second.path.parent})",
    }
    assert {name: one["project"] for name, one in found.items()} == {
        names[0]: str(first.path),
        names[1]: str(second.path),
    }


def test_the_spec_is_what_jupyter_asks_for(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    project.nixpy("kernel", "install", "--name", "mine", "--display-name", "My own")
    spec = jupyter.spec("mine")
    assert spec["display_name"] == "My own"
    assert spec["language"] == "python"
    assert spec["interrupt_mode"] == "signal"
    assert spec["metadata"]["nixpy"]["project"] == str(project.path)
    assert spec["metadata"]["debugger"] is True
    assert spec["argv"][0] == str(jupyter.world.home / "bin/nixpy")
    logos = {one.name for one in (jupyter.kernels / "mine").iterdir()} - {"kernel.json"}
    assert {"logo-32x32.png", "logo-64x64.png"} <= logos


def test_a_kernel_in_a_prefix_can_be_read_by_others(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    hub = jupyter.world.directory / "hub"
    project.nixpy("kernel", "install", "--prefix", str(hub))
    place = hub / "share/jupyter/kernels/nixpy-app"
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "kernel.json").stat().st_mode) == 0o644
    assert not jupyter.kernels.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--name", "a b"], 2, "'a b' is no name for a kernelspec"),
        (["--user", "--sys-prefix"], 2, "exclude each other"),
        (["--per-notebook", "--project", "."], 2, "--per-notebook is for every project"),
        (["--prefix", "/proc/none"], 1, "the kernelspec cannot be written"),
        (["--extras"], 2, "--extras"),
    ],
)
def test_bad_arguments_are_said(
    jupyter: Jupyter, project_of: Make, arguments: list[str], status: int, said: str
) -> None:
    project = project_of()
    done = project.nixpy("kernel", "install", *arguments, check=False)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not jupyter.kernels.exists()


def test_a_name_that_another_kernel_has_is_refused(jupyter: Jupyter, project_of: Make) -> None:
    foreign = jupyter.kernels / "taken"
    foreign.mkdir(parents=True)
    spec = {"argv": [sys.executable], "display_name": "Other", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    project = project_of()
    done = project.nixpy("kernel", "install", "--name", "taken", check=False)
    assert done.returncode == 1
    assert "another kernelspec of this name: Other" in done.stderr
    assert json.loads((foreign / "kernel.json").read_text()) == spec


def test_without_ipykernel_nothing_is_installed(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    done = project.nixpy("kernel", "install", "--without-ipykernel", check=False)
    assert done.returncode == 1
    assert "has no ipykernel" in done.stderr
    assert "uv add --dev ipykernel" in done.stderr
    assert not jupyter.kernels.exists()


class TestPerNotebook:
    def test_the_project_is_that_of_the_notebook(self, jupyter: Jupyter, project_of: Make) -> None:
        jupyter.world.nixpy("kernel", "install", "--per-notebook")
        assert jupyter.spec("nixpy")["display_name"] == "Python (nixpy)"
        for name in ("one", "two"):
            project = project_of(name, MANIFEST.replace("[]", '["ipykernel"]'))
            deep = project.path / "notebooks/deep"
            deep.mkdir(parents=True)
            notebook = jupyter.open("nixpy", deep)
            assert notebook.run("import sys; print(sys.prefix)") == f"{project.path}/.venv"

    def test_the_notebook_s_path_counts_where_the_directory_is_no_project(
        self, jupyter: Jupyter, project_of: Make
    ) -> None:
        jupyter.world.nixpy("kernel", "install", "--per-notebook")
        project = project_of("one", MANIFEST.replace("[]", '["ipykernel"]'))
        notebook = jupyter.open("nixpy", JPY_SESSION_NAME=f"{project.path}/a.ipynb")
        assert notebook.run("import sys; print(sys.prefix)") == f"{project.path}/.venv"

    def test_outside_of_projects_the_notebook_says_so(self, jupyter: Jupyter) -> None:
        jupyter.world.nixpy("kernel", "install", "--per-notebook")
        notebook = jupyter.open("nixpy")
        for _ in range(2):
            reply, _said = notebook.try_("1 + 1")
            assert reply["status"] == "error"
            assert "the notebook lies in no project" in reply["evalue"]
            assert reply["traceback"][0] == "The kernel did not start."
        assert "the notebook lies in no project" in notebook.log.read_text()
        notebook.manager.interrupt_kernel()
        assert notebook.try_("1 + 1")[0]["status"] == "error"
        notebook.manager.shutdown_kernel()
        assert not notebook.manager.is_alive()

    def test_a_project_made_since_is_found_by_a_restart(self, jupyter: Jupyter) -> None:
        jupyter.world.nixpy("kernel", "install", "--per-notebook")
        notebook = jupyter.open("nixpy")
        assert notebook.try_("1")[0]["status"] == "error"
        manifest = MANIFEST.replace("[]", '["ipykernel"]')
        (jupyter.world.directory / "pyproject.toml").write_text(manifest)
        notebook.restart()
        assert notebook.run("print(1)") == "1"

    def test_no_ipykernel_is_said_and_none_installed(
        self, jupyter: Jupyter, project_of: Make
    ) -> None:
        jupyter.world.nixpy("kernel", "install", "--per-notebook")
        project = project_of()
        reply, _ = jupyter.open("nixpy", project.path).try_("1")
        assert "has no ipykernel" in reply["evalue"]
        assert "uv add --dev ipykernel" in reply["evalue"]
        assert not list(project.path.glob(".venv/lib/*/site-packages/ipykernel"))


class TestTrouble:
    @pytest.fixture
    def project(self, project_of: Make) -> Project:
        project = project_of()
        project.nixpy("kernel", "install")
        return project

    def test_a_project_that_is_gone(self, jupyter: Jupyter, project: Project) -> None:
        project.path.rename(project.path.with_name("moved"))
        found = jupyter.listed()["nixpy-app"]
        assert found["state"] == "dead"
        assert found["problems"] == [f"the project {project.path} is gone, or has moved"]
        tried = jupyter.document("kernel", "check", "nixpy-app", check=False)
        assert not tried["works"]
        assert "the project of this kernel is gone" in tried["detail"]
        reply, _ = jupyter.open("nixpy-app").try_("1")
        assert "the project of this kernel is gone" in reply["evalue"]

    def test_a_project_that_moved_takes_its_kernel_along(
        self, jupyter: Jupyter, project: Project, world_nixpy: Callable[..., str]
    ) -> None:
        (project.path.parent / "other").mkdir()
        project.path.rename(project.path.parent / "other/app")
        world_nixpy("kernel", "install", cwd=project.path.parent / "other/app")
        assert list(jupyter.listed()) == ["nixpy-app"]
        assert jupyter.listed()["nixpy-app"]["state"] == "ok"

    @pytest.mark.parametrize("fault", ["deleted", "interpreter", "moved"])
    def test_starting_mends_an_environment(
        self, jupyter: Jupyter, project: Project, fault: str
    ) -> None:
        environment = project.path / ".venv"
        if fault == "interpreter":
            (environment / "bin/python").unlink()
            (environment / "bin/python").symlink_to("/nix/store/collected/bin/python3")
            problem = f"the interpreter of {environment} is gone"
        else:
            problem = f"the environment {environment} is gone"
            shutil.rmtree(environment) if fault == "deleted" else environment.rename(
                project.path / "elsewhere"
            )
        found = jupyter.listed()["nixpy-app"]
        assert (found["state"], found["problems"]) == ("stale", [problem])
        tried = jupyter.document("kernel", "check", "nixpy-app")
        assert tried["works"]
        assert tried["executable"] == str(environment / "bin/python")
        assert jupyter.listed()["nixpy-app"]["state"] == "ok"

    def test_an_environment_that_cannot_be_made_is_one_clear_error(
        self, jupyter: Jupyter, project: Project
    ) -> None:
        shutil.rmtree(project.path / ".venv")
        project.write("pyproject.toml", "[project\n")
        done = jupyter.world.nixpy("kernel", "check", "nixpy-app", check=False)
        assert done.returncode == 1
        assert done.stdout == "nixpy-app does not work\n"
        assert "pyproject.toml" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.usefixtures("project")
    def test_nixpy_is_gone(self, jupyter: Jupyter) -> None:
        (jupyter.kernels / "nixpy-app/kernel.json").write_text(
            json.dumps({**jupyter.spec("nixpy-app"), "argv": ["/nowhere/nixpy", "kernel"]})
        )
        found = jupyter.listed()["nixpy-app"]
        assert (found["state"], found["problems"]) == ("dead", ["/nowhere/nixpy is gone"])
        assert (
            "cannot be started"
            in (jupyter.document("kernel", "check", "nixpy-app", check=False)["detail"])
        )

    def test_the_environment_goes_under_a_running_kernel(
        self, jupyter: Jupyter, project: Project
    ) -> None:
        notebook = jupyter.open("nixpy-app", project.path)
        shutil.rmtree(project.path / ".venv")
        notebook.restart()
        assert notebook.run("import sys; print(sys.prefix)") == str(project.path / ".venv")


@pytest.fixture
def world_nixpy(bare_world: World) -> Callable[..., str]:
    def run(*arguments: str, cwd: Path) -> str:
        return bare_world.nixpy(*arguments, cwd=cwd).stdout

    return run


def test_the_server_s_own_environment_stays_outside(jupyter: Jupyter, project_of: Make) -> None:
    """A server that runs in another project's environment, as `nixpy run` gives it."""
    other, project = project_of("other"), project_of("app")
    other.write("nixpy.toml", '[env]\nOF_OTHER = "1"\n')
    project.nixpy("kernel", "install")
    shown = json.loads(other.nixpy("export", "json").stdout)
    given = {name: value for name, value in shown.items() if value is not None}
    notebook = jupyter.open("nixpy-app", **given)
    said = notebook.run(
        "import os; print(os.environ.get('OF_OTHER'), os.environ['VIRTUAL_ENV'], "
        "os.environ['PATH'])"
    )
    assert said.startswith(f"None {project.path}/.venv ")
    assert str(other.path) not in said


def test_check_takes_no_longer_than_it_is_given(jupyter: Jupyter) -> None:
    place = jupyter.kernels / "slow"
    place.mkdir(parents=True)
    told = jupyter.world.directory / "pid"
    argv = ["/bin/sh", "-c", f"echo $$ > {told}; exec sleep 60"]
    spec = {"argv": argv, "display_name": "Slow", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec))
    started = time.monotonic()
    done = jupyter.world.nixpy("kernel", "check", "slow", "--timeout", "2", check=False)
    assert done.returncode == 1
    assert time.monotonic() - started < 20
    assert not is_running(int(told.read_text()))


class TestWithoutTheExtra:
    @pytest.fixture
    def bare(self, jupyter: Jupyter) -> Jupyter:
        """nixpy as it is installed without its extra."""
        package = jupyter.world.directory / "missing/jupyter_client"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('not here')\n")
        jupyter.world.environ["PYTHONPATH"] = str(package.parent)
        return jupyter

    def test_installing_names_the_extra(self, bare: Jupyter) -> None:
        done = bare.world.nixpy("kernel", "install", "--per-notebook", check=False)
        assert done.returncode == 3
        assert "installed without it" in done.stderr
        assert "'nixpy[jupyter]'" in done.stderr

    def test_listing_takes_nothing_of_it(self, bare: Jupyter) -> None:
        assert "kernels" in bare.document("kernel", "list")

    def test_a_kernel_that_cannot_start_says_so_in_the_log(self, bare: Jupyter) -> None:
        done = bare.world.nixpy("kernel", "start", "-f", "connection.json", check=False)
        assert done.returncode == 1
        assert "the notebook lies in no project" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["-f"], ["--nope"], [], ["--project", "/x"]])
def test_start_says_what_it_does_not_understand(jupyter: Jupyter, arguments: list[str]) -> None:
    done = jupyter.world.nixpy("kernel", "start", *arguments, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("nixpy: nixpy kernel start: ")
    assert "Traceback" not in done.stderr


def test_a_fresh_start_imports_no_command_line(jupyter: Jupyter, project_of: Make) -> None:
    project = project_of()
    project.nixpy("kernel", "install")
    # A kernel that ends at once; the file itself is uv's cache's too, and every environment's.
    launcher = next(project.path.glob(".venv/lib/*/site-packages/ipykernel_launcher.py"))
    launcher.unlink()
    launcher.write_text("")
    command = [*jupyter.spec("nixpy-app")["argv"][:-1], "/nowhere/connection.json"]
    done = jupyter.world.run(sys.executable, "-X", "importtime", *command, check=False)
    lines = done.stderr.splitlines()
    # The kernel, which this process becomes, has an interpreter of its own.
    names = {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}
    assert "nixpy.jupyter.start" in names
    assert not names & {"click", "typing", "re", "json", "subprocess", "nixpy.resolver"}
