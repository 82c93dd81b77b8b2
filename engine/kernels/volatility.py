"""Volatility: rolling mean and deviation, true range and its average."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.calm import entered, equal_values, leaving, until_equal
from engine.kernels.fused import fma
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import centred_sums, following

MOVED = 256.0  # squares this many times the spread have lost 8 bits of it to where the centre is: sum afresh
PIECE = 128  # bars taken at once where a fresh sum is wanted every few hundred bars


@inlined
def is_calm(square, gone, spread, length):
    return square + gone * gone <= (MOVED + 4.0 * length) * spread


@inlined
def moments_block(state, ring, count, price, mean, deviation, room, length):
    """Run `moments_step` over calm bars."""
    seen, at, same, last, centre, total, square = state
    weight = 1.0 / length
    done = until_equal(price, last, same, length, min(count, PIECE))
    gone, totals, squares = room, room + np.uintp(8 * PIECE), room + np.uintp(16 * PIECE)
    leaving(ring, at, length, price, done, gone)
    for j in range(done):
        came, went = load(price, j) - centre, load(gone, j) - centre
        store(totals, j, came - went)
        store(squares, j, came + went)
        store(gone, j, went)
    for j in range(done):
        change = load(totals, j)
        total += change
        square = fma(change, load(squares, j), square)
        store(totals, j, total)
        store(squares, j, square)
    lost = 0
    for j in range(done):
        spread = fma(load(totals, j) * -weight, load(totals, j), load(squares, j))
        calm = is_calm(load(squares, j), load(gone, j), spread, length)
        lost += not calm
        store(deviation, j, math.sqrt(spread * weight) if spread > 0.0 else 0.0)
        store(mean, j, fma(load(totals, j), weight, centre))
        store(gone, j, 1.0 if calm else 0.0)
    if lost > 0:
        done = 0
        while load(gone, done) > 0.0:
            done += 1
    if done == 0:
        return state, 0
    same = equal_values(price, last, same, done)
    at = entered(ring, at, length, price, done)
    last = load(price, done - 1)
    return (seen, at, same, last, centre, load(totals, done - 1), load(squares, done - 1)), done


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


@step(outputs=("true_range",), state=(math.nan,))
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


@step(
    outputs=("atr",),
    state=(0, 0.0, 0.0),
    counts=(0,),
    settled=lambda state, length: state[0] > length,
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
