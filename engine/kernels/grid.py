"""The venue's grid of prices and quantities, as decimal numbers."""

import numpy as np

from engine.jit import inlined


@inlined
def to_tick(price, tick):
    """Return the price on the venue's grid, the nearest tick; NaN stays NaN.

    Where a tick is a whole part of 1, the price is the float nearest to its decimal number, as the venue reads it:
    12345 / 100, not 12345 * 0.01.
    """
    if tick <= 0.0:
        return price
    # not math.floor: compiled, it returns an integer, and that of NaN is a price far below all others
    count, parts = np.floor(price / tick + 0.5), np.floor(1.0 / tick + 0.5)
    return count / parts if abs(parts * tick - 1.0) < 1e-12 else count * tick


@inlined
def to_step(quantity, step, contract):
    """Return the quantity rounded down to the venue's step, in contracts where it has them; decimal as ``to_tick``."""
    if step <= 0.0:
        return quantity
    unit = step * contract if contract > 0.0 else step
    count, parts = np.floor(quantity / unit + 1e-9), np.floor(1.0 / unit + 0.5)
    return count / parts if abs(parts * unit - 1.0) < 1e-12 else count * unit
