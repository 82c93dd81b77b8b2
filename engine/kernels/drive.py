"""The one driver of every step: run it over bars ``start`` to ``stop``.

History is one call over all bars, a tile is a call over some, live is a call over one bar: always the same machine
code, so batch, tiles, a resumed checkpoint and live cannot differ in a bit.  The step is inlined and its state
stays in registers; inputs and outputs are (address, stride in values) pairs, stride 0 for a constant or a live slot.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import types
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.experimental.function_type import _get_wrapper_address
from numba.extending import overload

from engine.jit import INLINED, compiled, inlined
from engine.kernels.memory import assume, load_flag, load_float, load_word, store_float
from engine.kernels.parts import (
    BLOCK,
    ROOMS,
    apply,
    fresh_inputs,
    fresh_outputs,
    fresh_ports,
    in_blocks,
    read_params,
    read_state,
    remembers,
    room_for_columns,
    run_block,
    sees_anchor,
    sees_unknown,
    settled,
    step_type,
    sum_of_inputs,
    write_state,
)
from engine.kernels.step import Step

__all__ = ["address", "run_step", "step_type"]

LARGEST = np.finfo(np.float64).max
BRIEF = 8  # fewer bars than this are not worth looking through
AT_ONCE = 4  # single bars before a block is tried again: what a block form leaves is within four bars


@inlined
def canonical(value):
    """The one NaN for unknown and infinite, 0.0 for -0.0."""
    return value + 0.0 if abs(value) <= LARGEST else np.nan


@inlined
def make_canonical(sink, count):
    for j in range(count):
        store_float(sink, j, canonical(load_float(sink, j)))


@inlined
def clear_until(anchors, at, stop):
    """Return the first bar from ``at`` on that is an anchor, ``stop`` if there is none."""
    while at + 8 <= stop and load_word(anchors + np.uintp(at), 0) == 0:
        at += 8
    while at < stop and not load_flag(anchors, at):
        at += 1
    return at


@inlined
def bar_by_bar(step, held, start, stop, sources, strides, sinks, steps, settings, ring, anchors):
    """Advance by single bars, whatever they are."""
    values = fresh_inputs(step)
    unknown = fresh_outputs(step)
    for k in range(len(unknown)):
        unknown = tuple_setitem(unknown, k, np.nan)
    for i in range(start, stop):
        known = True
        for k in range(len(values)):
            value = load_float(sources[k], np.intp(strides[k]) * i)
            known = known and value == value
            values = tuple_setitem(values, k, value)
        found = unknown
        if known or sees_unknown(step):
            held, found = apply(step, held, ring, sees_anchor(step) and load_flag(anchors, i), values, settings)
        for k in range(len(found)):
            store_float(sinks[k], np.intp(steps[k]) * i, canonical(found[k]))
    return held


def many_bars(step, held, ring, count, heads, ends, room, settings): ...


@overload(many_bars, jit_options=INLINED)
def _many_bars(step, held, ring, count, heads, ends, room, settings):
    """Advance by up to ``count`` bars past the warm-up and without an anchor; return how many, 0 or more."""
    if step.step.block is not None:
        return lambda step, held, ring, count, heads, ends, room, settings: run_block(
            step, held, ring, count, heads, ends, room, settings
        )
    return known_bars


@inlined
def known_inputs(step, heads, count):
    """Return whether all inputs of some bars are known."""
    unknown = 0
    for j in range(count):
        value = sum_of_inputs(step, heads, j)  # where infinities meet, too: then a bar at a time
        unknown += value != value
    return unknown == 0


def known_bars(step, held, ring, count, heads, ends, room, settings):
    """Advance by all bars if all are known."""
    if not (sees_unknown(step) or known_inputs(step, heads, count)):
        return held, 0
    values = fresh_inputs(step)
    for j in range(count):
        for k in range(len(values)):
            value = load_float(heads[k], j)
            assume(value == value or sees_unknown(step))
            values = tuple_setitem(values, k, value)
        assume(settled(step, held, settings))
        held, found = apply(step, held, ring, False, values, settings)
        for k in range(len(found)):
            store_float(ends[k], j, found[k] if remembers(step) else canonical(found[k]))
    if remembers(step):  # apart: what depends on the bar before it is not slowed, and this takes many at once
        for k in range(len(ends)):
            make_canonical(ends[k], count)
    return held, count


@compiled
def run_step(step, start, stop, inputs, outputs, params, state, ring, anchors):
    """Advance ``step`` over bars ``start`` to ``stop``; every argument after ``stop`` is an address.

    ``inputs`` and ``outputs`` are tables of (address, stride) words, ``anchors`` a byte for each bar, counted from
    bar 0 like the columns.

    Where columns are contiguous, bars are taken many at once: by the step's own block form, or in blocks that are
    looked through first, so that one without an unknown input and without an anchor runs without asking for either
    on every bar.  Both do the operations of the step, so the bits are those of single bars.
    """
    held = read_state(step, state)
    settings = read_params(step, params)
    sources, sinks = fresh_ports(step)
    strides, steps = fresh_ports(step)
    packed, constant = stop - start >= BRIEF, False
    for k in range(len(sources)):
        sources = tuple_setitem(sources, k, load_word(inputs, 2 * k))
        strides = tuple_setitem(strides, k, load_word(inputs, 2 * k + 1))
        packed = packed and strides[k] <= 1
        constant = constant or strides[k] == 0
    for k in range(len(sinks)):
        sinks = tuple_setitem(sinks, k, load_word(outputs, 2 * k))
        steps = tuple_setitem(steps, k, load_word(outputs, 2 * k + 1))
        packed = packed and steps[k] == 1
    room = room_for_columns(step)
    constants = room + np.uintp(8 * BLOCK * ROOMS) if in_blocks(step) else room
    if packed and constant:
        for k in range(len(sources)):
            if strides[k] == 0:
                value = load_float(sources[k], 0)
                for j in range(min(BLOCK, stop - start)):
                    store_float(constants, k * BLOCK + j, value)
    at = anchor = start
    while at < stop:
        end = min(at + AT_ONCE, stop)
        if not packed:
            end = stop
        elif settled(step, held, settings) and not (sees_anchor(step) and load_flag(anchors, at)):
            end = stop if in_blocks(step) and not constant else min(at + BLOCK, stop)
            if sees_anchor(step):
                if anchor <= at:
                    anchor = clear_until(anchors, at, stop)
                end = min(end, anchor)
            heads, ends = fresh_ports(step)
            for k in range(len(sources)):
                here = sources[k] + np.uintp(8 * at) if strides[k] == 1 else constants + np.uintp(8 * BLOCK * k)
                heads = tuple_setitem(heads, k, here)
            for k in range(len(sinks)):
                ends = tuple_setitem(ends, k, sinks[k] + np.uintp(8 * at))
            held, done = many_bars(step, held, ring, end - at, heads, ends, room, settings)
            at += done
            if in_blocks(step):
                end = min(at + AT_ONCE, end)
        held = bar_by_bar(step, held, at, end, sources, strides, sinks, steps, settings, ring, anchors)
        at = end
    write_state(step, state, held)


@functools.cache
def address(step: Step) -> int:
    """Return the address of ``run_step`` for this step, compiled or loaded from the disk cache."""
    kind = step_type(step)
    signature = types.void(kind, types.intp, types.intp, *[types.uintp] * 6)
    return int(_get_wrapper_address(run_step, signature))
