"""One step advanced by one bar for many rows at once: the same node of other symbols, or with other parameters.

A row is one node of one program with a state of its own.  Rows of one step lie behind each other, states too, so
the processor reads ahead and works on several rows at a time; each row is `bar_by_bar` of the one driver, inlined.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.experimental.function_type import _get_wrapper_address
from numpy.typing import NDArray

from engine.jit import compiled
from engine.kernels.drive import bar_by_bar
from engine.kernels.memory import load_word
from engine.kernels.parts import (
    fact,
    fresh_ports,
    has_ring,
    read_params,
    read_state,
    sees_anchor,
    state_words,
    step_type,
    write_state,
)
from engine.kernels.step import Step

__all__ = ["packed", "row_words", "rows_address", "run_rows"]


def row_words(step: Step) -> int:
    """Return the words of a row's table: addresses of inputs, of the ring and of the anchor's flag, parameters."""
    return len(step.inputs) + step.has_ring + step.has_anchor + len(step.params)


table_words = fact(row_words, types.intp)


def packed(table: NDArray[np.uint64], symbols: int, fixed: int) -> tuple[NDArray[np.uint64], int]:
    """Return the table `run_rows` reads, and its period.

    Where every symbol has the same rows, all that differs from symbol to symbol is that addresses lie a fixed
    distance further; then one symbol's rows and their distances say it all, and processors have less to read.

    Parameters
    ----------
    table : ndarray of uint64, shape (rows, `row_words`)
        The words of every row.
    symbols : int
        How many share the rows evenly, in order; 0 if they do not.
    fixed : int
        The last words, parameters, that must be the same.

    Returns
    -------
    table : ndarray of uint64
        As it was; or (2 period, words): the first symbol's rows, and below them how much further each word lies.
    period : int
        Rows of a symbol; 0: each row has its own words.
    """
    if symbols < 2:
        return table, 0
    period = len(table) // symbols
    blocks = table.reshape(symbols, period, -1)
    away = blocks[1] - blocks[0]
    even = (np.diff(blocks, axis=0) == away).all() and not away[:, away.shape[1] - fixed :].any()
    return (np.concatenate([blocks[0], away]), period) if even else (table, 0)


@compiled
def run_rows(step, start, stop, table, outputs, period, states, rings, anchors):
    """Advance rows ``start`` to ``stop`` of ``step`` by one bar; every other argument is an address.

    ``table`` is what `packed` makes of the rows' words, and ``period`` what it says.  ``outputs`` and ``states`` hold
    those of row 0, 1, 2, ... behind each other.  The rest is unused: the arguments are those of ``run_step``.
    """
    first, end, low, high = start, stop, 0, 1
    across = np.uintp(0)
    if period:
        first, end, low, high = 0, np.intp(period), start // np.intp(period), stop // np.intp(period)
        across = np.uintp(8 * table_words(step)) * period
    for line in range(first, end):
        place = table + np.uintp(8 * table_words(step)) * np.uintp(line)
        away = place + across
        sources, sinks = fresh_ports(step)
        still, steps = fresh_ports(step)
        ahead = fresh_ports(step)[0]
        for k in range(len(sources)):
            step_k = load_word(away, k)
            ahead = tuple_setitem(ahead, k, step_k)
            sources = tuple_setitem(sources, k, load_word(place, k) + step_k * np.uintp(low))
        place += np.uintp(8 * len(sources))
        away += np.uintp(8 * len(sources))
        ring = flag = place
        next_ring = next_flag = np.uintp(0)
        if has_ring(step):
            next_ring = load_word(away, 0)
            ring = load_word(place, 0) + next_ring * np.uintp(low)
            place += np.uintp(8)
            away += np.uintp(8)
        if sees_anchor(step):
            next_flag = load_word(away, 0)
            flag = load_word(place, 0) + next_flag * np.uintp(low)
            place += np.uintp(8)
        settings = read_params(step, place)
        row = np.uintp(line) + np.uintp(low) * period
        state = states + np.uintp(8 * state_words(step)) * row
        sink = outputs + np.uintp(8 * len(sinks)) * row
        for _ in range(low, high):
            for k in range(len(sinks)):
                sinks = tuple_setitem(sinks, k, sink + np.uintp(8 * k))
            held = read_state(step, state)
            held = bar_by_bar(step, held, 0, 1, sources, still, sinks, steps, settings, ring, flag)
            write_state(step, state, held)
            for k in range(len(sources)):
                sources = tuple_setitem(sources, k, sources[k] + ahead[k])
            ring += next_ring
            flag += next_flag
            state += np.uintp(8 * state_words(step)) * period
            sink += np.uintp(8 * len(sinks)) * period


@functools.cache
def rows_address(step: Step) -> int:
    """Return the address of ``run_rows`` for this step, compiled or loaded from the disk cache."""
    signature = types.void(step_type(step), types.intp, types.intp, *[types.uintp] * 6)
    return int(_get_wrapper_address(run_rows, signature))
