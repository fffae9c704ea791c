"""What a conda user expects of `use nixpy`: create, add, remove, update, and what goes wrong."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from .channel import PLACEHOLDER, Channel
from .conftest import CondaProject

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import World

LIBRARY = {
    "site-packages/library/__init__.py": "value = 1\n",
    "site-packages/library-1.0.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: library\nVersion: 1.0\n"
    ),
    "site-packages/library-1.0.dist-info/RECORD": "",
    "site-packages/library-1.0.dist-info/INSTALLER": "conda\n",
}


def test_the_environment_is_made_runs_and_agrees_with_its_records(conda: CondaProject) -> None:
    conda.channel.add("library", noarch="python", depends=["python"], files=LIBRARY)
    conda.channel.add("tool", form="tar.bz2", noarch=None)
    conda.write("python", "library", "tool")
    entered = conda.project.entered()
    assert entered.synced
    environ = entered.environ
    assert environ["CONDA_PREFIX"] == str(conda.prefix)
    assert environ["CONDA_SHLVL"] == "1"
    assert environ["CONDA_PROMPT_MODIFIER"] == f"({conda.prefix}) "
    assert environ["PATH"].split(":")[0] == f"{conda.prefix}/bin"
    assert conda.python("import library, sys, ssl; print(library.value, sys.prefix)") == (
        f"1 {conda.prefix}"
    )
    listed = conda.project.world.run(
        "uv", "pip", "list", "--format", "json", "--python", str(conda.prefix / "bin/python")
    )
    assert {one["name"]: one["version"] for one in json.loads(listed.stdout)} == {"library": "1.0"}
    assert conda.packages() == {
        "library": "1.0",
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "tool": "1.0",
    }


def test_prefixes_are_put_into_texts_and_binaries(conda: CondaProject) -> None:
    conda.write("python")
    conda.sync()
    binary = (conda.prefix / "share/binary-with-prefix").read_bytes()
    assert len(binary) == len(b"\0\1/lib\0\2\xff") + len(PLACEHOLDER)
    assert f"{conda.prefix}/lib\0".encode() in binary
    data = next(conda.prefix.glob("lib/python*/_sysconfigdata*.py")).read_text()
    assert PLACEHOLDER not in data
    assert str(conda.prefix) in data


def test_the_prefix_is_one_that_conda_and_mamba_go_on_with(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool=1.0")
    conda.sync()
    records = list(conda.prefix.glob("conda-meta/*.json"))
    assert [path.stat().st_mode & 0o777 for path in records] == [0o644]
    assert json.loads(records[0].read_text())["requested_specs"] == ["tool 1.0.*"]
    history = (conda.prefix / "conda-meta/history").read_text().splitlines()
    assert history[0].startswith("==> ")
    assert "+tool-1.0-0" in history
    assert history[-1] == '# update specs: ["tool=1.0"]'


def test_an_environment_without_python_is_one_too(conda: CondaProject) -> None:
    conda.channel.add("tool", files={"bin/tool": "#!/bin/sh\necho tool\n"})
    conda.write("tool")
    first, second = conda.project.entered(), conda.project.entered()
    assert first.synced
    assert not second.said
    assert conda.project.nixpy("run", "--", "tool").stdout == "tool\n"
    (conda.prefix / "conda-meta/history").unlink()
    assert conda.project.entered().synced


def test_what_is_there_stays_when_something_is_added(conda: CondaProject) -> None:
    conda.channel.add("library", "1.0")
    conda.write("library")
    conda.sync()
    conda.channel.add("library", "2.0")
    conda.channel.add("tool", depends=["library >=1"])
    conda.write("library", "tool")
    conda.sync()
    assert conda.packages() == {"library": "1.0", "tool": "1.0"}
    conda.write("library >=2", "tool")
    conda.sync()
    assert conda.packages() == {"library": "2.0", "tool": "1.0"}
    conda.write("library =1", "tool")
    conda.sync()
    assert conda.packages() == {"library": "1.0", "tool": "1.0"}


def test_what_is_no_longer_asked_for_goes_with_what_it_needed(conda: CondaProject) -> None:
    conda.channel.add("library")
    conda.channel.add("tool", depends=["library"])
    conda.channel.add("other")
    conda.write("tool", "other")
    conda.sync()
    mine = conda.prefix / "share/mine.txt"
    mine.write_text("mine")
    conda.write("other")
    conda.sync()
    assert conda.packages() == {"other": "1.0"}
    assert mine.read_text() == "mine"


def by_hand(conda: CondaProject, *specs: str) -> None:
    """Install into the prefix as a user's own tool does: beside what is there."""
    program = f"""
import asyncio, os, pathlib, rattler
prefix = pathlib.Path({str(conda.prefix)!r})
async def main():
    there = [rattler.PrefixRecord.from_path(p) for p in prefix.glob("conda-meta/*.json")]
    specs = [rattler.MatchSpec(s) for s in {specs!r}]
    new = await rattler.solve([{conda.channel.url!r}], specs, locked_packages=there)
    names = {{one.name.normalized for one in new}}
    records = [*new, *(one for one in there if one.name.normalized not in names)]
    await rattler.install(records, prefix, show_progress=False,
                          requested_specs=[one._match_spec for one in specs])
asyncio.run(main())
os._exit(0)
"""
    conda.project.world.run(sys.executable, "-c", program)
    with (conda.prefix / "conda-meta/history").open("a") as file:
        file.write(f"# update specs: {list(specs)!r}\n")


def test_what_a_user_added_by_hand_stays_unless_exact(conda: CondaProject) -> None:
    for name in ("asked", "needed", "later"):
        conda.channel.add(name)
    conda.channel.add("mine", depends=["needed"])
    conda.write("asked")
    conda.sync()
    by_hand(conda, "mine")
    assert "mine" in conda.packages()
    conda.write("asked", "later")
    conda.sync()
    assert set(conda.packages()) == {"asked", "later", "mine", "needed"}
    conda.sync("--exact")
    assert set(conda.packages()) == {"asked", "later"}


@pytest.mark.parametrize(
    ("priority", "expected"), [("strict", "1.0"), ("disabled", "2.0"), ("flexible", "1.0")]
)
def test_channels_count_in_their_order(
    conda: CondaProject, tmp_path: Path, priority: str, expected: str
) -> None:
    second = Channel(tmp_path / "second", conda.channel.subdir)
    second.add("tool", "2.0")
    conda.channel.add("tool", "1.0")
    conda.write("tool", channels=[conda.channel.url, second.url])
    conda.sync(CONDA_CHANNEL_PRIORITY=priority)
    assert conda.packages() == {"tool": expected}


def test_a_flexible_priority_looks_further_where_it_must(
    conda: CondaProject, tmp_path: Path
) -> None:
    second = Channel(tmp_path / "second", conda.channel.subdir)
    second.add("library", "2.0")
    conda.channel.add("library", "1.0")
    conda.channel.add("tool", depends=["library >=2"])
    conda.write("tool", "library", channels=[conda.channel.url, second.url])
    assert "library" in conda.sync(CONDA_CHANNEL_PRIORITY="strict", check=False).stderr
    conda.sync(CONDA_CHANNEL_PRIORITY="flexible")
    assert conda.packages() == {"library": "2.0", "tool": "1.0"}


def test_a_conflict_is_named_with_its_requirements(conda: CondaProject) -> None:
    conda.channel.add("library", "1.0")
    conda.channel.add("library", "2.0")
    conda.channel.add("old", depends=["library <2"])
    conda.channel.add("new", depends=["library >=2"])
    conda.write("old")
    conda.project.entered()
    conda.write("old", "new")
    entered = conda.project.entered()
    assert entered.environ["CONDA_PREFIX"] == str(conda.prefix)
    said = "\n".join(entered.said)
    for part in ("old", "new", "library <2", "library >=2", "last good environment"):
        assert part in said
    assert len(entered.said) <= 2
    assert conda.packages() == {"library": "1.0", "old": "1.0"}
    conda.write("new")
    assert conda.project.entered().synced
    assert conda.packages() == {"library": "2.0", "new": "1.0"}


def test_an_archive_that_was_changed_after_it_was_indexed_is_refused(conda: CondaProject) -> None:
    archive = conda.channel.add("tool")
    content = archive.read_bytes()
    archive.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    conda.write("tool")
    entered = conda.project.entered()
    assert "sha256" in entered.stderr
    assert archive.name in entered.stderr
    assert not conda.packages()
    archive.write_bytes(content)
    conda.sync()
    assert conda.packages() == {"tool": "1.0"}


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda conda: conda.write("absent-package"), "absent-package"),
        (
            lambda conda: conda.write("tool", channels=["file:///nonexistent/channel"]),
            "nonexistent",
        ),
        (lambda conda: conda.write("tool >=7"), "tool >=7"),
    ],
)
def test_what_is_missing_is_named(conda: CondaProject, write, named: str) -> None:  # type: ignore[no-untyped-def]
    conda.channel.add("tool")
    write(conda)
    entered = conda.project.entered()
    assert named in entered.stderr
    assert "Traceback" not in entered.stderr
    assert "CONDA_PREFIX" not in entered.environ


def test_two_projects_at_once_on_one_package_cache(world: World, channel: Channel) -> None:
    for number in range(20):
        channel.add(f"package{number}", files={f"share/{number}/{n}": f"{n}" for n in range(20)})
    projects = [CondaProject(world.project(f"project{n}"), channel) for n in range(2)]
    names = [f"package{number}" for number in range(20)]
    for one in projects:
        one.write("python", *names)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda one: one.project.entered().synced, projects))
    for one in projects:
        assert set(names) < set(one.packages())
        assert one.python("print(1)") == "1"
        assert len(list(one.prefix.glob("share/*/*"))) == 400


def test_files_that_were_deleted_by_hand_come_back(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.write("tool")
    conda.sync()
    path = conda.prefix / "share/tool.txt"
    path.unlink()
    conda.sync("--force")
    assert path.exists()


def test_link_scripts_run(conda: CondaProject) -> None:
    script = '#!/bin/sh\necho "$PKG_NAME" > "$PREFIX/linked"\n'
    conda.channel.add("tool", files={"bin/.tool-post-link.sh": script}, noarch=None)
    conda.write("tool")
    conda.sync()
    assert (conda.prefix / "linked").read_text() == "tool\n"


def test_a_damaged_record_is_mended(conda: CondaProject) -> None:
    conda.channel.add("tool")
    conda.channel.add("other")
    conda.write("tool")
    conda.sync()
    (conda.prefix / "conda-meta/tool-1.0-0.json").write_text('{"name": "to')
    conda.write("tool", "other")
    conda.sync()
    assert conda.packages() == {"other": "1.0", "tool": "1.0"}


def test_the_manager_may_change_and_change_back(conda: CondaProject) -> None:
    conda.write("python")
    conda.project.write("requirements.txt", "")
    conda.sync()
    other = conda.project.entered(NIXPY_MANAGER="uv")
    assert other.environ["VIRTUAL_ENV"] == str(conda.project.path / ".venv")
    assert "CONDA_PREFIX" not in other.environ
    assert not conda.project.entered().synced


def test_nothing_is_left_of_a_scratch_directory(conda: CondaProject, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    conda.channel.add("tool")
    conda.write("tool")
    conda.sync(TMPDIR=str(scratch))
    assert os.listdir(scratch) == []


def test_a_directory_with_a_space_and_more(world: World, channel: Channel) -> None:
    conda = CondaProject(world.project("my project é"), channel)
    channel.add(
        "library",
        noarch="python",
        depends=["python"],
        files={**LIBRARY, "site-packages/library/cli.py": "def main():\n    print('ran')\n"},
        entry_points=["ran = library.cli:main"],
    )
    conda.write("python", "library")
    assert conda.project.entered().synced
    assert conda.project.nixpy("run", "--", "ran").stdout == "ran\n"
    assert not conda.project.entered().said
