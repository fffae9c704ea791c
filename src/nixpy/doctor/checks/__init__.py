"""The checks, one module for each group; a module here is found by being here."""
