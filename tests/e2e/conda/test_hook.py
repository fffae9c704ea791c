"""With the hook a conda environment is entered, activated, and left without asking direnv."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..hook.hooked import HookedShell
    from .conftest import CondaProject


def test_an_activated_environment_is_known_until_its_manifest_changes(
    conda: CondaProject, start_noted: Callable[..., HookedShell]
) -> None:
    script = "export TOOL_HOME=$CONDA_PREFIX/tool\n"
    conda.channel.add("tool", files={"etc/conda/activate.d/tool.sh": script})
    conda.channel.add("other", files={"bin/other": "#!/bin/sh\n"})
    conda.write("tool", more="variables:\n  A: a b")
    world = conda.project.world
    shell = start_noted("bash")
    shell.warm(conda.project)
    before = shell.exported()
    for _ in range(2):
        shell.cd(conda.project.path)
        inside = shell.exported()
        shell.cd(world.directory)
        assert shell.exported() == before
    assert shell.asked() == 0
    assert inside["A"] == "a b"
    assert inside["TOOL_HOME"] == f"{conda.prefix}/tool"

    shell.cd(conda.project.path)
    shell.wait_for_next_second()
    conda.write("tool", "other", more="variables:\n  A: c")
    shell.run("true")
    assert shell.asked() > 0
    assert shell.variable("A") == "c"
    assert (conda.prefix / "bin/other").exists()
