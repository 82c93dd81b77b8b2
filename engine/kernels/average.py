"""Moving averages: simple, exponential, Wilder's."""

import numpy as np

from engine.jit import inlined
from engine.kernels.memory import load, store
from engine.kernels.step import step


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
