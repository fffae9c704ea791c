"""Jupyter's directories, beside what jupyter_core itself says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nixpy.jupyter.paths import data_directory, kernel_directories, runtime_directory

ASKS = """
import json
from jupyter_core import paths
from jupyter_client.kernelspec import KernelSpecManager
print(json.dumps([
    paths.jupyter_data_dir(), paths.jupyter_runtime_dir(), KernelSpecManager().kernel_dirs
]))
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_DATA_HOME": "/data"},
        {"JUPYTER_DATA_DIR": "/jupyter"},
        {"JUPYTER_RUNTIME_DIR": "/run/jupyter"},
        {"JUPYTER_PATH": "/one:/two", "IPYTHONDIR": "/tmp/ipython"},
    ],
)
def test_the_directories_are_those_of_jupyter(
    environ: dict[str, str], variables: dict[str, str]
) -> None:
    del environ["XDG_DATA_HOME"]
    given = {**environ, **variables, "JUPYTER_PREFER_ENV_PATH": "0"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", ASKS], env=given, capture_output=True, text=True, check=True
    )
    data, runtime, directories = json.loads(done.stdout)
    assert data_directory(given) == data
    assert runtime_directory(given) == runtime
    ours = kernel_directories(given, (sys.prefix,))
    # It leaves out IPython's where IPython was never there.
    assert [one for one in ours if "ipython" not in one] == [
        one for one in directories if "ipython" not in one
    ]


def test_there_is_no_home() -> None:
    assert data_directory({}) is None
    assert runtime_directory({}) is None
    assert kernel_directories({}) == (
        "/usr/local/share/jupyter/kernels",
        "/usr/share/jupyter/kernels",
    )


def test_macos_has_a_place_of_its_own() -> None:
    assert data_directory({"HOME": "/Users/me"}, "darwin") == "/Users/me/Library/Jupyter"
