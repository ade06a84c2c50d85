"""How a command says that it did not do what was asked."""

from __future__ import annotations


class CommandFailed(Exception):
    """One sentence for whoever sits at the terminal; the exit code is 1.

    It never leaves the command line, so it has no place in the tree of `runtime/errors.py`.
    """
