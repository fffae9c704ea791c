"""CUDA: the machine's driver, its libraries by their sonames, and toolkits."""
