let
  shell = import ./nix/shell.nix { system = builtins.currentSystem; };
in
shell.mkShell {
  packages = [ shell.tool ];
  GREETING = builtins.readFile ./data.txt;
}
