"""Volatility: rolling mean and deviation, true range and its average."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import LOSS, centred_sums, following


@step(outputs=("mean", "deviation"), state=(0.0,) * 8, ring=lambda length: length)
def moments_step(state, ring, anchor, price, *, length: int):
    """Advance the rolling mean and population standard deviation by one closed bar.

    Parameters
    ----------
    state : tuple of 8 float
        Whether the window is full, ring position, bars since the sums were taken afresh, equal values in a row, last
        value, centre, sum of distances from the centre, sum of their squares.
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
    The sums are taken afresh, about the newest value, on anchors, after every ``length`` values, when all values
    are equal, and when the value that leaves was so large that it has eaten the digits of what remains.  So the
    centre is always one of the values in the window or the one that just left it, and the cancellation is bounded.
    """
    full, at, age, same, last, centre, total, square = state
    k = int(at)
    came, gone = price - centre, load(ring, k) - centre
    store(ring, k, price)
    at = following(at, length)
    age += 1.0
    same = same + 1.0 if price == last else 1.0
    weight = 1.0 / length
    total += came - gone
    square += (came - gone) * (came + gone)
    spread = square - total * total * weight
    if age >= length or (full > 0.0 and (anchor or same == length or gone * gone > LOSS * spread)):
        centre, total, square = centred_sums(ring, int(at), length)
        full, age = 1.0, 0.0
        spread = square - total * total * weight
    following_state = (full, at, age, same, price, centre, total, square)
    if full == 0.0:
        return following_state, (np.nan, np.nan)
    return following_state, (centre + total * weight, math.sqrt(spread * weight) if spread > 0.0 else 0.0)


@inlined
def reach(before, high, low):
    """Return the range of a bar, extended to the close before it."""
    top = high if high > before else before
    bottom = low if low < before else before
    return top - bottom


@step(outputs=("true_range",), state=(0.0, 0.0))
def true_range_step(state, high, low, close):
    """Advance the true range by one closed bar.

    Parameters
    ----------
    state : tuple of 2 float
        Whether a bar has been seen, its close.
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
    seen, before = state
    return (1.0, close), reach(before, high, low) if seen > 0.0 else np.nan


@step(outputs=("atr",), state=(0.0, 0.0, 0.0))
def atr_step(state, high, low, close, *, length: int):
    """Advance the average true range by one closed bar.

    Parameters
    ----------
    state : tuple of 3 float
        Known bars so far, last close, the average.
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
    if seen == 0.0:
        return (1.0, close, 0.0), np.nan
    _, value = seeded(seen - 1.0, value, reach(before, high, low), length, 1.0 / length)
    return (seen + 1.0, close, value), value if seen >= length else np.nan
