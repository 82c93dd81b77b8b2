"""Momentum: Wilder's relative strength index, rate of change."""

import numpy as np

from engine.kernels.average import seeded
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import following


@step(outputs=("rsi",), state=(0.0, 0.0, 0.0, 0.0))
def rsi_step(state, price, *, length: int):
    """Advance Wilder's relative strength index by one closed bar.

    Parameters
    ----------
    state : tuple of 4 float
        Known values so far, last price, mean gain, mean loss.
    price : float
        Any series, usually the close.
    length : int
        Averaging length in bars.

    Returns
    -------
    tuple, float
        The next state; the index in [0, 100], NaN for the first ``length`` values, 50 when nothing has moved.

    Notes
    -----
    Gains and losses are seeded by their mean over the first ``length`` changes, then smoothed with weight
    1 / length.  TA-Lib answers 0, not 50, when nothing has moved.  Source: J. W. Wilder, *New Concepts in Technical
    Trading Systems*, 1978, section VI.
    """
    seen, last, gain, loss = state
    if seen == 0.0:
        return (1.0, price, 0.0, 0.0), np.nan
    change = price - last
    _, gain = seeded(seen - 1.0, gain, change if change > 0.0 else 0.0, length, 1.0 / length)
    _, loss = seeded(seen - 1.0, loss, -change if change < 0.0 else 0.0, length, 1.0 / length)
    moved = gain + loss
    index = 100.0 * (gain / moved) if moved > 0.0 else 50.0
    return (seen + 1.0, price, gain, loss), index if seen >= length else np.nan


@step(outputs=("roc",), state=(0.0, 0.0), ring=lambda length: length)
def roc_step(state, ring, price, *, length: int):
    """Advance the rate of change by one closed bar.

    Parameters
    ----------
    state : tuple of 2 float
        Known values so far, ring position.
    ring : memory of ``length`` float
        The last values.
    price : float
        Any series.
    length : int
        How many known values back to compare with.

    Returns
    -------
    tuple, float
        The next state; price / (the value ``length`` known values ago) - 1, a fraction.  NaN for the first
        ``length`` values and where the earlier value is 0.
    """
    seen, at = state
    k = int(at)
    change = price / load(ring, k) - 1.0
    store(ring, k, price)
    return (seen + 1.0, following(at, length)), change if seen >= length else np.nan
