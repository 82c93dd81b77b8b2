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

__all__ = ["row_words", "rows_address", "run_rows"]


def row_words(step: Step) -> int:
    """Return the words of a row's table: addresses of inputs, of the ring and of the anchor's flag, parameters."""
    return len(step.inputs) + step.has_ring + step.has_anchor + len(step.params)


table_words = fact(row_words, types.intp)


@compiled
def run_rows(step, start, stop, table, outputs, params, states, rings, anchors):
    """Advance rows ``start`` to ``stop`` of ``step`` by one bar; every other argument is an address.

    ``table`` has `row_words` words a row.  ``outputs`` and ``states`` hold those of row 0, 1, 2, ... behind each
    other.  The rest is unused: the arguments are those of ``run_step``.
    """
    for row in range(start, stop):
        place = table + np.uintp(8 * table_words(step)) * np.uintp(row)
        state = states + np.uintp(8 * state_words(step)) * np.uintp(row)
        sources, sinks = fresh_ports(step)
        still, steps = fresh_ports(step)
        for k in range(len(sources)):
            sources = tuple_setitem(sources, k, load_word(place, k))
        for k in range(len(sinks)):
            sinks = tuple_setitem(sinks, k, outputs + np.uintp(8) * np.uintp(row * len(sinks) + k))
        place += np.uintp(8 * len(sources))
        ring = flag = place
        if has_ring(step):
            ring = load_word(place, 0)
            place += np.uintp(8)
        if sees_anchor(step):
            flag = load_word(place, 0)
            place += np.uintp(8)
        settings = read_params(step, place)
        held = read_state(step, state)
        held = bar_by_bar(step, held, 0, 1, sources, still, sinks, steps, settings, ring, flag)
        write_state(step, state, held)


@functools.cache
def rows_address(step: Step) -> int:
    """Return the address of ``run_rows`` for this step, compiled or loaded from the disk cache."""
    signature = types.void(step_type(step), types.intp, types.intp, *[types.uintp] * 6)
    return int(_get_wrapper_address(run_rows, signature))
