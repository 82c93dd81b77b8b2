"""What a long trade does to an account of 1, remembered: its row is known by a key, and within a group by its entry.

The key is the trade itself: the config (distances, rules and size), the bars of entry and exit, and whether a stop or
target closed it.  A group is one config and one exit stream, so there the bar of entry alone says the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.jit import inlined_bare
from engine.research.course import SPREAD, climb, extremes, returns
from engine.research.exits import resting_exit
from engine.research.private import distance
from engine.research.scan import next_set
from engine.simulate.formulas import NO_EXIT, affordable_quantity, fill_price, order_quantity

FEWEST, MOST = 15, 18  # binary digits of the number of rows
SLOT = 31  # binary digits of a slot: a stamp and a row
LINE = 64  # bytes
(
    GROWTH, SUM, SQUARE, DOWN, HIGHEST, LOWEST, FEES, LEFT,  # LEFT: twice the bar, plus 1 if by stop or target
    PROFIT, RATIO, KEY, AT_PEAK, DRAWDOWN, LONGEST, CASH, QUANTITY, WIDTH,
) = range(17)  # fmt: skip
USED, STAMP, CONFIG, SINCE = range(4)
UNKNOWN = -2  # at AT_PEAK: what is counted from the peak has not been asked for yet


class Memory(NamedTuple):
    """The trades remembered, one a thread.

    Attributes
    ----------
    slots : ndarray of int32, shape (bars, 2)
        For each bar the row of the trade that enters there, above it the stamp of its group; and the row's LEFT, so
        that the search for the next trade need not wait for the row.
    places : ndarray of int32, shape (2 * rows,)
        For the hash of a key the row that holds it, -1: none.
    figures : ndarray of float64, shape (rows, WIDTH)
    facts : ndarray of int64, shape (rows, WIDTH)
        The same memory seen as whole numbers: LEFT, KEY, AT_PEAK and LONGEST are such.
    state : ndarray of int64, shape (4,)
        Rows used, the stamp of the group at hand, its config, the config's first stamp.
    digits : int
        Binary digits of the number of rows.
    """

    slots: NDArray[np.int32]
    places: NDArray[np.int32]
    figures: NDArray[np.float64]
    facts: NDArray[np.int64]
    state: NDArray[np.int64]
    digits: int


def new_memory(bars: int) -> Memory:
    """Return an empty memory for a series of ``bars`` bars."""
    digits = min(max((bars // 4).bit_length(), FEWEST), MOST)
    rows = 1 << digits
    room = np.empty(rows * WIDTH + LINE // 8)
    figures = room[-room.ctypes.data % LINE // 8 :][: rows * WIDTH].reshape(rows, WIDTH)  # a row is two cache lines
    return Memory(
        np.zeros((bars, 2), np.int32),
        np.full(2 * rows, -1, np.int32),
        figures,
        figures.view(np.int64),
        np.array([0, 0, -1, 0]),
        digits,
    )


@inlined_bare
def remember(close, entry, price, quantity, left, rested, sold, costs, figures, facts):
    """Fill a row with what a long trade of an account of 1 comes to; left at bar ``left``, sold at ``sold``."""
    fee = costs.fee * (quantity * price)
    cash = 1.0 - (quantity * price + fee)
    equity, highest, lowest, total, square, downside, profit, paid = 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if left > entry:
        low, high = extremes(close, entry, left - 1)
        lowest, highest = min(1.0, cash + quantity * low), max(1.0, cash + quantity * high)
        equity, total, square, downside = returns(close, entry, left, cash, quantity, True, 1.0, 0.0, 0.0, 0.0)
    if left < close.size:
        paid = costs.fee * (quantity * sold)
        after = cash + (quantity * sold - paid)
        r = after / equity - 1.0
        total, square, downside = total + r, square + r * r, downside + (r * r if r < 0.0 else 0.0)
        equity, highest, lowest = after, max(highest, after), min(lowest, after)
        profit = quantity * (sold - price) - (fee + paid)
    figures[GROWTH], figures[HIGHEST], figures[LOWEST] = equity, highest, lowest
    figures[SUM], figures[SQUARE], figures[DOWN] = total, square, downside
    figures[FEES], figures[PROFIT], figures[RATIO] = fee + paid, profit, profit / (quantity * price)
    figures[CASH], figures[QUANTITY] = cash, quantity
    facts[LEFT], facts[AT_PEAK] = 2 * left + rested, UNKNOWN


@inlined_bare
def find_peaks(close, entry, figures, facts):
    """Fill a row's DRAWDOWN, AT_PEAK and LONGEST: those of an account at its peak when the trade begins."""
    left, cash, quantity = facts[LEFT] >> 1, figures[CASH], figures[QUANTITY]
    peak, at_peak, drawdown, longest = climb(close, entry, left - 1, cash, quantity, 1.0, entry - 1, 0.0, np.int64(0))
    if left < close.size:
        peak, at_peak, drawdown, longest = climb(
            close, left, left, figures[GROWTH], 0.0, peak, at_peak, drawdown, longest
        )
    figures[DRAWDOWN], facts[AT_PEAK], facts[LONGEST] = drawdown, at_peak, longest


@inlined_bare
def forget(memory):
    """Begin again with an empty memory."""
    for k in range(memory.places.size):
        memory.places[k] = -1
    memory.state[USED] = 0
    renew(memory)


@inlined_bare
def renew(memory):
    """Make every slot one of another config, and go on with a new stamp."""
    if memory.state[STAMP] + 1 == 1 << (SLOT - memory.digits):
        for k in range(len(memory.slots)):
            memory.slots[k, 0] = 0
        memory.state[STAMP] = 0
    memory.state[STAMP] += 1
    memory.state[SINCE] = memory.state[STAMP]


@inlined_bare
def recall(market, asked, i, slot, there, decided, leave, costs, memory):
    """Return the row of the long trade decided at a bar, computed if it is not known; -1: there is no entry.

    ``slot`` and ``there`` are what the bar's slot holds: the trade of another group, or nothing.
    """
    n, entry, config = market.close.size, decided + 1, memory.state[CONFIG]
    last = next_set(leave, entry)
    if asked.rules[i, 1] > 0:
        last = min(last, entry + asked.rules[i, 1] - 1)
    same = there == 2 * min(last + 1, n) or (there & 1 != 0 and there >> 1 <= last)
    if same and slot >> memory.digits >= memory.state[SINCE]:
        return slot & (memory.figures.shape[0] - 1)
    has_stop, has_target = asked.distances[i, 0] >= 0, asked.distances[i, 1] >= 0
    stop_d, target_d = distance(i, 0, asked, decided), distance(i, 1, asked, decided)
    if (has_stop and not stop_d > 0.0) or (has_target and not target_d > 0.0):
        return np.int64(-1)
    price = fill_price(market.open[entry], 1.0, costs.slippage)
    left, level, rested = min(last + 1, np.int64(n)), np.nan, np.int64(0)
    if has_stop or has_target:
        reason, level, bar = resting_exit(
            market, 1.0, price, stop_d, target_d, asked.rules[i, 0] != 0, entry, left - 1, costs.price_tick
        )
        if reason != NO_EXIT:
            left, rested = bar, np.int64(1)
    key = ((config * np.int64(n) + entry) * np.int64(n + 1) + left) * 2 + rested
    place = (np.uint64(key) * SPREAD) >> np.uint64(63 - memory.digits)
    row = np.int64(memory.places[place])
    if row >= 0 and memory.facts[row, KEY] == key:
        return row
    if memory.state[USED] == memory.figures.shape[0]:
        forget(memory)
    row = memory.state[USED]
    memory.state[USED] += 1
    memory.places[place], memory.facts[row, KEY] = row, key
    reference = price if costs.at_fill != 0.0 else fill_price(market.close[decided], 1.0, costs.slippage)
    quantity = order_quantity(
        asked.kind, asked.sizings[i, 0], asked.sizings[i, 1], 1.0, reference, stop_d, 0.0, 0.0, costs
    )
    quantity = affordable_quantity(quantity, price, 1.0, costs)
    if rested == 0 and left < n:
        level = market.open[left]
    sold = fill_price(level, -1.0, costs.slippage)
    remember(market.close, entry, price, quantity, left, rested, sold, costs, memory.figures[row], memory.facts[row])
    return row
