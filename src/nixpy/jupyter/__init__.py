"""Kernels that see the project's environment as it is when they start, and labs that stay up."""
