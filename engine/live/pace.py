"""What Python is told while a bot runs, so that it stops for little and threads take turns quickly."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

__all__ = ["unhindered"]

TURN_S: Final = 1e-4  # after which the journal's thread gets its turn while an order is signed; Python's own is 5 ms
RECORDS: Final = 50_000  # made before young ones are looked through: a close of many programs makes thousands


@contextlib.contextmanager
def unhindered() -> Iterator[None]:
    """Freeze what is there for the garbage collector, let it look less often, and shorten the turns of threads."""
    turns_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(RECORDS, *thresholds[1:])
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(turns_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
