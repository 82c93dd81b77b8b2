"""What a bot would have done over stored bars: the same settings, programs and limits as live, simulated."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from engine.live.setup import series_of
from engine.live.start import Plan, frame_of, guarded_program, load_plan
from engine.manifest import Manifest
from engine.settings import BotSettings
from engine.simulate import Decisions, decide
from engine.simulate.portfolio import Leg, PortfolioSimulation, simulate_portfolio
from parquet_store import Store
from parquet_store.errors import Usage
from parquet_store.moments import Moment, moment_ms, to_text
from pipelines import Bars, load_bars

__all__ = ["Backtest", "backtest"]


@dataclass(frozen=True)
class Backtest:
    """A simulated bot.

    Attributes
    ----------
    plan : Plan
    found : PortfolioSimulation
        Its legs named as the bot names its sub-accounts.
    """

    plan: Plan
    found: PortfolioSimulation


def backtest(settings: BotSettings, store: Store, start: Moment | None = None, end: Moment | None = None) -> Backtest:
    """Simulate what settings name.

    Parameters
    ----------
    settings : BotSettings
    store : Store
        Bars are those the bot starts from; indicators follow them from the first one stored.
    start, end : Moment, optional
        Trade only on bars that open at ``start`` or later and before ``end``.

    Raises
    ------
    Usage, Failed
        As ``load_plan``; a series is not stored, or has no bar in the range.
    """
    plan = load_plan(settings)
    whole: dict[str, Bars] = {}
    legs: list[Leg] = []
    for name, manifest, symbol, share in plan.placed:
        series = series_of(symbol, frame_of(manifest))
        if series not in whole:
            whole[series] = load_bars(store, plan.sources[series], None, end)
        legs.append(leg_of(settings, name, manifest, symbol, share, whole[series]))
    first, last = moment_ms(start), max(int(bars.time[-1]) for bars in whole.values())
    if first is not None:
        if first > last:
            raise Usage(f"no bars from {start}: the last that is stored opens at {to_text(last)}")
        cut = {series: int(np.searchsorted(bars.time, first)) for series, bars in whole.items()}
        pieces = {id(bars): (bars.slice(cut[series]), cut[series]) for series, bars in whole.items()}
        legs = [late(leg, *pieces[id(leg.bars)]) for leg in legs]
        empty = sorted({leg.name for leg in legs if not len(leg.bars)})
        if empty:
            raise Usage(f"{', '.join(empty)}: no bars from {start} on")
    found = simulate_portfolio(
        legs, initial_cash=settings.paper.cash, limits=settings.limits, shared=settings.account.shared
    )
    return Backtest(plan, found)


def leg_of(settings: BotSettings, name: str, manifest: Manifest, symbol: str, share: float, bars: Bars) -> Leg:
    """Return one sub-account of the bot as a leg of the simulation."""
    program = guarded_program(settings, manifest)
    costs = replace(manifest.costs, initial_cash=settings.paper.cash * share, short=":" in symbol)
    return Leg(name, bars, decide(program, bars), costs, program.sizing, share, manifest.digest)


def late(leg: Leg, bars: Bars, at: int) -> Leg:
    """Return the leg from one of its bars on; ``bars`` are those."""
    d = leg.decisions
    parts = {item.name: getattr(d, item.name) for item in fields(Decisions)}
    cut: dict[str, Any] = {name: value[at:] for name, value in parts.items() if isinstance(value, np.ndarray)}
    return replace(leg, bars=bars, decisions=replace(d, **cut), past=leg.bars.slice(0, at))
