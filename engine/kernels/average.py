"""Moving averages: simple, exponential, Wilder's."""

import numpy as np

from engine.jit import inlined
from engine.kernels.calm import entered, leaving4, may_reach, run4
from engine.kernels.four import all4, before4, bits4, fetch4, lane, load4, odd4, put4, smoothed4, summed4
from engine.kernels.fused import fma
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import LOSS, centred_sums, following


@inlined
def seeded(seen, value, price, length, weight):
    """Advance an average seeded by the mean of its first ``length`` values.

    Returns the count of values, which stops at ``length``, and the average.
    """
    if seen >= length:
        return seen, fma(1.0 - weight, value, weight * price)
    seen += 1
    return seen, value + (price - value) / seen


@inlined
def smoothed_block(state, count, price, average, weight):
    """Run an exponential average over known bars."""
    seen, value = state
    j = 0
    while j + 4 <= count:
        values = smoothed4(1.0 - weight, value, weight * load4(price, j))
        fetch4(price, j)
        if odd4(values):
            break
        put4(average, j, values)
        value = lane(values, 3)
        j += 4
    return (seen, value), j


@step(
    outputs=("ema",),
    state=(0, 0.0),
    counts=(0,),
    settled=lambda state, length: state[0] >= length,
    block=lambda state, count, price, average, room, length: smoothed_block(
        state, count, price, average, 2.0 / (length + 1.0)
    ),
)
def ema_step(state, price, *, length: int):
    """Advance the exponential moving average, weight 2 / (length + 1), by one closed bar.

    Parameters
    ----------
    state : int, float
        Known values so far, at most ``length``; the average.
    price : float
        Any series.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, float
        The next state; the average, NaN for the first ``length - 1`` values.

    Notes
    -----
    Seeded by the mean of the first ``length`` values, as TA-Lib does.
    """
    seen, value = seeded(state[0], state[1], price, length, 2.0 / (length + 1.0))
    return (seen, value), value if seen >= length else np.nan


@step(
    outputs=("wilder",),
    state=(0, 0.0),
    counts=(0,),
    settled=lambda state, length: state[0] >= length,
    block=lambda state, count, price, average, room, length: smoothed_block(state, count, price, average, 1.0 / length),
)
def wilder_step(state, price, *, length: int):
    """Advance Wilder's moving average, weight 1 / length, by one closed bar.

    Parameters
    ----------
    state : int, float
        Known values so far, at most ``length``; the average.
    price : float
        Any series.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, float
        The next state; the average, NaN for the first ``length - 1`` values.

    Notes
    -----
    Seeded by the mean of the first ``length`` values.  Source: J. W. Wilder, *New Concepts in Technical Trading
    Systems*, 1978.
    """
    seen, value = seeded(state[0], state[1], price, length, 1.0 / length)
    return (seen, value), value if seen >= length else np.nan


@inlined
def sma_block(state, ring, count, price, mean, room, length):
    """Run `sma_step` over calm bars."""
    seen, at, same, last, centre, total = state
    j = 0
    while j + 4 <= count and length > 1:
        came = load4(price, j)
        fetch4(price, j)
        equal = bits4(came == before4(last, came))
        change = came - leaving4(ring, at, length, price, j)
        totals = summed4(total, change)
        means = fma(totals, 1.0 / length, centre)
        if may_reach(same - 1, equal, length - 1) | odd4(means) | (not all4(abs(change) <= LOSS * abs(means))):
            break
        put4(mean, j, means)
        same = 1 + run4(same - 1, equal)
        last = lane(came, 3)
        total = lane(totals, 3)
        j += 4
    return (seen, entered(ring, at, length, price, j), same, last, centre, total), j


@step(
    outputs=("sma",),
    state=(0, 0, 0, 0.0, 0.0, 0.0),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    block=sma_block,
    ring=lambda length: length,
)
def sma_step(state, ring, anchor, price, *, length: int):
    """Advance the simple moving average by one closed bar.

    Parameters
    ----------
    state : 3 int, 3 float
        Known values so far, at most ``length``; ring position; equal values in a row; last value, centre, sum of
        distances from the centre.
    ring : memory of ``length`` float
        The last values.
    anchor : bool
        Take the sum afresh on this bar.
    price : float
        Any series.
    length : int
        Values in the window.

    Returns
    -------
    tuple, float
        The next state; the mean, NaN for the first ``length - 1`` values, exactly the value if all are equal.

    Notes
    -----
    The sum is taken afresh, about the newest value, on anchors, when all values are equal, and when the value that
    leaves is so large that it has eaten the digits of the mean; in between the new value is added and the oldest
    taken off.
    """
    seen, at, same, last, centre, total = state
    gone = load(ring, at)
    store(ring, at, price)
    at = following(at, length)
    same = same + 1 if price == last else 1
    stale = anchor or same == length
    if seen < length:
        seen += 1
        if seen < length:
            return (seen, at, same, price, centre, total), np.nan
        stale = True
    change = price - gone
    total += change
    mean = fma(total, 1.0 / length, centre)
    if stale or not abs(change) <= LOSS * abs(mean):
        centre, total, _ = centred_sums(ring, at, length)
        mean = fma(total, 1.0 / length, centre)
    return (seen, at, same, price, centre, total), mean
