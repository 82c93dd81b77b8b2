"""Volume: rolling volume-weighted price, on-balance volume."""

import numpy as np

from engine.jit import inlined
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import LOSS, following


@inlined
def weighted_sums(ring, first, length):
    """Sum prices (first half of the ring) times volumes (second half), about the newest price, oldest first."""
    centre = load(ring, first - 1 if first > 0 else length - 1)
    money = 0.0
    traded = 0.0
    at = first
    for _ in range(length):
        volume = load(ring, length + at)
        money += (load(ring, at) - centre) * volume
        traded += volume
        at = at + 1 if at + 1 < length else 0
    return centre, money, traded


@step(outputs=("vwap",), state=(0.0,) * 7, ring=lambda length: 2 * length)
def vwap_step(state, ring, anchor, high, low, close, volume, *, length: int):
    """Advance the rolling volume-weighted average of the typical price by one closed bar.

    Parameters
    ----------
    state : tuple of 7 float
        Whether the window is full, ring position, bars since the sums were taken afresh, bars without volume in a
        row, centre, sum of (typical price - centre) * volume, sum of volume.
    ring : memory of 2 * ``length`` float
        The last typical prices, then the last volumes.
    anchor : bool
        Take the sums afresh on this bar.
    high, low, close : float
        The bar, quote currency; the typical price is their mean.
    volume : float
        Traded in the bar, at least 0.
    length : int
        Bars in the window.

    Returns
    -------
    tuple, float
        The next state; the average, NaN for the first ``length - 1`` known bars and where nothing was traded.

    Notes
    -----
    The sums are taken afresh on anchors, after every ``length`` bars, when nothing was traded in the window, and when
    the volume that leaves was so large that it has eaten the digits of what remains.
    """
    full, at, age, quiet, centre, money, traded = state
    k = int(at)
    price = (high + low + close) / 3.0
    gone = load(ring, length + k)
    money += (price - centre) * volume - (load(ring, k) - centre) * gone
    traded += volume - gone
    store(ring, k, price)
    store(ring, length + k, volume)
    at = following(at, length)
    age += 1.0
    quiet = quiet + 1.0 if volume == 0.0 else 0.0
    if age >= length or (full > 0.0 and (anchor or quiet == length or gone > LOSS * traded)):
        centre, money, traded = weighted_sums(ring, int(at), length)
        full, age = 1.0, 0.0
    value = centre + money / traded if full > 0.0 and traded > 0.0 else np.nan
    return (full, at, age, quiet, centre, money, traded), value


@step(outputs=("obv",), state=(0.0, 0.0, 0.0))
def obv_step(state, close, volume):
    """Advance on-balance volume by one closed bar.

    Parameters
    ----------
    state : tuple of 3 float
        Whether a bar has been seen, its close, the balance.
    close : float
        Quote currency.
    volume : float
        Traded in the bar.

    Returns
    -------
    tuple, float
        The next state; volume of rising bars minus volume of falling bars since the first known bar, where it is 0.

    Notes
    -----
    TA-Lib starts at the first bar's volume instead.  The balance depends on where the series starts; differences of
    it do not.
    """
    seen, before, balance = state
    if seen > 0.0:
        balance += volume if close > before else (-volume if close < before else 0.0)
    return (1.0, close, balance), balance
