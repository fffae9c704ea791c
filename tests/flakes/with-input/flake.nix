{
  # Tests put the directory of the part there: Nix 2.8 takes no relative one.
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
