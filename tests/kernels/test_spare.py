"""Memory of columns comes back only when nothing reads it any more."""

from __future__ import annotations

import gc

import numpy as np

from engine.kernels.spare import LEAST, column_memory

BARS = LEAST // 8


def address(x: np.ndarray) -> int:
    return int(x.ctypes.data)


def test_a_block_is_taken_again_after_its_last_view_is_gone() -> None:
    first = column_memory(3, BARS)
    first[:] = 7.0
    at, row = address(first), first[1][5:]
    del first
    gc.collect()
    second = column_memory(3, BARS)
    assert address(second) != at, "a row is still read"
    second[:] = 1.0
    assert (row == 7.0).all()
    del second, row
    gc.collect()
    third = column_memory(3, BARS)
    fourth = column_memory(3, BARS)
    assert address(third) != address(fourth)
    third[:], fourth[:] = 3.0, 4.0
    assert (third == 3.0).all()
    assert (fourth == 4.0).all()


def test_a_block_that_is_much_too_large_or_small_is_not_taken() -> None:
    wide = column_memory(9, BARS)
    at = address(wide)
    del wide
    gc.collect()
    kept = column_memory(2, BARS)
    assert kept.shape == (2, BARS)
    assert address(kept) != at
    assert column_memory(0, 5).shape == (0, 5)
    assert column_memory(2, 3).shape == (2, 3)
    assert column_memory(2, 3).flags.writeable
