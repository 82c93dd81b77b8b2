"""The plain simulation: one account, one series, bar after bar.  Every faster way must equal it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import Program, columns
from engine.graph.drive import Columns
from engine.graph.program import Sizing
from engine.simulate.account import TRADE, new_account
from engine.simulate.costs import Costs, sizing_numbers
from engine.simulate.course import count, run_account
from engine.simulate.tally import METRICS, TALLY, WHOLE_METRICS, metrics
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["REASONS", "Decisions", "Simulation", "decide", "decisions_of", "simulate", "simulate_program"]

REASONS = ("signal", "stop", "target", "max_hold", "risk")


@dataclass(frozen=True)
class Decisions:
    """What a strategy wants at each close.

    Attributes
    ----------
    long_entry, long_exit, short_entry, short_exit : ndarray of bool, shape (n,)
    stop, target : ndarray of float64, shape (n,), or None
        Distance from the fill price, quote currency; NaN or <= 0: no entry; None: the strategy has none.
    trailing : bool
    max_hold : int
        0: none.
    """

    long_entry: NDArray[np.bool_]
    long_exit: NDArray[np.bool_]
    short_entry: NDArray[np.bool_]
    short_exit: NDArray[np.bool_]
    stop: NDArray[np.float64] | None = None
    target: NDArray[np.float64] | None = None
    trailing: bool = False
    max_hold: int = 0


@dataclass(frozen=True)
class Simulation:
    """One account's course.

    Attributes
    ----------
    bars : Bars
    trades : ndarray of ``TRADE``, shape (trades,)
        Closed trades, bars by index.
    open_trade : ndarray of ``TRADE``, shape (0,) or (1,)
        The position at the end, marked at the last close, ``exit_bar`` -1.
    equity : ndarray of float64, shape (n,)
        At each close, quote currency.
    invested : ndarray of bool, shape (n,)
        Whether the bar held a position at any moment.
    ordered : ndarray of float64, shape (n,)
        The quantity of the entry each close considered, 0 if it came to nothing, NaN if it considered none; 0 too
        where a shadow of size 0 is followed.
    tally : ndarray of float64, shape (len(TALLY),)
    """

    bars: Bars
    costs: Costs
    trades: NDArray[Any]
    open_trade: NDArray[Any]
    equity: NDArray[np.float64]
    invested: NDArray[np.bool_]
    ordered: NDArray[np.float64]
    tally: NDArray[np.float64]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every figure by name, NaN where undefined."""
        row = metrics(
            self.tally[None], len(self.bars), years_of(self.bars), self.bars.bars_per_year, self.costs.initial_cash
        )
        found: dict[str, float] = dict(zip(METRICS, row[0].tolist(), strict=True))
        found |= {name: int(found[name]) for name in WHOLE_METRICS}
        return found | {"open_trade": bool(found["open_trade"])}


def years_of(bars: Bars) -> float:
    """Return the time from the first bar's open to the last bar's close in years of 365.25 days."""
    from parquet_store import Timeframe

    return float(Timeframe.parse(bars.timeframe).close_ms(int(bars.number[-1])) - int(bars.time[0])) / (
        365.25 * 86_400_000
    )


def simulate(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> Simulation:
    """Run one account over one series, from the first bar to the last.

    Parameters
    ----------
    bars : Bars
    decisions : Decisions
    costs : Costs
    sizing : Sizing

    Raises
    ------
    Usage
        Decisions of another length, a short entry where the venue lets none, ``atr_risk`` without a stop.
    """
    n = len(bars)
    check_decisions(bars, decisions, costs, sizing)
    none = np.empty(0)
    distances = tuple(none if d is None else np.ascontiguousarray(d) for d in (decisions.stop, decisions.target))
    signals = (decisions.long_entry, decisions.long_exit, decisions.short_entry, decisions.short_exit)
    rules = (decisions.stop is not None, decisions.target is not None, decisions.max_hold)
    prices = (bars.open, bars.high, bars.low, bars.close)
    account, trades = new_account(costs.initial_cash), np.zeros(1024, TRADE)
    equity, ordered, invested, tally = np.empty(n), np.empty(n), np.zeros(n, np.bool_), np.zeros(len(TALLY))
    numbers, rule = costs.numbers(), sizing_numbers(sizing)
    at = 0
    while True:
        at = run_account(
            account,
            trades,
            at,
            prices,
            signals,
            distances,
            rules,
            decisions.trailing,
            rule,
            numbers,
            equity,
            invested,
            ordered,
        )
        if at == n:
            break
        trades = np.concatenate([trades, np.zeros(trades.size, TRADE)])
    closed = trades[: int(account["trades"][0])]
    still = open_trade(account, bars, n)
    fee = float(still["fees"].sum())
    count(equity, invested, closed, fee, float(still.size > 0), costs.initial_cash, tally)
    return Simulation(bars, costs, closed, still, equity, invested, ordered, tally)


def check_decisions(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> None:
    """Refuse what compiled code does not look at, as `simulate` says."""
    for item in fields(decisions):
        value = getattr(decisions, item.name)
        if isinstance(value, np.ndarray) and value.shape != (len(bars),):
            raise Usage(f"decisions for {value.size} bars ({item.name}), expected {len(bars)}")
    if decisions.short_entry.any() and not costs.short:
        raise Usage(
            f"{bars.source}: the strategy goes short, a spot market does not; use a perpetual or set costs short=true"
        )
    if sizing.kind == "atr_risk" and decisions.stop is None:
        raise Usage("sizing atr_risk needs a stop: give the signals a stop, or choose another sizing")


def open_trade(account: NDArray[Any], bars: Bars, n: int) -> NDArray[Any]:
    """Return the position held after ``n`` bars as a trade without an exit, marked at the last close."""
    held = account[0]
    if held["quantity"] == 0.0:
        return np.zeros(0, TRADE)
    made = np.zeros(1, TRADE)
    close = bars.close[n - 1]
    profit = held["quantity"] * (close - held["entry_price"]) - held["entry_fee"]
    made[0] = (
        held["entry_bar"], -1, int(held["side"]), -1, abs(held["quantity"]),
        held["entry_price"], close, held["entry_fee"], profit,
    )  # fmt: skip
    return made


def decisions_of(found: Columns) -> Decisions:
    """Return the decisions a program's columns say."""
    n = found.fields["close"].size

    def flags(role: str) -> NDArray[np.bool_]:
        column = found.role(role)
        if column is None:
            return np.zeros(n, np.bool_)
        return (column < 0.0) | (column > 0.0)  # what is unknown is false

    program = found.program
    return Decisions(
        flags("entry"),
        flags("exit"),
        flags("short_entry"),
        flags("short_exit"),
        found.role("stop"),
        found.role("target"),
        program.trailing,
        program.max_hold,
    )


def decide(program: Program, bars: Bars) -> Decisions:
    """Run a program over history and return what it decides; its other columns are not kept."""
    return decisions_of(columns(program, bars, only=[ref for _, ref in program.roles]))


def simulate_program(program: Program, bars: Bars, costs: Costs, sizing: Sizing | None = None) -> Simulation:
    """Run a program over history and simulate what it decides; ``sizing`` overrides the program's own."""
    return simulate(bars, decide(program, bars), costs, sizing or program.sizing)
