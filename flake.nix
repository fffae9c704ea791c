{
  description = "Python environments under direnv and Nix that load instantly, stay correct and explain themselves";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});

      # The version, from the one place that the wheel has it from too.
      version = builtins.head (
        builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ./src/nixpy/version.py)
      );

      package =
        {
          lib,
          python3Packages,
          stdenv,
          uv,
          # Whether uv comes along, for a PATH without one: `nixpy.override { withUv = false; }`.
          withUv ? true,
        }:
        python3Packages.buildPythonApplication {
          pname = "nixpy";
          inherit version;
          pyproject = true;
          src = self;

          build-system = [ python3Packages.hatchling ];
          dependencies =
            with python3Packages;
            [
              click
              packaging
              platformdirs
              pyyaml
              rich
              tomli
              tomli-w
            ]
            ++ lib.optional stdenv.hostPlatform.isLinux inotify-simple;

          optional-dependencies = {
            conda = [ python3Packages.py-rattler ];
            jupyter = with python3Packages; [
              jupyter-client
              jupyter-core
            ];
          };

          # Of uv, nixpy needs the program alone. A uv that is already on PATH goes before this one.
          pythonRemoveDeps = [ "uv" ];
          makeWrapperArgs = lib.optionals withUv [
            "--suffix"
            "PATH"
            ":"
            (lib.makeBinPath [ uv ])
          ];

          # What `nixpy setup` installs, for whoever lets Nix manage direnv's configuration. The
          # manual page and completions come with the wheel.
          postInstall = ''
            mkdir -p "$out/share/nixpy"
            substitute direnvrc "$out/share/nixpy/direnvrc" \
              --replace-fail "_nixpy_command=(nixpy)" "_nixpy_command=('$out/bin/nixpy')" \
              --replace-fail "# nixpy-version: development" "# nixpy-version: ${version}"
          '';

          pythonImportsCheck = [ "nixpy" ];

          meta = {
            description = "Python environments under direnv and Nix";
            license = lib.licenses.mit;
            mainProgram = "nixpy";
            platforms = systems;
          };
        };

      # The folders that `nixpy init` writes from.
      templates = {
        uv = "pyproject.toml, installed by uv";
        pip = "requirements.txt";
        mamba = "environment.yml, from conda's channels";
        ml = "PyTorch, with CUDA where the machine has it";
        jupyter = "JupyterLab and a notebook";
        poetry = "a project of Poetry's";
        nix-only = "Python and its packages from nixpkgs alone";
      };

      module =
        place:
        import ./nix/module.nix {
          inherit place;
          packageFor = system: self.packages.${system}.default;
        };
    in
    {
      packages = forEachSystem (pkgs: {
        default = pkgs.callPackage package { };
      });

      overlays.default = final: _: {
        nixpy = final.callPackage package { };
      };

      checks = forEachSystem (
        pkgs:
        let
          nixpy = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        in
        {
          # It builds, and can be imported.
          package = nixpy;
          package-without-uv = nixpy.override { withUv = false; };

          # It runs, and brings what shells, man and direnv look for.
          installed = pkgs.runCommand "nixpy-installed" { nativeBuildInputs = [ nixpy ]; } ''
            export HOME="$TMPDIR"
            [[ $(nixpy --version) == *" ${version}" ]]
            cd ${nixpy}/share
            ls man/man1/nixpy.1* bash-completion/completions/nixpy zsh/site-functions/_nixpy \
              fish/vendor_completions.d/nixpy.fish
            bash -n nixpy/direnvrc
            grep -F "'${nixpy}/bin/nixpy'" nixpy/direnvrc
            touch "$out"
          '';

          format = pkgs.runCommand "nixpy-format" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
            find ${self} -name '*.nix' -exec nixfmt --check {} +
            touch "$out"
          '';
        }
      );

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);

      # `nix flake init -t`: the files as they stand; `nixpy init` fills in names and versions.
      templates = builtins.mapAttrs (name: description: {
        inherit description;
        path = ./src/nixpy/templates + "/${if name == "default" then "uv" else name}";
      }) (templates // { default = templates.uv; });

      homeManagerModules.default = module "home";
      nixosModules.default = module "system";

      # Everything that scripts/test uses beside Python packages, which it gets by itself.
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages =
            (with pkgs; [
              direnv
              elvish
              fish
              groff
              hyperfine
              man-db
              mandoc
              nushell
              python3
              shellcheck
              tcsh
              uv
              zsh
            ])
            ++ nixpkgs.lib.optional pkgs.stdenv.hostPlatform.isLinux pkgs.strace;
        };
      });
    };
}
