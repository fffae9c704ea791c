# Stands in for nixpkgs where that cannot be fetched: as much of it as our flake.nix uses. Nothing
# here is built. Derivations keep what they were called with in `passthru`, for tests to look at.
{
  outputs =
    _:
    let
      lib = {
        genAttrs =
          names: make:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = make name;
            }) names
          );
        optionals = condition: values: if condition then values else [ ];
        optional = condition: value: if condition then [ value ] else [ ];
        makeBinPath = packages: builtins.concatStringsSep ":" (map (one: "${one}/bin") packages);
        licenses.mit.spdxId = "MIT";
      };

      packagesFor =
        system:
        let
          stub =
            name: arguments:
            derivation {
              inherit name system;
              builder = "/bin/bash";
              args = [
                "-c"
                "exit 1"
              ];
              inputs = builtins.concatLists [
                (arguments.build-system or [ ])
                (arguments.dependencies or [ ])
                (arguments.packages or [ ])
                (arguments.makeWrapperArgs or [ ])
                (arguments.nativeBuildInputs or [ ])
                (arguments.script or [ ])
              ];
            }
            // {
              meta = arguments.meta or { };
              passthru = arguments;
            };
          named = names: lib.genAttrs names (name: stub name { });
          callPackage =
            function: overrides:
            function (builtins.intersectAttrs (builtins.functionArgs function) self // overrides)
            // {
              override = further: callPackage function (overrides // further);
            };
          self =
            named [
              "direnv"
              "elvish"
              "fish"
              "groff"
              "hyperfine"
              "man-db"
              "mandoc"
              "nixfmt"
              "nixfmt-tree"
              "nushell"
              "python3"
              "shellcheck"
              "strace"
              "tcsh"
              "uv"
              "zsh"
            ]
            // {
              inherit lib callPackage;
              mkShell = arguments: stub "nix-shell" arguments;
              runCommand =
                name: arguments: script:
                stub name (arguments // { script = [ script ]; });
              stdenv.hostPlatform = {
                inherit system;
                isLinux = builtins.match ".*-linux" system != null;
              };
              python3Packages =
                named [
                  "click"
                  "hatchling"
                  "inotify-simple"
                  "jupyter-client"
                  "jupyter-core"
                  "packaging"
                  "platformdirs"
                  "py-rattler"
                  "pyyaml"
                  "rich"
                  "tomli"
                  "tomli-w"
                ]
                // {
                  buildPythonApplication =
                    arguments: stub "${arguments.pname}-${arguments.version}" arguments;
                };
            };
        in
        self;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] packagesFor;
    };
}
