"""Conditions that (almost) no two combinations share: made in a thread's scratch right before a combination runs.

All combinations of a shard have one shape, so one list of steps makes the streams of each of them; only the columns,
levels and rows the steps read differ.  The steps run over tiles of bars that stay in cache, and stream by stream:
one that the combination before had too is still there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.research.bitmap import ALL, words_of
from engine.research.words import (
    EITHER,
    FLAT,
    LARGEST,
    NONZERO,
    WORD,
    operate,
    operate_scaled,
    words_of_columns,
    words_of_level,
)

COLUMN, LEVEL, NUMBER, ROW, WORDS = range(5)
TILE = 1024  # bars
STREAMS = 4


class Recipe(NamedTuple):
    """How the private streams of each combination are made.

    Attributes
    ----------
    steps : ndarray of int64, shape (steps, 7)
        (operation, kind and place of its left side, kind and place of its right side, place of the result, place of
        the LEVEL that scales the right side).  Places of a COLUMN, LEVEL or ROW are columns of the arrays below, those
        of a NUMBER or WORDS are scratch.
    spans : ndarray of int64, shape (5,)
        The steps of stream k are ``spans[k]`` to ``spans[k + 1]``.
    roots : ndarray of int64, shape (4,)
        The WORDS of each stream, -1: it is not private.
    columns : ndarray of int64, shape (m, any)
        Columns of ``values``.
    levels : ndarray of float64, shape (m, any)
    rows : ndarray of int64, shape (m, any)
        Rows of ``bitmaps``.
    sizes : ndarray of int64, shape (2,)
        How many NUMBERs and WORDS the scratch holds.
    """

    steps: NDArray[np.int64]
    spans: NDArray[np.int64]
    roots: NDArray[np.int64]
    columns: NDArray[np.int64]
    levels: NDArray[np.float64]
    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]


class Scratch(NamedTuple):
    """A thread's room for private streams.

    Attributes
    ----------
    numbers : ndarray of float64, shape (any, TILE)
    words : ndarray of uint64, shape (any, words)
    held : ndarray of int64, shape (4,)
        Which streams lie in it.
    end : ndarray of uint64, shape (1,)
        The bits of the last word that are bars.
    """

    numbers: NDArray[np.float64]
    words: NDArray[np.uint64]
    held: NDArray[np.int64]
    end: NDArray[np.uint64]


def scratch_for(recipe: Recipe, bars: int) -> Scratch:
    """Return the scratch of one thread."""
    numbers, words = recipe.sizes.tolist()
    held, end = np.full(STREAMS, -1, np.int64), np.array([ALL >> np.uint64(-bars % WORD)])
    return Scratch(rows_of(numbers, TILE), np.empty((words, words_of(bars)), np.uint64), held, end)


def rows_of(rows: int, length: int) -> NDArray[np.float64]:
    """Return room for rows of at least this length, each of whole vectors and none across two lines of the cache."""
    length = -(-length // WORD) * WORD
    room = np.empty(rows * length + 7)
    skipped = -room.ctypes.data % 64 // 8
    return room[skipped : skipped + rows * length].reshape(rows, length)


@inlined_bare
def address(kind, row, first, bases, lengths):
    """Return the address of bar ``first`` of a COLUMN or of its word in a ROW or WORDS, of bar 0 of a NUMBER."""
    if kind == NUMBER:
        return bases[NUMBER] + np.uintp(8 * TILE * row)
    at = first if kind == COLUMN else first >> 6
    return bases[kind] + np.uintp(8 * (row * lengths[kind] + at))


@compiled_bare
def fill_streams(i, wanted, asked, scratch):
    """Make the streams of combination ``i`` whose bits are set in ``wanted``, all of them tile by tile."""
    recipe, values, bitmaps = asked.recipe, asked.terms.values, asked.bitmaps
    steps, spans, levels = recipe.steps, recipe.spans, recipe.levels
    columns, rows, numbers, words, end = recipe.columns, recipe.rows, scratch.numbers, scratch.words, scratch.end[0]
    total = words.shape[1]
    bases = (
        np.uintp(values.ctypes.data), np.uintp(0), np.uintp(numbers.ctypes.data), np.uintp(bitmaps.ctypes.data),
        np.uintp(words.ctypes.data),
    )  # fmt: skip
    lengths = (values.shape[1], 0, TILE, total, total)
    for first in range(0, total, TILE // WORD):
        count = min(TILE // WORD, total - first)
        for k in range(STREAMS):
            if (wanted >> k) & 1 == 0:
                continue
            for s in range(spans[k], spans[k + 1]):
                op, target = steps[s, 0], steps[s, 5]
                left_kind, left, right_kind, right = steps[s, 1], steps[s, 2], steps[s, 3], steps[s, 4]
                if op == FLAT:
                    for bar in range(TILE if first == 0 else 0):
                        numbers[target, bar] = levels[i, left]
                    continue
                level, swapped = 0.0, left_kind == LEVEL
                flat = op == NONZERO or swapped or right_kind == LEVEL
                if flat and op != NONZERO:
                    level = levels[i, left if swapped else right]
                if swapped:
                    left_kind, left = right_kind, right
                a_row = columns[i, left] if left_kind == COLUMN else rows[i, left] if left_kind == ROW else left
                a = address(left_kind, a_row, WORD * first, bases, lengths)
                out = address(WORDS if op <= EITHER else NUMBER, target, WORD * first, bases, lengths)
                if flat:
                    words_of_level(op, a, level, swapped, out, count)
                else:
                    b_row = (
                        columns[i, right] if right_kind == COLUMN else rows[i, right] if right_kind == ROW else right
                    )
                    b = address(right_kind, b_row, WORD * first, bases, lengths)
                    if op > FLAT:
                        operate_scaled(op, a, b, levels[i, steps[s, 6]], out, count)
                    elif op < NONZERO:
                        words_of_columns(op, a, b, out, count)
                    else:
                        operate(op, a, b, out, count)
                if op <= NONZERO and first + count == total:
                    words[target, total - 1] &= end


@inlined_bare
def fill_private(i, asked, scratch):
    """Make the private streams of combination ``i`` that its thread does not hold already.

    ``asked`` is what combinations ask for, see ``engine.research.events.Asked``.  Afterwards stream ``k`` is row
    ``asked.streams[i, k]`` of the bitmaps, or, beyond them, row ``asked.recipe.roots[k]`` of ``scratch.words``.
    """
    spans, streams, held = asked.recipe.spans, asked.streams, scratch.held
    if spans[STREAMS] == 0:
        return
    wanted = np.int64(0)
    for k in range(STREAMS):
        if spans[k] < spans[k + 1] and held[k] != streams[i, k]:
            held[k] = streams[i, k]
            wanted |= 1 << k
    if wanted != 0:
        fill_streams(i, wanted, asked, scratch)


@inlined_bare
def scaled(value, factor):
    """Return what the step `multiply` makes of two numbers, NaN included."""
    found = value * factor
    return found if abs(found) <= LARGEST else np.nan


@inlined_bare
def distance(i, k, terms, t):
    """Return the stop's (``k`` 0) or target's (1) distance of combination ``i`` at bar ``t``, NaN if it has none."""
    column = terms.distances[i, k]
    return scaled(terms.values[column, t], terms.factors[i, k]) if column >= 0 else np.nan


@compiled_bare
def any_set(k, asked, scratch):
    """Return whether stream ``k`` of any combination is true at any bar."""
    for i in range(asked.streams.shape[0]):
        fill_private(i, asked, scratch)
        row = asked.streams[i, k]
        found = asked.bitmaps[row] if row < len(asked.bitmaps) else scratch.words[asked.recipe.roots[k]]
        for j in range(found.size):
            if found[j] != np.uint64(0):
                return True
    return False
