"""The Nix dev shell: evaluated once, kept as a difference, known when it is stale."""
