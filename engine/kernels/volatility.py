"""Volatility: rolling mean and deviation, true range and its average."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.calm import entered, leaving4, may_reach, run4
from engine.kernels.four import (
    all4,
    before4,
    bits4,
    fetch4,
    four,
    lane,
    load4,
    odd4,
    put4,
    root4,
    smoothed4,
    summed4,
    where4,
)
from engine.kernels.fused import fma
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import centred_sums, following

MOVED = 4096.0  # squares this many times the spread have lost 12 bits of it to where the centre is: sum afresh


@inlined
def is_calm(square, gone, spread, length):
    return square + gone * gone <= (MOVED + 4.0 * length) * spread


@inlined
def moments_block(state, ring, count, price, mean, deviation, room, length):
    """Run `moments_step` over calm bars."""
    seen, at, same, last, centre, total, square = state
    weight = 1.0 / length
    j = 0
    while j + 4 <= count and length > 1:
        price4 = load4(price, j)
        fetch4(price, j)
        equal = bits4(price4 == before4(last, price4))
        came = price4 - centre
        gone = leaving4(ring, at, length, price, j) - centre
        change, both = came - gone, came + gone
        totals = summed4(total, change)
        first = fma(lane(change, 0), lane(both, 0), square)
        second = fma(lane(change, 1), lane(both, 1), first)
        third = fma(lane(change, 2), lane(both, 2), second)
        squares = four(first, second, third, fma(lane(change, 3), lane(both, 3), third))
        spread = fma(totals * -weight, totals, squares)
        if may_reach(same - 1, equal, length - 1) | (not all4(is_calm(squares, gone, spread, length))):
            break
        put4(deviation, j, where4(spread > 0.0, root4(spread * weight), 0.0))
        put4(mean, j, fma(totals, weight, centre))
        same = 1 + run4(same - 1, equal)
        last = lane(price4, 3)
        total = lane(totals, 3)
        square = lane(squares, 3)
        j += 4
    return (seen, entered(ring, at, length, price, j), same, last, centre, total, square), j


@step(
    outputs=("mean", "deviation"),
    state=(0, 0, 0, 0.0, 0.0, 0.0, 0.0),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    block=moments_block,
    ring=lambda length: length,
)
def moments_step(state, ring, anchor, price, *, length: int):
    """Advance the rolling mean and population standard deviation by one closed bar.

    Parameters
    ----------
    state : 3 int, 4 float
        Known values so far, at most ``length``; ring position; equal values in a row; last value, centre, sum of
        distances from the centre, sum of their squares.
    ring : memory of ``length`` float
        The last values.
    anchor : bool
        Take the sums afresh on this bar.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, tuple of 2 float
        The next state; mean and deviation (ddof 0), NaN for the first ``length - 1`` values.  If all values are
        equal the mean is exactly that value and the deviation exactly 0.

    Notes
    -----
    The sums are taken afresh, about the newest value, on anchors, when all values are equal, and when the square of
    the value that leaves or the sum of squares is so much larger than the spread that is left of it that digits are
    lost: the values have moved away from the centre.  About a value of the window the sum of squares is at most
    ``length`` times the spread, so one fresh sum is enough.
    """
    seen, at, same, last, centre, total, square = state
    weight = 1.0 / length
    came, gone = price - centre, load(ring, at) - centre
    store(ring, at, price)
    at = following(at, length)
    same = same + 1 if price == last else 1
    stale = anchor or same == length
    if seen < length:
        seen += 1
        if seen < length:
            return (seen, at, same, price, centre, total, square), (np.nan, np.nan)
        stale = True
    total += came - gone
    square = fma(came - gone, came + gone, square)
    spread = fma(total * -weight, total, square)
    if stale or not is_calm(square, gone, spread, length):
        centre, total, square = centred_sums(ring, at, length)
        spread = fma(total * -weight, total, square)
    deviation = math.sqrt(spread * weight) if spread > 0.0 else 0.0
    return (seen, at, same, price, centre, total, square), (fma(total, weight, centre), deviation)


@inlined
def reach(before, high, low):
    """Return the range of a bar, extended to the close before it."""
    top = high if high > before else before
    bottom = low if low < before else before
    return top - bottom


@inlined
def reach4(before, high, low):
    """Do as `reach` for four bars."""
    return where4(high > before, high, before) - where4(low < before, low, before)


@inlined
def range_block(state, count, high, low, close, span, room):
    """Run `true_range_step` over known bars."""
    last = state[0]
    j = 0
    while j + 4 <= count:
        top, bottom, end = load4(high, j), load4(low, j), load4(close, j)
        fetch4(high, j)
        fetch4(low, j)
        fetch4(close, j)
        spans = reach4(before4(last, end), top, bottom)
        if odd4(top + bottom + end + spans):
            break
        put4(span, j, spans)
        last = lane(end, 3)
        j += 4
    return (last,), j


@step(outputs=("true_range",), state=(math.nan,), block=range_block)
def true_range_step(state, high, low, close):
    """Advance the true range by one closed bar.

    Parameters
    ----------
    state : float
        The last close, NaN before the first bar.
    high, low, close : float
        The bar, quote currency.

    Returns
    -------
    tuple, float
        The next state; max(high, close before) - min(low, close before), NaN on the first known bar.

    Notes
    -----
    Source: J. W. Wilder, *New Concepts in Technical Trading Systems*, 1978, section III.
    """
    return (close,), reach(state[0], high, low)


@inlined
def atr_block(state, count, high, low, close, average, room, length):
    """Run `atr_step` over known bars."""
    seen, last, value = state
    weight = 1.0 / length
    j = 0
    while j + 4 <= count:
        top, bottom, end = load4(high, j), load4(low, j), load4(close, j)
        fetch4(high, j)
        fetch4(low, j)
        fetch4(close, j)
        values = smoothed4(1.0 - weight, value, weight * reach4(before4(last, end), top, bottom))
        if odd4(top + bottom + end + values):
            break
        put4(average, j, values)
        last = lane(end, 3)
        value = lane(values, 3)
        j += 4
    return (seen, last, value), j


@step(
    outputs=("atr",),
    state=(0, 0.0, 0.0),
    counts=(0,),
    settled=lambda state, length: state[0] > length,
    block=atr_block,
)
def atr_step(state, high, low, close, *, length: int):
    """Advance the average true range by one closed bar.

    Parameters
    ----------
    state : int, 2 float
        Known bars so far, at most ``length + 1``; last close, the average.
    high, low, close : float
        The bar, quote currency.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, float
        The next state; Wilder's average of the true range, NaN for the first ``length`` known bars.

    Notes
    -----
    Seeded by the mean of the first ``length`` true ranges; the first bar has none.
    """
    seen, before, value = state
    if seen == 0:
        return (1, close, 0.0), np.nan
    ranges, value = seeded(seen - 1, value, reach(before, high, low), length, 1.0 / length)
    return (ranges + 1, close, value), value if ranges >= length else np.nan
