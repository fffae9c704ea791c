# `programs.direnv.nixpy` for Home Manager (`place` is "home") and NixOS ("system").
{ place, packageFor }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.programs.direnv.nixpy;
  known = (builtins.fromJSON (builtins.readFile ../src/nixpy/options.schema.json)).properties;
  unknown = builtins.filter (name: !(known ? ${name})) (builtins.attrNames cfg.settings);

  # As nixpy reads its variables; see docs/options.md.
  separators = {
    env = "\n";
    nix-options = " ";
    path = ":";
  };
  rendered =
    name: value:
    if builtins.isBool value then
      (if value then "true" else "false")
    else if builtins.isList value then
      builtins.concatStringsSep (separators.${name} or ",") value
    else if builtins.isAttrs value then
      builtins.concatStringsSep (separators.${name} or ",") (
        map (
          key:
          let
            one = value.${key};
          in
          "${key}=${if builtins.isList one then builtins.concatStringsSep "+" one else one}"
        ) (builtins.attrNames value)
      )
    else
      value;
  variables = builtins.listToAttrs (
    map (name: {
      name = "NIXPY_${lib.toUpper (builtins.replaceStrings [ "-" ] [ "_" ] name)}";
      value = rendered name cfg.settings.${name};
    }) (builtins.attrNames cfg.settings)
  );

  library = "${cfg.package}/share/nixpy/direnvrc";
in
{
  options.programs.direnv.nixpy = {
    enable = lib.mkEnableOption "nixpy: `use nixpy` in an .envrc";

    package = lib.mkOption {
      type = lib.types.package;
      default = packageFor pkgs.stdenv.hostPlatform.system;
      defaultText = "the flake's own package";
      description = "The nixpy to use.";
    };

    settings = lib.mkOption {
      type = lib.types.attrsOf lib.types.anything;
      default = { };
      example = {
        sync = "manual";
        library-scope = "python";
      };
      description = ''
        Options of nixpy for every project, by the keys of `[tool.nixpy]`. They become variables, so
        they go before what the files of a project say; flags of `use nixpy` go before them.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    {
      assertions = [
        {
          assertion = unknown == [ ];
          message = "programs.direnv.nixpy.settings: nixpy has no option ${builtins.concatStringsSep ", " unknown}";
        }
      ];
      programs.direnv.enable = lib.mkDefault true;
    }
    // (
      if place == "home" then
        {
          home.packages = [ cfg.package ];
          home.sessionVariables = variables;
          xdg.configFile."direnv/lib/nixpy.sh".source = library;
        }
      else
        {
          environment.systemPackages = [ cfg.package ];
          environment.sessionVariables = variables;
          # NixOS points DIRENV_CONFIG there.
          environment.etc."direnv/lib/nixpy.sh".source = library;
        }
    )
  );
}
