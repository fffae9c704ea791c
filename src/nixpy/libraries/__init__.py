"""Shared libraries: what the files of an environment need, and where that is found."""
