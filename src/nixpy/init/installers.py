"""What commands that install do that ``use nixpy`` does, and which flags say the same. Pure.

uv, pip, virtualenv, conda and its relatives, and the tools that own a lock file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nixpy.init.bash_commands import literal
from nixpy.init.replacement import Replaced, Surroundings, virtual_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["by_its_tool", "conda", "conda_environment", "pip", "python", "uv", "virtualenv"]


def conda_environment(words: Sequence[str], beside: Surroundings) -> Replaced:
    """Return what stands for a conda environment of a name, a prefix or a manifest."""
    spec = _conda_spec(words[0], beside) if words else ""
    if spec is None:
        return Replaced(obstacle="only a shell can say which environment is meant")
    if spec.endswith((".yml", ".yaml")):
        if spec in {"environment.yml", "environment.yaml"}:
            return Replaced(f"{spec} describes the environment")
        return Replaced(f"{spec} describes the environment", (("--environment", spec),))
    manifests = {"environment.yml", "environment.yaml", "conda-lock.yml"} & beside.names
    if not manifests and "requirements.txt" not in beside.names:
        manifest = f"`conda env export --from-history -n {spec or 'NAME'} > environment.yml`"
        return Replaced(obstacle=f"nothing here says what is in that environment: {manifest}")
    if "/" in spec:
        if spec.startswith(("/", "..")):
            return Replaced(obstacle="its environment lies outside of the project")
        return Replaced("a conda environment of nixpy's", (("--venv", spec),))
    if not manifests:
        flags = (("--manager", "mamba"),)
        return Replaced("requirements.txt, from channels where they have it", flags)
    if spec and spec == beside.conda_name:
        return Replaced(f"the environment {spec} is nixpy's now", (("--venv", "named"),))
    if spec and spec != "base":
        return Replaced(f"the environment is .conda now; {spec} stays as it is")
    return Replaced("the environment is .conda now")


def _conda_spec(word: str, beside: Surroundings) -> str | None:
    if re.fullmatch(r'"?\$\(basename "?\$\{?(?:PWD\}?|\(pwd\))"?\)"?|"?\$\{PWD##\*/\}"?', word):
        return beside.directory
    found = literal(word)
    if found is not None and word.startswith(("./", "$PWD/", '"$PWD/', "$(pwd)/", '"$(pwd)/')):
        return found if "/" in found or found.endswith((".yml", ".yaml")) else f"./{found}"
    return found


def conda(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    """Return what stands for a command of conda, mamba or micromamba."""
    verb, rest = (words[0] if words else ""), list(words[1:])
    if verb == "activate":
        return conda_environment([one for one in rest if one[:1] != "-"][:1], beside)
    if verb in {"deactivate", "shell.bash"}:
        return Replaced("nixpy enters and leaves by itself", is_hook=True)
    if verb == "env" and rest[:1] and rest[0] in {"create", "update"}:
        rest.pop(0)
    elif verb not in {"create", "install", "update"}:
        return None
    return _conda_install(rest, beside)


_CONDA_SWITCHES = frozenset({"-y", "--yes", "-q", "--quiet", "--prune", "--force", "-qy", "-yq"})
_CONDA_VALUES = {
    "-n": "",
    "--name": "",
    "-p": "",
    "--prefix": "",
    "-f": "file",
    "--file": "file",
    "-c": "channel",
    "--channel": "channel",
}


def _conda_install(words: list[str], beside: Surroundings) -> Replaced:
    flags: list[tuple[str, ...]] = []
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        kind = _CONDA_VALUES.get(name if name.startswith("--") else word)
        if word in _CONDA_SWITCHES:
            continue
        if kind is not None:
            value = value if equals else (words.pop(0) if words else "")
            found = literal(value)
            if kind and not found:
                return Replaced(obstacle="only a shell can say what is to be installed")
            if kind == "channel" and found:
                flags.append(("--channels", found))
            elif kind == "file" and found:
                flags += _conda_file(found)
        elif python := re.fullmatch(r"[\"']?python=+([\d.]+)(?:\.\*)?[\"']?", word):
            flags.append(("--python", python[1]))
        elif word.strip("\"'") in {"pip", "python"}:
            continue
        else:
            return Replaced(obstacle=f"packages that no file names: add {word} to one")
    del beside
    return Replaced("`use nixpy` installs it", tuple(flags), syncs=True)


def _conda_file(name: str) -> list[tuple[str, ...]]:
    if name in {"environment.yml", "environment.yaml"}:
        return []
    if name.endswith((".yml", ".yaml")):
        return [("--environment", name)]
    found: list[tuple[str, ...]] = [("--manager", "mamba")]
    return found if name == "requirements.txt" else [*found, ("--requirements", name)]


_UV_FLAGS: dict[str, tuple[int, tuple[str, ...] | None]] = {
    "--extra": (1, ("--extras",)),
    "--all-extras": (0, ("--extras", "all")),
    "--group": (1, ("--groups",)),
    "--all-groups": (0, ("--groups", "all")),
    "--locked": (0, ("--lock", "locked")),
    "--frozen": (0, ("--lock", "frozen")),
    "--inexact": (0, ("--no-exact",)),
    "--python": (1, ("--python",)),
    "-p": (1, ("--python",)),
    "--dev": (0, None),
    "--quiet": (0, None),
    "-q": (0, None),
    "--seed": (0, None),
    "--allow-existing": (0, None),
    "--clear": (0, None),
    "--no-progress": (0, None),
    "--active": (0, None),
}
"""uv's flags: how many values, and what says the same to nixpy, which may be nothing."""


def uv(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    """Return what stands for ``uv sync``, ``uv venv`` and ``uv pip``."""
    verb, rest = (words[0] if words else ""), list(words[1:])
    if verb == "pip":
        return pip(rest, beside)
    if verb == "python" and rest[:1] == ["install"]:
        return Replaced("nixpy finds the interpreter, or has uv fetch it")
    if verb not in {"sync", "venv"}:
        return None
    flags: list[tuple[str, ...]] = []
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        if verb == "venv" and word[:1] != "-":
            made = virtual_environment(word)
        else:
            made = _uv_flag(word, value if equals else None, rest)
        if made.obstacle:
            return made
        flags += made.arguments
    return Replaced("`use nixpy` syncs when something changed", tuple(flags), syncs=verb == "sync")


def _uv_flag(word: str, value: str | None, rest: list[str]) -> Replaced:
    """Return what stands for a flag of uv's; take its value from ``rest`` where it has none yet."""
    if word not in _UV_FLAGS:
        return Replaced(obstacle=f"nixpy has no flag for {word}")
    count, says = _UV_FLAGS[word]
    if not count:
        return Replaced(arguments=(says,) if says else ())
    found = literal(value if value is not None else rest.pop(0) if rest else "")
    if not found:
        return Replaced(obstacle="only a shell can say what is meant")
    return Replaced(arguments=((*(says or ()), found),))


_PIP_SWITCHES = frozenset(
    {"-q", "-qq", "--quiet", "-U", "--upgrade", "--disable-pip-version-check", "--no-input"}
)


def pip(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    """Return what stands for ``pip install`` and ``pip sync``."""
    verb, rest = (words[0] if words else ""), list(words[1:])
    if verb not in {"install", "sync"}:
        return None
    requirements: list[str] = []
    projects: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in _PIP_SWITCHES or word.strip("\"'") in _TOOLS_OF_PIP:
            continue
        names_file = _REQUIREMENT.fullmatch(word) is not None
        if names_file or word in {"-e", "--editable"}:
            word = rest.pop(0) if rest else ""
        elif word[:1] == "-":
            return Replaced(obstacle=f"nixpy cannot tell what {word} is for")
        found = _plain(word)
        if not found:
            return Replaced(obstacle="only a shell can say what is to be installed")
        if names_file or verb == "sync":
            requirements.append(found)
        else:
            projects.append(found)
    return _pip_installs(requirements, projects, beside)


def _plain(word: str) -> str | None:
    """Return what a requirement comes to, whose brackets mean extras more often than a pattern."""
    bare = word.strip("\"'")
    return bare if _OWN_PROJECT.fullmatch(bare) else literal(word)


def _pip_installs(requirements: list[str], projects: list[str], beside: Surroundings) -> Replaced:
    declares = {"pyproject.toml", "setup.py"} & beside.names
    own = [_OWN_PROJECT.fullmatch(one) for one in projects]
    if None in own:
        name = projects[own.index(None)]
        return Replaced(obstacle=f"no file names it: add {name} to one")
    if projects and requirements:
        return Replaced(obstacle="it installs the project and requirements files: name one of them")
    if projects and not declares:
        return Replaced(obstacle="there is no pyproject.toml or setup.py here")
    flags = [("--requirements", one) for one in requirements]
    if requirements == ["requirements.txt"] and not declares:
        flags = []
    names = (name for match in own if match for name in (match[1] or "").split(",") if name)
    flags += [("--extras", name) for name in names]
    return Replaced("`use nixpy` installs it when it changed", tuple(flags), syncs=True)


_REQUIREMENT = re.compile(r"-[qU]*r|--requirements?")
_TOOLS_OF_PIP = frozenset({"pip", "setuptools", "wheel", "uv", "pip-tools"})
_OWN_PROJECT = re.compile(r"\./?(?:\[([\w.,-]+)\])?")


def python(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    """Return what stands for ``python -m pip`` and ``python -m venv``."""
    if list(words[:2]) == ["-m", "pip"]:
        return pip(words[2:], beside)
    if list(words[:2]) in (["-m", "venv"], ["-m", "virtualenv"]):
        return virtualenv(words[2:], beside)
    return None


def virtualenv(words: Sequence[str], _: Surroundings) -> Replaced | None:
    """Return what stands for making a virtual environment."""
    switches = {"--clear", "--upgrade-deps", "--quiet", "-q"}
    places = [word for word in words if word not in switches]
    if len(places) != 1 or places[0][:1] == "-":
        return Replaced(obstacle="nixpy makes a virtual environment without these options")
    return virtual_environment(places[0])._replace(activates=False)


def by_its_tool(name: str) -> Callable[[Sequence[str], Surroundings], Replaced | None]:
    """Return what stands for ``NAME install`` and the like of it."""

    def handler(words: Sequence[str], _: Surroundings) -> Replaced | None:
        rest = [word for word in words[1:] if word not in {"-q", "--quiet", "--no-interaction"}]
        if words and words[0] in {"install", "sync"}:
            if not rest or rest in (["--sync"], ["--dev"]):
                return Replaced(f"what {name} has locked is installed by uv", syncs=True)
            return Replaced(obstacle=f"nixpy has no flag for {rest[0]}")
        if list(words) in (["shell"], ["env", "activate"]):
            return Replaced(f"what {name} has locked is installed by uv")
        return None

    return handler
