"""Memory for columns, kept for the next run when nothing reads it any more.

Fresh pages from the operating system cost more than most indicators: every page is cleared and mapped on its first
touch.  One block of up to ``MOST`` bytes is kept; it is handed out again only when every array over it is gone.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_memory"]

LEAST, MOST = 1 << 22, 1 << 28

_lock = threading.RLock()
_kept: list[NDArray[np.float64]] = []


def column_memory(rows: int, bars: int) -> NDArray[np.float64]:
    """Return an uninitialised array of float64, shape (rows, bars), fresh or from the block that is kept."""
    size = rows * bars
    if not LEAST <= 8 * size <= MOST:
        return np.empty((rows, bars))
    with _lock:
        block = _kept.pop() if _kept and size <= _kept[0].size <= 2 * size else None
    if block is None:
        block = np.empty(size)
    # every view of the array keeps the owner alive, so the block comes back after the last of them
    owner: Any = (ctypes.c_double * size).from_address(block.ctypes.data)
    weakref.finalize(owner, _keep, block).atexit = False
    return np.frombuffer(owner, np.float64).reshape(rows, bars)


def _keep(block: NDArray[np.float64]) -> None:
    with _lock:
        _kept[:] = [block]
