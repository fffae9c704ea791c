"""Below direnv's own floor: entering, leaving and prompting without starting a process.

The hook in the shell (``hook.bash``, ``hook.zsh``, ``hook.fish``) wraps direnv's. Where everything
that direnv's answer depends on is as it was when direnv gave that answer, it evaluates the answer
again; otherwise it asks direnv, and has :mod:`nixpy.hook.recording` record what came of it.
"""
