"""What is tested: one account through all test windows, each under the combination its training window chose.

The first decision of a window is made at the close before its first bar, by the combination chosen up to there, and
fills at its first open; what is held at its last close is sold there, with slippage and fee.  Indicators know all bars
before, and so does Kelly's ring of past trades; money is what the window before left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import Program
from engine.research.walk.windows import Span
from engine.simulate import METRICS, REASONS, Costs, Decisions, decide
from engine.simulate.account import TRADE, new_account
from engine.simulate.costs import sizing_numbers
from engine.simulate.course import count, run_account
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, WHOLE_METRICS, metrics
from pipelines import Bars

__all__ = ["WAYS_OUT", "Course", "run_window", "stitched"]

WAYS_OUT = (*REASONS, "window_end")
WINDOW_END = len(REASONS)


@dataclass(frozen=True, eq=False)
class Course:
    """An account through one test window, or through several one after the other.

    Attributes
    ----------
    window : (int, int)
        First bar and one past the last.
    begin : float
        Equity before the first bar, quote currency.
    equity : ndarray of float64, shape (n,)
        At each close; at the last one after everything is sold.
    invested : ndarray of bool, shape (n,)
        Whether the bar held a position at any moment.
    position : ndarray of float64, shape (n,)
        Held after each close, base currency, negative when short.
    trades : ndarray of ``TRADE``
        Bars by their number in the whole series; the reason is a place in ``WAYS_OUT``.
    past : ndarray of ``TRADE``
        What the same program closed before the window, from the first bar on, with the initial cash; empty where
        several windows are put together.
    """

    window: Span
    begin: float
    equity: NDArray[np.float64]
    invested: NDArray[np.bool_]
    position: NDArray[np.float64]
    trades: NDArray[Any]
    past: NDArray[Any]

    @property
    def returns(self) -> NDArray[np.float64]:
        """The return of each bar; 0 where the equity before was not above 0."""
        before = np.concatenate([[self.begin], self.equity[:-1]])
        return np.where(before > 0.0, self.equity / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)

    def metrics(self, bars: Bars) -> dict[str, float]:
        """Return every figure by name, of these bars alone, by the formulas of the simulation; NaN where undefined."""
        here, tally = bars.slice(*self.window), np.zeros(len(TALLY))
        count(self.equity, self.invested, self.trades, 0.0, 0.0, self.begin, tally)
        row = metrics(tally[None], len(here), years_of(here), bars.bars_per_year, self.begin)
        found: dict[str, float] = dict(zip(METRICS, row[0].tolist(), strict=True))
        found |= {name: int(found[name]) for name in WHOLE_METRICS}
        return found | {"open_trade": False}


def run_window(bars: Bars, program: Program, window: Span, costs: Costs, cash: float, profit: float = 0.0) -> Course:
    """Run an account that begins flat through a window.

    Parameters
    ----------
    bars : Bars
        The whole series; no bar after the window is looked at.
    program : Program
    window : (int, int)
        First bar, at least 1, and one past the last.
    costs : Costs
    cash : float
        Quote currency.
    profit : float
        Closed profit of the windows before, which a fixed ratio counts on.
    """
    begin, end = window
    seen = bars.slice(0, end)
    decisions = decide(program, seen)
    account = new_account(cash)
    account["closed_profit"] = profit
    before = new_account(costs.initial_cash)
    past, _, _ = _advance(before, seen, decisions, costs, program, 0, begin)
    if program.sizing.kind == "kelly":
        account["returns"], account["closed"] = before["returns"], before["closed"]
    trades, equity, invested = _advance(account, seen, decisions, costs, program, begin - 1, end)
    if account["quantity"][0] != 0.0:
        trades = np.concatenate([trades, _sold(account, seen, costs)])
        equity[-1] = account["cash"][0]
    position = np.zeros(end)
    for trade in trades:
        position[trade["entry_bar"] : trade["exit_bar"]] = trade["side"] * trade["quantity"]
    # what happened before the window is the flat bar of the first decision
    return Course(window, cash, equity[begin:], invested[begin:], position[begin:], trades, past)


def _advance(
    account: NDArray[Any], bars: Bars, decisions: Decisions, costs: Costs, program: Program, start: int, stop: int
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
    """Run an account from bar ``start`` to before ``stop``; return closed trades, and equity and invested by bar."""
    none = np.empty(0)
    prices = tuple(p[:stop] for p in (bars.open, bars.high, bars.low, bars.close))
    flags = (decisions.long_entry, decisions.long_exit, decisions.short_entry, decisions.short_exit)
    signals = tuple(flag[:stop] for flag in flags)
    distances = tuple(none if d is None else np.ascontiguousarray(d[:stop]) for d in (decisions.stop, decisions.target))
    rules = (decisions.stop is not None, decisions.target is not None, decisions.max_hold)
    trades = np.zeros(1024, TRADE)
    equity, ordered, invested = np.empty(stop), np.empty(stop), np.zeros(stop, np.bool_)
    numbers, rule = costs.numbers(), sizing_numbers(program.sizing)
    at = start
    while True:
        at = run_account(
            account, trades, at, prices, signals, distances, rules, decisions.trailing, rule, numbers,
            equity, invested, ordered,
        )  # fmt: skip
        if at == stop:
            return trades[: int(account["trades"][0])], equity, invested
        trades = np.concatenate([trades, np.zeros(trades.size, TRADE)])


def _sold(account: NDArray[Any], bars: Bars, costs: Costs) -> NDArray[Any]:
    """Sell what is held at the last close, as a market order would; return the trade."""
    held = account[0]
    side, quantity = float(held["side"]), abs(float(held["quantity"]))
    price = float(bars.close[-1]) * (1.0 - side * costs.slippage)
    fee = costs.fee * (quantity * price)
    paid = float(held["entry_fee"]) + fee
    profit = side * quantity * (price - float(held["entry_price"])) - paid
    held["cash"] += side * quantity * price - fee
    made = np.zeros(1, TRADE)
    made[0] = (
        held["entry_bar"], len(bars) - 1, int(side), WINDOW_END, quantity, held["entry_price"], price, paid, profit,
    )  # fmt: skip
    return made


def stitched(courses: list[Course]) -> Course:
    """Return windows that follow each other as one course."""

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(course, name) for course in courses])

    return Course(
        (courses[0].window[0], courses[-1].window[1]),
        courses[0].begin,
        joined("equity"),
        joined("invested"),
        joined("position"),
        joined("trades"),
        np.zeros(0, TRADE),
    )
