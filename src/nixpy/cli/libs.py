"""What ``nixpy libs`` prints: as values for JSON, and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nixpy.cli.shared import print_table
from nixpy.errors import EnvironmentUnusable
from nixpy.libraries.loader import library_path_of
from nixpy.libraries.locate import located_attribute
from nixpy.libraries.missing import (
    opened_sonames,
    own_files,
    place_of,
    without_ours,
)
from nixpy.libraries.nixpkgs import attribute_of, shell_line
from nixpy.libraries.record import NOTHING
from nixpy.libraries.scan import kept_scan, library_needs, loading_process
from nixpy.managers.prefix import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nixpy.derivation import Derivation
    from nixpy.libraries.loading import Process
    from nixpy.libraries.record import Supply
    from nixpy.libraries.scan import Scan
    from nixpy.project import Project
    from nixpy.resolver import Resolver

__all__ = ["libraries", "prefix_of", "print_libraries", "print_shell_line"]

Report = dict[str, Any]


def prefix_of(project: Project, derivation: Derivation) -> str:
    """Return the real path of a project's environment.

    Raises:
        EnvironmentUnusable: there is no environment.
    """
    prefix = derivation.plan.prefix if derivation.plan else ""
    if not prefix or not Prefix(prefix).runs():
        raise EnvironmentUnusable(
            "there is no environment to look into",
            where=prefix or project.root,
            next="Run `nixpy sync` first.",
        )
    return prefix


def libraries(resolver: Resolver, project: Project, flags: Mapping[str, object]) -> Report:
    """Return what the ELF files of an environment need, and where the dynamic linker finds it.

    Raises:
        NixpyError: no decision can be reached, or there is no environment.
    """
    derivation = resolver.derive(project, flags)
    prefix = prefix_of(project, derivation)
    supply = resolver.libraries.kept(project.root, prefix, derivation.options) or NOTHING
    found = without_ours(kept_scan(resolver.cache, prefix), prefix)
    process = loading_process(prefix, found)
    own = library_path_of(resolver.environ.get("LD_LIBRARY_PATH", ""))
    directories = [*((supply.farm,) if supply.farm else ()), *own]
    needs = list(_needs(prefix, found, process, directories, supply)) if process else []
    for one in needs:
        missing = one["found"] is None
        one["attribute"] = _attribute(one["soname"], resolver) if missing else None
    return {
        "project": project.root,
        "prefix": prefix,
        "linker": process is not None,
        "scope": supply.scope or None,
        "farm": supply.farm or None,
        "needs": needs,
        "damaged": [path for one in found.values() for path in one.damaged],
    }


def _needs(
    prefix: str, found: Scan, process: Process, directories: list[str], supply: Supply
) -> Iterator[Report]:
    own = own_files(found)
    origins = {link.soname: link.origin for link in supply.links}

    def need(distribution: str, file: str, soname: str, where: str | None, by: str) -> Report:
        if where is None and soname in own:
            where, by = own[soname], "environment"
        ours = bool(where and supply.farm and where.startswith(supply.farm + "/"))
        return {
            "file": file.removeprefix(prefix + "/"),
            "distribution": distribution,
            "soname": soname,
            "found": where,
            "by": "farm" if ours else by,
            "origin": origins.get(soname) if ours else None,
        }

    for name, each in library_needs(found, process, directories):
        yield need(name, each.file, each.soname, each.found, each.by)
    for name, soname in opened_sonames(found):
        where = place_of(soname, process, directories)
        yield need(name, "", soname, where, "opened" if where else "")


def _attribute(soname: str, resolver: Resolver) -> str | None:
    return attribute_of(soname) or located_attribute(soname, resolver.environ, resolver.runner)


def print_shell_line(report: Report) -> None:
    """Print the line for a flake that makes found what is missing or supplied from nixpkgs.

    What is unknown is named, with the files that need it.
    """
    missing = [one for one in report["needs"] if one["found"] is None]
    supplied = [one["origin"] or "" for one in report["needs"]]
    known = [one.removeprefix("nixpkgs#") for one in supplied if one.startswith("nixpkgs#")]
    known += [one["attribute"] for one in missing if one["attribute"]]
    if known:
        print(shell_line(known))
    for soname in dict.fromkeys(one["soname"] for one in missing if not one["attribute"]):
        needing = (one["file"] or one["distribution"] for one in missing if one["soname"] == soname)
        print(f"# unknown soname {soname}, which {', '.join(needing)} needs")
    if not known and not missing:
        print("# nothing is missing")


def print_libraries(report: Report) -> None:
    """Print needs for people; as lines with tabs where it is no terminal."""
    if not report["linker"]:
        print("the interpreter has no dynamic linker that is known: nothing to look at")
        return
    rows = [
        (
            one["distribution"],
            one["file"],
            one["soname"],
            one["found"] or "missing",
            one["origin"] or one["by"] or one["attribute"] or "unknown soname",
        )
        for one in report["needs"]
    ]
    rows += [("", path, "", "damaged", "") for path in report["damaged"]]
    print_table(("distribution", "file", "needs", "found", "by"), rows)
