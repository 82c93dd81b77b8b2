"""Closed bars to decisions, for all programs and sub-accounts of a step, in one compiled call.

The programs are advanced (`engine.graph.turn`).  Then, for each account: what is filled by the simulation's kernel (a
paper account, a shadow), the best price of a position, the account marked at the close, the decision with its size.
The kernels are `engine.simulate.account`'s own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from engine.graph.program import Program
from engine.graph.resolve import ROLES
from engine.graph.together import Together
from engine.graph.turn import advance_rows
from engine.jit import compiled, inlined
from engine.kernels.addresses import one, table_of, two
from engine.simulate import Costs
from engine.simulate.account import ACCOUNT, TRADE, close_bar, new_account, open_bar
from engine.simulate.costs import CostNumbers, SizingNumbers, sizing_numbers
from pipelines.candles import Candle

__all__ = ["OUT", "Deciding"]

BAR: Final = struct.Struct("<qq6d")  # place, number; open, high, low, close, volume, the price that late orders met
OUT = (
    "trades",
    "equity",
    "quantity",
    "side",
    "due_side",
    "due_quantity",
    "due_close",
    "due_stop",
    "due_target",
    "best",
    *ROLES,
)


KINDS: Final = (
    np.uint64, np.int32, np.float64, np.int64, np.uint8, np.uint32, np.int64, np.float64, np.int64, np.int64,
    np.float64, np.int64, np.int64, np.float64, ACCOUNT, np.int64, np.int64, np.int64, np.float64, np.float64,
    np.float64, np.uint8, TRADE, np.float64,
)  # fmt: skip


@compiled
def close_rows(table, count, paper, delayed):
    """Do as `close_bars` for its arrays, which are of ``KINDS`` and lie where a table says."""
    return close_bars(
        two(table, 0, np.uint64), two(table, 1, np.int32), one(table, 2, np.float64), one(table, 3, np.int64),
        one(table, 4, np.uint8), two(table, 5, np.uint32), one(table, 6, np.int64), one(table, 7, np.float64),
        two(table, 8, np.int64), two(table, 9, np.int64), two(table, 10, np.float64), one(table, 11, np.int64),
        one(table, 12, np.int64), two(table, 13, np.float64), one(table, 14, ACCOUNT), one(table, 15, np.int64),
        one(table, 16, np.int64), one(table, 17, np.int64), two(table, 18, np.float64), two(table, 19, np.float64),
        two(table, 20, np.float64), one(table, 21, np.uint8), two(table, 22, TRADE), two(table, 23, np.float64),
        count, paper, delayed,
    )  # fmt: skip


@inlined
def close_bars(
    groups, starts, cells, last, fresh, links, link_starts, roles, runs,
    whole, real, symbols, numbers, bars, accounts, digested, owners, owner_starts, rules, sizings, costs,
    working, scratch, out, count, paper, delayed,
):  # fmt: skip
    """Advance some symbols by a bar each and close it for their accounts; return what `advance_rows` does.

    ``whole`` and ``real`` are the bars as written by ``BAR``, seen as integers and as numbers.  Rows of ``out`` are
    ``OUT``; new trades are in ``scratch``.  ``owners`` lists the accounts of each symbol, ``digested`` the bars of each
    account; ``delayed`` says whether orders due at the open meet a price of later; ``working`` whether an entry is on
    its way to the venue.
    """
    for k in range(count):
        symbols[k], numbers[k] = whole[k, 0], whole[k, 1]
        for field in range(5):
            bars[k, field] = real[k, 2 + field]
    wrong = advance_rows(
        groups, starts, cells, last, fresh, links, link_starts, roles, symbols[:count], numbers[:count], bars, runs
    )
    if wrong >= 0:
        return wrong
    j = 0
    for k in range(count):
        for place in range(owner_starts[symbols[k]], owner_starts[symbols[k] + 1]):
            p = owners[place]
            own = accounts[p : p + 1]
            row = own[0]
            cost = CostNumbers(
                costs[p, 0], costs[p, 1], costs[p, 2], costs[p, 3], costs[p, 4], costs[p, 5], costs[p, 6],
                costs[p, 7], costs[p, 8],
            )  # fmt: skip
            sizing = SizingNumbers(sizings[p, 0], sizings[p, 1], sizings[p, 2])
            close = bars[k, 3]
            made = 0
            shadow = row.side != 0.0 or (row.due_side != 0.0 and not row.due_quantity > 0.0)
            if paper or (row.quantity == 0.0 and shadow):
                if not paper:
                    row.due_quantity = 0.0
                    if working[p] != 0:
                        row.due_side = 0.0
                price = bars[k, 0]
                if delayed and (row.due_close != 0 or row.due_side != 0.0):
                    price = close if np.isnan(real[k, 7]) else real[k, 7]
                before = row.trades
                row.trades = 0
                trailing = rules[p, 3] != 0.0
                open_bar(own, scratch[j], digested[p], price, bars[k, 1], bars[k, 2], trailing, sizing, cost)
                made = row.trades
                row.trades = before + made
            elif row.quantity != 0.0:
                row.best = max(row.best, bars[k, 1]) if row.side > 0.0 else min(row.best, bars[k, 2])
            if not paper:
                row.due_side = 0.0
                row.due_close = 0
            at = 6 * p
            entry = roles[at] == roles[at] and roles[at] != 0.0
            leave = roles[at + 1] == roles[at + 1] and roles[at + 1] != 0.0
            short_entry = roles[at + 2] == roles[at + 2] and roles[at + 2] != 0.0
            short_leave = roles[at + 3] == roles[at + 3] and roles[at + 3] != 0.0
            stop, target = roles[at + 4], roles[at + 5]
            rule = (rules[p, 0] != 0.0, rules[p, 1] != 0.0, np.int64(rules[p, 2]))
            close_bar(own, close, entry, leave, short_entry, short_leave, stop, target, rule, sizing, cost)
            digested[p] += 1
            working[p] = 0
            out[j, 0] = made
            out[j, 1], out[j, 2], out[j, 3] = row.equity, row.quantity, row.side
            out[j, 4], out[j, 5], out[j, 6] = row.due_side, row.due_quantity, row.due_close
            out[j, 7], out[j, 8], out[j, 9] = row.due_stop, row.due_target, row.best
            out[j, 10], out[j, 11], out[j, 12], out[j, 13] = entry, leave, short_entry, short_leave
            out[j, 14], out[j, 15] = stop, target
            j += 1
    return wrong


class Deciding:
    """Accounts side by side in memory, with the rules, sizes and costs they decide by.

    Parameters
    ----------
    together : Together
        All programs.
    programs : sequence of (int, Program, Costs)
        In the order of ``together``'s, the place of the symbol each follows first.
    paper : bool
        Whether the simulation's kernel fills everything.
    delayed : bool
        Whether orders due at an open meet a price of later.

    Attributes
    ----------
    accounts : ndarray of ``ACCOUNT``, shape (programs,)
    digested : ndarray of int64, shape (programs,)
        Bars each account has closed.
    working : ndarray of uint8, shape (programs,)
        Whether an entry is on its way to the venue; set it before the call, which clears it.
    owners : list of list of int
        The accounts of each symbol, in the order of the rows that a call returns.
    fresh : ndarray of ``TRADE``, shape (programs, 2)
        Trades of the last call, by its rows.
    """

    def __init__(
        self, together: Together, programs: Sequence[tuple[int, Program, Costs]], *, paper: bool, delayed: bool
    ) -> None:
        count, places = len(programs), len(together.symbols)
        self.together = together
        self.accounts = np.zeros(count, ACCOUNT)
        self.digested, self.working = np.zeros(count, np.int64), np.zeros(count, np.uint8)
        self.fresh = np.zeros((count, 2), TRADE)
        rules, sizings, costs = np.zeros((count, 4)), np.zeros((count, 3)), np.zeros((count, 9))
        self.owners: list[list[int]] = [[] for _ in range(places)]
        for p, (place, program, cost) in enumerate(programs):
            self.owners[place].append(p)
            self.accounts[p] = new_account(cost.initial_cash)[0]
            has = (program.role("stop") is not None, program.role("target") is not None)
            rules[p] = (*has, program.max_hold, program.trailing)
            sizings[p], costs[p] = sizing_numbers(program.sizing), cost.numbers()
        flat = np.array([p for owned in self.owners for p in owned], np.int64)
        owner_starts = np.cumsum([0, *map(len, self.owners)]).astype(np.int64)
        bars = np.zeros((places, BAR.size // 8))
        self._bytes: Any = bars.view(np.uint8).reshape(-1)  # a buffer, which the annotations of numpy do not say
        self._whole, self._real = bars.view(np.int64), bars
        self._room = np.zeros(places, np.int64), np.zeros(places, np.int64), np.zeros((places, 5))
        self._out = np.zeros((count, len(OUT)))
        self._kept = (
            *together.arrays, self._whole, self._real, *self._room, self.accounts, self.digested, flat, owner_starts,
            rules, sizings, costs, self.working, self.fresh, self._out,
        )  # fmt: skip
        self._fixed = paper, delayed
        self._table = table_of(self._kept, KINDS)

    def put(self, k: int, place: int, number: int, bar: Candle, reached: float) -> None:
        """Write the ``k``-th bar of the next call.

        Parameters
        ----------
        k : int
        place : int
            Of the series, in ``together.symbols``; each at most once in a call.
        number : int
            Of the bar.
        bar : Candle
        reached : float
            The price that orders due at the open met late, NaN: its close.
        """
        BAR.pack_into(
            self._bytes, BAR.size * k, place, number, bar.open, bar.high, bar.low, bar.close, bar.volume, reached
        )

    def __call__(self, count: int, accounts: int) -> list[list[float]]:
        """Advance the programs by the first ``count`` bars that were put, and close them for their accounts.

        Parameters
        ----------
        count : int
        accounts : int
            How many the series of these bars have.

        Returns
        -------
        list of list of float
            A row of ``OUT`` for each account, series after series.

        Raises
        ------
        Failed
            A bar is not later than the one before; nothing has changed.
        """
        wrong = close_rows(self._table, count, *self._fixed)
        if wrong >= 0:
            raise self.together.refused(wrong, self._room[0], self._room[1])
        rows: list[list[float]] = self._out[:accounts].tolist()
        return rows
