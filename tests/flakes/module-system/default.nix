# Stands in for the module systems of NixOS and Home Manager: evaluates one module with what a user
# says, by the option's defaults, and returns what it configures.
{ module, system, said }:
let
  merged =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b && !(a ? outPath) && !(b ? outPath) then
      builtins.mapAttrs (
        name: _: if a ? ${name} && b ? ${name} then merged a.${name} b.${name} else b.${name} or a.${name}
      ) (a // b)
    else
      b;
  letters = "abcdefghijklmnopqrstuvwxyz";
  capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  characters =
    text: builtins.genList (at: builtins.substring at 1 text) (builtins.stringLength text);
  lib = {
    types = {
      package = "package";
      anything = "anything";
      attrsOf = of: "attribute set of ${of}";
    };
    mkOption = option: option // { isOption = true; };
    mkEnableOption = description: {
      isOption = true;
      default = false;
      inherit description;
    };
    mkIf = condition: value: if condition then value else { };
    mkDefault = value: value;
    toUpper = builtins.replaceStrings (characters letters) (characters capitals);
  };
  defaults =
    options:
    builtins.mapAttrs (
      _: option: if option ? isOption then option.default else defaults option
    ) options;
  evaluated = module {
    inherit lib;
    pkgs.stdenv.hostPlatform.system = system;
    config = merged (defaults evaluated.options) said;
  };
in
evaluated.config
