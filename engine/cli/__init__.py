"""The command line: ``lockstep``.  It starts at once because every command imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 (failed) or 2 (usage).

    Parameters
    ----------
    argv : sequence of str, optional
        What follows the command's name; the process's own arguments if not given.
    """
    from engine.cli.app import run

    return run(argv)
