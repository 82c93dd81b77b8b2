"""Volume: rolling volume-weighted price, on-balance volume."""

import math

import numpy as np

from engine.jit import inlined
from engine.kernels.calm import entered, leaving
from engine.kernels.memory import load, store
from engine.kernels.step import step
from engine.kernels.window import LOSS, following

THIRD = 1.0 / 3.0
PIECE = 256  # bars taken at once


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
def until_quiet(volume, quiet, length, count):
    """Return the first bar that ends ``length`` bars without volume, ``count`` if there is none."""
    silent = 0
    for j in range(count):
        silent += load(volume, j) == 0.0
    if quiet + silent < length:
        return count
    for j in range(count):
        quiet = quiet + 1 if load(volume, j) == 0.0 else 0
        if quiet == length:
            return j
    return count


@inlined
def vwap_block(state, ring, count, high, low, close, volume, vwap, room, length):
    """Run `vwap_step` over calm bars."""
    seen, at, quiet, centre, money, traded = state
    done = until_quiet(volume, quiet, length, min(count, PIECE))
    column = np.uintp(8 * PIECE)
    prices, gone, leaving_prices, moneys = room, room + column, room + 2 * column, room + 3 * column
    for j in range(done):
        store(prices, j, (load(high, j) + load(low, j) + load(close, j)) * THIRD)
    leaving(ring, at, length, prices, done, leaving_prices)
    leaving(ring + np.uintp(8) * np.uintp(length), at, length, volume, done, gone)
    for j in range(done):
        left = (load(leaving_prices, j) - centre) * load(gone, j)
        store(moneys, j, (load(prices, j) - centre) * load(volume, j) - left)
        store(leaving_prices, j, load(volume, j) - load(gone, j))
    for j in range(done):
        money += load(moneys, j)
        traded += load(leaving_prices, j)
        store(moneys, j, money)
        store(leaving_prices, j, traded)
    lost = 0
    for j in range(done):
        value = centre + load(moneys, j) / load(leaving_prices, j)
        lost += not is_sound(load(gone, j), load(leaving_prices, j), centre, value)
        store(vwap, j, value)
    if lost > 0:
        done = 0
        while is_sound(load(gone, done), load(leaving_prices, done), centre, load(vwap, done)):
            done += 1
    if done == 0:
        return state, 0
    back = done - 1
    while back >= 0 and load(volume, back) == 0.0:
        back -= 1
    quiet = done - 1 - back if back >= 0 else quiet + done
    following_at = entered(ring, at, length, prices, done)
    entered(ring + np.uintp(8) * np.uintp(length), at, length, volume, done)
    return (seen, following_at, quiet, centre, load(moneys, done - 1), load(leaving_prices, done - 1)), done


@inlined
def is_sound(gone, traded, centre, value):
    """Return whether what left has not eaten the digits of what remains; false where nothing was traded."""
    return traded > 0.0 and gone <= LOSS * traded and abs(centre) <= LOSS * abs(value)


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
