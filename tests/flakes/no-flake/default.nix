# What nix-build takes, and the dev shell of a project that has no shell.nix.
{ }: (import ./shell.nix { }).other
