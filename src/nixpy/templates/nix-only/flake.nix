{
  description = "A project that has all it needs from Nix";

  # `nix flake lock` pins it; nixpy takes the libraries that wheels miss from here, too.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          # The interpreter and programs; Python packages too are nixpkgs'.
          packages = [
            (pkgs.python313.withPackages (packages: [ packages.rich ]))
            # pkgs.postgresql
            # The CUDA toolkit, for what is compiled here; wheels bring their own, the driver is the
            # machine's.
            # pkgs.cudaPackages.cudatoolkit
          ];

          # Libraries that C extensions are compiled against here.
          buildInputs = [
            # pkgs.openssl
          ];
        };
      });
    };
}
