"""The decisions of all sub-accounts that a step closes a bar for, in one compiled call.

For each: what is filled by the simulation's kernel (a paper account, a shadow), the best price of a position, the
account marked at the close, the decision with its size.  The kernels are `engine.simulate.account`'s own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.graph.program import Program
from engine.jit import compiled
from engine.simulate import Costs
from engine.simulate.account import ACCOUNT, TRADE, close_bar, new_account, open_bar
from engine.simulate.costs import CostNumbers, SizingNumbers, sizing_numbers

__all__ = ["OUT", "Deciding"]

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
)


@compiled
def decide_rows(
    accounts, digested, symbols, owners, owner_starts, bars, reached, roles, rules, sizings, costs, paper, working,
    scratch, out,
):  # fmt: skip
    """Close a bar for every account of ``symbols``; rows of ``out`` are ``OUT``, new trades are in ``scratch``.

    ``owners`` lists the accounts of each symbol, ``digested`` the bars of each account; ``reached`` is the price that
    orders due at the open met late, empty if none does; ``working`` says whether an entry is on its way to the venue.
    """
    j = 0
    for k in range(symbols.size):
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
            fresh = 0
            shadow = row.side != 0.0 or (row.due_side != 0.0 and not row.due_quantity > 0.0)
            if paper or (row.quantity == 0.0 and shadow):
                if not paper:
                    row.due_quantity = 0.0
                    if working[p] != 0:
                        row.due_side = 0.0
                price = bars[k, 0]
                if reached.size > 0 and (row.due_close != 0 or row.due_side != 0.0):
                    price = close if np.isnan(reached[k]) else reached[k]
                before = row.trades
                row.trades = 0
                trailing = rules[p, 3] != 0.0
                open_bar(own, scratch[j], digested[p], price, bars[k, 1], bars[k, 2], trailing, sizing, cost)
                fresh = row.trades
                row.trades = before + fresh
            elif row.quantity != 0.0:
                row.best = max(row.best, bars[k, 1]) if row.side > 0.0 else min(row.best, bars[k, 2])
            if not paper:
                row.due_side = 0.0
                row.due_close = 0
            entry = roles[p, 0] == roles[p, 0] and roles[p, 0] != 0.0
            leave = roles[p, 1] == roles[p, 1] and roles[p, 1] != 0.0
            short_entry = roles[p, 2] == roles[p, 2] and roles[p, 2] != 0.0
            short_leave = roles[p, 3] == roles[p, 3] and roles[p, 3] != 0.0
            rule = (rules[p, 0] != 0.0, rules[p, 1] != 0.0, np.int64(rules[p, 2]))
            close_bar(own, close, entry, leave, short_entry, short_leave, roles[p, 4], roles[p, 5], rule, sizing, cost)
            digested[p] += 1
            out[j, 0] = fresh
            out[j, 1], out[j, 2], out[j, 3] = row.equity, row.quantity, row.side
            out[j, 4], out[j, 5], out[j, 6] = row.due_side, row.due_quantity, row.due_close
            out[j, 7], out[j, 8], out[j, 9] = row.due_stop, row.due_target, row.best
            j += 1


class Deciding:
    """Accounts side by side in memory, with the rules, sizes and costs they decide by.

    Parameters
    ----------
    programs : sequence of (int, Program, Costs)
        The place of the symbol each follows, as in `Together.symbols`.
    paper : bool
        Whether the simulation's kernel fills everything.

    Attributes
    ----------
    accounts : ndarray of ``ACCOUNT``, shape (programs,)
    digested : ndarray of int64, shape (programs,)
        Bars each account has closed.
    working : ndarray of uint8, shape (programs,)
        Whether an entry is on its way to the venue; set it before the call.
    owners : list of list of int
        The accounts of each symbol, in the order of the rows that a call returns.
    fresh : ndarray of ``TRADE``, shape (programs, 2)
        Trades of the last call, by its rows.
    """

    def __init__(self, programs: Sequence[tuple[int, Program, Costs]], *, paper: bool) -> None:
        count = len(programs)
        self.accounts = np.zeros(count, ACCOUNT)
        self.digested, self.working = np.zeros(count, np.int64), np.zeros(count, np.uint8)
        self.fresh = np.zeros((count, 2), TRADE)
        rules, sizings, costs = np.zeros((count, 4)), np.zeros((count, 3)), np.zeros((count, 9))
        self.owners: list[list[int]] = [[] for _ in range(1 + max(place for place, _, _ in programs))]
        for p, (place, program, cost) in enumerate(programs):
            self.owners[place].append(p)
            self.accounts[p] = new_account(cost.initial_cash)[0]
            has = (program.role("stop") is not None, program.role("target") is not None)
            rules[p] = (*has, program.max_hold, program.trailing)
            sizings[p], costs[p] = sizing_numbers(program.sizing), cost.numbers()
        flat = np.array([p for owned in self.owners for p in owned], np.int64)
        starts = np.cumsum([0, *map(len, self.owners)]).astype(np.int64)
        self._owners, self._fixed = (flat, starts), (rules, sizings, costs, paper, self.working, self.fresh)
        self._out = np.zeros((count, len(OUT)))

    def __call__(
        self,
        symbols: NDArray[np.int64],
        bars: NDArray[np.float64],
        reached: NDArray[np.float64],
        roles: NDArray[np.float64],
        count: int,
    ) -> list[list[float]]:
        """Close a bar for all accounts of some symbols.

        Parameters
        ----------
        symbols : ndarray of int64, shape (k,)
        bars : ndarray of float64, shape (k, 5)
            Open, high, low, close, volume.
        reached : ndarray of float64, shape (k,) or (0,)
            The price that orders due at the open met late; empty: they meet the open.
        roles : ndarray of float64, shape (programs, 6)
        count : int
            How many accounts these symbols have.

        Returns
        -------
        list of list of float
            A row of ``OUT`` for each, symbol after symbol.
        """
        decide_rows(self.accounts, self.digested, symbols, *self._owners, bars, reached, roles, *self._fixed, self._out)
        rows: list[list[float]] = self._out[:count].tolist()
        return rows
