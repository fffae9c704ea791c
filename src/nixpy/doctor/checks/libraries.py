"""Checks of shared libraries: what packages miss, what breaks programs, and CUDA."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from nixpy.doctor.check import check
from nixpy.doctor.finding import Absent, Fix, Found, Severity
from nixpy.doctor.shared_objects import NoDriver, shared_objects
from nixpy.libraries.launcher import CALLERS_VALUE
from nixpy.libraries.nixpkgs import attribute_of
from nixpy.libraries.patching import patched_files
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.doctor.examination import Examination
    from nixpy.doctor.shared_objects import Missing

MOST_SHOWN = 3

PROGRAMS = ("git", "ssh", "nix", "node", "curl")
"""Programs that are loaded with the variable on and off, besides the shell itself."""

LIBRARY_PATH = "LD_LIBRARY_PATH"

SYNC = "nixpy sync --force"


def _fix(seen: Examination) -> Fix:
    return Fix("Sync the environment anew, with its libraries", seen.sync)


def _some(texts: tuple[str, ...]) -> str:
    more = len(texts) - MOST_SHOWN
    return ", ".join(texts[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


@check(
    "libraries.platform",
    title="shared libraries are looked at on Linux alone",
    severity=Severity.NOTE,
)
def platform(seen: Examination) -> Iterator[Found]:
    """Says where nothing of this runs.

    Symptom:
        `libraries`, `library-scope` and `cuda` change nothing.

    Cause:
        On macOS wheels bring what they need, and System Integrity Protection takes `DYLD_*` away
        from programs of the system, so that none of them is exported.

    Remedy:
        Nothing is to be done.
    """
    if seen.platform != "linux":
        yield Found(f"this is {seen.platform}")


@check(
    "libraries.missing",
    title="packages need shared libraries that are not there",
    severity=Severity.PROBLEM,
)
def missing(seen: Examination) -> Iterator[Found]:
    """Looks for sonames that neither the environment, its interpreter nor the machine has.

    Symptom:
        `ImportError: libGL.so.1: cannot open shared object file: No such file or directory`.

    Cause:
        A wheel expects what a Linux distribution has in the usual places. An interpreter from Nix
        does not look there, and a small machine does not have it. nixpy supplies what the nixpkgs
        in `flake.lock` has; this it does not have, or nothing is pinned, or `libraries` is `off`.

    Remedy:
        Put the library into the flake (`nixpy libs --nix` prints the line), name its attribute in
        `libraries`, or install it by the machine's package manager; then sync.
    """
    imported = [_shown(one) for one in shared_objects(seen).missing if one.is_imported]
    if imported:
        yield Found(*imported)


@check(
    "libraries.missing-for-plugins",
    title="plugins of packages need shared libraries that are not there",
    severity=Severity.NOTE,
)
def missing_for_plugins(seen: Examination) -> Iterator[Found]:
    """Looks for sonames that only plugins of larger packages need.

    Symptom:
        Mostly none. A plugin that is asked for does not load: `qt.qpa.plugin: Could not load the
        Qt platform plugin "xcb"`.

    Cause:
        Large packages bring plugins for whatever there is: databases, desktops, devices. What a
        plugin for another machine expects is not there.

    Remedy:
        Nothing is to be done unless you need the plugin: then as for `libraries.missing`.
    """
    found = [_shown(one) for one in shared_objects(seen).missing if not one.is_imported]
    more = len(found) - MOST_SHOWN
    if found:
        rest = [f"and {more} more: nixpy libs --missing"] if more > 0 else []
        yield Found(*found[:MOST_SHOWN], *rest)


def _shown(one: Missing) -> str:
    attribute = attribute_of(one.soname)
    known = f"nixpkgs has it as {attribute}" if attribute else "no attribute is known for it"
    return f"{one.soname}, which {_some(one.files)} needs; {known}"


@check("libraries.damaged", title="shared objects are damaged", severity=Severity.PROBLEM)
def damaged(seen: Examination) -> Iterator[Found]:
    """Looks for files that begin as ELF files do and cannot be read.

    Symptom:
        `ImportError: …: file too short`, `invalid ELF header` or `ELF load command …`.

    Cause:
        A full disk, a killed installation, or a file that another program wrote to.

    Remedy:
        Install the package again: the fix for what differs from its `RECORD` does that.
    """
    prefix = seen.prefix.path + "/"
    files = [path for one in shared_objects(seen).scan.values() for path in one.damaged]
    if files:
        shown = tuple(path.removeprefix(prefix) for path in files)
        command = "nixpy doctor --deep --only environment.record-damaged --fix --yes"
        yield Found(_some(shown), command=command)


@check(
    "libraries.version-lacking",
    title="packages need newer libraries than are found",
    severity=Severity.PROBLEM,
)
def version_lacking(seen: Examination) -> Iterator[Found]:
    """Looks for symbol versions that a package needs and the library found does not define.

    Symptom:
        ImportError: …/libstdc++.so.6: version GLIBCXX_3.4.32 not found, required by a package.

    Cause:
        The package was built against a newer library, or glibc, than is found first: by
        `LD_LIBRARY_PATH`, in the environment, or on the machine.

    Remedy:
        Update the nixpkgs in `flake.lock` (`nix flake update`), take the older directory out of
        `LD_LIBRARY_PATH`, or choose an older wheel.
    """
    prefix = seen.prefix.path + "/"
    for one in shared_objects(seen).lacking[:MOST_SHOWN]:
        file = one.file.removeprefix(prefix)
        yield Found(f"{file} needs {one.version} of {one.soname}, which {one.found} lacks")


@check(
    "libraries.farm-dangling",
    title="libraries that nixpy linked are gone",
    severity=Severity.PROBLEM,
)
def farm_dangling(seen: Examination) -> Iterator[Found]:
    """Looks at the links that supply the environment.

    Symptom:
        An import that worked fails with "cannot open shared object file".

    Cause:
        The store paths were collected although they were protected, the store was replaced, or the
        directory in the environment was removed.

    Remedy:
        Sync anew: what is gone is fetched or built again.
    """
    supply = shared_objects(seen).supply
    if not supply.farm:
        return
    if not os.path.isdir(supply.farm):
        yield Found(f"{supply.farm} is gone", command=SYNC, fix=_fix(seen))
    gone = [link for link in supply.links if not os.path.exists(link.target)]
    for link in gone:
        yield Found(
            f"{link.soname} leads to {link.target} ({link.origin}), which is gone",
            command=SYNC,
            fix=_fix(seen),
        )


@check(
    "libraries.launcher-broken",
    title="the environment's Python cannot be started by its launcher",
    severity=Severity.PROBLEM,
)
def launcher_broken(seen: Examination) -> Iterator[Found]:
    """Starts the launcher of `library-scope = "python"`.

    Symptom:
        `bad interpreter`, or `No such file or directory`, for each call of `python`.

    Cause:
        The bash that the launcher was written for is gone, or the interpreter behind it.

    Remedy:
        Sync anew, which writes it again; `nixpy libs --restore` puts back what was there.
    """
    prefix = seen.prefix.path
    if not os.path.lexists(f"{prefix}/.nixpy/python"):
        return
    python = f"{prefix}/bin/python"
    try:
        done = seen.ask([python, "-I", "-c", "import os; print('runs')"])
    except Absent as why:
        yield Found(str(why), command=SYNC, fix=_fix(seen))
        return
    if done.stdout != "runs\n":
        said = (done.stderr.strip() or f"status {done.status}").splitlines()[-1]
        yield Found(f"{python}: {said}", command=SYNC, fix=_fix(seen))


@check("libraries.patched", title="files of packages are patched", severity=Severity.NOTE)
def patched(seen: Examination) -> Iterator[Found]:
    """Says which files `library-scope = "rpath"` has changed.

    Symptom:
        The digest of a file is not the one in its package's `RECORD`.

    Cause:
        So that the file finds its libraries, their directory was appended to its search path. The
        original is kept in the environment; uv's cache was not changed.

    Remedy:
        Nothing is to be done. `nixpy libs --restore` puts the originals back.
    """
    prefix = seen.prefix.path
    files = tuple(path.removeprefix(prefix + "/") for path in patched_files(prefix))
    if files:
        severity = Severity.OK if shared_objects(seen).supply.scope == "rpath" else None
        yield Found(_some(files), severity=severity, command="nixpy libs --restore")


# LD_LIBRARY_PATH


def _elements(seen: Examination) -> list[str]:
    """The elements of the variable, as this shell has it."""
    value = seen.environ.get(LIBRARY_PATH)
    if not value:
        raise Absent(f"{LIBRARY_PATH} is not set")
    return re.split("[:;]", value)


def _without(elements: list[str]) -> str:
    """The command that leaves some elements in the variable."""
    if not elements:
        return f"unset {LIBRARY_PATH}"
    return f"export {LIBRARY_PATH}={shlex.quote(':'.join(elements))}"


@check(
    "libraries.path-empty-element",
    title="LD_LIBRARY_PATH has an empty element",
    severity=Severity.WARNING,
)
def path_empty_element(seen: Examination) -> Iterator[Found]:
    """Looks for elements without a name.

    Symptom:
        A program behaves differently in a directory that happens to hold a library.

    Cause:
        An empty element means the current directory (ld.so(8)). It comes from
        `LD_LIBRARY_PATH=/some/lib:$LD_LIBRARY_PATH` where the variable was not set before.

    Remedy:
        Write `LD_LIBRARY_PATH=/some/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`.
    """
    elements = _elements(seen)
    if "" in elements:
        shown = f"{LIBRARY_PATH}={seen.environ[LIBRARY_PATH]}"
        yield Found(shown, command=_without([one for one in elements if one]))


@check(
    "libraries.path-missing-directory",
    title="LD_LIBRARY_PATH has a directory that is not there",
    severity=Severity.NOTE,
)
def path_missing_directory(seen: Examination) -> Iterator[Found]:
    """Looks for elements that do not exist.

    Symptom:
        A library that was found once is not found any more.

    Cause:
        The directory was removed, or collected from the Nix store.

    Remedy:
        Take it out of whatever sets the variable.
    """
    elements = _elements(seen)
    gone = [one for one in elements if one and not os.path.isdir(one)]
    if gone:
        left = [one for one in elements if one and one not in gone]
        yield Found(*gone, command=_without(left))


@check(
    "libraries.path-with-glibc",
    title="LD_LIBRARY_PATH leads to a glibc",
    severity=Severity.PROBLEM,
)
def path_with_glibc(seen: Examination) -> Iterator[Found]:
    """Looks for a libc in the directories of the variable.

    Symptom:
        Programs crash at their start, or say `symbol lookup error: … GLIBC_PRIVATE`.

    Cause:
        A process has one glibc, that of its dynamic linker, and both have to be of one build. A
        whole `lib` directory, as that of a Nix profile or `/usr/lib/x86_64-linux-gnu`, forces
        another one on every program.

    Remedy:
        Take the directory out; nixpy links just the sonames that are missing.
    """
    elements = _elements(seen)
    bad = [one for one in elements if one and os.path.exists(f"{one}/libc.so.6")]
    if bad:
        left = [one for one in elements if one and one not in bad]
        yield Found(*(f"{one}/libc.so.6" for one in bad), command=_without(left))


def _loads(seen: Examination, program: str, environ: Mapping[str, str]) -> set[str]:
    """Return what the dynamic linker does not find for a program (ld.so(8))."""
    done = seen.ask([program], environ={**environ, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1"})
    lines = (*done.stdout.splitlines(), *done.stderr.splitlines())
    found = {" ".join(line.split()) for line in lines if "not found" in line}
    if done.status and not found:
        found.add((lines or (f"status {done.status}",))[-1].strip())
    return found


@check(
    "libraries.path-breaks-programs",
    title="LD_LIBRARY_PATH breaks programs of the machine",
    severity=Severity.PROBLEM,
)
def path_breaks_programs(seen: Examination) -> Iterator[Found]:
    """Loads git, ssh, nix, node, curl and the shell with the variable and without.

    Symptom:
        `git: …: version GLIBC_2.38 not found`, or `ssh` that ends without a word.

    Cause:
        A library in one of the directories is found before the program's own, and needs a newer
        glibc, or lacks what the program needs.

    Remedy:
        Unset the variable and say `library-scope = "python"` in `[tool.nixpy]`; what else sets it
        is in your shell's startup files or in the flake.
    """
    _elements(seen)
    without = {name: value for name, value in seen.environ.items() if name != LIBRARY_PATH}
    path = seen.environ.get("PATH", "")
    programs = [find_program(name, path) for name in PROGRAMS]
    programs.append(seen.environ.get("SHELL") or "/bin/sh")
    for program in dict.fromkeys(one for one in programs if one and os.path.exists(one)):
        with open(program, "rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        new = _loads(seen, program, seen.environ) - _loads(seen, program, without)
        for line in sorted(new)[:1]:
            yield Found(f"{program}: {line}", command=f"unset {LIBRARY_PATH}")


@check(
    "libraries.path-leaked",
    title="a variable of the launcher has leaked",
    severity=Severity.WARNING,
)
def path_leaked(seen: Examination) -> Iterator[Found]:
    """Looks for what the launcher of `library-scope = "python"` hands to Python alone.

    Symptom:
        Programs that Python started find other libraries than those that you start.

    Cause:
        This shell was started by a Python that read no `.pth` files (`python -S`), so that nobody
        gave the caller's value back.

    Remedy:
        Leave this shell; start Python without `-S`.
    """
    if CALLERS_VALUE in seen.environ:
        value = seen.environ[CALLERS_VALUE]
        before = (
            f"export {LIBRARY_PATH}={shlex.quote(value[1:])}" if value else f"unset {LIBRARY_PATH}"
        )
        yield Found(f"{CALLERS_VALUE}={value}", command=f"{before}; unset {CALLERS_VALUE}")


# CUDA


@check(
    "libraries.cuda-no-driver",
    title="packages use CUDA, and there is no driver",
    severity=Severity.NOTE,
)
def cuda_no_driver(seen: Examination) -> Iterator[Found]:
    """Looks for the machine's CUDA driver where packages are made for one.

    Symptom:
        `torch.cuda.is_available()` is `False`.

    Cause:
        The machine has no NVIDIA driver, or it lies where nobody looks.

    Remedy:
        Install the driver; NixOS: `hardware.graphics.enable`. Where there is no GPU, smaller
        packages do: `cuda = { "12.8" = ["cu128"], none = ["cpu"] }` chooses extras by the driver.
    """
    try:
        driver = shared_objects(seen).driver
    except NoDriver:
        yield Found("libcuda.so.1 was not found, and nvidia-smi says nothing")
    else:
        yield Found(f"{driver.library} {driver.version}", severity=Severity.OK)


@check(
    "libraries.cuda-too-new",
    title="packages are for a newer CUDA than the driver can do",
    severity=Severity.PROBLEM,
)
def cuda_too_new(seen: Examination) -> Iterator[Found]:
    """Compares the CUDA of wheels with the highest that the driver runs.

    Symptom:
        `CUDA driver version is insufficient for CUDA runtime version`.

    Cause:
        Wheels bring their own CUDA runtime. A driver runs every CUDA of its major version and
        older ones (CUDA, "Minor Version Compatibility"), but none of a later major version.

    Remedy:
        Update the driver, or choose packages for an older CUDA: the option `cuda` maps what the
        driver can do to extras.
    """
    highest = shared_objects(seen).driver.cuda
    for name in shared_objects(seen).scan:
        distribution, _, version = name.rpartition("-")
        normal = distribution.lower().replace("_", "-")
        if not normal.startswith("nvidia-cuda-runtime"):
            continue
        numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
        if numbers and numbers[0] > highest[0]:
            yield Found(f"{distribution} {version}; the driver runs CUDA {highest[0]}.{highest[1]}")


@check(
    "libraries.cuda-not-loaded",
    title="the CUDA driver cannot be opened by this Python",
    severity=Severity.PROBLEM,
)
def cuda_not_loaded(seen: Examination) -> Iterator[Found]:
    """Opens libcuda.so.1 as packages do, with the environment's interpreter and variables.

    Symptom:
        `libcuda.so.1: cannot open shared object file`, though `nvidia-smi` works.

    Cause:
        The interpreter does not look where the driver is, as those of Nix do not; or the driver
        needs what its glibc does not have.

    Remedy:
        Sync: nixpy links the driver's libraries by their names, unless `cuda` or `libraries` is
        `off`.
    """
    assert shared_objects(seen).driver
    code = "import ctypes; ctypes.CDLL('libcuda.so.1'); print('opened')"
    python = f"{seen.prefix.path}/bin/python"
    done = seen.ask([python, "-I", "-c", code], environ=seen.inside)
    if done.stdout != "opened\n":
        said = (done.stderr.strip() or f"status {done.status}").splitlines()[-1]
        yield Found(said, command=SYNC, fix=_fix(seen))
