"""The errors every package raises on purpose.

    LockstepError            anything the user should read; never shown with a traceback
      Usage                  the human fixes what was asked for (exit status 2)
      Failed                 the request was right, the data or the machine was not (exit status 1)
        Refuse               this row, order or file only; the rest goes on
        Retry                transient trouble; the same call may succeed later
        Halt                 stop trading, keep the account safe

A message says what was found, where, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LockstepError(Exception):
    """Root of the tree; ``exit_status`` is what the command returns."""

    exit_status = 1


class Usage(LockstepError):
    """The human fixes what was asked for."""

    exit_status = 2


class Failed(LockstepError):
    """The request was right, the data or the machine was not."""


class Refuse(Failed):
    """This row, order or file only."""


class Retry(Failed):
    """Transient trouble; the same call may succeed later."""


class Halt(Failed):
    """Stop trading, keep the account safe."""


def unknown(kind: str, name: str, known: Iterable[str]) -> Usage:
    """Return the error for a name nobody knows, with the nearest known one.

    Parameters
    ----------
    kind : str
        What the name should have been, in the singular: ``"strategy"``.
    name : str
        What was given.
    known : iterable of str
        Every name that would have been right.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if not near:
        near = [other for other in names if other.lower() == name.lower()]
    hint = f'did you mean "{near[0]}"? ' if near else ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return Usage(f'unknown {kind} "{name}": {hint}known: {shown or "none"}')
