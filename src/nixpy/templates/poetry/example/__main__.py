"""Shows that the environment is there."""

import sys

from rich import print as show

if __name__ == "__main__":
    show(f"[bold green]Python {sys.version.split()[0]}[/] of {sys.prefix}")
