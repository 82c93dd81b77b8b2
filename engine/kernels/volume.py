"""Volume: rolling volume-weighted price, on-balance volume."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import LOSS, following

THIRD = 1.0 / 3.0


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


@step(
    outputs=("vwap",),
    state=(0, 0, 0, 0.0, 0.0, 0.0),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    ring=lambda length: 2 * length,
)
def vwap_step(state, ring, anchor, high, low, close, volume, *, length: int):
    """Advance the rolling volume-weighted average of the typical price by one closed bar.

    Parameters
    ----------
    state : 3 int, 3 float
        Known bars so far, at most ``length``; ring position; bars without volume in a row; centre, sum of
        (typical price - centre) * volume, sum of volume.
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
    The sums are taken afresh, about the newest price, on anchors, when nothing was traded in the window, and when
    the volume that leaves or the centre is so large that it has eaten the digits of what remains.
    """
    seen, at, quiet, centre, money, traded = state
    price = (high + low + close) * THIRD
    gone = load(ring, length + at)
    leaving = (load(ring, at) - centre) * gone
    store(ring, at, price)
    store(ring, length + at, volume)
    at = following(at, length)
    quiet = quiet + 1 if volume == 0.0 else 0
    stale = anchor or quiet == length
    if seen < length:
        seen += 1
        if seen < length:
            return (seen, at, quiet, centre, money, traded), np.nan
        stale = True
    money += (price - centre) * volume - leaving
    traded += volume - gone
    value = centre + money / traded
    if stale or not (gone <= LOSS * traded and abs(centre) <= LOSS * abs(value)):
        centre, money, traded = weighted_sums(ring, at, length)
        value = centre + money / traded
    return (seen, at, quiet, centre, money, traded), value if traded > 0.0 else np.nan


@step(outputs=("obv",), state=(math.nan, 0.0))
def obv_step(state, close, volume):
    """Advance on-balance volume by one closed bar.

    Parameters
    ----------
    state : 2 float
        The last close, NaN before the first bar; the balance.
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
    before, balance = state
    gained = volume if close > before else 0.0
    lost = volume if close < before else 0.0
    balance += gained - lost
    return (close, balance), balance
