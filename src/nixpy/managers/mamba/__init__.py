"""Conda environments: one manager, two engines behind it (a program, or py-rattler)."""
