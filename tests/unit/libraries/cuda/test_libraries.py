from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from nixpy.libraries.cuda.driver import Driver
from nixpy.libraries.cuda.libraries import LIBRARIES, USERS, driver_libraries, wants_driver
from nixpy.libraries.cuda.places import LIBCUDA

from .stubs import for_32_bits, library, needs_gcc, of_another_machine

if TYPE_CHECKING:
    from pathlib import Path


linux = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")


def driver_at(path: Path, version: str = "") -> Driver:
    return Driver(str(path), version, (12, 4), "libcuda")


def test_every_library_is_there_once() -> None:
    names = [one.soname for one in LIBRARIES]
    assert len(names) == len(set(names))
    for one in LIBRARIES:
        assert one.source
        assert one.is_versioned == one.soname.endswith(".")
        assert one.soname.startswith(("libcuda", "libnv", "libdxcore", "libd3d12"))


@linux
@needs_gcc
def test_nothing_but_the_drivers_libraries_comes_along(tmp_path: Path) -> None:
    own = (LIBCUDA, "libnvidia-ml.so.1", "libnvidia-nvvm.so.4", "libdxcore.so")
    others = ("libc.so.6", "libstdc++.so.6", "libGL.so.1", "libnvidia-glcore.so.1", "libcuda.so")
    first = library(tmp_path / LIBCUDA)
    for name in {*own, *others} - {LIBCUDA}:
        (tmp_path / name).write_bytes(first.read_bytes())
    assert driver_libraries(driver_at(first)) == {name: str(tmp_path / name) for name in own}


@linux
@needs_gcc
def test_what_is_no_library_of_this_machine_is_passed_over(tmp_path: Path) -> None:
    first = library(tmp_path / LIBCUDA)
    of_another_machine(library(tmp_path / "libnvidia-ml.so.1"))
    for_32_bits(tmp_path / "libnvidia-nvvm.so.4")
    (tmp_path / "libnvcuvid.so.1").write_text("INPUT(libnvcuvid.so.2)\n")
    (tmp_path / "libnvoptix.so.1").symlink_to("nowhere")
    (tmp_path / "libnvidia-encode.so.1").mkdir()
    (tmp_path / "libnvidia-opencl.so.1").write_bytes(first.read_bytes()[:80])
    assert list(driver_libraries(driver_at(first))) == [LIBCUDA]


@linux
@needs_gcc
def test_of_several_releases_the_drivers_own_counts(tmp_path: Path) -> None:
    real = library(tmp_path / "libcuda.so.550.54.14")
    (tmp_path / LIBCUDA).symlink_to(real.name)
    for name in ("libnvidia-gpucomp.so.550.54.14", "libnvidia-gpucomp.so.535.183.01"):
        (tmp_path / name).write_bytes(real.read_bytes())
    # The kernel's part can be of another release, until a reboot.
    found = driver_libraries(driver_at(tmp_path / LIBCUDA, "535.183.01"))
    assert list(found) == [LIBCUDA, "libnvidia-gpucomp.so.550.54.14"]


@linux
@needs_gcc
@pytest.mark.parametrize(("version", "count"), [("", 2), ("550.54.14", 1), ("610.57.04", 0)])
def test_a_library_whose_name_says_nothing(tmp_path: Path, version: str, count: int) -> None:
    first = library(tmp_path / LIBCUDA)
    for release in ("550.54.14", "535.183.01"):
        (tmp_path / f"libnvidia-rtcore.so.{release}").write_bytes(first.read_bytes())
    (tmp_path / "libnvidia-rtcore.so.old").write_bytes(first.read_bytes())
    assert len(driver_libraries(driver_at(first, version))) == 1 + count


@linux
@needs_gcc
def test_a_link_leads_to_more_of_them(tmp_path: Path) -> None:
    real = library(tmp_path / "nvidia/current" / LIBCUDA)
    library(tmp_path / "nvidia/current/libnvidia-nvvm.so.4")
    library(tmp_path / "libnvidia-ml.so.1")
    (tmp_path / LIBCUDA).symlink_to(real)
    assert driver_libraries(driver_at(tmp_path / LIBCUDA)) == {
        LIBCUDA: str(tmp_path / LIBCUDA),
        "libnvidia-ml.so.1": str(tmp_path / "libnvidia-ml.so.1"),
        "libnvidia-nvvm.so.4": str(tmp_path / "nvidia/current/libnvidia-nvvm.so.4"),
    }


@linux
@needs_gcc
def test_nvidias_own_that_it_needs_come_along(tmp_path: Path) -> None:
    memory = library(tmp_path / "libnvrm_mem.so", name="memory")
    gpu = library(tmp_path / "libnvrm_gpu.so", str(memory), name="gpu")
    other = library(tmp_path / "libother.so.1", name="other")
    first = library(tmp_path / LIBCUDA, str(gpu), str(other))
    found = driver_libraries(driver_at(first))
    assert list(found) == [LIBCUDA, "libnvrm_gpu.so", "libnvrm_mem.so"]


@linux
def test_a_driver_that_is_gone_has_no_libraries(tmp_path: Path) -> None:
    assert driver_libraries(driver_at(tmp_path / LIBCUDA)) == {}
    assert driver_libraries(Driver("", "550.54.14", (12, 4), "nvidia-smi")) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("nvidia-cublas-cu12", "nvidia_cuda_nvcc-13.5.37", "NVIDIA.nvjitlink", "nvidia-ml-py"),
        *("torch-2.5.1+cu124", "torchvision-0.20.1+cu118", "jaxlib-0.4.30+cuda12.cudnn91"),
        *("flash_attn-2.5.8+cu122torch2.3cxx11abiFALSE", "triton-3.1.0", "triton"),
        *("jax-cuda12-plugin", "jax_cuda13_pjrt-0.11.1", "cupy-cuda12x", "cupy_cuda110-8.0.0"),
        *("cudf-cu12", "faiss-gpu-cu12", "numba-cuda", "numba_cuda-0.20.0", "pynvml-12.0.0"),
        *("onnxruntime-gpu", "onnxruntime_gpu-1.22.0", "pycuda", "cuda-python", "cuda_bindings"),
    ],
)
def test_distributions_that_load_the_driver(name: str) -> None:
    assert wants_driver([("numpy-2.1.0", ("libc.so.6",)), (name, ())])


@pytest.mark.parametrize(
    "name",
    [
        *("numpy-2.1.0", "torch-2.5.1+cpu", "torch-2.5.1+rocm6.2", "torch", "tensorflow-2.18.0"),
        *("nvidia-pyindex", "nvidia_sphinx_theme-0.0.8", "pytorch-triton-rocm", "tritonclient"),
        *("jax", "jaxlib-0.4.30", "numba-0.61.0", "cupy-xarray", "focus-cut", "", "-1.0"),
    ],
)
def test_distributions_that_do_not(name: str) -> None:
    assert not wants_driver([(name, ("libc.so.6", "libcudnn_graph.so.9", "libnvidia.so.1"))])


@pytest.mark.parametrize(
    "soname", [LIBCUDA, "libnvidia-ml.so.1", "libnvcuvid.so.1", "libcudart.so.12"]
)
def test_files_that_need_the_driver(soname: str) -> None:
    assert wants_driver([("own-1.0", ("libc.so.6", soname))])


def test_every_user_says_who_says_so() -> None:
    for one in USERS:
        assert one.source
        assert re.compile(one.name).fullmatch("") is None
