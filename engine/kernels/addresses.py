"""Arrays given to compiled code by where they lie: one table instead of many arguments.

An array given as an argument costs 0.1 to 0.2 us, two dozen of them more than the work on one program.  What is listed
once is found by address; whoever lists arrays keeps them alive and where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numpy.typing import DTypeLike, NDArray

from engine.jit import inlined
from engine.kernels.memory import pointer

__all__ = ["one", "table_of", "two"]


def table_of(arrays: Sequence[NDArray[Any]], kinds: Sequence[DTypeLike]) -> NDArray[np.uint64]:
    """Return where arrays of one or two dimensions lie, and their shapes.

    Parameters
    ----------
    arrays : sequence of ndarray
    kinds : sequence of dtype
        What compiled code takes each for.

    Returns
    -------
    ndarray of uint64, shape (arrays, 3)
        Address, rows, columns; 1 column where there is one dimension.

    Raises
    ------
    ValueError
        An array is not contiguous, of another kind, or has more dimensions.
    """
    table = np.ones((len(arrays), 3), np.uint64)
    for k, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
        if not array.flags.c_contiguous or array.ndim not in (1, 2) or array.dtype != np.dtype(kind):
            raise ValueError(
                f"array {k}: expected {np.dtype(kind)} in one or two dimensions without gaps, "
                f"found {array.dtype} in {array.ndim}"
            )
        table[k, 0] = array.ctypes.data
        table[k, 1 : 1 + array.ndim] = array.shape
    return table


@inlined
def one(table, k, dtype):
    """Return the ``k``-th array of a table, of one dimension."""
    return carray(pointer(table[k, 0]), (table[k, 1],), dtype)


@inlined
def two(table, k, dtype):
    """Return the ``k``-th array of a table, of two dimensions."""
    return carray(pointer(table[k, 0]), (table[k, 1], table[k, 2]), dtype)
