{
  description = "Dev shells as projects have them, on /bin/bash instead of nixpkgs";

  outputs =
    { self }:
    let
      system = "x86_64-linux";
      shell = import ./nix/shell.nix { inherit system; };
      inherit (shell) built mkShell;

      hooks = builtins.attrNames (builtins.readDir ./hooks);
      withHook = file: {
        name = builtins.head (builtins.split "[.]" file);
        value = mkShell { shellHook = builtins.readFile (./hooks + "/${file}"); };
      };
    in
    {
      devShells.${system} = {
        default = mkShell {
          packages = [ shell.tool ];
          GREETING = builtins.readFile ./data.txt;
          shellHook = "export HOOKED=yes";
        };

        # An interpreter, and one behind a wrapper as nixpkgs' withPackages makes them.
        python = mkShell { packages = [ shell.python ]; };
        wrapped = mkShell { packages = [ shell.wrappedPython ]; };

        # As large as that of a project with many packages.
        large = mkShell (
          {
            packages = [ shell.tool ];
            functions = 150;
          }
          // builtins.listToAttrs (
            builtins.genList (number: {
              name = "NIX_EXAMPLE_${toString number}";
              value = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-package-${toString number}/lib";
            }) 100
          )
        );

        variables = mkShell (builtins.fromJSON (builtins.readFile ./variables.json));

        # One that takes a while to build.
        slow = mkShell {
          packages = [ (built "slow-tool" "sleep 3; mkdir $out") ];
          GREETING = builtins.readFile ./data.txt;
        };

        # What goes wrong.
        failing = mkShell { packages = [ (built "broken" "echo no compiler; exit 7") ]; };
        missing = mkShell { GREETING = builtins.readFile ./missing.txt; };
        undefined = mkShell { GREETING = self.nothing; };
        impure = mkShell { GREETING = builtins.readFile /etc/hostname; };
        notBash = derivation {
          inherit system;
          name = "not-bash";
          builder = "/bin/true";
        };
      }
      // builtins.listToAttrs (map withHook hooks);
    };
}
