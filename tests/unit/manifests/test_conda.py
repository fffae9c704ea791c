from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixpy.errors import ManifestError
from nixpy.files import DiskFiles
from nixpy.manifests.conda import CondaManifest, merged, name_of, read_conda_manifest
from nixpy.manifests.conda_configuration import (
    CondaConfiguration,
    conda_configuration,
    without_credentials,
)
from nixpy.manifests.conda_lock import Package, read_conda_lock, read_explicit
from nixpy.manifests.conda_platform import conda_platform
from nixpy.manifests.yaml import read_yaml

if TYPE_CHECKING:
    from pathlib import Path


def manifest(directory: Path, text: str, platform: str = "linux-64") -> CondaManifest:
    path = directory / "environment.yml"
    path.write_text(text, encoding="utf-8")
    return read_conda_manifest(str(path), DiskFiles(), platform)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("numpy", "numpy"),
        ("NumPy >=2", "numpy"),
        ("numpy=1.26=py312_0", "numpy"),
        ("conda-forge::numpy>=2", "numpy"),
        ("https://host/forge::numpy", "numpy"),
        ("file:///a/b::numpy", "numpy"),
        ("numpy[version='>=2']", "numpy"),
        ("https://host/forge/noarch/a-b-1.0-py_0.conda", "a-b"),
        ("https://host/forge/linux-64/a-1.0-0.tar.bz2#sha256:00", "a"),
        ("blas=*=openblas", "blas"),
        ("ruamel.yaml", "ruamel.yaml"),
        (">=2", None),
        ("", None),
    ],
)
def test_the_name_of_a_match_spec(spec: str, name: str | None) -> None:
    assert name_of(spec) == name


def test_a_manifest_is_read_as_it_is_written(tmp_path: Path) -> None:
    found = manifest(
        tmp_path,
        """\
name: demo
channels: [conda-forge, defaults]
dependencies:
  - python=3.10
  - numpy >=2
  - sel(linux): libx
  - sel(win): [winx]
  - pip:
      - -r requirements.txt
      - six
variables:
  A: on
  B: 3.10
  C: ""
""",
    )
    assert found == CondaManifest(
        name="demo",
        channels=("conda-forge", "defaults"),
        specs=("python=3.10", "numpy >=2", "libx"),
        pip=(("-r requirements.txt", str(tmp_path)), ("six", str(tmp_path))),
        variables=(("A", "on"), ("B", "3.10"), ("C", "")),
    )
    assert merged([found, CondaManifest(specs=("six",), variables=(("A", "off"),))]).variables == (
        ("A", "off"),
        ("B", "3.10"),
        ("C", ""),
    )


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("name: [a\n", "environment.yml:2", "malformed YAML"),
        ("- a\n", "environment.yml:1", "expected a mapping"),
        ("? [a]\n: b\n", "environment.yml:1", "expected a text as key"),
        ("prefix: /x\n", "environment.yml", "prefix"),
        ("dependecies: []\n", "environment.yml: dependecies", "unknown key"),
        ("dependencies: a\n", "environment.yml: dependencies", "expected an array"),
        ("dependencies: [[a]]\n", "environment.yml: dependencies[0]", "expected a string"),
        ("dependencies: ['>=2']\n", "environment.yml: dependencies[0]", "match spec"),
        ("dependencies: [{pep: [a]}]\n", "environment.yml: dependencies[0].pep", "expected `pip`"),
        ("variables: {'a b': c}\n", "environment.yml: variables", "name of a variable"),
        ("a: &a [*a]\n", "environment.yml", "too deeply"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest(tmp_path, text)
    assert where in str(caught.value)
    assert what in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_mapping_or_an_error(text: str) -> None:
    try:
        read_yaml("a.yml", text.encode("utf-8", "surrogatepass"))
    except ManifestError as error:
        assert str(error).startswith("a.yml")  # noqa: PT017 - both ends are right


def test_an_explicit_file_has_digests_of_both_kinds() -> None:
    text = f"""\
# This file may be used to create an environment using:
@EXPLICIT
https://host/forge/noarch/a-1.0-0.conda#{"0" * 32}
https://host/forge/noarch/b-1.0-0.tar.bz2#sha256:{"1" * 64}
https://host/forge/noarch/c-1.0-0.conda
"""
    assert read_explicit("x.txt", text.encode()).packages == (
        Package("https://host/forge/noarch/a-1.0-0.conda", None, "0" * 32),
        Package("https://host/forge/noarch/b-1.0-0.tar.bz2", "1" * 64, None),
        Package("https://host/forge/noarch/c-1.0-0.conda", None, None),
    )
    with pytest.raises(ManifestError) as caught:
        read_explicit("x.txt", b"@EXPLICIT\nnumpy\n")
    assert caught.value.where == "x.txt:2"


LOCK = """\
version: 1
metadata:
  platforms: [linux-64]
  channels: [{url: conda-forge}]
package:
- {name: a, version: "1", manager: conda, platform: linux-64, url: "https://h/a-1-0.conda",
   hash: {md5: "1", sha256: "2"}, category: main}
- {name: b, version: "1", manager: conda, platform: linux-64, url: "https://h/b-1-0.conda",
   hash: {md5: "1"}, category: dev}
- {name: c, version: "1", manager: conda, platform: osx-64, url: "https://h/c-1-0.conda",
   hash: {md5: "1"}, category: main}
- {name: d, version: "1.0", manager: pip, platform: linux-64, url: "https://h/d-1.0.whl",
   hash: {sha256: "3"}, category: main}
"""


def test_a_conda_lock_pins_by_platform_and_category() -> None:
    found = read_conda_lock("l.yml", LOCK.encode(), platform="linux-64", categories=frozenset())
    assert found.packages == (Package("https://h/a-1-0.conda", "2", "1"),)
    assert found.pip == ("d @ https://h/d-1.0.whl --hash=sha256:3",)
    assert found.channels == ("conda-forge",)
    every = read_conda_lock("l.yml", LOCK.encode(), platform="linux-64", categories=None)
    assert len(every.packages) == 2
    with pytest.raises(ManifestError, match="pins nothing for osx-arm64"):
        read_conda_lock("l.yml", LOCK.encode(), platform="osx-arm64", categories=None)


def configuration(home: Path, **variables: str) -> CondaConfiguration:
    return conda_configuration(environ={"HOME": str(home), **variables}, files=DiskFiles())


def test_a_later_source_goes_before_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/.condarc").write_text("channels: [a, b]\nchannel_priority: strict\n")
    (tmp_path / ".condarc").write_text("channels: [b, c]\nssl_verify: false\noffline: yes\n")
    found = configuration(tmp_path, CONDA_CHANNELS="d,a")
    assert found.channels == ("d", "a", "b", "c")
    assert (found.priority, found.verifies, found.is_offline) == ("strict", False, True)
    other = configuration(tmp_path, CONDA_SSL_VERIFY="/ca.pem", CONDA_CHANNEL_PRIORITY="false")
    assert (other.priority, other.verifies) == ("disabled", "/ca.pem")


def test_directories_are_read_as_lists_of_paths(tmp_path: Path) -> None:
    (tmp_path / ".condarc").write_text("pkgs_dirs: [~/p]\nenvs_dirs: ['${ROOT}/e']\n")
    found = configuration(tmp_path, ROOT="/r", CONDA_ENVS_PATH="/x:/y")
    assert found.caches == (f"{tmp_path}/p",)
    assert found.environments == ("/x", "/y", "/r/e")
    assert found.variables == ("ROOT",)


def test_a_wrong_priority_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected strict, flexible or disabled"):
        configuration(tmp_path, CONDA_CHANNEL_PRIORITY="high")


@pytest.mark.parametrize(
    ("named", "urls"),
    [
        ((), ["https://conda.anaconda.org/own"]),
        (
            ("conda-forge",),
            ["https://conda.anaconda.org/conda-forge", "https://conda.anaconda.org/own"],
        ),
        (("nodefaults", "bioconda"), ["https://conda.anaconda.org/bioconda"]),
        (("nodefaults", "https://h/c/linux-64/"), ["https://h/c"]),
        (("nodefaults", "./local"), ["file:///p/local"]),
        (("nodefaults", "/a b"), ["file:///a%20b"]),
        (("nodefaults", "all"), ["https://k/one", "https://conda.anaconda.org/two"]),
        (("nodefaults", "a/label/dev"), ["https://conda.anaconda.org/a/label/dev"]),
    ],
)
def test_channels_become_urls(named: tuple[str, ...], urls: list[str]) -> None:
    one = CondaConfiguration(
        channels=("own",),
        custom_channels=(("one", "https://k/"),),
        custom_multichannels=(("all", ("one", "two")),),
    )
    assert list(one.urls(named, "/p")) == urls


def test_the_defaults_are_anaconda_s(tmp_path: Path) -> None:
    one = CondaConfiguration()
    assert one.urls((), "/") == ("https://conda.anaconda.org/conda-forge",)
    assert one.urls(("defaults",), "/")[0] == "https://repo.anaconda.com/pkgs/main"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/c", "https://h/c"),
        ("https://h/t/tok/c", "https://h/c"),
        ("https://h/c", "https://h/c"),
        ("file:///a@b/c", "file:///a@b/c"),
    ],
)
def test_credentials_are_taken_off(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "linux-64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("darwin", "x86_64", "osx-64"),
        ("darwin", "arm64", "osx-arm64"),
    ],
)
def test_platforms_have_conda_s_names(system: str, machine: str, expected: str) -> None:
    assert conda_platform(system, {}, machine) == expected
    assert conda_platform(system, {"CONDA_SUBDIR": "other"}, machine) == "other"
