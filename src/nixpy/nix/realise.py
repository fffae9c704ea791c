"""Library outputs of the nixpkgs that a flake pins, realised and protected by gc roots.

An attribute is looked up as ``nix build nixpkgs#ATTRIBUTE`` does; of its outputs the one counts
that has the libraries: ``lib``, else ``out`` (nixpkgs, ``lib.getLib``).
"""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from nixpy.errors import DevShellFailed
from nixpy.nix.nixpkgs_input import NIXPKGS, find_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nixpy.nix.command import Nix

__all__ = ["NothingPinned", "Realised", "realise_libraries"]

EXPRESSION = """\
{ reference, inputs, names }:
let
  system = builtins.currentSystem;
  flake = builtins.getFlake reference;
  nixpkgs = builtins.foldl' (found: name: found.inputs.${name}) flake inputs;
  packages =
    if nixpkgs ? legacyPackages || nixpkgs ? packages then
      (nixpkgs.legacyPackages.${system} or { }) // (nixpkgs.packages.${system} or { })
    else
      import nixpkgs { inherit system; };
  below = found: part: if builtins.isAttrs found then found.${part} or null else null;
  parts = name: builtins.filter builtins.isString (builtins.split "\\\\." name);
  library =
    package:
    let
      outputs = package.outputs or [ "out" ];
      has = output: !(package.outputSpecified or false) && builtins.elem output outputs;
    in
    if has "lib" then package.lib else if has "out" then package.out else package;
  answer =
    package:
    if package ? drvPath then
      { derivation = (library package).drvPath; output = (library package).outputName; }
    else
      null;
  safely =
    name:
    let
      found = answer (builtins.foldl' below packages (parts name));
      tried = builtins.tryEval (builtins.deepSeq found found);
    in
    if tried.success then tried.value else null;
in
builtins.listToAttrs (map (name: { inherit name; value = safely name; }) names)
"""


class NothingPinned(Exception):  # noqa: N818 - the sentence is the name
    """The flake has no such input."""


class Realised(NamedTuple):
    """What became of attributes of nixpkgs.

    Attributes:
        outputs: store paths by attribute.
        unknown: attributes that this nixpkgs does not have, or refuses to evaluate.
        failed: why an attribute could not be built or fetched.
    """

    outputs: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    failed: Mapping[str, DevShellFailed] = MappingProxyType({})


def realise_libraries(
    nix: Nix,
    flake: str,
    attributes: Sequence[str],
    *,
    named: str | None,
    options: Sequence[str],
    roots: str,
) -> Realised:
    """Realise the library outputs of attributes.

    Args:
        nix: Nix, called in the project.
        flake: reference of the flake whose lock file counts.
        attributes: of nixpkgs: ``stdenv.cc.cc.lib``.
        named: the input that is nixpkgs, or ``None`` for the nearest of that name.
        options: further options of Nix.
        roots: an existing directory for gc roots.

    Raises:
        NothingPinned: the flake has no such input.
        DevShellFailed: the flake, or its nixpkgs, cannot be evaluated.
    """
    metadata = nix.json("flake", "metadata", "--json", flake, *options, "--no-write-lock-file")
    try:
        inputs = find_input(metadata.get("locks", {}), named)
    except ValueError as error:
        raise NothingPinned(str(error)) from None
    if inputs is None:
        raise NothingPinned(f"flake.lock has no input {named or NIXPKGS}")
    reference = metadata.get("resolvedUrl") or metadata["url"]
    arguments = (
        f"{{ reference = {_text(reference)}; inputs = {_list(inputs)}; "
        f"names = {_list(attributes)}; }}"
    )
    answers = nix.json("eval", "--json", "--impure", "--expr", f"({EXPRESSION}) {arguments}")
    unknown = tuple(name for name in attributes if not answers.get(name))
    wanted = {name: answers[name] for name in attributes if answers.get(name)}
    failed: dict[str, DevShellFailed] = {}
    outputs = {}
    for number, (name, answer) in enumerate(wanted.items(), start=1):
        root = f"{roots}/library-{number}"
        try:
            nix.run(
                *("--realise", f"{answer['derivation']}!{answer['output']}"),
                *("--indirect", "--add-root", root),
                command="nix-store",
            )
        except DevShellFailed as error:
            failed[name] = error
        else:
            outputs[name] = os.path.realpath(root)
    return Realised(outputs, unknown, failed)


def _list(texts: Sequence[str]) -> str:
    return f"[ {' '.join(map(_text, texts))} ]"


def _text(text: str) -> str:
    """Return a text as a Nix string literal (Nix manual, "String literals")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
