# A stand-in for nixpkgs' mkShell: what print-dev-env needs of it.
{ system }:
rec {
  built =
    name: script:
    derivation {
      inherit name system;
      outputs = [ "out" ];
      builder = "/bin/bash";
      args = [
        "-c"
        # Not as the last command: bash would become it, and Nix kills a builder that has closed its
        # output, as chmod does just before it ends.
        "PATH=/usr/bin:/bin; ${script}\n:"
      ];
    };

  stdenv =
    functions:
    built "stdenv" ''
      mkdir $out
      cat ${./setup.sh} > $out/setup
      for ((n = 0; n < ${toString functions}; n++)); do
        cat ${./function.sh} | sed "s/NUMBER/$n/" >> $out/setup
      done
    '';

  mkShell =
    {
      packages ? [ ],
      functions ? 0,
      ...
    }@arguments:
    derivation (
      {
        name = "nix-shell";
        inherit system;
        outputs = [ "out" ];
        builder = "/bin/bash";
        stdenv = stdenv functions;
        PATH = builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
      }
      // builtins.removeAttrs arguments [
        "packages"
        "functions"
      ]
    );

  tool = built "tool" ''
    mkdir -p $out/bin
    printf '#!/bin/sh\necho a tool\n' > $out/bin/example-tool
    chmod +x $out/bin/example-tool
  '';

  # Tests put the path of an interpreter there.
  interpreter = builtins.readFile ../interpreter.txt;

  python = built "python3" ''
    mkdir -p $out/bin
    ln -s ${interpreter} $out/bin/python3
  '';

  wrappedPython = built "python3-env" ''
    mkdir -p $out/bin
    printf '#!/bin/bash\nexport NIX_PYTHONPREFIX=%s\nexec -a "$0" %s "$@"\n' $out ${interpreter} > $out/bin/python3
    chmod +x $out/bin/python3
  '';
}
