"""Closed bars to decisions, for all programs and sub-accounts of a step, in one compiled call.

The programs are advanced (`engine.graph.turn`).  Then, for each account: what is filled by the simulation's kernel (a
paper account, a shadow), the best price of a position, the account marked at the close, the decision with its size.
The kernels are `engine.simulate.account`'s own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.graph.program import Program
from engine.graph.resolve import ROLES
from engine.graph.together import Together
from engine.kernels.addresses import table_of
from engine.live.risk_rule import RiskRule
from engine.live.rows import close_rows
from engine.risk import Limits
from engine.risk.state import BOOK, LEG, History, new_book, new_legs
from engine.simulate import Costs
from engine.simulate.account import ACCOUNT, TRADE, new_account
from engine.simulate.costs import sizing_numbers
from engine.simulate.pool import KEPT
from pipelines.candles import Candle

__all__ = ["OUT", "Deciding", "Noted"]

BAR: Final = struct.Struct("<qq6d")  # place, number; open, high, low, close, volume, the price that late orders met
OUT = (
    "trades", "equity", "quantity", "side", "due_side", "due_quantity", "due_close", "due_stop", "due_target", "best",
    "limit", "asked", "met", *ROLES,
)  # fmt: skip
KINDS: Final = (
    np.uint64, np.int32, np.float64, np.int64, np.uint8, np.uint32, np.int64, np.float64, np.int64, np.int64,
    np.float64, np.int64, np.int64, np.float64, ACCOUNT, np.int64, np.int64, np.int64, np.float64, np.float64,
    np.float64, np.uint8, TRADE, np.float64, np.int64, np.int64, np.int64, np.int64, LEG, BOOK, np.int64, np.float64,
    np.float64, np.int64, np.int64, np.int64, np.float64, np.float64, np.float64, np.float64,
)  # fmt: skip


class Noted(NamedTuple):
    """One account, as whoever takes its fills writes them down.

    Attributes
    ----------
    account : ndarray of ``ACCOUNT``, shape (1,)
    leg : void of ``LEG``
    profits : ndarray of float64, shape (8,)
        Of its last trades, a ring by their number.
    """

    account: NDArray[Any]
    leg: Any
    profits: NDArray[np.float64]


class Deciding:
    """Accounts side by side in memory, with the rules, sizes and costs they decide by.

    Parameters
    ----------
    together : Together
        All programs.
    programs : sequence of (int, Program, Costs, float, str)
        In the order of ``together``'s: the place of the symbol it follows, the program, its costs, its share of the
        account, the name of its strategy.
    paper : bool
        Whether the simulation's kernel fills everything.
    delayed : bool
        Whether orders due at an open meet a price of later.
    rule : RiskRule

    Attributes
    ----------
    accounts : ndarray of ``ACCOUNT``, shape (programs,)
    digested : ndarray of int64, shape (programs,)
        Bars each account has closed.
    working : ndarray of uint8, shape (programs,)
        Whether an entry is on its way to the venue; set it before the call, which clears it.
    legs : ndarray of ``LEG``, shape (programs,)
        What the limits remember of each; fills are noted there by whoever takes them.
    book : ndarray of ``BOOK``, shape (1,)
        What they remember of the account.
    profits : ndarray of float64, shape (programs, 8)
        Of each account's last trades, a ring.
    owners : list of list of int
        The accounts of each symbol, in the order of the rows that a call returns.
    fresh : ndarray of ``TRADE``, shape (programs, 2)
        Trades of the last call, by its rows.
    """

    def __init__(
        self,
        together: Together,
        programs: Sequence[tuple[int, Program, Costs, float, str]],
        rule: RiskRule,
        *,
        paper: bool,
        delayed: bool,
    ) -> None:
        count, places = len(programs), len(together.symbols)
        self.together = together
        self.accounts = np.zeros(count, ACCOUNT)
        self.digested, self.working = np.zeros(count, np.int64), np.zeros(count, np.uint8)
        self.fresh = np.zeros((count, 2), TRADE)
        rules, sizings, costs = np.zeros((count, 5)), np.zeros((count, 3)), np.zeros((count, 9))
        names = list(dict.fromkeys(name for *_, name in programs))
        self.legs = new_legs([place for place, *_ in programs], [names.index(name) for *_, name in programs])
        self.profits = np.zeros((count, KEPT))
        self.owners: list[list[int]] = [[] for _ in range(places)]
        for p, (place, program, cost, share, _) in enumerate(programs):
            self.owners[place].append(p)
            self.accounts[p] = new_account(cost.initial_cash)[0]
            has = (program.role("stop") is not None, program.role("target") is not None)
            rules[p] = (*has, program.max_hold, program.trailing, share)
            sizings[p], costs[p] = sizing_numbers(program.sizing), cost.numbers()
        flat = np.array([p for owned in self.owners for p in owned], np.int64)
        owner_starts = np.cumsum([0, *map(len, self.owners)]).astype(np.int64)
        bars = np.zeros((places, BAR.size // 8))
        self._bytes: Any = bars.view(np.uint8).reshape(-1)  # a buffer, which the annotations of numpy do not say
        self._whole, self._real = bars.view(np.int64), bars
        self._room = np.zeros(places, np.int64), np.zeros(places, np.int64), np.zeros((places, 5))
        self._out = np.zeros((count, len(OUT)))
        self.book = new_book(sum(cost.initial_cash for _, _, cost, _, _ in programs) + rule.reserve, rule.reserve)
        self.history = History(places)
        for series, (times, closes) in rule.closes.items():
            self.history.fill(together.place[series], times, closes)
        self._limits = np.array((rule.limits or Limits.none()).numbers())
        room = [np.full(count, -1), *(np.zeros(count, np.int64) for _ in range(3))]
        self._kept = (
            *together.arrays, self._whole, self._real, *self._room, self.accounts, self.digested, flat, owner_starts,
            rules, sizings, costs, self.working, self.fresh, self._out, *room, self.legs, self.book,
            *self.history.arrays, self._limits, self.profits, np.zeros((2, 250)), np.zeros(count),
        )  # fmt: skip
        self._fixed = paper, delayed, rule.guards, rule.shared
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

    def noted(self, k: int) -> Noted:
        """Return where what happens to an account is noted."""
        return Noted(self.accounts[k : k + 1], self.legs[k], self.profits[k])

    def limit(self, limits: Limits) -> None:
        """Let other limits hold from the next close on."""
        self._limits[:] = limits.numbers()

    def __call__(self, count: int, accounts: int, time_ms: int) -> list[list[float]]:
        """Advance the programs by the first ``count`` bars that were put, and close them for their accounts.

        Parameters
        ----------
        count : int
        time_ms : int
            When they closed.
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
        wrong = close_rows(self._table, count, time_ms, *self._fixed)
        if wrong >= 0:
            raise self.together.refused(wrong, self._room[0], self._room[1])
        rows: list[list[float]] = self._out[:accounts].tolist()
        return rows
