"""Volume: rolling volume-weighted price, on-balance volume."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.calm import entered, leaving4, may_reach, run4
from engine.kernels.four import all4, before4, bits4, fetch4, four, lane, load4, odd4, put4, summed4, where4
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


@inlined
def is_sound(gone, traded, centre, value):
    """Return whether what left has not eaten the digits of what remains; false where nothing was traded."""
    return traded > 0.0 and gone <= LOSS * traded and abs(centre) <= LOSS * abs(value)


@inlined
def typical4(high, low, close, j):
    return (load4(high, j) + load4(low, j) + load4(close, j)) * THIRD


@inlined
def leaving_typical(ring, at, length, high, low, close, j):
    if j >= length:
        return (load(high, j - length) + load(low, j - length) + load(close, j - length)) * THIRD
    return load(ring, at + j if at + j < length else at + j - length)


@inlined
def leaving_typical4(ring, at, length, high, low, close, j):
    """Return the typical prices that leave the window on bars ``j`` to ``j + 3``."""
    if j >= length:
        return typical4(high, low, close, j - length)
    return four(
        leaving_typical(ring, at, length, high, low, close, j),
        leaving_typical(ring, at, length, high, low, close, j + 1),
        leaving_typical(ring, at, length, high, low, close, j + 2),
        leaving_typical(ring, at, length, high, low, close, j + 3),
    )


@inlined
def vwap_block(state, ring, count, high, low, close, volume, vwap, room, length):
    """Run `vwap_step` over calm bars."""
    seen, at, quiet, centre, money, traded = state
    volumes = ring + np.uintp(8) * np.uintp(length)
    j = 0
    while j + 4 <= count:
        price, came = typical4(high, low, close, j), load4(volume, j)
        fetch4(high, j)
        fetch4(low, j)
        fetch4(close, j)
        fetch4(volume, j)
        gone = leaving4(volumes, at, length, volume, j)
        gone_price = leaving_typical4(ring, at, length, high, low, close, j)
        moneys = summed4(money, (price - centre) * came - (gone_price - centre) * gone)
        sums = summed4(traded, came - gone)
        values = centre + moneys / sums
        sound = (sums > 0.0) & (gone <= LOSS * sums) & (abs(centre) <= LOSS * abs(values))
        silent = bits4(came == 0.0)
        if may_reach(quiet, silent, length) | odd4(values) | (not all4(sound)):
            break
        put4(vwap, j, values)
        quiet = run4(quiet, silent)
        money = lane(moneys, 3)
        traded = lane(sums, 3)
        j += 4
    following_at = entered(volumes, at, length, volume, j)
    place = 0 if j >= length else at
    for k in range(max(j - length, 0), j):
        store(ring, place, (load(high, k) + load(low, k) + load(close, k)) * THIRD)
        place = following(place, length)
    return (seen, following_at, quiet, centre, money, traded), j


@step(
    outputs=("vwap",),
    state=(0, 0, 0, 0.0, 0.0, 0.0),
    counts=(0, 1, 2),
    settled=lambda state, length: state[0] >= length,
    block=vwap_block,
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
    if stale or not is_sound(gone, traded, centre, value):
        centre, money, traded = weighted_sums(ring, at, length)
        value = centre + money / traded
    return (seen, at, quiet, centre, money, traded), value if traded > 0.0 else np.nan


@inlined
def obv_block(state, count, close, volume, balance, room):
    """Run `obv_step` over known bars."""
    last, total = state
    j = 0
    while j + 4 <= count:
        end, traded = load4(close, j), load4(volume, j)
        fetch4(close, j)
        fetch4(volume, j)
        before = before4(last, end)
        gained = where4(end > before, traded, 0.0)
        lost = where4(end < before, traded, 0.0)
        totals = summed4(total, gained - lost)
        if odd4(end + traded + totals):
            break
        put4(balance, j, totals)
        last = lane(end, 3)
        total = lane(totals, 3)
        j += 4
    return (last, total), j


@step(outputs=("obv",), state=(math.nan, 0.0), block=obv_block)
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
