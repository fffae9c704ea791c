from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.cuda.toolkit import toolkit

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def wheels(site: Path, *files: str) -> str:
    for file in files:
        program(site / file)
    return str(site)


@pytest.fixture
def shell(tmp_path: Path) -> str:
    program(tmp_path / "merged/bin/nvcc")
    return f"{tmp_path}/merged/bin"


def test_what_the_dev_shell_sets_wins(shell: str, tmp_path: Path) -> None:
    site = wheels(tmp_path, "nvidia/cu13/bin/ptxas")
    both = {"CUDA_PATH": "/path", "CUDA_HOME": "/home"}
    assert toolkit(both, (shell,), site) == "/home"
    assert toolkit({"CUDA_PATH": "/path"}, (shell,), site) == "/path"
    assert toolkit({"CUDA_HOME": "", "HOME": "/"}, (shell,), site) == shell.removesuffix("/bin")


def test_the_compiler_of_the_dev_shell_is_before_wheels(shell: str, tmp_path: Path) -> None:
    site = wheels(tmp_path, "nvidia/cu13/bin/ptxas")
    assert toolkit({}, ("/nowhere/bin", f"{shell}/"), site) == shell.removesuffix("/bin")


def test_links_are_not_followed(shell: str, tmp_path: Path) -> None:
    """Nixpkgs' merged toolkit has links to the parts that it is made of."""
    merged = tmp_path / "links/bin"
    merged.mkdir(parents=True)
    (merged / "nvcc").symlink_to(f"{shell}/nvcc")
    assert toolkit({}, (str(merged),), None) == str(merged.parent)


@pytest.mark.parametrize("element", ["", "bin", "/", "/nowhere", "."])
def test_other_elements_have_none(element: str) -> None:
    assert toolkit({}, (element,), None) is None
    assert toolkit({}, (element,), None, is_program=lambda path: path == "bin/nvcc") is None


def test_a_compiler_that_is_not_executable_is_none(shell: str, tmp_path: Path) -> None:
    (tmp_path / "merged/bin/nvcc").chmod(0o644)
    assert toolkit({}, (shell,), None) is None


TWELVE = ("nvidia/cuda_nvcc/bin/ptxas", "nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc")
THIRTEEN = ("nvidia/cu13/bin/nvcc", "nvidia/cu13/bin/ptxas")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), None),
        (TWELVE, "nvidia/cuda_nvcc"),
        (THIRTEEN, "nvidia/cu13"),
        ((*TWELVE, *THIRTEEN), "nvidia/cu13"),
        (("nvidia/cu13/nvvm/libdevice/libdevice.10.bc",), "nvidia/cu13"),
        # Every library of CUDA 13 is in that tree; without a compiler it is no toolkit.
        (("nvidia/cu13/lib/libcublas.so.13", *TWELVE), "nvidia/cuda_nvcc"),
        (("nvidia/cublas/lib/libcublas.so.12",), None),
    ],
)
def test_wheels_bring_one(files: tuple[str, ...], expected: str | None, tmp_path: Path) -> None:
    site = wheels(tmp_path, *files)
    assert toolkit({}, (), site) == (f"{site}/{expected}" if expected else None)
