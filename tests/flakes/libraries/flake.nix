{
  # Stands for nixpkgs: its packages are libraries that a test has compiled, one in each directory.
  outputs =
    { self }:
    let
      system = "x86_64-linux";
      library =
        name:
        derivation {
          inherit name system;
          builder = "/bin/bash";
          outputs = [ "out" ];
          PATH = "/bin:/usr/bin";
          args = [
            "-c"
            # Not cp as the last command: see shells/nix/shell.nix.
            "mkdir -p $out; cp -r ${./packages + "/${name}"} $out/lib\n:"
          ];
        };
      names = builtins.attrNames (builtins.readDir ./packages);
    in
    {
      legacyPackages.${system} = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = library name;
        }) names
      );
    };
}
