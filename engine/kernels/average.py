"""Moving averages: simple, exponential, Wilder's."""

import numpy as np

from engine.jit import inlined
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import centred_sums, following


@inlined
def seeded(seen, value, price, length, weight):
    """Advance an average seeded by the mean of its first ``length`` values; return the count and the average."""
    seen += 1.0
    return seen, value + (price - value) * (1.0 / seen if seen <= length else weight)


@step(outputs=("ema",), state=(0.0, 0.0))
def ema_step(state, price, *, length: int):
    """Advance the exponential moving average, weight 2 / (length + 1), by one closed bar.

    Parameters
    ----------
    state : tuple of 2 float
        Known values so far, the average.
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


@step(outputs=("wilder",), state=(0.0, 0.0))
def wilder_step(state, price, *, length: int):
    """Advance Wilder's moving average, weight 1 / length, by one closed bar.

    Parameters
    ----------
    state : tuple of 2 float
        Known values so far, the average.
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


@step(outputs=("sma",), state=(0.0,) * 7, ring=lambda length: length)
def sma_step(state, ring, anchor, price, *, length: int):
    """Advance the simple moving average by one closed bar.

    Parameters
    ----------
    state : tuple of 7 float
        Whether the window is full, ring position, bars since the sum was taken afresh, equal values in a row, last
        value, centre, sum of distances from the centre.
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
    The sum is taken afresh on anchors, after every ``length`` values and when all values are equal; in between the
    new value is added and the oldest taken off.
    """
    full, at, age, same, last, centre, total = state
    k = int(at)
    total += price - load(ring, k)
    store(ring, k, price)
    at = following(at, length)
    age += 1.0
    same = same + 1.0 if price == last else 1.0
    if age >= length or (full > 0.0 and (anchor or same == length)):
        centre, total, _ = centred_sums(ring, int(at), length)
        full, age = 1.0, 0.0
    mean = centre + total * (1.0 / length)
    return (full, at, age, same, price, centre, total), mean if full > 0.0 else np.nan
