"""Checks of the environment: what is installed in it, and what from outside gets into it."""

from __future__ import annotations

import base64
import contextlib
import glob
import hashlib
import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING, NamedTuple

from nixpy.doctor.check import check
from nixpy.doctor.distributions import unmet_requirements
from nixpy.doctor.finding import Absent, Fix, Found, Severity, some
from nixpy.freshness import changed_inputs
from nixpy.libraries.launcher import PTH
from nixpy.libraries.patching import patched_files
from nixpy.managers.uv import find_uv, sync_flags
from nixpy.marker import is_synced_to, read_marker, was_changed_by_hand
from nixpy.process import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nixpy.doctor.distributions import Distribution, Recorded
    from nixpy.doctor.examination import Examination

MOST_SHOWN = 8
SAMPLE = 6_000
"""Files of ``RECORD`` that are looked at without ``--deep``: a tenth of a second."""

FIRST_ZIP_TIME = 315_532_800
"""1980-01-01, in seconds since the epoch: before it, zip files know no time."""

CERTIFICATES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO"),
)

FIND_LIBRARY = "import ctypes.util; print(ctypes.util.find_library('c') or '')"

OF_MANAGERS = frozenset({"_virtualenv.pth", "distutils-precedence.pth", PTH})
"""Files with code that uv, virtualenv and setuptools put into each environment."""

_CHANGE = re.compile(r"^ ([-+]) ([A-Za-z0-9._-]+)==(\S+)")
_FALSE = frozenset({"", "0", "false", "no", "off", "f", "n"})


def _uv(seen: Examination) -> tuple[str, dict[str, str]]:
    """Return uv, and variables with which it looks at the project, whatever is in force."""
    within = seen.derivation.within_dev_shell(seen.outside)
    left_out = {"VIRTUAL_ENV", "UV_FROZEN", "UV_LOCKED", "UV_PYTHON", "UV_NO_CACHE"}
    environ = {name: value for name, value in within.items() if name not in left_out}
    prefix = seen.prefix.path
    return find_uv(within, prefix), {**environ, "UV_PROJECT_ENVIRONMENT": prefix}


UV_FLAGS = ("--offline", "--no-cache", "--no-progress", "--color=never")
"""Nothing is fetched, and nothing is written to uv's cache."""


# What was synced


@check(
    "environment.unsynced",
    title="the environment was never made",
    severity=Severity.WARNING,
)
def unsynced(seen: Examination) -> Iterator[Found]:
    """Looks for the environment, and for the marker that a sync leaves in it.

    Symptom:
        The first `cd` takes long; with `sync = "manual"` there is no environment at all.

    Cause:
        The project is new here, or its environment was removed, or made by another tool.

    Remedy:
        Sync, or load it by `cd`.
    """
    prefix = seen.planned_prefix
    if prefix.read_marker():
        return
    what = "was not synced by nixpy" if prefix.is_environment() else "is not there"
    yield Found(f"{prefix.path} {what}", command="nixpy sync", fix=seen.sync_fix())


@check(
    "environment.interrupted",
    title="the last sync did not end",
    severity=Severity.PROBLEM,
)
def interrupted(seen: Examination) -> Iterator[Found]:
    """Reads the marker, which says before anything changes that a sync is under way.

    Symptom:
        Packages are missing or broken.

    Cause:
        The sync was killed, the machine went down, or the disk was full.

    Remedy:
        Sync: what may be there in half is installed again, or the environment is made anew.
    """
    if seen.marker.state != "syncing":
        return
    if seen.is_being_synced:
        raise Absent("it is being synced just now")
    yield Found(
        f"{seen.prefix.path}/.nixpy/marker says that a sync by {seen.marker.manager} is under way, "
        "and nobody holds the lock",
        command="nixpy sync",
        fix=seen.sync_fix(),
    )


@check(
    "environment.outdated",
    title="something changed since the last sync",
    severity=Severity.WARNING,
)
def outdated(seen: Examination) -> Iterator[Found]:
    """Compares the fingerprint over all inputs with the one in the marker.

    Symptom:
        The next `cd` syncs; with `sync = "manual"` the environment is the old one.

    Cause:
        A manifest, a lock file, an option, a variable or the interpreter is not what it was.

    Remedy:
        Sync, or load it by `cd`. `nixpy explain` names what changed too.
    """
    marker = seen.marker
    derivation = seen.derivation
    prefix = seen.prefix
    if marker.state != "synced" or marker.prefix != prefix.path or not prefix.runs():
        raise Absent("it is not in order for another reason")
    if is_synced_to(prefix.path, derivation.synced):
        return
    lines = []
    with contextlib.suppress(Absent):
        lines = [
            f"{one.kind} {seen.shown(one.name)} changed"
            for before, after in changed_inputs(seen.entry.inputs, derivation.inputs)
            if (one := after or before) is not None and one.syncs
        ]
    if marker.fingerprint == derivation.synced:
        lines = [f"{prefix.python} is another interpreter than at the last sync"]
    yield Found(
        *(some(lines, MOST_SHOWN) or [f"{prefix.path} was synced to other inputs"]),
        command="nixpy sync",
        fix=seen.sync_fix(),
    )


@check(
    "environment.stale",
    title="the last good environment is in force, not today's",
    severity=Severity.WARNING,
)
def stale(seen: Examination) -> Iterator[Found]:
    """Reads NIXPY_STALE, which says why a load fell back on the last good environment.

    Symptom:
        nixpy said "the last good environment stays in force" when it was loaded.

    Cause:
        The sync or the dev shell failed; the evidence has the reason.

    Remedy:
        Mend that; the next prompt loads again. `nixpy sync` shows the whole run.
    """
    reason = seen.environ.get("NIXPY_STALE")
    if reason:
        yield Found(f"NIXPY_STALE={reason}", command="nixpy sync && direnv reload")


@check(
    "environment.changed-by-hand",
    title="packages were installed or removed since the last sync",
    severity=Severity.NOTE,
)
def changed_by_hand(seen: Examination) -> Iterator[Found]:
    """Compares the time of site-packages with the one in the marker.

    Symptom:
        A package is there that nothing asks for, or one is missing.

    Cause:
        `uv pip install`, `pip uninstall` or the like was run in the environment.

    Remedy:
        Sync to have what the manifests ask for; where a lock file rules, the rest is removed.
    """
    marker = read_marker(seen.prefix.path)
    if marker and marker.state == "synced" and was_changed_by_hand(seen.prefix.path):
        yield Found(*seen.site_packages, command="nixpy sync")


class _Difference(NamedTuple):
    """What is wrong with a distribution: what was expected, what is there; ``None`` for nothing."""

    name: str
    wanted: str | None
    there: str | None

    def __str__(self) -> str:
        if self.there is None:
            return f"{self.name} {self.wanted} is not installed"
        if self.wanted is None:
            return f"{self.name} {self.there} is installed, and nothing asks for it"
        return f"{self.name} {self.there} is installed, and {self.wanted} is asked for"


@check(
    "environment.packages-differ",
    title="what is installed is not what is asked for",
    severity=Severity.PROBLEM,
)
def packages_differ(seen: Examination) -> Iterator[Found]:
    """Compares what is installed with the lock file, by uv's own dry run, or with requirements.

    Symptom:
        `ModuleNotFoundError`, or another version than the lock file has.

    Cause:
        Packages were installed or removed by hand, or by a tool that runs `pip`.

    Remedy:
        Sync.
    """
    derivation = seen.derivation
    if not is_synced_to(seen.prefix.path, derivation.synced):
        raise Absent("the environment is not in sync: see the findings of that")
    install = derivation.decision.install
    if install == "project":
        found = _against_lock(seen)
    elif install in {"requirements", "editable"} or derivation.survey.requirements.entries:
        found = _against_requirements(seen)
    else:
        raise Absent(f"nothing is compared where the decision is: {derivation.decision.reason}")
    bad = [str(one) for one in found if one.wanted is not None]
    extra = [str(one) for one in found if one.wanted is None]
    if bad:
        yield Found(
            *some(bad + extra, MOST_SHOWN), command="nixpy sync --force", fix=seen.sync_fix()
        )
    elif extra:
        yield Found(*some(extra, MOST_SHOWN), severity=Severity.NOTE, command="nixpy sync --force")


def _against_lock(seen: Examination) -> list[_Difference]:
    plan = seen.derivation.plan
    assert plan is not None
    uv, environ = _uv(seen)
    flags = [one for one in sync_flags(plan) if one not in {"--locked", "--frozen"}]
    argv = [uv, "sync", *flags, "--frozen", "--dry-run", *UV_FLAGS, "--python", seen.python]
    done = seen.ask(argv, cwd=plan.directory, environ=environ)
    if done.status:
        raise Absent(f"uv cannot tell: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    there: dict[str, str] = {}
    wanted: dict[str, str] = {}
    for line in done.stderr.splitlines():
        match = _CHANGE.match(line)
        if match:
            (wanted if match[1] == "+" else there)[match[2]] = match[3]
    return [
        _Difference(name, wanted.get(name), there.get(name))
        for name in dict.fromkeys((*wanted, *there))
    ]


def _against_requirements(seen: Examination) -> list[_Difference]:
    entries, python = seen.survey.requirements.entries, seen.prefix.version() or ""
    return [
        _Difference(one.wanted.name, str(one.wanted.specifier) or "any version", one.installed)
        for one in unmet_requirements(entries, seen.distributions, python)
    ]


@check(
    "environment.dependencies-unmet",
    title="installed packages do not have what they require",
    severity=Severity.WARNING,
)
def dependencies_unmet(seen: Examination) -> Iterator[Found]:
    """Has uv check the metadata of all that is installed (`uv pip check`).

    Symptom:
        An import fails within a package, or a function is missing in what it imports.

    Cause:
        A package was installed or removed by hand, without its dependencies; or an override of the
        project says that it does not matter.

    Remedy:
        Sync. If that does not change it, look at the project's overrides and constraints.
    """
    uv, environ = _uv(seen)
    argv = [uv, "pip", "check", *UV_FLAGS, "--no-config", "--python", seen.python]
    done = seen.ask(argv, environ=environ)
    lines = [line for line in done.stderr.splitlines() if line.startswith("The package ")]
    if done.status and not lines:
        raise Absent(f"uv cannot tell: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    if lines:
        yield Found(*some(lines, MOST_SHOWN), command="nixpy sync")


@check(
    "environment.record-damaged",
    title="files of installed packages are gone or changed",
    severity=Severity.PROBLEM,
)
def record_damaged(seen: Examination) -> Iterator[Found]:
    """Looks at the files that each distribution's RECORD lists; with --deep at their hashes too.

    Symptom:
        `ModuleNotFoundError` for a part of a package that is installed; a package does what its
        source does not say.

    Cause:
        Files were deleted or edited in `site-packages`, two packages have a file of the same name,
        or the disk was full. With uv's hard links an edit reaches uv's cache and every other
        environment too.

    Remedy:
        Install these packages again; the fix does that by the project's own manifests.
    """
    lines = []
    damaged: dict[str, Distribution] = {}
    shared: set[str] = set()
    gone = False
    suspects = [
        (one, recorded, what)
        for one, recorded in _sampled(seen)
        if (what := _damage(recorded, is_deep=seen.is_deep))
    ]
    # What nixpy itself has patched, to find libraries, it can put back.
    patched = patched_files(seen.prefix.path) if suspects else {}
    for one, recorded, what in suspects:
        if recorded.path in patched:
            continue
        gone = gone or what == "is gone"
        lines.append(f"{one.name} {one.version}: {seen.shown(recorded.path)} {what}")
        damaged[one.name] = one
        with contextlib.suppress(OSError, ValueError):
            if os.stat(recorded.path).st_nlink > 1:
                shared.add(one.name)
    if not lines:
        return
    if shared:
        lines.append(f"uv's cache shares files of {', '.join(sorted(shared))}, by hard links")
    names = ", ".join(damaged)
    yield Found(
        *some(lines, MOST_SHOWN),
        severity=None if gone else Severity.WARNING,
        command="nixpy doctor --only environment.record-damaged --fix --yes"
        + (" --deep" if seen.is_deep else ""),
        fix=Fix(
            f"install {names} again", lambda: _reinstall(seen, tuple(damaged.values()), shared)
        ),
    )


def _sampled(seen: Examination) -> Iterator[tuple[Distribution, Recorded]]:
    """Yield what is looked at: all with ``--deep``, else an even sample of at most SAMPLE files.

    Caches of compiled modules come and go, and ``RECORD`` cannot say what it has itself.
    """
    distributions = seen.distributions
    each = max(1, SAMPLE // max(1, len(distributions)))
    for one in distributions:
        files = [
            recorded
            for recorded in one.recorded()
            if "/__pycache__/" not in recorded.path
            and not recorded.path.endswith((".pyc", ".pyo"))
            and recorded.path != f"{one.directory}/RECORD"
        ]
        step = 1 if seen.is_deep else max(1, -(-len(files) // each))
        yield from ((one, recorded) for recorded in files[::step])


def _damage(recorded: Recorded, *, is_deep: bool) -> str | None:
    try:
        size = os.stat(recorded.path).st_size
    except (OSError, ValueError):  # a RECORD that is damaged itself can name anything
        return "is gone"
    if recorded.size >= 0 and size != recorded.size:
        return f"has {size} bytes, and had {recorded.size}"
    name, _, wanted = recorded.digest.partition("=")
    if not is_deep or not wanted or name not in hashlib.algorithms_available:
        return None
    try:
        with open(recorded.path, "rb") as file:
            digest = hashlib.new(name, file.read()).digest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    is_same = base64.urlsafe_b64encode(digest).decode().rstrip("=") == wanted
    return None if is_same else "has another content than when it was installed"


def _reinstall(
    seen: Examination, distributions: tuple[Distribution, ...], shared: set[str]
) -> None:
    """Have the manager install distributions that it is made to believe are not there."""
    if shared:
        uv, environ = _uv(seen)
        seen.change([uv, "cache", "clean", *sorted(shared)], environ=environ)
    # Not within site-packages, whose time says whether something was changed by hand.
    aside = f"{seen.prefix.path}/.nixpy/damaged"
    os.makedirs(aside, exist_ok=True)
    moved = []
    try:
        for one in distributions:
            other = f"{aside}/{os.path.basename(one.directory)}"
            os.rename(one.directory, other)
            moved.append((one.directory, other))
        seen.sync()
    except BaseException:
        for directory, other in moved:
            if not os.path.exists(directory):
                os.rename(other, directory)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


# What gets into it from outside


@check(
    "environment.two-in-force",
    title="two environments are in force at once",
    severity=Severity.WARNING,
)
def two_in_force(seen: Examination) -> Iterator[Found]:
    """Compares VIRTUAL_ENV and CONDA_PREFIX with the project's environment.

    Symptom:
        Tools that ask one of the variables work on another environment than `python` does.

    Cause:
        Another environment was activated by hand inside of the project, or conda's base is
        activated in each shell (`auto_activate_base`).

    Remedy:
        `deactivate` or `conda deactivate`; `conda config --set auto_activate_base false`.
    """
    inside = seen.inside
    prefix = seen.planned_prefix.path
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        other = inside.get(name)
        if other and os.path.realpath(other) != prefix:
            yield Found(f"{name}={other}", f"the project's environment is {prefix}")


def _own_variables(seen: Examination) -> set[str]:
    """Return the variables that the project itself sets by its option ``env``."""
    return {name for name, _ in seen.options.env}


@check(
    "environment.pythonpath",
    title="PYTHONPATH goes before what is installed",
    severity=Severity.WARNING,
)
def pythonpath(seen: Examination) -> Iterator[Found]:
    """Looks at PYTHONPATH as it is in the environment.

    Symptom:
        A module is imported from another place, in another version, or for another Python.

    Cause:
        A startup file or a tool (ROS, Spark, another Nix shell) sets it. Its directories go before
        `site-packages`, whatever environment is in force.

    Remedy:
        Unset it, or install what it leads to into the environment. Where it is meant, say so with
        the option `env`, and this is silent.
    """
    value = seen.inside.get("PYTHONPATH")
    if value is None or "PYTHONPATH" in _own_variables(seen):
        return
    lines = []
    for element in value.split(os.pathsep):
        if not element:
            lines.append("an empty element, which means the working directory")
        elif not os.path.exists(element):
            lines.append(f"{element} is not there")
        else:
            lines.append(element)
    yield Found(f"PYTHONPATH={value}", *some(lines, MOST_SHOWN), command="unset PYTHONPATH")


@check(
    "environment.pythonhome",
    title="PYTHONHOME makes Python look for its own library elsewhere",
    severity=Severity.PROBLEM,
)
def pythonhome(seen: Examination) -> Iterator[Found]:
    """Looks at PYTHONHOME as it is in the environment.

    Symptom:
        `ModuleNotFoundError: No module named 'encodings'`, or another Python's library is loaded.

    Cause:
        A startup file or an application's launcher sets it. Loading the environment unsets it;
        here it was set after that. It can keep nixpy itself from starting, too.

    Remedy:
        Unset it.
    """
    value = seen.inside.get("PYTHONHOME")
    if value is not None:
        yield Found(f"PYTHONHOME={value}", command="unset PYTHONHOME")


@check(
    "environment.pythonstartup",
    title="PYTHONSTARTUP names a file that is not there",
    severity=Severity.WARNING,
)
def pythonstartup(seen: Examination) -> Iterator[Found]:
    """Looks at PYTHONSTARTUP, whose file each interactive Python runs.

    Symptom:
        Each interactive Python begins with `Could not open PYTHONSTARTUP`.

    Cause:
        The file was removed or renamed.

    Remedy:
        Unset the variable, or put the file back.
    """
    value = seen.inside.get("PYTHONSTARTUP")
    if value and not os.path.isfile(value):
        yield Found(f"PYTHONSTARTUP={value}", command="unset PYTHONSTARTUP")
    elif value:
        yield Found(f"interactive Pythons run {value}", severity=Severity.OK)


@check(
    "environment.user-site",
    title="packages of the user's own site get into the environment",
    severity=Severity.WARNING,
)
def user_site(seen: Examination) -> Iterator[Found]:
    """Asks the environment's interpreter whether it has the user's site-packages on its path.

    Symptom:
        A package can be imported that is not installed in the environment, or in another version.

    Cause:
        `pip install --user` has put packages below `~/.local`, and the environment is one that
        looks there: a conda environment, or one with `include-system-site-packages = true`.

    Remedy:
        Set `PYTHONNOUSERSITE=1`, in the project by `env = { PYTHONNOUSERSITE = "1" }`.
    """
    said = seen.probed
    place = said.get("user_site")
    if said.get("user_site_enabled") and place in said["path"]:
        configuration = seen.prefix.configuration()
        yield Found(
            f"{place} is on sys.path",
            "include-system-site-packages = "
            + configuration.get("include-system-site-packages", "not set"),
            command="export PYTHONNOUSERSITE=1",
        )


@check(
    "environment.pth-code",
    title="a .pth file that no package owns runs code at each start of Python",
    severity=Severity.WARNING,
)
def pth_code(seen: Examination) -> Iterator[Found]:
    """Looks for lines that begin with `import` in .pth files, and for who owns these files.

    Symptom:
        Python starts slowly, or modules behave as their source does not say.

    Cause:
        Python runs such lines at each start (docs.python.org, "site"). Debuggers, coverage tools
        and malicious packages use that.

    Remedy:
        Look at the line; remove the file if you do not know it.
    """
    lines: dict[str, str] = {}
    for site in seen.site_packages:
        for path in sorted(glob.glob(f"{glob.escape(site)}/*.pth")):
            code = [
                line
                for line in (seen.read(path) or "").splitlines()
                if line.startswith(("import ", "import\t"))
            ]
            if code and os.path.basename(path) not in OF_MANAGERS:
                lines[path] = code[0][:120]
    if not lines:
        return
    owned = {recorded.path for one in seen.distributions for recorded in one.recorded()}
    unknown = [path for path in lines if path not in owned]
    for path in unknown:
        yield Found(
            f"{seen.shown(path)}: {lines[path]}", command=f"rm {shlex.quote(path)} && nixpy sync"
        )
    if not unknown:
        shown = [f"{seen.shown(path)}, of a package" for path in lines]
        yield Found(*shown, severity=Severity.OK)


@check(
    "environment.pip-elsewhere",
    title="`pip` in this environment installs into another one",
    severity=Severity.NOTE,
)
def pip_elsewhere(seen: Examination) -> Iterator[Found]:
    """Looks which pip is the first one on the environment's PATH.

    Symptom:
        `pip install` says that it worked, and the import fails.

    Cause:
        An environment that uv makes has no pip, so `pip` is that of the system or of the user.

    Remedy:
        `uv pip install`, or `uv add`; `PIP_REQUIRE_VIRTUALENV=1` makes the other pip refuse.
    """
    inside = seen.inside
    prefix = seen.prefix.path
    found = find_program("pip", inside.get("PATH", ""))
    if found is None or os.path.realpath(os.path.dirname(found)) == f"{prefix}/bin":
        return
    if inside.get("PIP_REQUIRE_VIRTUALENV", "").lower() not in _FALSE:
        return
    match = re.match(r"#!(/[^\s]*)/bin/python", seen.read(found, 300) or "")
    # PEP 668: this pip refuses by itself.
    if match and glob.glob(f"{glob.escape(match[1])}/lib/python*/EXTERNALLY-MANAGED"):
        return
    yield Found(
        f"`pip` is {found}, and the environment is {prefix}",
        command="export PIP_REQUIRE_VIRTUALENV=1",
    )


@check(
    "environment.uv-elsewhere",
    title="a variable makes uv work on another project or Python",
    severity=Severity.WARNING,
)
def uv_elsewhere(seen: Examination) -> Iterator[Found]:
    """Looks at the variables with which uv leaves the project's environment aside.

    Symptom:
        `uv run` or `uv pip install` says that it worked, and nothing changed here.

    Cause:
        `UV_PYTHON` and `UV_SYSTEM_PYTHON` name the environment that `uv pip` works on,
        `UV_PROJECT` and `UV_WORKING_DIR` the project of `uv run`. A dev shell or a container's
        image sets them.

    Remedy:
        Unset them in this shell.
    """
    inside = seen.inside
    prefix = seen.planned_prefix.path
    root = seen.survey.root
    lines = []
    names = []
    python = inside.get("UV_PYTHON", "")
    if "/" in python and not os.path.abspath(python).startswith(prefix + "/"):
        lines.append(f"UV_PYTHON={python}")
        names.append("UV_PYTHON")
    if inside.get("UV_SYSTEM_PYTHON", "").lower() not in _FALSE:
        lines.append(f"UV_SYSTEM_PYTHON={inside['UV_SYSTEM_PYTHON']}")
        names.append("UV_SYSTEM_PYTHON")
    for name in ("UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"):
        value = inside.get(name)
        if value and os.path.realpath(value) not in {root, seen.project.root}:
            lines.append(f"{name}={value}")
            names.append(name)
    if lines:
        yield Found(
            *lines, f"the project's environment is {prefix}", command=f"unset {' '.join(names)}"
        )


@check(
    "environment.source-date-epoch",
    title="SOURCE_DATE_EPOCH is before 1980, so wheels cannot be built",
    severity=Severity.WARNING,
)
def source_date_epoch(seen: Examination) -> Iterator[Found]:
    """Looks at SOURCE_DATE_EPOCH as it is in the environment.

    Symptom:
        `ZIP does not support timestamps before 1980` from a build.

    Cause:
        nixpkgs' stdenv sets it to 1 or 0 in dev shells, and a wheel is a zip file. nixpy raises
        what its own dev shell sets; another `nix develop` around this shell does not.

    Remedy:
        Unset it, or set it to 315532800 or later.
    """
    value = seen.inside.get("SOURCE_DATE_EPOCH")
    if value is None:
        return
    if not value.isdecimal():
        yield Found(f"SOURCE_DATE_EPOCH={value} is no number", command="unset SOURCE_DATE_EPOCH")
    elif int(value) < FIRST_ZIP_TIME:
        yield Found(
            f"SOURCE_DATE_EPOCH={value}", command=f"export SOURCE_DATE_EPOCH={FIRST_ZIP_TIME}"
        )


@check(
    "environment.certificates",
    title="Python does not find the certificates for TLS",
    severity=Severity.PROBLEM,
)
def certificates(seen: Examination) -> Iterator[Found]:
    """Looks at the variables that name certificates, and asks Python where it looks for them.

    Symptom:
        `CERTIFICATE_VERIFY_FAILED`, or `Could not find a suitable TLS CA certificate bundle`.

    Cause:
        A variable names a file that is gone, such as a store path that was collected, or
        `/no-cert-file.crt` from a pure Nix shell; or OpenSSL was built for another place than the
        one where this machine keeps its certificates.

    Remedy:
        Unset the variable, or let `SSL_CERT_FILE` name the machine's certificates
        (`/etc/ssl/certs/ca-certificates.crt`, `/etc/ssl/certs/ca-bundle.crt`, nixpkgs' `cacert`).
    """
    inside = seen.inside
    gone = [name for name in CERTIFICATES if inside.get(name) and not _any_exists(inside[name])]
    if gone:
        lines = [f"{name}={inside[name]} is not there" for name in gone]
        yield Found(*lines, command=f"unset {' '.join(gone)}")
        return
    said = seen.probed
    if "ssl_error" in said:
        yield Found(f"import ssl: {said['ssl_error']}")
    elif not any(said.get("certificates", ())):
        places = ", ".join(filter(None, said.get("certificates_built_in", ())))
        yield Found(f"none in {places}, and SSL_CERT_FILE is not set", severity=Severity.WARNING)


def _any_exists(value: str) -> bool:
    return any(os.path.exists(one) for one in value.split(os.pathsep))


@check(
    "environment.find-library",
    title="`ctypes.util.find_library` does not find libraries",
    severity=Severity.NOTE,
)
def find_library(seen: Examination) -> Iterator[Found]:
    """Has the environment's Python look for the C library.

    Symptom:
        A package that loads a shared library by its name says that it is not installed.

    Cause:
        Python asks `ldconfig`, a C compiler or `ld`. On NixOS, in small containers and in shells
        without a compiler none of them answers.

    Remedy:
        Have gcc or binutils in the dev shell, or tell the package the path of the library.
    """
    done = seen.ask([seen.python, "-c", FIND_LIBRARY], environ=seen.inside)
    if done.status:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Absent(f"{seen.python} cannot tell: {last}")
    if not done.stdout.strip():
        yield Found("find_library('c') is None")


@check(
    "environment.locale",
    title="the locale is not there, or not UTF-8",
    severity=Severity.WARNING,
)
def locale(seen: Examination) -> Iterator[Found]:
    """Has the environment's Python set the locale of the environment.

    Symptom:
        `locale.Error: unsupported locale setting`, `UnicodeDecodeError` for files, or warnings
        about `LC_ALL` from other programs.

    Cause:
        `LANG` or an `LC_` variable names a locale that is not installed, often one that ssh brought
        along; with Nix, `LOCALE_ARCHIVE` does not lead to one that has it.

    Remedy:
        Install the locale, take `C.UTF-8`, or set `LOCALE_ARCHIVE` (nixpkgs' `glibcLocales`).
    """
    said = seen.probed
    names = [name for name in seen.inside if name.startswith("LC_") or name == "LANG"]
    lines = [f"{name}={seen.inside[name]}" for name in sorted(names)] or ["LANG is not set"]
    if "locale_error" in said:
        yield Found(said["locale_error"], *lines, command="export LC_ALL=C.UTF-8")
    elif str(said.get("encoding", "utf-8")).lower().replace("-", "") != "utf8":
        yield Found(
            f"files are read as {said['encoding']}",
            *lines,
            severity=Severity.NOTE,
            command="export LC_ALL=C.UTF-8",
        )


@check(
    "environment.tmpdir-gone",
    title="the directory for temporary files is gone",
    severity=Severity.PROBLEM,
)
def tmpdir_gone(seen: Examination) -> Iterator[Found]:
    """Looks at TMPDIR, TMP, TEMP and TEMPDIR.

    Symptom:
        `mktemp: failed to create file`, `No such file or directory: '/tmp/nix-shell…'`, builds that
        fail at once.

    Cause:
        A Nix shell has a directory of its own and removes it when it ends; what was started inside
        of it, a tmux server or an editor, keeps the variable.

    Remedy:
        Unset it.
    """
    inside = seen.inside
    gone = []
    for name in ("TMPDIR", "TMP", "TEMP", "TEMPDIR"):
        value = inside.get(name)
        if value and not (os.path.isdir(value) and os.access(value, os.X_OK)):
            gone.append(name)
    if gone:
        lines = [f"{name}={inside[name]} is no directory" for name in gone]
        yield Found(*lines, command=f"unset {' '.join(gone)}")
