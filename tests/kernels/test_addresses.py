"""Arrays found by a table of addresses."""

from __future__ import annotations

import numpy as np
import pytest

from engine.jit import compiled
from engine.kernels.addresses import one, table_of, two


@compiled
def weigh(table):
    first, second, third = one(table, 0, np.uint8), two(table, 1, np.int32), one(table, 2, np.float64)
    total = 0.0
    for k in range(second.shape[0]):
        for j in range(second.shape[1]):
            total += first[k] * second[k, j] * third[j]
    third[0] = total
    return second.shape[0] * 100 + second.shape[1]


def test_arrays_are_read_and_written_where_they_lie():
    """Read two kinds of integers by their rows and columns, and write a number."""
    first, third = np.arange(3, dtype=np.uint8), np.array([0.5, 2.0])
    second = np.arange(6, dtype=np.int32).reshape(3, 2)
    wanted = float(first @ (second @ third))
    table = table_of((first, second, third), (np.uint8, np.int32, np.float64))
    assert weigh(table) == 302
    assert third[0] == wanted


@pytest.mark.parametrize("array", [np.zeros(4, np.int64), np.zeros((3, 4), np.int32)[:, ::2], np.zeros((1, 1, 1))])
def test_an_array_compiled_code_would_misread_is_refused(array):
    """Refuse another kind, gaps, and a third dimension."""
    with pytest.raises(ValueError, match="array 0: expected int32 in one or two dimensions without gaps"):
        table_of((array,), (np.int32,))
