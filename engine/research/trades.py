"""What a long trade does to an account of 1, remembered: its row is known by a key, and mostly by its bar of entry.

The key is the trade itself: the config (distances, rules and size), the bars of entry and exit, and whether a stop or
target closed it.  A slot for each bar holds the last trade that entered there, which mostly is the one looked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import compiled_bare, inlined_bare
from engine.research.course import SPREAD, climb, extremes, returns
from engine.research.exits import STEP, resting_exit
from engine.research.private import distance
from engine.simulate.formulas import NO_EXIT, affordable_quantity, fill_price, order_quantity

FEWEST, MOST = 15, 18  # binary digits of the number of rows
SLOT = 31  # binary digits of a slot: a stamp and a row
LINE = 64  # bytes
GROWTH, SUM, SQUARE, DOWN, HIGHEST, LOWEST, FEES, RATIO, WIDTH = range(9)  # a row's figures: one cache line
KEY, LEFT, AT_PEAK, LONGEST, DRAWDOWN, CASH, QUANTITY = range(7)  # LEFT: twice the bar, plus 1 if by stop or target
USED, STAMP, CONFIG = range(3)
NOTHING = 1e-14  # cash of an account of 1 that is rounding only
UNKNOWN = -2  # at AT_PEAK: what is counted from the peak has not been asked for yet


class Memory(NamedTuple):
    """The trades remembered, one a thread.

    Attributes
    ----------
    slots : ndarray of int32, shape (bars, 2)
        For each bar the row of the trade that entered there last, above it the stamp of its config; and the row's
        LEFT, so that the search for the next trade need not wait for the row.
    places : ndarray of int32, shape (2 * rows,)
        For the hash of a key the row that holds it, -1: none.
    figures : ndarray of float64, shape (rows, WIDTH)
        What every account adds.
    facts : ndarray of int64, shape (rows, WIDTH)
        What is seldom asked for: KEY, LEFT, AT_PEAK and LONGEST.
    numbers : ndarray of float64, shape (rows, WIDTH)
        The same memory as ``facts``: DRAWDOWN, CASH and QUANTITY.
    state : ndarray of int64, shape (3,)
        Rows used, the stamp of the config at hand, the config.
    digits : int
        Binary digits of the number of rows.
    """

    slots: NDArray[np.int32]
    places: NDArray[np.int32]
    figures: NDArray[np.float64]
    facts: NDArray[np.int64]
    numbers: NDArray[np.float64]
    state: NDArray[np.int64]
    digits: int


def new_memory(bars: int) -> Memory:
    """Return an empty memory for a series of ``bars`` bars."""
    digits = min(max((bars // 4).bit_length(), FEWEST), MOST)
    rows = 1 << digits
    numbers = _lines(rows)
    return Memory(
        np.zeros((bars, 2), np.int32),
        np.full(2 * rows, -1, np.int32),
        _lines(rows),
        numbers.view(np.int64),
        numbers,
        np.array([0, 0, -1]),
        digits,
    )


def _lines(rows: int) -> NDArray[np.float64]:
    """Return rows of one cache line each."""
    room = np.empty((rows + 1) * WIDTH)
    return room[-room.ctypes.data % LINE // 8 :][: rows * WIDTH].reshape(rows, WIDTH)


@inlined_bare
def lowest_and_highest(market, start, end):
    """Return the lowest and the highest close of bars ``start`` to ``end``; there is at least one."""
    first, last = start // STEP + 1, end // STEP
    if last <= first:
        return extremes(market.close, start, end)
    low, high = extremes(market.close, start, first * STEP - 1)
    lower, higher = extremes(market.close, last * STEP, end)
    low, high = min(low, lower), max(high, higher)
    for k in range(first, last):
        low, high = min(low, market.lows[k]), max(high, market.highs[k])
    return low, high


@inlined_bare
def held_sums(market, entry, stop, cash, quantity):
    """Return the sums of the returns of an account of 1 that holds from bar ``entry`` to before bar ``stop``.

    Of the returns, of their squares, of the squares of the negative ones; there is at least one bar.
    """
    if abs(cash) > NOTHING:
        _, total, square, downside = returns(market.close, entry, stop, cash, quantity, True, 1.0, 0.0, 0.0, 0.0)
        return total, square, downside
    first = cash + quantity * market.close[entry] - 1.0  # from there on the account is the price
    loss, start, end = min(first, 0.0), market.running[entry], market.running[stop - 1]
    return first + (end[0] - start[0]), first * first + (end[1] - start[1]), loss * loss + (end[2] - start[2])


@inlined_bare
def remember(market, entry, price, quantity, left, sold, costs, figures, numbers):
    """Fill a row with what a long trade of an account of 1 comes to; left at bar ``left``, sold at ``sold``."""
    close = market.close
    fee = costs.fee * (quantity * price)
    cash = 1.0 - (quantity * price + fee)
    equity, highest, lowest, total, square, downside, paid = 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0
    ratio = 0.0
    if left > entry:
        low, high = lowest_and_highest(market, entry, left - 1)
        lowest, highest = min(1.0, cash + quantity * low), max(1.0, cash + quantity * high)
        equity = cash + quantity * close[left - 1]
        total, square, downside = held_sums(market, entry, left, cash, quantity)
    if left < close.size:
        paid = costs.fee * (quantity * sold)
        after = cash + (quantity * sold - paid)
        r = after / equity - 1.0
        total, square, downside = total + r, square + r * r, downside + (r * r if r < 0.0 else 0.0)
        equity, highest, lowest = after, max(highest, after), min(lowest, after)
        ratio = (quantity * (sold - price) - (fee + paid)) / (quantity * price)
    figures[GROWTH], figures[HIGHEST], figures[LOWEST] = equity, highest, lowest
    figures[SUM], figures[SQUARE], figures[DOWN] = total, square, downside
    figures[FEES], figures[RATIO] = fee + paid, ratio
    numbers[CASH], numbers[QUANTITY] = cash, quantity


@inlined_bare
def find_peaks(close, entry, growth, facts, numbers):
    """Fill a row's DRAWDOWN, AT_PEAK and LONGEST: those of an account at its peak when the trade begins."""
    left, cash, quantity = facts[LEFT] >> 1, numbers[CASH], numbers[QUANTITY]
    peak, at_peak, drawdown, longest = climb(close, entry, left - 1, cash, quantity, 1.0, entry - 1, 0.0, np.int64(0))
    if left < close.size:
        peak, at_peak, drawdown, longest = climb(close, left, left, growth, 0.0, peak, at_peak, drawdown, longest)
    numbers[DRAWDOWN], facts[AT_PEAK], facts[LONGEST] = drawdown, at_peak, longest


@inlined_bare
def renew(memory):
    """Make every slot one of another config."""
    if memory.state[STAMP] + 1 == 1 << (SLOT - memory.digits):
        for k in range(len(memory.slots)):
            memory.slots[k, 0] = 0
        memory.state[STAMP] = 0
    memory.state[STAMP] += 1


@inlined_bare
def make_room(memory, rows):
    """Begin again with an empty memory if there is no room for so many more rows."""
    if memory.state[USED] + rows > memory.figures.shape[0]:
        for k in range(memory.places.size):
            memory.places[k] = -1
        memory.state[USED] = 0
        renew(memory)


@inlined_bare
def key_of(entry, left, rested, bars, memory):
    """Return the number of a trade, one of its own."""
    return ((memory.state[CONFIG] * np.int64(bars) + entry) * np.int64(bars + 1) + left) * 2 + rested


@inlined_bare
def place_of(key, memory):
    """Return the place of ``places`` that may know the row of a key."""
    return (np.uint64(key) * SPREAD) >> np.uint64(63 - memory.digits)


@inlined_bare
def recall(market, terms, i, entry, last, costs, memory):
    """Return the row of a long trade, known or not; -1: there is no entry.

    There must be room for one more row.

    Parameters
    ----------
    entry, last : int
        The bar of entry, and the last bar at whose close the trade is held if no stop or target ends it.
    """
    n = market.close.size
    slot, left = np.int64(memory.slots[entry, 0]), np.int64(memory.slots[entry, 1])
    # all worked out, so that there is one branch to guess and it is mostly taken
    by_signal, rested = left == 2 * min(last + 1, n), (left & 1 != 0) & (left >> 1 <= last)
    if (by_signal | rested) & (slot >> memory.digits == memory.state[STAMP]):
        return slot & ((1 << memory.digits) - 1)
    row = recall_by_key(market, terms, i, entry, last, costs, memory)
    if row >= 0:
        memory.slots[entry, 0] = memory.state[STAMP] << memory.digits | row
        memory.slots[entry, 1] = memory.facts[row, LEFT]
    return row


@compiled_bare
def recall_by_key(market, terms, i, entry, last, costs, memory):
    """Do as ``recall`` where the bar's slot does not tell."""
    n, decided = market.close.size, entry - 1
    has_stop, has_target = terms.distances[i, 0] >= 0, terms.distances[i, 1] >= 0
    stop_d, target_d = distance(i, 0, terms, decided), distance(i, 1, terms, decided)
    if (has_stop and not stop_d > 0.0) or (has_target and not target_d > 0.0):
        return np.int64(-1)
    price = fill_price(market.open[entry], 1.0, costs.slippage)
    left, level, rested = min(last + 1, np.int64(n)), np.nan, np.int64(0)
    if has_stop or has_target:
        reason, level, bar = resting_exit(
            market, 1.0, price, stop_d, target_d, terms.rules[i, 0] != 0, entry, left - 1, costs.price_tick
        )
        if reason != NO_EXIT:
            left, rested = bar, np.int64(1)
    key = key_of(entry, left, rested, n, memory)
    place = place_of(key, memory)
    row = np.int64(memory.places[place])
    if row >= 0 and memory.facts[row, KEY] == key:
        return row
    row = memory.state[USED]
    memory.state[USED] += 1
    memory.places[place], facts = row, memory.facts[row]
    facts[KEY], facts[LEFT], facts[AT_PEAK] = key, 2 * left + rested, UNKNOWN
    reference = price if costs.at_fill != 0.0 else fill_price(market.close[decided], 1.0, costs.slippage)
    quantity = order_quantity(
        terms.kind, terms.sizings[i, 0], terms.sizings[i, 1], 1.0, reference, stop_d, 0.0, 0.0, costs
    )
    quantity = affordable_quantity(quantity, price, 1.0, costs)
    if rested == 0 and left < n:
        level = market.open[left]
    sold = fill_price(level, -1.0, costs.slippage)
    remember(market, entry, price, quantity, left, sold, costs, memory.figures[row], memory.numbers[row])
    return row
