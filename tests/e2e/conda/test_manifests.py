"""Lock files, `pip:` sections, requirements from channels, several manifests, and places."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from .channel import Channel

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CondaProject

WHEEL = "six"


def digest(archive: Path, kind: str = "sha256") -> str:
    return hashlib.new(kind, archive.read_bytes()).hexdigest()


def locked(conda: CondaProject, name: str, archive: Path, **more: object) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0",
        "manager": "conda",
        "platform": conda.channel.subdir,
        "dependencies": {},
        "url": archive.as_uri(),
        "hash": {"sha256": digest(archive), "md5": digest(archive, "md5")},
        "category": "main",
        "optional": False,
        **more,
    }


def lock_text(conda: CondaProject, *packages: dict[str, Any]) -> str:
    # YAML is a superset of JSON.
    metadata = {"platforms": [conda.channel.subdir], "channels": [{"url": conda.channel.url}]}
    return json.dumps({"version": "1", "metadata": metadata, "package": packages})


def test_a_conda_lock_is_installed_exactly_by_its_categories(conda: CondaProject) -> None:
    main = locked(conda, "main", conda.channel.add("main"))
    dev = locked(conda, "dev", conda.channel.add("dev"), category="dev")
    elsewhere = locked(conda, "elsewhere", conda.channel.add("elsewhere"), platform="win-64")
    conda.project.write("conda-lock.yml", lock_text(conda, main, dev, elsewhere))
    assert conda.project.entered().synced
    assert set(conda.packages()) == {"main"}
    assert conda.project.entered(NIXPY_GROUPS="dev").synced
    assert set(conda.packages()) == {"main", "dev"}
    conda.sync()
    assert set(conda.packages()) == {"main"}
    record = json.loads((conda.prefix / "conda-meta/main-1.0-0.json").read_text())
    assert record["sha256"] == main["hash"]["sha256"]


def test_a_lock_that_pins_another_archive_is_refused(conda: CondaProject) -> None:
    archive = conda.channel.add("main")
    one = locked(conda, "main", archive, hash={"sha256": "0" * 64})
    conda.project.write("conda-lock.yml", lock_text(conda, one))
    entered = conda.project.entered()
    assert archive.name in entered.stderr
    assert "expected 0000" in entered.stderr
    assert not conda.packages()


def test_pip_entries_of_a_conda_lock_are_installed_by_their_hashes(
    conda: CondaProject, tmp_path: Path
) -> None:
    world = conda.project.world
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    write_wheel(wheel)
    entry = {
        "name": "demo",
        "version": "1.0",
        "manager": "pip",
        "platform": conda.channel.subdir,
        "url": wheel.as_uri(),
        "hash": {"sha256": digest(wheel)},
        "category": "main",
    }
    python = next((conda.channel.path / conda.channel.subdir).glob("python-*"))
    conda.project.write(
        "conda-lock.yml", lock_text(conda, locked(conda, "python", python, version="3"), entry)
    )
    conda.sync()
    assert conda.python("import demo; print(demo.value)") == "1"
    entry["hash"] = {"sha256": "0" * 64}
    conda.project.write(
        "conda-lock.yml", lock_text(conda, locked(conda, "python", python, version="3"), entry)
    )
    refused = world.nixpy("sync", "--force", cwd=conda.project.path, check=False)
    assert "ash" in refused.stderr


def write_wheel(path: Path, requires: str = "") -> None:
    import zipfile

    name = path.name.split("-")[0]
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}/__init__.py", "value = 1\n")
        file.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        file.writestr(
            f"{name}-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        file.writestr(f"{name}-1.0.dist-info/RECORD", "")


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_an_explicit_file_is_installed_and_its_digests_are_checked(
    conda: CondaProject, kind: str
) -> None:
    archive = conda.channel.add("tool", form="tar.bz2")
    fragment = digest(archive, kind) if kind == "md5" else f"sha256:{digest(archive)}"
    conda.project.write(
        "requirements.txt", f"# made by conda\n@EXPLICIT\n{archive.as_uri()}#{fragment}\n"
    )
    conda.sync()
    assert set(conda.packages()) == {"tool"}
    record = json.loads((conda.prefix / "conda-meta/tool-1.0-0.json").read_text())
    assert record["depends"] == []
    wrong = fragment[:-4] + "0000"
    conda.project.write("requirements.txt", f"@EXPLICIT\n{archive.as_uri()}#{wrong}\n")
    refused = conda.sync(check=False)
    assert refused.returncode == 1
    assert kind in refused.stderr or "another" in refused.stderr


def test_a_pixi_lock_is_read(conda: CondaProject) -> None:
    archive = conda.channel.add("tool")
    path = conda.project.path / "pixi.lock"
    program = f"""
import asyncio, os, rattler
from rattler.lock import LockPlatform
async def main():
    record = await rattler.RepoDataRecord.from_package_archive({str(archive)!r})
    record.url, record.channel = {archive.as_uri()!r}, {conda.channel.url + "/"!r}
    platform = LockPlatform({conda.channel.subdir!r})
    lock = rattler.LockFile([platform])
    lock.set_channels("default", [rattler.LockChannel({conda.channel.url + "/"!r})])
    lock.add_conda_package("default", platform, record)
    lock.to_path({str(path)!r})
asyncio.run(main())
os._exit(0)
"""
    conda.project.world.run(sys.executable, "-c", program)
    conda.sync()
    assert set(conda.packages()) == {"tool"}
    refused = conda.sync("--groups", "absent", check=False)
    assert "no environment 'absent'" in refused.stderr


def test_a_pip_section_is_installed_by_uv_and_what_it_no_longer_needs_goes(
    conda: CondaProject, tmp_path: Path
) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    write_wheel(links / "first-1.0-py3-none-any.whl", "Requires-Dist: second\n")
    write_wheel(links / "second-1.0-py3-none-any.whl")
    write_wheel(links / "third-1.0-py3-none-any.whl")
    conda.project.write("package/pyproject.toml", '[project]\nname = "own"\nversion = "1"\n')
    conda.project.write("more.txt", "third\n")
    options = ["--no-index", f"--find-links {links}"]
    conda.write("python", pip=[*options, "first", "-r more.txt"])
    conda.sync()
    assert conda.python("import first, second, third; print(1)") == "1"
    conda.write("python", pip=["first", "third"])
    conda.sync(UV_FIND_LINKS=str(links), UV_NO_INDEX="1")
    conda.write("python", pip=["third"])
    conda.sync(UV_FIND_LINKS=str(links), UV_NO_INDEX="1")
    assert conda.python("import third; print(1)") == "1"
    left = conda.python(
        "import importlib.metadata as m; print([d.name for d in m.distributions()])"
    )
    assert left == "['third']"
    # What a line includes is an input, too.
    conda.write("python", pip=[*options, "-r more.txt"])
    conda.sync()
    conda.project.write("more.txt", "third\nfirst\n")
    assert conda.project.entered().synced
    assert conda.python("import first; print(1)") == "1"


def test_an_editable_project_in_a_pip_section(conda: CondaProject) -> None:
    conda.project.write(
        "package/pyproject.toml",
        '[project]\nname = "own"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    )
    conda.project.write("package/own.py", "value = 1\n")
    conda.project.write(
        "package/backend.py",
        """\
import os, zipfile
def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "own-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as file:
        file.writestr("own.pth", os.getcwd())
        metadata = "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n"
        file.writestr("own-1.dist-info/METADATA", metadata)
        wheel = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        file.writestr("own-1.dist-info/WHEEL", wheel)
        file.writestr("own-1.dist-info/RECORD", "")
    return name
""",
    )
    conda.write("python", pip=["-e ./package"])
    conda.sync()
    assert conda.python("import own; print(own.value)") == "1"
    # Of another size: a compiled file counts by whole seconds and the size.
    conda.project.write("package/own.py", "value = 22\n")
    assert not conda.project.entered().synced
    assert conda.python("import own; print(own.value)") == "22"


def test_requirements_come_from_the_channels_where_these_have_them(
    conda: CondaProject, tmp_path: Path
) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    write_wheel(links / "from_uv-1.0-py3-none-any.whl")
    conda.channel.add("numpy", "1.26.4")
    conda.channel.add("numpy", "2.1.0")
    conda.channel.add("pytorch", "2.5.0")
    conda.project.write(
        "requirements.txt",
        f"--no-index\n--find-links {links}\nnumpy~=1.26\ntorch>=2\nfrom-uv==1.0\n"
        "nothing; sys_platform == 'win32'\n",
    )
    flags = ("--manager", "mamba", "--channels", conda.channel.url)
    conda.sync(*flags)
    packages = conda.packages()
    assert packages["numpy"] == "1.26.4"
    assert packages["pytorch"] == "2.5.0"
    assert conda.python("import from_uv; print(1)") == "1"
    report = json.loads(conda.project.nixpy("explain", "--json", *flags).stdout)["conda"]
    assert report["engine"] == "rattler"
    assert report["by_channels"][:2] == ["numpy ~=1.26", "pytorch >=2"]
    assert any("from-uv==1.0" in line for line in report["by_uv"])


def test_several_manifests_add_up(conda: CondaProject, tmp_path: Path) -> None:
    second = Channel(tmp_path / "second", conda.channel.subdir)
    second.add("from-second")
    conda.channel.add("from-first")
    conda.write("from-first")
    conda.project.write(
        "dev.yml",
        f"channels: [{second.url}]\ndependencies:\n  - from-second\n"
        "  - sel(win): absent\n  - sel(unix): from-first\n",
    )
    conda.sync("--environment", "environment.yml", "--environment", "dev.yml")
    assert set(conda.packages()) == {"from-first", "from-second"}


def test_a_package_may_name_its_channel(conda: CondaProject, tmp_path: Path) -> None:
    second = Channel(tmp_path / "second", conda.channel.subdir)
    second.add("tool", "1.0")
    conda.channel.add("tool", "2.0")
    conda.write(f"{second.url}::tool", channels=[conda.channel.url, second.url])
    conda.sync()
    assert conda.packages() == {"tool": "1.0"}


def test_a_named_environment_lies_among_conda_s_own(conda: CondaProject, tmp_path: Path) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    directory = tmp_path / "envs"
    conda.project.write("nixpy.toml", 'venv = "named"\n')
    entered = conda.project.entered(CONDA_ENVS_PATH=str(directory))
    assert entered.environ["CONDA_PREFIX"] == str(directory / "demo")
    assert entered.environ["CONDA_DEFAULT_ENV"] == "demo"
    assert entered.environ["CONDA_PROMPT_MODIFIER"] == "(demo) "
    assert not conda.prefix.exists()
    assert not conda.project.entered(CONDA_ENVS_PATH=str(directory)).said


def test_a_central_environment_is_linked(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.project.write("nixpy.toml", 'venv = "central"\n')
    entered = conda.project.entered()
    assert conda.prefix.is_symlink()
    assert entered.environ["CONDA_PREFIX"] == str(conda.prefix.resolve())


def test_mamba_for_a_python_alone(conda: CondaProject) -> None:
    conda.sync("--manager", "mamba", "--python", "3", "--channels", conda.channel.url)
    assert set(conda.packages()) == {"python"}


def test_a_python_that_no_channel_has(conda: CondaProject) -> None:
    conda.write("python")
    refused = conda.sync("--python", "3.7", check=False)
    assert "python 3.7" in refused.stderr
