"""What a script changes, as operations on variables (pure; DESIGN.md, section 7).

Evaluating a dev shell, or the scripts of conda's packages, makes one environment of another. Kept
is the *difference*, so that it can be applied to any caller's environment: path-like variables are
merged with the caller's, others are set. What only a build sandbox needs is left out.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from nixpy.environment import SEPARATOR, Environment, Prepend, Set, Unset
from nixpy.shells.names import is_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nixpy.environment import Operation

__all__ = [
    "KEPT_FOR_THE_SHELL",
    "LEFT_OUT",
    "OF_THE_SHELL",
    "PATH_LIKE",
    "difference",
    "is_left_out",
]

OF_THE_SHELL: tuple[str, ...] = (
    *("HOME", "LOGNAME", "USER", "SHELL", "shell", "TERM", "TZ", "TMP*", "TEMP*", "terminfo"),
    *("_", "BASH*", "COLUMNS", "HOSTNAME", "LINES", "OLDPWD", "PPID", "PWD", "SHELLOPTS", "SHLVL"),
    *("PS1", "PS2", "PS4", "PROMPT_COMMAND", "DIRENV_*", "NIXPY_*", "_nixpy_*"),
)
"""Patterns of what is the user's own, or the evaluating shell's."""

LEFT_OUT: tuple[str, ...] = (
    # What a derivation is made of (Nix manual, "Derivations"; structured attributes too).
    *("args", "builder", "name", "out", "outputs", "pname", "system", "version"),
    *("__structuredAttrs", "__impureHostDeps", "__propagatedImpureHostDeps", "__sandboxProfile"),
    *("__propagatedSandboxProfile", "__darwinAllowLocalNetworking", "NIX_ATTRS_*_FILE"),
    # stdenv's own (nixpkgs manual, "The Standard Environment").
    *("buildInputs", "nativeBuildInputs", "propagatedBuildInputs", "propagatedNativeBuildInputs"),
    *("depsBuild*", "depsHost*", "depsTarget*", "patches", "src", "srcs", "stdenv", "strictDeps"),
    *("doCheck", "doInstallCheck", "cmakeFlags", "configureFlags", "mesonFlags", "buildPhase"),
    *("phases", "*Phase", "*Phases", "dontAddDisableDepTrack", "preferLocalBuild", "passAsFile"),
    *("allowSubstitutes", "allowedReferences", "disallowedReferences", "nobuildPhase"),
    *("shellHook", "enableParallel*", "NIX_BUILD_CORES", "NIX_BUILD_TOP", "NIX_LOG_FD"),
    *("NIX_ENFORCE_PURITY", "NIX_INDENT_MAKE", "NIX_STORE", "GZIP_NO_TIMESTAMPS"),
    *OF_THE_SHELL,
    # Another environment's, which nixpy sets for its own.
    *("VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "_OLD_VIRTUAL_*", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
    # It would send `uv pip install` into the store; nixpy takes it for the interpreter's request.
    *("UV_PYTHON", "PYTHONHOME"),
)
"""Patterns (:mod:`fnmatch`) of the variables that a dev shell does not change, see the
``shell-exclude`` option for more of them, and for exceptions."""

KEPT_FOR_THE_SHELL = frozenset({"TERMINFO", "TERMINFO_DIRS", "TZDIR"})
"""Names that the patterns match and a person needs."""

PATH_LIKE = frozenset(
    {
        *("PATH", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "MANPATH", "INFOPATH", "CDPATH"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
        *("DYLD_FRAMEWORK_PATH", "NIX_LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH"),
        *("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH"),
        *("PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH", "CMAKE_INCLUDE_PATH", "CMAKE_LIBRARY_PATH"),
        *("ACLOCAL_PATH", "PYTHONPATH", "PERL5LIB", "RUBYLIB", "GEM_PATH", "NODE_PATH", "GOPATH"),
        *("CLASSPATH", "TERMINFO_DIRS", "GI_TYPELIB_PATH", "GIO_EXTRA_MODULES"),
        *("GST_PLUGIN_SYSTEM_PATH_1_0", "GST_PLUGIN_PATH", "GDK_PIXBUF_MODULE_PATH"),
        *(
            "QT_PLUGIN_PATH",
            "QML2_IMPORT_PATH",
            "QML_IMPORT_PATH",
            "LADSPA_PATH",
            "ALSA_PLUGIN_DIR",
        ),
        *("NIX_PYTHONPATH", "VK_LAYER_PATH", "VK_ICD_FILENAMES", "OCL_ICD_FILENAMES"),
    }
)
"""Variables that hold several directories or files, divided by colons: merged, not replaced."""

CERTIFICATES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
"""A caller's own stay in force: a company's certificates are in no Nix store."""

NO_CERTIFICATES = "/no-cert-file.crt"
"""What nixpkgs' stdenv sets them to, to make downloads in a build fail."""

EARLIEST_ZIP = 315532800
"""1980-01-01 in seconds since the epoch: what is older cannot be put into a wheel, which is a zip
file (reproducible-builds.org, SOURCE_DATE_EPOCH; stdenv sets 1)."""


def is_left_out(name: str, exclude: Sequence[str] = ()) -> bool:
    """Return whether a dev shell's variable is left out.

    ``exclude`` are further patterns; one that begins with ``!`` keeps what it matches. The last
    that matches decides.
    """
    left_out = name not in KEPT_FOR_THE_SHELL and any(
        fnmatch.fnmatchcase(name, pattern) for pattern in LEFT_OUT
    )
    for pattern in exclude:
        if fnmatch.fnmatchcase(name, pattern.removeprefix("!")):
            left_out = not pattern.startswith("!")
    return left_out


def difference(
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    exclude: Sequence[str] = (),
    store: str = "/nix/store",
) -> Environment:
    """Return the operations that make of ``before`` what is worth keeping of ``after``.

    Args:
        before: the environment that the dev shell was evaluated in.
        after: the environment that this came to.
        exclude: further patterns of what is left out (:func:`is_left_out`).
        store: Nix's store directory.
    """
    return Environment(tuple(_operations(before, after, exclude, store)))


def _operations(
    before: Mapping[str, str], after: Mapping[str, str], exclude: Sequence[str], store: str
) -> Iterator[Operation]:
    for name in sorted({*before, *after}):
        if not is_name(name) or before.get(name) == after.get(name) or is_left_out(name, exclude):
            continue
        value = after.get(name)
        if value is None:
            yield Unset(name)
        elif name in PATH_LIKE:
            elements = _new_elements(before.get(name, ""), value)
            if name == "PYTHONPATH":
                # Setup hooks put the dependencies of Nix' packages there, which shadow ours.
                elements = tuple(one for one in elements if not one.startswith(store + "/"))
            if elements:
                yield Prepend(name, elements)
        elif name in CERTIFICATES:
            if name not in before and value != NO_CERTIFICATES:
                yield Set(name, value)
        elif name == "SOURCE_DATE_EPOCH" and value.isdigit():
            yield Set(name, str(max(int(value), EARLIEST_ZIP)))
        else:
            yield Set(name, value)


def _new_elements(before: str, after: str) -> tuple[str, ...]:
    """Return the elements that were put into a path-like value, in their order, none twice.

    What was appended counts too: there is one place to put it, in front.
    """
    bounded = f"{SEPARATOR}{after}{SEPARATOR}"
    start = bounded.rfind(f"{SEPARATOR}{before}{SEPARATOR}") if before else -1
    if start < 0:
        return _elements(after)  # it was replaced; merged, the caller's goes behind
    front, behind = bounded[:start], bounded[start + len(before) + 2 :]
    known = set(_elements(before))
    # What is put in front may hold what the caller has behind: /usr/bin, say. Nix itself puts the
    # caller's XDG_DATA_DIRS in front of the caller's, where there is no other.
    added = () if front.strip(SEPARATOR) == before else _elements(front)
    return (*added, *(one for one in _elements(behind) if one not in {*known, *added}))


def _elements(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in value.split(SEPARATOR) if one))
