{
  # Tests put the directory of the part there. Of a relative one, Nix 2.26 writes a lock file that Nix
  # 2.8 refuses ("mutable lock").
  inputs.part.url = "path:@part@";

  outputs =
    { self, part }:
    let
      shell = import ./nix/shell.nix { system = "x86_64-linux"; };
    in
    {
      devShells.x86_64-linux.default = shell.mkShell { GREETING = part.greeting; };
    };
}
