"""Trend: rolling extremes, the directional index."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.fused import fma
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.volatility import reach

PIECE = 128  # bars taken at once: four columns of them stay in the first cache


@inlined
def larger(a, b):
    return a if a > b else b


@inlined
def smaller(a, b):
    return a if a < b else b


@step(
    outputs=("highest",),
    state=(0, 0, -math.inf),
    counts=(0, 1),
    settled=lambda state, length: state[0] > 0,
    ring=lambda length: length,
)
def highest_step(state, ring, price, *, length: int):
    """Advance the largest of the last ``length`` values by one closed bar.

    Parameters
    ----------
    state : 2 int, float
        Whether the window is full; position in the block; the largest of this block so far.
    ring : memory of ``length`` float
        Before the position: this block's values.  From it on: the largest of the block before, from there to its end.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, float
        The next state; the largest value, NaN for the first ``length - 1`` values.

    Notes
    -----
    Values come in blocks of ``length``, so a window is the end of one block and the start of the next; the largest
    of every end is found once, when a block is complete.  Source: M. van Herk, *A fast algorithm for local minimum
    and maximum filters*, 1992.
    """
    full, at, top = state
    top = larger(top, price)
    store(ring, at, price)
    at += 1
    if at < length:
        return (full, at, top), larger(top, load(ring, at)) if full > 0 else np.nan
    end = price
    for i in range(length - 1, 0, -1):
        end = larger(end, load(ring, i))
        store(ring, i, end)
    return (1, 0, -math.inf), top


@step(
    outputs=("lowest",),
    state=(0, 0, math.inf),
    counts=(0, 1),
    settled=lambda state, length: state[0] > 0,
    ring=lambda length: length,
)
def lowest_step(state, ring, price, *, length: int):
    """Advance the smallest of the last ``length`` values by one closed bar.

    Parameters
    ----------
    state : 2 int, float
        Whether the window is full; position in the block; the smallest of this block so far.
    ring : memory of ``length`` float
        As for the largest value.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, float
        The next state; the smallest value, NaN for the first ``length - 1`` values.

    Notes
    -----
    The mirror of `highest_step`.
    """
    full, at, bottom = state
    bottom = smaller(bottom, price)
    store(ring, at, price)
    at += 1
    if at < length:
        return (full, at, bottom), smaller(bottom, load(ring, at)) if full > 0 else np.nan
    end = price
    for i in range(length - 1, 0, -1):
        end = smaller(end, load(ring, i))
        store(ring, i, end)
    return (1, 0, math.inf), bottom


@inlined
def moves(high_before, low_before, close_before, high, low):
    """Return the upward and the downward movement of a bar and its true range."""
    rise, fall = high - high_before, low_before - low
    up = rise if rise > larger(fall, 0.0) else 0.0
    down = fall if fall > larger(rise, 0.0) else 0.0
    return up, down, reach(close_before, high, low)


@inlined
def adx_block(state, count, high, low, close, plus_di, minus_di, adx, room, length):
    """Run `adx_step` over bars with movement."""
    seen, ratios, high_before, low_before, close_before, plus, minus, width, index = state
    column = np.uintp(8 * PIECE)
    ups, downs, spans, shares = room, room + column, room + 2 * column, room + 3 * column
    done = min(count, PIECE)
    up, down, span = moves(high_before, low_before, close_before, load(high, 0), load(low, 0))
    store(ups, 0, up)
    store(downs, 0, down)
    store(spans, 0, span)
    for j in range(1, done):
        before = load(high, j - 1), load(low, j - 1), load(close, j - 1)
        up, down, span = moves(before[0], before[1], before[2], load(high, j), load(low, j))
        store(ups, j, up)
        store(downs, j, down)
        store(spans, j, span)
    keep = 1.0 - 1.0 / length
    for j in range(done):
        plus = fma(keep, plus, load(ups, j))
        minus = fma(keep, minus, load(downs, j))
        width = fma(keep, width, load(spans, j))
        store(ups, j, plus)
        store(downs, j, minus)
        store(spans, j, width)
    still = 0
    for j in range(done):
        moved = load(ups, j) + load(downs, j)
        calm = moved > 0.0 and load(spans, j) > 0.0
        still += not calm
        scale = 100.0 / load(spans, j)
        store(plus_di, j, scale * load(ups, j))
        store(minus_di, j, scale * load(downs, j))
        ratio = 100.0 * (abs(load(ups, j) - load(downs, j)) / moved)
        store(shares, j, 1.0 / length * ratio)
    if still > 0:
        done = 0
        while load(ups, done) + load(downs, done) > 0.0 and load(spans, done) > 0.0:
            done += 1
    if done == 0:
        return state, 0
    for j in range(done):
        index = fma(keep, index, load(shares, j))
        store(adx, j, index)
    t = done - 1
    bar = load(high, t), load(low, t), load(close, t)
    return (seen, ratios, bar[0], bar[1], bar[2], load(ups, t), load(downs, t), load(spans, t), index), done


@step(
    outputs=("plus_di", "minus_di", "adx"),
    state=(0, 0, *(0.0,) * 7),
    counts=(0, 1),
    settled=lambda state, length: state[0] >= length and state[1] >= length,
    block=adx_block,
)
def adx_step(state, high, low, close, *, length: int):
    """Advance Wilder's directional indicators and their average index by one closed bar.

    Parameters
    ----------
    state : 2 int, 7 float
        Known bars so far and directional ratios so far, each at most ``length``; last high, low and close; sums of
        upward and downward movement and of the true range; the index.
    high, low, close : float
        The bar, quote currency.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, tuple of 3 float
        The next state; +DI and -DI in [0, 100], NaN for the first ``length`` known bars, and the index in
        [0, 100], NaN for the first ``2 * length - 1``.

    Notes
    -----
    TA-Lib's seeding: the first ``length - 1`` changes are summed, from then on each sum loses its ``length``-th part
    before it gains; the index starts as the mean of ``length`` ratios.  No range gives 0 for both indicators; no
    movement counts 0 in the first mean and later leaves the index as it was.  Source: J. W. Wilder, *New Concepts
    in Technical Trading Systems*, 1978, section IV.
    """
    seen, ratios, high_before, low_before, close_before, plus, minus, width, index = state
    if seen == 0:
        return (1, 0, high, low, close, 0.0, 0.0, 0.0, 0.0), (np.nan, np.nan, np.nan)
    up, down, span = moves(high_before, low_before, close_before, high, low)
    if seen < length:
        sums = plus + up, minus + down, width + span
        return (seen + 1, 0, high, low, close, *sums, 0.0), (np.nan, np.nan, np.nan)
    keep = 1.0 - 1.0 / length
    plus, minus, width = fma(keep, plus, up), fma(keep, minus, down), fma(keep, width, span)
    scale = 100.0 / width if width > 0.0 else 0.0
    moved = plus + minus if width > 0.0 else 0.0
    if ratios < length or moved > 0.0:
        ratio = 100.0 * (abs(plus - minus) / moved) if moved > 0.0 else 0.0
        ratios, index = seeded(ratios, index, ratio, length, 1.0 / length)
    shown = index if ratios >= length else np.nan
    return (seen, ratios, high, low, close, plus, minus, width, index), (scale * plus, scale * minus, shown)
