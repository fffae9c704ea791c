{
  # Tests put the directory of what stands for nixpkgs here.
  inputs.nixpkgs.url = "path:@nixpkgs@";

  outputs =
    { self, nixpkgs }:
    let
      shell = import ./nix/shell.nix { system = "x86_64-linux"; };
    in
    {
      devShells.x86_64-linux.default = shell.mkShell {
        # @variables@
      };
    };
}
