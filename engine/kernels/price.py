"""One bar by itself: internal bar strength."""

import numpy as np

from engine.kernels.step import step


@step(outputs=("ibs",))
def ibs_step(state, high, low, close):
    """Return where in its range the bar closed.

    Parameters
    ----------
    state : tuple of 0 float
    high, low, close : float
        The bar, quote currency.

    Returns
    -------
    tuple, float
        The state; (close - low) / (high - low), 0 at the low and 1 at the high, NaN for a bar without range.
    """
    width = high - low
    return state, (close - low) / width if width != 0.0 else np.nan
