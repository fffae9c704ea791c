"""``nixpy init`` for conda: the template on a channel of the test's own, and old activations."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from ..conftest import Project
from ..nix.conftest import nix, nixpkgs, one_nix
from ..test_init import PACKAGES, Old, cd, init, run
from .channel import Channel
from .conftest import SUBDIR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..conftest import World
    from ..test_init import Inside

__all__ = ["cd", "nix", "nixpkgs"]

PYTHON = "{}.{}".format(*sys.version_info[:2])
RICH = "from builtins import print\n"
METADATA = "Metadata-Version: 2.1\nName: rich\nVersion: 14.0\n"


@pytest.fixture
def forge(world: World, packaged_python: Channel, tmp_path: Path) -> Channel:
    """A channel that ``conda-forge`` means here."""
    made = Channel(tmp_path / "channels/conda-forge", SUBDIR)
    made.link(packaged_python)
    site = "site-packages"
    made.add(
        "rich",
        "14.0",
        files={f"{site}/rich.py": RICH, f"{site}/rich-14.0.dist-info/METADATA": METADATA},
        noarch="python",
        depends=["python"],
    )
    custom = f"custom_channels:\n  conda-forge: {made.path.parent.as_uri()}\n"
    (world.home / ".condarc").write_text(custom)
    return made


@pytest.fixture
def empty(world: World, forge: Channel) -> Project:
    """An empty directory."""
    path = world.directory / "app"
    path.mkdir()
    return Project(path, world)


def test_the_example_of_the_template_mamba_runs(
    empty: Project, cd: Callable[[Project], Inside]
) -> None:
    init(empty, "--template", "mamba", "--yes", "--no-nix", "--python", PYTHON)
    inside = cd(empty)
    assert f"Python {PYTHON}" in inside.run("python main.py")
    assert inside.shell.variable("CONDA_PREFIX") == str(empty.path / ".conda")
    assert ".conda/" in (empty.path / ".gitignore").read_text()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@one_nix
def test_the_template_mamba_has_its_dev_shell_beside_the_environment(
    nixpkgs: Path, empty: Project, cd: Callable[[Project], Inside]
) -> None:
    init(empty, "--template", "mamba", "--yes", "--python", PYTHON)
    inside = cd(empty)
    said = inside.run("python main.py").replace("\n", "")
    assert f"Python {PYTHON}" in said
    assert str(empty.path / ".conda") in said
    assert inside.shell.variable("CONDA_PREFIX") == str(empty.path / ".conda")
    assert inside.run("nix-micromamba") == "micromamba of Nix\n"


ENVIRONMENT = f"""\
name: demo
channels:
  - conda-forge
dependencies:
  - python ={PYTHON}
  - rich >=13
"""

MICROMAMBA = """\
eval "$(micromamba shell hook --shell bash)"
micromamba activate demo || {
  micromamba create -y -n demo -f environment.yml
  micromamba activate demo
}
export STAGE=dev
"""

CONDA = """\
source ~/miniconda3/etc/profile.d/conda.sh
conda activate demo
export STAGE=dev
"""

ENGINE = """\
#!/bin/bash
# As much of conda as an activation takes.
case $1$2 in
  shellhook | shell.bashhook)
    cat <<'E'
{name}() {{
  case $1 in
    activate) export CONDA_PREFIX=$HOME/envs/$2 CONDA_DEFAULT_ENV=$2 PATH=$HOME/envs/$2/bin:$PATH ;;
  esac
}}
E
    ;;
  envlist | infojson) echo '{{}}' ;;
esac
"""


@pytest.mark.parametrize(
    ("envrc", "program"),
    [(MICROMAMBA, "micromamba"), (CONDA, "conda")],
    ids=["micromamba", "conda"],
)
def test_a_project_with_an_activation_of_its_own(envrc: str, program: str, empty: Project) -> None:
    world = empty.world
    # The environment that there was before, made with the same channel.
    made = world.directory / "made"
    made.mkdir()
    (made / "environment.yml").write_text(ENVIRONMENT)
    world.nixpy("sync", "--conda-engine", "rattler", cwd=made)
    (world.home / "envs").mkdir()
    (world.home / "envs/demo").symlink_to(made / ".conda")
    engine = world.home / "bin" / program
    engine.write_text(ENGINE.format(name=program))
    engine.chmod(0o755)
    profile = world.home / "miniconda3/etc/profile.d/conda.sh"
    profile.parent.mkdir(parents=True)
    profile.write_text('eval "$(conda shell.bash hook)"\n')
    world.environ["NIXPY_CONDA_ENGINE"] = "rattler"
    old = Old(empty, envrc, environment_dot_yml=ENVIRONMENT)
    before = empty.entered()
    assert before.environ["CONDA_DEFAULT_ENV"] == "demo"
    had = run(empty, before, "python", "-c", PACKAGES)
    _, after = old.moved_in()
    assert run(empty, after, "python", "-c", PACKAGES) == had
    assert "rich 14.0" in had
    text = (empty.path / ".envrc").read_text()
    assert text == "use nixpy --venv named\nexport STAGE=dev\n"
    assert after.environ["CONDA_DEFAULT_ENV"] == "demo"


def test_a_project_with_layout_anaconda(empty: Project) -> None:
    empty.write("environment.yml", ENVIRONMENT)
    empty.write(".envrc", "layout anaconda environment.yml\n")
    init(empty, "--yes")
    assert (empty.path / ".envrc").read_text() == "use nixpy\n"
    after = empty.entered()
    assert (after.status, after.said) == (0, []), after.stderr
    assert "rich 14.0" in run(empty, after, "python", "-c", PACKAGES)
