"""Many strategies on many symbols over one account: the simulation of a portfolio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import FIELDS
from engine.graph.program import Sizing
from engine.risk import Limits
from engine.risk.state import DEPTH, History, new_book, new_legs
from engine.simulate.account import TRADE, new_account
from engine.simulate.costs import Costs, sizing_numbers
from engine.simulate.course import count
from engine.simulate.pool import CLOSE, OPEN, REFUSAL, run_pool
from engine.simulate.run import Decisions, check_decisions, open_trade
from engine.simulate.tally import METRICS, TALLY, WHOLE_METRICS, metrics
from parquet_store import Timeframe
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["Leg", "LegCourse", "PortfolioSimulation", "capital_of", "simulate_portfolio"]

YEAR_MS = 365.25 * 86_400_000


@dataclass(frozen=True)
class Leg:
    """One strategy on one symbol.

    Attributes
    ----------
    name : str
        For people, and unique.
    bars : Bars
        Legs of one series may share the object.
    decisions : Decisions
    costs : Costs
    sizing : Sizing
    share : float
        Of the account's equity, what sizes are measured by.
    strategy : str
        Legs of one strategy count their entries of a day together; empty: the leg by itself.
    past : Bars, optional
        The bars before, which correlations and values at risk look back at.
    """

    name: str
    bars: Bars
    decisions: Decisions
    costs: Costs
    sizing: Sizing
    share: float = 1.0
    strategy: str = ""
    past: Bars | None = None


@dataclass(frozen=True)
class LegCourse:
    """What one leg did; arrays as in ``Simulation``, its equity that of its part of the cash."""

    name: str
    bars: Bars
    trades: NDArray[Any]
    open_trade: NDArray[Any]
    equity: NDArray[np.float64]
    invested: NDArray[np.bool_]
    ordered: NDArray[np.float64]

    @property
    def all_trades(self) -> NDArray[Any]:
        """Closed trades, then the open one."""
        return np.concatenate([self.trades, self.open_trade])


@dataclass(frozen=True)
class PortfolioSimulation:
    """The course of an account.

    Attributes
    ----------
    legs : tuple of LegCourse
    time : ndarray of int64, shape (m,)
        Every moment at which a bar of a leg closed, ms.
    equity : ndarray of float64, shape (m,)
        Of the whole account, quote currency.
    refusals : ndarray of ``REFUSAL``
        Entries a limit refused or made smaller.
    book : ndarray of ``engine.risk.state.BOOK``, shape (1,)
        What the limits remember at the end.
    initial_cash : float
    bars_per_year : float
    """

    legs: tuple[LegCourse, ...]
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    refusals: NDArray[Any]
    book: NDArray[Any]
    initial_cash: float
    bars_per_year: float

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every figure of the account by name, NaN where undefined; trades are those of all legs."""
        first = min(int(leg.bars.time[0]) for leg in self.legs)
        years = float(self.time[-1] - first) / YEAR_MS
        trades = np.concatenate([leg.trades for leg in self.legs])
        still = np.concatenate([leg.open_trade for leg in self.legs])
        held = self._invested()
        tally = np.empty(len(TALLY))
        count(self.equity, held, trades, float(still["fees"].sum()), float(still.size > 0), self.initial_cash, tally)
        row = metrics(tally[None], self.time.size, years, self.bars_per_year, self.initial_cash)
        found: dict[str, float] = dict(zip(METRICS, row[0].tolist(), strict=True))
        found |= {name: int(found[name]) for name in WHOLE_METRICS}
        return found | {"open_trade": bool(found["open_trade"])}

    def _invested(self) -> NDArray[np.bool_]:
        held = np.zeros(self.time.size, np.bool_)
        for leg in self.legs:
            closes = closes_of(leg.bars)
            held[np.searchsorted(self.time, closes[leg.invested])] = True
        return held


def capital_of(initial_cash: float, shares: Sequence[float]) -> tuple[list[float], float]:
    """Return what each leg starts with, and what belongs to none.

    Parameters
    ----------
    initial_cash : float
    shares : sequence of float
        If they sum to more than 1, the cash is dealt in their proportion.
    """
    total = max(sum(shares), 1.0)
    dealt = [initial_cash * share / total for share in shares]
    rest = initial_cash - sum(dealt)
    return dealt, rest if abs(rest) > 1e-9 * initial_cash else 0.0


def simulate_portfolio(
    legs: Sequence[Leg], *, initial_cash: float, limits: Limits | None = None, shared: bool = True
) -> PortfolioSimulation:
    """Run many strategies over one account.

    Parameters
    ----------
    legs : sequence of Leg
        In the order in which those that want to enter at one moment are asked.
    initial_cash : float
        Quote currency.
    limits : Limits, optional
        Of risk; none without.
    shared : bool
        Whether each leg sizes by its share of the whole account's equity and spends the cash of all; else it has its
        share at the start and what it makes of it.

    Raises
    ------
    Usage
        No legs, two of one name, decisions of another length than the bars, shares above 1 that are not shared, a
        short entry on a spot market, a size fixed at the fill.
    """
    check_legs(legs, shared)
    dealt, rest = capital_of(initial_cash, [leg.share for leg in legs])
    series = list({id(leg.bars): leg.bars for leg in legs}.values())
    place = {id(bars): s for s, bars in enumerate(series)}
    names = list(dict.fromkeys(leg.strategy or leg.name for leg in legs))
    accounts = np.concatenate([new_account(cash) for cash in dealt])
    states = new_legs([place[id(leg.bars)] for leg in legs], [names.index(leg.strategy or leg.name) for leg in legs])
    book, history = new_book(initial_cash, rest), History(len(series))
    for leg in legs:
        if leg.past is not None:
            history.fill(place[id(leg.bars)], closes_of(leg.past)[-DEPTH:], leg.past.close[-DEPTH:])
    events, moments = events_of(series)
    prices = tuple(np.concatenate([getattr(bars, name) for bars in series]) for name in FIELDS[:4])
    starts = (begins([len(bars) for bars in series]), begins([len(leg.bars) for leg in legs]))
    signals, distances = wants_of(legs)
    sizes = np.array([sizing_numbers(leg.sizing) for leg in legs])
    costs = np.array([leg.costs.numbers() for leg in legs])
    bars = sum(len(leg.bars) for leg in legs)
    curve = (np.zeros(moments, np.int64), np.zeros(moments))
    course = (np.zeros(bars), np.zeros(bars, np.bool_), np.full(bars, np.nan))
    trades, refusals, counts = (
        np.zeros((len(legs), 256), TRADE),
        np.zeros(4 * len(legs) + 256, REFUSAL),
        np.zeros(2, int),
    )
    numbers = (limits or Limits.none()).numbers()
    at = 0
    while True:
        at = run_pool(
            at, events, accounts, states, book, history.arrays, trades, prices, starts, signals, distances,
            rules_of(legs), sizes, costs, numbers, shared, curve, course, refusals, counts,
        )  # fmt: skip
        if at == events[0].size:
            break
        if counts[1] + len(legs) > refusals.size:
            refusals = np.concatenate([refusals, np.zeros_like(refusals)])
        else:
            trades = np.concatenate([trades, np.zeros_like(trades)], axis=1)
    found = []
    for k, leg in enumerate(legs):
        own, a, b = accounts[k : k + 1], starts[1][k], starts[1][k] + len(leg.bars)
        still = open_trade(own, leg.bars, len(leg.bars))
        made = trades[k, : int(own["trades"][0])].copy()
        equity, invested, ordered = course
        found.append(LegCourse(leg.name, leg.bars, made, still, equity[a:b], invested[a:b], ordered[a:b]))
    per_year = float(series[0].bars_per_year)
    if len(series) > 1:
        per_year = moments / (float(curve[0][-1] - min(int(one.time[0]) for one in series)) / YEAR_MS)
    return PortfolioSimulation(tuple(found), *curve, refusals[: counts[1]].copy(), book, initial_cash, per_year)


def check_legs(legs: Sequence[Leg], shared: bool) -> None:
    """Refuse what cannot be run; compiled code does not look at bounds."""
    if not legs:
        raise Usage("a portfolio of no strategies: give at least one")
    names = [leg.name for leg in legs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Usage(
            f"{', '.join(twice)} stands twice in the portfolio; give each strategy and symbol a name of its own"
        )
    total = sum(leg.share for leg in legs)
    if not shared and total > 1.0 + 1e-9:
        raise Usage(f"the shares sum to {total:g}, expected at most 1 where the cash is not shared")
    for leg in legs:
        if not len(leg.bars):
            raise Usage(f"{leg.name}: no bars")
        if leg.costs.size_at != "decision":
            raise Usage(f"{leg.name}: sizes fixed at the fill cannot be reviewed before; set size_at = decision")
        check_decisions(leg.bars, leg.decisions, leg.costs, leg.sizing)


def events_of(series: Sequence[Bars]) -> tuple[tuple[NDArray[Any], ...], int]:
    """Return (times, kinds, series, bars) of every open and close in order, and at how many moments bars close."""
    times, kinds, owners, bars = [], [], [], []
    for s, one in enumerate(series):
        closes = closes_of(one)
        for kind, moments in ((CLOSE, closes), (OPEN, one.time)):
            times.append(moments)
            kinds.append(np.full(len(one), kind, np.uint8))
            owners.append(np.full(len(one), s, np.int64))
            bars.append(np.arange(len(one)))
    columns = tuple(np.concatenate(x) for x in (times, kinds, owners, bars))
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return tuple(x[order] for x in columns), np.unique(columns[0][columns[1] == CLOSE]).size


def closes_of(bars: Bars) -> NDArray[np.int64]:
    """Return when each bar closes, ms."""
    return np.asarray(Timeframe.parse(bars.timeframe).close_ms(bars.number), np.int64)


def begins(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return where each part begins among all."""
    return np.cumsum([0, *sizes])[:-1].astype(np.int64)


def wants_of(legs: Sequence[Leg]) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
    """Return all legs' decisions behind each other: four flags, two distances."""
    sides = ("long_entry", "long_exit", "short_entry", "short_exit")
    flags = tuple(np.concatenate([getattr(leg.decisions, side) for leg in legs]) for side in sides)
    nothing = [np.full(len(leg.bars), np.nan) for leg in legs]
    ways = tuple(
        np.concatenate([none if d is None else d for d, none in zip(given, nothing, strict=True)])
        for given in ([leg.decisions.stop for leg in legs], [leg.decisions.target for leg in legs])
    )
    return flags, ways


def rules_of(legs: Sequence[Leg]) -> NDArray[np.float64]:
    """Return each leg's rules as `engine.simulate.pool` reads them."""
    return np.array(
        [
            (
                leg.decisions.stop is not None,
                leg.decisions.target is not None,
                leg.decisions.max_hold,
                leg.decisions.trailing,
                leg.share,
            )
            for leg in legs
        ],
        np.float64,
    )
