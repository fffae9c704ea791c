"""Manifests and lock files: what a project declares, read and checked, never executed."""
