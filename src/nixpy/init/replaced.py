"""What commands of an ``.envrc`` do that ``use nixpy`` does, and which flags say the same. Pure.

The commands are those of direnv's standard library (direnv-stdlib(1)), of nix-direnv, of direnv's
wiki, and of the managers themselves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nixpy.flags import NIX_FLAGS
from nixpy.init.bash_commands import is_assignment, literal
from nixpy.init.installers import by_its_tool, conda, conda_environment, pip, python, uv, virtualenv
from nixpy.init.replacement import Replaced, Surroundings, virtual_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["concerns_environments", "replaced", "variables_set"]


_ENVIRONMENTS_BIN = re.compile(r"(?:\.?venv|\.direnv/python[\w.-]*)/bin")
OF_ENVIRONMENTS = frozenset(
    {
        *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONHOME"),
        *("LD_LIBRARY_PATH", "NIX_LD_LIBRARY_PATH", "POETRY_ACTIVE", "PIPENV_ACTIVE"),
    }
)
"""Variables that nixpy sets, or sees to that nobody has to."""

_CONDA = frozenset({"conda", "mamba", "micromamba"})
_EVALUATED = re.compile(
    r"\b(?:conda|mamba|micromamba|pyenv|poetry|pipenv|pdm|rye|uv|virtualenv|venv|pixi|nix)\b"
)
_CONCERNED = frozenset(
    {
        *("layout", "use", "conda", "mamba", "micromamba", "activate", "virtualenv", "workon"),
        *("pyenv", "poetry", "pipenv", "pdm", "rye", "hatch", "uv", "pip", "pip3", "pixi"),
        *("nix", "nix-shell", "nix_direnv_manual_reload", "asdf", "mise"),
    }
)
_SHOWS = re.compile(r"activate$|/conda\.sh$|nix-direnv|/mamba\.sh$")


def replaced(command: Sequence[str], beside: Surroundings) -> Replaced | None:
    """Return what takes the place of a simple command; ``None`` where it is not about that."""
    words = list(command)
    while words and is_assignment(words[0]) and len(words) > 1:
        words.pop(0)
    if not words:
        return None
    if is_assignment(words[0]) or words[0] in {"export", "unset", "declare", "typeset"}:
        return _variables(words)
    name, *rest = words
    name = name.rpartition("/")[2] if name.startswith(("/usr/", "/bin/")) else name
    if (split := re.match(r"(layout|use)_(.+)", name)) is not None:
        name, rest = split[1], [split[2], *rest]
    handler = _HANDLERS.get(name)
    return handler(rest, beside) if handler else None


def concerns_environments(command: Sequence[str]) -> bool:
    """Whether a command that nothing takes the place of is about environments all the same."""
    words = [word for word in command if not is_assignment(word)]
    if not words:
        return False
    name, *rest = words
    if name in {"layout", "use"}:
        # Other layouts than Python's are none of our business.
        return bool(rest) and rest[0] in {*_LAYOUTS, *_USES}
    if name in {"eval", "."} or name.startswith("source"):
        return any(_EVALUATED.search(word) or _SHOWS.search(word) for word in rest)
    if name.startswith(("python", "layout_python")):
        return rest[:2] in (["-m", "venv"], ["-m", "pip"], ["-m", "virtualenv"])
    return name in _CONCERNED


def variables_set(command: Sequence[str]) -> list[str]:
    """Return the names of the variables that a command sets."""
    words = command[1:] if command[0] in {"export", "declare", "typeset"} else command
    return [word.partition("=")[0].rstrip("+") for word in words if is_assignment(word)]


def _variables(words: Sequence[str]) -> Replaced | None:
    declares = words[0] in {"export", "unset", "declare", "typeset"}
    given = [word for word in words[declares:] if word[:1] != "-"]
    values = {word.partition("=")[0].rstrip("+"): word.partition("=")[2] for word in given}
    ours = OF_ENVIRONMENTS & set(values)
    if set(values) <= {"__conda_setup", "__mamba_setup"} and values:
        return Replaced("no hook of conda's is needed", is_hook=True)
    path = values.get("PATH", "")
    if set(values) == {"PATH"} and _ADDS_CONDA.fullmatch(path.strip("\"'")):
        return Replaced("no conda is needed on PATH", is_hook=True)
    if _only_adds_environment(path):
        ours |= {"PATH"}
    if not ours:
        return None
    if ours != set(values):
        return Replaced(obstacle="it sets other variables, too")
    if words[0] == "unset":
        return Replaced("nixpy keeps them apart", is_hook=True)
    if ours & {"LD_LIBRARY_PATH", "NIX_LD_LIBRARY_PATH"}:
        return Replaced("nixpy supplies the libraries that packages miss: `nixpy libs`")
    if "VIRTUAL_ENV" in ours and _OF_ITS_TOOL.match(values["VIRTUAL_ENV"].strip("\"'")):
        return Replaced("what its lock pins is installed by uv")
    if "VIRTUAL_ENV" in ours and values["VIRTUAL_ENV"]:
        return virtual_environment(values["VIRTUAL_ENV"])
    return Replaced("nixpy sets it", activates=True)


_OF_ITS_TOOL = re.compile(
    r"\$\((?:poetry env info (?:-p|--path)|pipenv --venv|pdm venv --path)\b[^;&|]*\)$"
)
_ADDS_CONDA = re.compile(r"[\w/.${}~-]*(?:conda|mamba|miniforge)[\w.-]*/(?:cond)?bin:\$\{?PATH\}?")


def _only_adds_environment(value: str) -> bool:
    before, colon, after = value.strip("\"'").partition(":")
    if not colon or after not in {"$PATH", "${PATH}"}:
        return False
    return _is_environments_bin(before)


def _is_environments_bin(word: str) -> bool:
    if re.fullmatch(r"\"?\$\{?VIRTUAL_ENV\}?/bin\"?", word):
        return True
    path = literal(word)
    return path is not None and _ENVIRONMENTS_BIN.fullmatch(path) is not None


def _path_add(words: Sequence[str], _: Surroundings) -> Replaced | None:
    if words and all(map(_is_environments_bin, words)):
        return Replaced("nixpy puts it on PATH", activates=True)
    return None


def _source(words: Sequence[str], _: Surroundings) -> Replaced | None:
    word = words[0] if words else ""
    if re.search(r"/(?:conda|mamba|micromamba)\.sh[\"']?$", word):
        return Replaced("no hook of conda's is needed", is_hook=True)
    if "nix-direnv" in word:
        return Replaced("`use nixpy` keeps the dev shell by itself", is_hook=True)
    plain = word.strip("\"'")
    if plain.endswith("/bin/activate"):
        if re.match(r"\$\((?:poetry env info|pipenv|pdm venv --path)\b[^)]*\)/bin/", plain):
            return Replaced("what its lock pins is installed by uv", activates=True)
        if re.match(r"\$\{?VIRTUAL_ENV\}?/", plain):
            return Replaced("nixpy activates it", activates=True)
        quote = word[0] if word[0] in "\"'" else ""
        return virtual_environment(f"{quote}{plain.removesuffix('/bin/activate')}{quote}")
    return None


def _source_url(words: Sequence[str], _: Surroundings) -> Replaced | None:
    if any("nix-direnv" in word for word in words):
        return Replaced("`use nixpy` keeps the dev shell by itself", is_hook=True)
    return None


def _eval(words: Sequence[str], _: Surroundings) -> Replaced | None:
    text = " ".join(words)
    hook = re.search(
        r"\b(?:conda|mamba|micromamba)\b.*\bhook\b|_EXE\}?\"? .*\bhook\b|\$__(?:conda|mamba)_setup",
        text,
    )
    if hook:
        return Replaced("no hook of conda's is needed", is_hook=True)
    if re.search(r"\bpyenv (?:virtualenv-)?init\b", text):
        return Replaced("nixpy finds the interpreter on PATH", is_hook=True)
    if re.fullmatch(r"\"?\$\(poetry env activate\)\"?", text):
        return Replaced("poetry's lock is installed by uv", activates=True)
    return None


def _use(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    handler = _USES.get(words[0] if words else "")
    return handler(words[1:], beside) if handler else None


def _layout(words: Sequence[str], beside: Surroundings) -> Replaced | None:
    handler = _LAYOUTS.get(words[0] if words else "")
    if handler is None and words and re.fullmatch(r"python\d(?:\.\d+)?", words[0]):
        return _layout_python((words[0], *words[1:]), beside)
    return handler(words[1:], beside) if handler else None


def _use_flake(words: Sequence[str], beside: Surroundings) -> Replaced:
    flags: list[tuple[str, ...]] = []
    rest = []
    for word in words:
        value = literal(word)
        if value is None:
            return Replaced(obstacle="only a shell can say which flake is meant")
        rest.append(value)
    while rest:
        one = rest.pop(0)
        if one in NIX_FLAGS:
            count = NIX_FLAGS[one]
            if len(rest) < count:
                return Replaced(obstacle=f"{one} lacks a value")
            flags.append((one, *rest[:count]))
            del rest[:count]
        elif one.startswith("-"):
            return Replaced(obstacle=f"nixpy does not know {one}: see `nix-options`")
        elif one not in {".", ".#", ".#default"}:
            flags.append(("--flake", one))
    del beside
    return Replaced("the dev shell is merged by `use nixpy`", tuple(flags))


def _use_nix(words: Sequence[str], beside: Surroundings) -> Replaced:
    values = [literal(word) for word in words]
    if any(value is None or value.startswith("-") for value in values) or len(values) > 1:
        return Replaced(obstacle="nixpy evaluates a Nix file: put the packages into shell.nix")
    note = "the dev shell is merged by `use nixpy`"
    if values and values[0]:
        return Replaced(note, (("--flake", values[0]),))
    if "flake.nix" in beside.names:
        name = "shell.nix" if "shell.nix" in beside.names else "default.nix"
        return Replaced(note, (("--flake", name),))
    return Replaced(note)


def _use_python(words: Sequence[str], _: Surroundings) -> Replaced:
    version = literal(words[0]) if words else None
    if not version:
        return Replaced(obstacle="only a shell can say which Python is meant")
    return Replaced(f"Python {version}", (("--python", version),))


def _layout_python(words: Sequence[str], _: Surroundings) -> Replaced:
    note = "`use nixpy` makes the environment, .venv"
    word = literal(words[0]) if words else ""
    if word is None:
        return Replaced(obstacle="only a shell can say which Python is meant")
    name = word.rpartition("/")[2]
    if name in {"python2", "python2.7"}:
        return Replaced(obstacle="it asks for Python 2")
    if len(words) > 1:
        return Replaced(obstacle=f"options of virtualenv: {' '.join(words[1:])}")
    if "/" in word:
        return Replaced(note, (("--python", word),))
    match = re.fullmatch(r"python(\d+\.\d+)|(\d+(?:\.\d+)+)", name)
    if match:
        return Replaced(note, (("--python", match[1] or match[2]),))
    return Replaced(note)


def _layout_pyenv(words: Sequence[str], beside: Surroundings) -> Replaced:
    if not words:
        return Replaced("`use nixpy` makes the environment, .venv")
    found = _use_python(words, beside)
    if found.obstacle:
        return found
    note = "`use nixpy` makes the environment, .venv"
    return found._replace(note=note)


def _layout_conda(words: Sequence[str], beside: Surroundings) -> Replaced:
    return conda_environment(words[:1], beside)


def _as_it_is(note: str) -> Callable[[Sequence[str], Surroundings], Replaced]:
    def handler(words: Sequence[str], _: Surroundings) -> Replaced:
        if words:
            return Replaced(obstacle=f"nixpy cannot tell what {words[0]} is for")
        return Replaced(note)

    return handler


def _watch(words: Sequence[str], _: Surroundings) -> Replaced | None:
    found = [literal(word) for word in words]
    if not found or any(one is None for one in found):
        return Replaced(obstacle="only nix-direnv has it; say `watch` in nixpy's options")
    flags = tuple(("--watch", one) for one in found if one and not _WATCHED.fullmatch(one))
    return Replaced("every file that the evaluation reads is watched; others by --watch", flags)


_WATCHED = re.compile(r"flake\.(?:nix|lock)|shell\.nix|default\.nix|pyproject\.toml|uv\.lock")


def _nix_direnv(_words: Sequence[str], _: Surroundings) -> Replaced:
    return Replaced("`use nixpy` keeps the dev shell by itself", is_hook=True)


_HANDLERS: dict[str, Callable[[Sequence[str], Surroundings], Replaced | None]] = {
    **dict.fromkeys((".", "source", "source_env", "source_env_if_exists"), _source),
    "source_url": _source_url,
    "eval": _eval,
    "use": _use,
    "layout": _layout,
    **dict.fromkeys(("PATH_add", "path_add"), _path_add),
    **dict.fromkeys(("conda", "mamba", "micromamba"), conda),
    "uv": uv,
    **dict.fromkeys(("pip", "pip3"), pip),
    **dict.fromkeys(("python", "python3"), python),
    "virtualenv": virtualenv,
    "poetry": by_its_tool("Poetry"),
    "pipenv": by_its_tool("Pipenv"),
    "pdm": by_its_tool("PDM"),
    "nix_direnv_watch_file": _watch,
    "nix_direnv_manual_reload": _nix_direnv,
    "nix_direnv_disallow_fallback": _nix_direnv,
}

_LAYOUTS: dict[str, Callable[[Sequence[str], Surroundings], Replaced]] = {
    "python": _layout_python,
    "python2": lambda _words, _: Replaced(obstacle="it asks for Python 2"),
    "python3": _layout_python,
    "pyenv": _layout_pyenv,
    **dict.fromkeys(("anaconda", "miniconda", "conda"), _layout_conda),
    **dict.fromkeys(("mamba", "micromamba"), _layout_conda),
    "poetry": _as_it_is("what Poetry has locked is installed by uv"),
    "pipenv": _as_it_is("what Pipenv has locked is installed by uv"),
    "pdm": _as_it_is("what PDM has locked is installed by uv"),
    **dict.fromkeys(("uv", "rye", "hatch"), _as_it_is("`use nixpy` syncs when something changed")),
    "virtualenv": lambda words, _: virtual_environment(words[0] if words else ".venv"),
}

_USES: dict[str, Callable[[Sequence[str], Surroundings], Replaced]] = {
    "flake": _use_flake,
    "nix": _use_nix,
    "python": _use_python,
    **dict.fromkeys(("conda", "mamba", "micromamba"), _layout_conda),
    "uv": _as_it_is("`use nixpy` syncs when something changed"),
    "venv": lambda words, _: virtual_environment(words[0] if words else ".venv"),
}
