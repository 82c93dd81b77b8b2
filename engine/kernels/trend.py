"""Trend: the directional index."""

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.extremes import larger, larger4
from engine.kernels.four import all4, all_of4, before4, fetch4, lane, load4, odd4, put4, smoothed4, where4
from engine.kernels.fused import fma
from engine.kernels.step import step
from engine.kernels.volatility import reach, reach4


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
    keep = 1.0 - 1.0 / length
    shares = all_of4(0.0)
    j = 0
    while j + 4 <= count:
        top, bottom, end = load4(high, j), load4(low, j), load4(close, j)
        fetch4(high, j)
        fetch4(low, j)
        fetch4(close, j)
        rise, fall = top - before4(high_before, top), before4(low_before, bottom) - bottom
        up = where4(rise > larger4(fall, 0.0), rise, 0.0)
        down = where4(fall > larger4(rise, 0.0), fall, 0.0)
        pluses, minuses = smoothed4(keep, plus, up), smoothed4(keep, minus, down)
        widths = smoothed4(keep, width, reach4(before4(close_before, end), top, bottom))
        moved = pluses + minuses
        scale = 100.0 / widths
        rising, falling = scale * pluses, scale * minuses
        if odd4(top + bottom + end + rising + falling) | (not all4((moved > 0.0) & (widths > 0.0))):
            break
        put4(plus_di, j, rising)
        put4(minus_di, j, falling)
        if j > 0:  # four bars late: beside the sums of the next four, not after those it needs
            indices = smoothed4(keep, index, shares)
            put4(adx, j - 4, indices)
            index = lane(indices, 3)
        shares = 1.0 / length * (100.0 * (abs(pluses - minuses) / moved))
        high_before, low_before, close_before = lane(top, 3), lane(bottom, 3), lane(end, 3)
        plus, minus, width = lane(pluses, 3), lane(minuses, 3), lane(widths, 3)
        j += 4
    if j > 0:
        indices = smoothed4(keep, index, shares)
        put4(adx, j - 4, indices)
        index = lane(indices, 3)
    return (seen, ratios, high_before, low_before, close_before, plus, minus, width, index), j


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
