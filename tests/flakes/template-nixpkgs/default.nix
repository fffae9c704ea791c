{
  system,
  config ? { },
}:
let
  shell = import ./nix/shell.nix { inherit system; };
  inherit (shell) built mkShell;

  program =
    name:
    built name ''
      mkdir -p $out/bin
      printf '#!/bin/sh\necho ${name} of Nix\n' > $out/bin/nix-${name}
      chmod +x $out/bin/nix-${name}
    '';

  # As nixpkgs' withPackages: a wrapper, and packages beside it.
  withPackages =
    select:
    built "python3-env" ''
      mkdir -p $out/bin $out/lib
      printf 'from builtins import print\n' > $out/lib/${builtins.head (select { rich = "rich"; })}.py
      printf '#!/bin/bash\nPYTHONPATH=%s exec %s "$@"\n' $out/lib ${shell.interpreter} > $out/bin/python3
      chmod +x $out/bin/python3
      ln -s python3 $out/bin/python
    '';
  python = shell.python // {
    inherit withPackages;
  };
in
{
  inherit mkShell;
  python310 = python;
  python311 = python;
  python312 = python;
  python313 = python;
  python314 = python;
  uv = program "uv";
  poetry = program "poetry";
  micromamba = program "micromamba";
  cudaPackages.cudatoolkit =
    if config.allowUnfree or false then program "cudatoolkit" else throw "CUDA is unfree";
}
