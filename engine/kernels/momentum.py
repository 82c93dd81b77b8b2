"""Momentum: Wilder's relative strength index, rate of change, convergence and divergence of averages."""

import numpy as np

from engine.jit import inlined
from engine.kernels.average import seeded
from engine.kernels.calm import entered, leaving4
from engine.kernels.four import before4, fetch4, lane, load4, odd4, put4, smoothed4, where4
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import following


@inlined
def rsi_block(state, count, price, index, room, length):
    """Run `rsi_step` over known bars."""
    seen, last, gain, loss = state
    weight = 1.0 / length
    j = 0
    while j + 4 <= count:
        came = load4(price, j)
        fetch4(price, j)
        change = came - before4(last, came)
        rise = where4(change > 0.0, change, 0.0)
        gains = smoothed4(1.0 - weight, gain, weight * rise)
        losses = smoothed4(1.0 - weight, loss, weight * (rise - change))
        moved = gains + losses
        if odd4(moved):
            break
        put4(index, j, where4(moved > 0.0, 100.0 * (gains / moved), 50.0))
        last = lane(came, 3)
        gain = lane(gains, 3)
        loss = lane(losses, 3)
        j += 4
    return (seen, last, gain, loss), j


@step(
    outputs=("rsi",),
    state=(0, 0.0, 0.0, 0.0),
    counts=(0,),
    settled=lambda state, length: state[0] > length,
    block=rsi_block,
)
def rsi_step(state, price, *, length: int):
    """Advance Wilder's relative strength index by one closed bar.

    Parameters
    ----------
    state : int, 3 float
        Known values so far, at most ``length + 1``; last price, mean gain, mean loss.
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
    if seen == 0:
        return (1, price, 0.0, 0.0), np.nan
    change = price - last
    rise = change if change > 0.0 else 0.0
    changes, gain = seeded(seen - 1, gain, rise, length, 1.0 / length)
    _, loss = seeded(seen - 1, loss, rise - change, length, 1.0 / length)
    moved = gain + loss
    index = 100.0 * (gain / moved) if moved > 0.0 else 50.0
    return (changes + 1, price, gain, loss), index if changes >= length else np.nan


@inlined
def roc_block(state, ring, count, price, change, room, length):
    """Run `roc_step` over known bars."""
    seen, at = state
    j = 0
    while j + 4 <= count:
        moved = load4(price, j) / leaving4(ring, at, length, price, j) - 1.0
        fetch4(price, j)
        if odd4(moved):
            break
        put4(change, j, moved)
        j += 4
    return (seen, entered(ring, at, length, price, j)), j


@step(
    outputs=("roc",),
    state=(0, 0),
    counts=(0, 1),
    settled=lambda state, length: state[0] >= length,
    block=roc_block,
    ring=lambda length: length,
)
def roc_step(state, ring, price, *, length: int):
    """Advance the rate of change by one closed bar.

    Parameters
    ----------
    state : 2 int
        Known values so far, at most ``length``; ring position.
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
    change = price / load(ring, at) - 1.0
    store(ring, at, price)
    at = following(at, length)
    if seen < length:
        return (seen + 1, at), np.nan
    return (seen, at), change


@inlined
def macd_block(state, count, price, line, signal, histogram, room, fast, slow, smoothing):
    """Run `macd_step` over known bars."""
    quick_seen, calm_seen, shown, quick, calm, smooth = state
    quickly, calmly, smoothly = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (smoothing + 1.0)
    j = 0
    while j + 4 <= count:
        came = load4(price, j)
        fetch4(price, j)
        quicks = smoothed4(1.0 - quickly, quick, quickly * came)
        calms = smoothed4(1.0 - calmly, calm, calmly * came)
        lines = quicks - calms
        smooths = smoothed4(1.0 - smoothly, smooth, smoothly * lines)
        gaps = lines - smooths
        if odd4(gaps):
            break
        put4(line, j, lines)
        put4(signal, j, smooths)
        put4(histogram, j, gaps)
        quick = lane(quicks, 3)
        calm = lane(calms, 3)
        smooth = lane(smooths, 3)
        j += 4
    return (quick_seen, calm_seen, shown, quick, calm, smooth), j


@step(
    outputs=("line", "signal", "histogram"),
    state=(0, 0, 0, 0.0, 0.0, 0.0),
    counts=(0, 1, 2),
    settled=lambda state, fast, slow, signal: state[0] >= fast and state[1] >= slow and state[2] >= signal,
    block=macd_block,
)
def macd_step(state, price, *, fast: int, slow: int, signal: int):
    """Advance the moving average convergence and divergence by one closed bar.

    Parameters
    ----------
    state : 3 int, 3 float
        Values so far of the fast average, of the slow one and of the signal, each at most its length; the averages.
    price : float
        Any series, usually the close.
    fast, slow, signal : int
        Averaging lengths in bars.

    Returns
    -------
    tuple, tuple of 3 float
        The next state; the fast less the slow exponential average, NaN until both are known; the exponential average
        of that, NaN for its first ``signal - 1`` values; their difference.

    Notes
    -----
    Each average is seeded by the mean of its own first values, as `ema_step` does.  TA-Lib starts the fast one so
    late that both have their first value on the same bar, hence its early values differ.  Source: G. Appel, *The
    Moving Average Convergence-Divergence Trading Method*, 1985.
    """
    quick_seen, calm_seen, shown, quick, calm, smooth = state
    quick_seen, quick = seeded(quick_seen, quick, price, fast, 2.0 / (fast + 1.0))
    calm_seen, calm = seeded(calm_seen, calm, price, slow, 2.0 / (slow + 1.0))
    if quick_seen < fast or calm_seen < slow:
        return (quick_seen, calm_seen, 0, quick, calm, 0.0), (np.nan, np.nan, np.nan)
    line = quick - calm
    shown, smooth = seeded(shown, smooth, line, signal, 2.0 / (signal + 1.0))
    following_state = (quick_seen, calm_seen, shown, quick, calm, smooth)
    if shown < signal:
        return following_state, (line, np.nan, np.nan)
    return following_state, (line, smooth, line - smooth)
