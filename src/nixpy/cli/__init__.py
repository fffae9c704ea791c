"""The command line: parse, call, print.

``export``, ``run`` and ``sync`` are answered from the entry where it holds, without any of the
libraries that the commands for people are made with; so is what shells and Jupyter call.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status (DESIGN.md, section 10)."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if arguments and arguments[0] in {"export", "run", "sync"}:
            from nixpy.cli.fast import answer

            status = answer(arguments)
            if status is not None and argv is None:
                # It has flushed what it said; taking the interpreter down costs a tenth of it all.
                os._exit(status)
            if status is not None:
                return status
        if arguments[:1] == ["hook"]:
            from nixpy.hook.asked import answer

            status = answer(arguments[1:])
            if status is not None:
                return status
        if arguments[:2] == ["kernel", "start"]:
            from nixpy.jupyter.start import start

            return start(arguments[2:])
        from nixpy.cli.commands import run_command

        return run_command(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing more can be said to them.
        sys.stdout = None
        return 1
