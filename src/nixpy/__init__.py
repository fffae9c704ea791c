"""nixpy: Python environments under direnv and Nix that load instantly and explain themselves.

The public names are those of ``__all__``; everything else may change. They are imported on first
use (PEP 562), so that the path that only revalidates an entry pays for none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nixpy.decision import Decision
    from nixpy.environment import Environment, Prepend, Set, Unset
    from nixpy.errors import NixpyError
    from nixpy.inputs import Input
    from nixpy.options import Options
    from nixpy.project import Project
    from nixpy.resolver import Resolution, resolve
    from nixpy.version import __version__
else:
    _HOMES = {
        "Decision": "decision",
        "Environment": "environment",
        "Input": "inputs",
        "NixpyError": "errors",
        "Options": "options",
        "Prepend": "environment",
        "Project": "project",
        "Resolution": "resolver",
        "Set": "environment",
        "Unset": "environment",
        "__version__": "version",
        "resolve": "resolver",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(__import__(f"nixpy.{_HOMES[name]}", fromlist=[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return list(__all__)


__all__ = [
    "Decision",
    "Environment",
    "Input",
    "NixpyError",
    "Options",
    "Prepend",
    "Project",
    "Resolution",
    "Set",
    "Unset",
    "__version__",
    "resolve",
]
