{
  outputs =
    { self }:
    {
      greeting = import ./greeting.nix;
    };
}
