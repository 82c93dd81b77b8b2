"""When a stop or a target fills: searched over a trade's bars without marking the account at each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.kernels.grid import to_tick
from engine.simulate.formulas import NO_EXIT, protective_exit
from pipelines import Bars

STEP = 32


class Market(NamedTuple):
    """The prices of a series, and what answers questions about many bars at once.

    Attributes
    ----------
    open, high, low, close : ndarray of float64, shape (bars,)
    floor, ceiling : ndarray of float64, shape (bars,)
        The lowest and highest price of a bar that can fill an order.
    floors, ceilings : ndarray of float64, shape (bars / 32,)
        The same of each 32 bars.
    lows, highs : ndarray of float64, shape (bars / 32,)
        The lowest and highest close of each 32 bars.
    running : ndarray of float64, shape (bars, 4)
        Sums up to and with each bar of the returns of closes, of their squares and of the squares of negative ones.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    floor: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    floors: NDArray[np.float64]
    ceilings: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    running: NDArray[np.float64]


def market_of(bars: Bars) -> Market:
    """Return the prices of a series as the kernels read them."""
    floor, ceiling = np.minimum(bars.open, bars.low), np.maximum(bars.open, bars.high)
    starts = np.arange(0, len(bars), STEP)
    return Market(
        bars.open, bars.high, bars.low, bars.close, floor, ceiling,
        np.minimum.reduceat(floor, starts), np.maximum.reduceat(ceiling, starts),
        np.minimum.reduceat(bars.close, starts), np.maximum.reduceat(bars.close, starts), running_sums(bars.close),
    )  # fmt: skip


def running_sums(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``Market.running``, each sum rounded once."""
    sums = np.zeros((close.size, 4))
    add_returns(close, sums)
    return sums


@compiled_bare
def add_returns(close, sums):
    """Fill ``sums``; what rounding loses is carried on, as Kahan does."""
    total = square = downside = 0.0
    lost = lost_square = lost_downside = 0.0
    for t in range(1, close.size):
        r = close[t] / close[t - 1] - 1.0
        loss = min(r, 0.0)
        part = r - lost
        more = total + part
        total, lost = more, (more - total) - part
        part = r * r - lost_square
        more = square + part
        square, lost_square = more, (more - square) - part
        part = loss * loss - lost_downside
        more = downside + part
        downside, lost_downside = more, (more - downside) - part
        sums[t, 0], sums[t, 1], sums[t, 2] = total, square, downside


@inlined_bare
def first_touch(market, below, above, start, end):
    """Return the first bar from ``start`` to ``end`` with a price <= ``below`` or >= ``above``, ``end`` + 1 if none."""
    u = start
    while u <= end:
        if u & (STEP - 1) == 0:
            while u <= end and market.floors[u // STEP] > below and market.ceilings[u // STEP] < above:
                u += STEP
            if u > end:
                break
        for v in range(u, min(end + 1, (u // STEP + 1) * STEP)):
            if market.floor[v] <= below or market.ceiling[v] >= above:
                return v
        u = (u // STEP + 1) * STEP
    return end + 1


@inlined_bare
def resting_exit(market, side, price, stop_d, target_d, trailing, start, end, tick):
    """Return (reason, level, bar) of the stop or target that fills first from bar ``start`` to ``end``.

    ``price`` is the entry's, the distances are NaN where there is none; reason NO_EXIT if none fills by ``end``.
    """
    stop, target = to_tick(price - side * stop_d, tick), to_tick(price + side * target_d, tick)
    if trailing and stop_d == stop_d:
        trail, best = stop_d / price, price
        for u in range(start, end + 1):
            best = max(best, market.open[u]) if side > 0.0 else min(best, market.open[u])
            stop = to_tick(best * (1.0 - side * trail), tick)
            reason, level = protective_exit(side, market.open[u], market.high[u], market.low[u], stop, target)
            if reason != NO_EXIT:
                return np.int64(reason), level, u
            best = max(best, market.high[u]) if side > 0.0 else min(best, market.low[u])
        return np.int64(NO_EXIT), np.nan, end
    below, above = (stop, target) if side > 0.0 else (target, stop)
    below, above = below if below == below else -np.inf, above if above == above else np.inf
    u = first_touch(market, below, above, start, end)
    if u > end:
        return np.int64(NO_EXIT), np.nan, end
    reason, level = protective_exit(side, market.open[u], market.high[u], market.low[u], stop, target)
    return np.int64(reason), level, u
