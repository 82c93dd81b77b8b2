"""Bitmaps against arrays of booleans: packing, comparing, logic, and the search for the next bar."""

from __future__ import annotations

import ctypes
import itertools
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.jit import compiled
from engine.research import words as bitmap
from engine.research.bitmap import NEVER, bit, fill_bitmaps, next_entry, next_of, words_of
from tests.research.swept import pack

nan = np.nan
COUNTS = [1, 2, 63, 64, 65, 127, 128, 129, 200]


@compiled
def search(a, b, start):  # type: ignore[no-untyped-def]
    return next_of(a, b, start)


@compiled
def search_entry(a, b, c, d, start):  # type: ignore[no-untyped-def]
    return next_entry(a, b, c, d, start)


@compiled
def bits(a, n):  # type: ignore[no-untyped-def]
    out = np.zeros(n, np.bool_)
    for i in range(n):
        out[i] = bit(a, i)
    return out


def fill(values: NDArray[np.float64], tasks: list[tuple[int, int, int]], levels: list[tuple[float, float]]) -> list:
    """Return each task's bitmap as flags, the unused bits of the last word checked to be 0.

    The words are filled in pieces, from columns that end where a page of memory nobody may read begins.
    """
    count = values.shape[1]
    rows = np.array([(*task, k) for k, task in enumerate(tasks)], np.int64)
    out = np.full((len(tasks), words_of(count)), 0xDEADBEEFDEADBEEF, np.uint64)
    with guarded(values) as sources:
        cuts = sorted({0, words_of(count) // 2, words_of(count)})
        for first, last in itertools.pairwise(cuts):
            fill_bitmaps(rows, np.array(levels, np.float64), sources, count, out, first, last)
    flags = [np.unpackbits(row.view(np.uint8), bitorder="little") for row in out]
    for row in flags:
        assert not row[count:].any()
    return [row[:count].astype(np.bool_) for row in flags]


@contextmanager
def guarded(values: NDArray[np.float64]) -> Iterator[NDArray[np.uint64]]:
    """Yield the addresses of copies of these columns, each of which ends at a page that must not be read."""
    page, libc = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    sources, kept = [], []
    for column in values:
        size = -(-column.nbytes // page) * page
        memory = mmap.mmap(-1, size + page)
        whole = np.frombuffer(memory, np.uint8)
        at = whole.ctypes.data
        whole[size - column.nbytes : size] = column.view(np.uint8)
        assert libc.mprotect(at + size, page, 0) == 0
        sources.append(at + size - column.nbytes)
        kept.append((whole, at + size))
    yield np.array(sources, np.uint64)
    for _, at in kept:
        assert libc.mprotect(at, page, 3) == 0


def compare(op: int, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Compare where both are known; unknown is false, for `not equal` too."""
    found = {bitmap.LESS: a < b, bitmap.LESS_EQUAL: a <= b, bitmap.EQUAL: a == b, bitmap.NOT_EQUAL: a != b}[op]
    return found & ~np.isnan(a) & ~np.isnan(b)


numbers = st.sampled_from([nan, 0.0, -0.0, 1.0, 2.0, 2.0000000000000004, -3.5])


@pytest.mark.parametrize("count", COUNTS)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_comparisons_are_those_of_arrays(count: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = rng.choice([nan, 0.0, -0.0, 1.0, 2.0, 2.0000000000000004, -3.5], (2, count))
    level = data.draw(numbers.filter(lambda x: x == x))
    tasks, levels, expected = [], [], []
    for op in (bitmap.LESS, bitmap.LESS_EQUAL, bitmap.EQUAL, bitmap.NOT_EQUAL):
        flat = np.full(count, level)
        for sides, wanted in (
            ((0, 1), compare(op, values[0], values[1])),
            ((0, -1), compare(op, values[0], flat)),
            ((-1, 1), compare(op, flat, values[1])),
            ((-1, -1), compare(op, flat, flat)),
        ):
            tasks.append((op, *sides))
            levels.append((level, level))
            expected.append(wanted)
    tasks.append((bitmap.NONZERO, 0, -1))
    levels.append((0.0, 0.0))
    expected.append((values[0] != 0.0) & ~np.isnan(values[0]))
    for truth in (0.0, 1.0):
        tasks.append((bitmap.CONSTANT, -1, -1))
        levels.append((truth, 0.0))
        expected.append(np.full(count, truth != 0.0))
    for task, found, wanted in zip(tasks, fill(values, tasks, levels), expected, strict=True):
        np.testing.assert_array_equal(found, wanted, err_msg=str(task))


@pytest.mark.parametrize("count", COUNTS)
def test_logic_reads_rows_made_before(count: int) -> None:
    values = np.random.default_rng(count).choice([0.0, 1.0, nan], (2, count))
    tasks = [(bitmap.NONZERO, 0, -1), (bitmap.NONZERO, 1, -1), (bitmap.BOTH, 0, 1), (bitmap.EITHER, 2, 1)]
    a, b, both, either = fill(values, tasks, [(0.0, 0.0)] * 4)
    np.testing.assert_array_equal(both, a & b)
    np.testing.assert_array_equal(either, both | b)


@pytest.mark.parametrize("count", COUNTS)
def test_a_bit_is_read_as_it_was_packed(count: int) -> None:
    flags = np.random.default_rng(count).random(count) < 0.5
    np.testing.assert_array_equal(bits(pack(flags), count), flags)


def first_from(flags: NDArray[np.bool_], start: int) -> int:
    found = np.flatnonzero(flags[start:])
    return start + int(found[0]) if found.size else int(NEVER)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("density", [0.0, 0.01, 0.2])
def test_the_next_bar_is_the_first_from_here_on(count: int, density: float) -> None:
    rng = np.random.default_rng(count)
    for _ in range(5):
        a, b, c, d = (rng.random(count) < density for _ in range(4))
        words = [pack(x) for x in (a, b, c, d)]
        one = (a & ~b) ^ (c & ~d)
        for start in range(0, count + 70):
            expected = first_from(a | b, start) if start < count else int(NEVER)
            assert search(words[0], words[1], start) == expected
            expected = first_from(one, start) if start < count else int(NEVER)
            assert search_entry(*words, start) == expected
