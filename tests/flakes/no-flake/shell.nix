{
  someArgument ? "none was given",
}:
let
  shell = import ./nix/shell.nix { system = builtins.currentSystem; };
  default = shell.mkShell {
    packages = [ shell.tool ];
    GREETING = builtins.readFile ./data.txt;
    ARGUMENT = someArgument;
  };
in
default
// {
  other = shell.mkShell { GREETING = "hello from another one"; };
}
