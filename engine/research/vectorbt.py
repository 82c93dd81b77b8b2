"""VectorBT as an independent check of a sweep and as a sweep backend of its own.

The order of fills, levels, gaps, fees, cash, records and equity are VectorBT's.  Sizes it cannot compute (fixed at the
decision, Kelly's) are handed to it as numbers.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph import bind, columns
from engine.graph.program import Sizing
from engine.research.space import Shard, Space
from engine.research.sweep import Sweep, trades_of
from engine.research.vectorbt_orders import Outcome, Unsayable, orders
from engine.simulate import Costs, Decisions, Simulation, decisions_of, simulate
from engine.simulate.account import TRADE
from engine.simulate.course import count
from engine.simulate.run import years_of
from engine.simulate.tally import TALLY, metrics
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["draw", "quantities_of", "require", "sweep_bars", "trade_mismatches", "verify"]

BYTES = 800  # VectorBT needs about this for a bar and combination
BUDGET = 1 << 30
MARKER = 1e-7
RELATIVE = 1e-9
SHOWN = 5


def require() -> None:
    """Raise ``Usage`` if VectorBT is not installed."""
    if importlib.util.find_spec("vectorbt") is None:
        raise Usage(
            'VectorBT is not installed: pip install "lockstep-engine[research]" (Apache-2.0 with Commons Clause)'
        )


def draw(space: Space, wanted: int, seed: int) -> list[int]:
    """Return combinations drawn at random among those that keep the constraints, in order."""
    rng, seen = random.Random(seed), 0
    kept: list[int] = []
    for shard in space.shards():
        for combo in shard.combo.tolist() if space.where else []:
            seen += 1
            if len(kept) < wanted:
                kept.append(combo)
            elif (place := rng.randrange(seen)) < wanted:
                kept[place] = combo
        if not space.where:
            return sorted(rng.sample(range(space.size), min(wanted, space.size)))
    return sorted(kept)


def quantities_of(
    simulation: Simulation, decisions: Decisions, sizing: Sizing, costs: Costs
) -> NDArray[np.float64] | None:
    """Return the quantity VectorBT is given for an entry decided at each close, None where it computes it itself.

    Where the simulation considered no entry a tiny marker stands, so that an entry it missed is seen.

    Raises
    ------
    Unsayable
        A shadow of size 0 turned into a position at a close where both sides enter: flat, VectorBT does nothing there.
    """
    if sizing.kind == "kelly":
        _refuse_turned_shadow(simulation, decisions)
    free = costs.quantity_step == 0.0 and costs.min_notional == 0.0
    if costs.size_at == "fill" and sizing.kind == "all_in" and sizing.number("fraction") == 1.0 and free:
        return None
    bars = simulation.bars
    ordered = simulation.ordered.copy()
    if costs.size_at == "fill" or not free:
        # rounded down or fixed at the fill: the quantity that was filled, nothing where none was
        ordered[~np.isnan(ordered)] = 0.0
        for trade in (*simulation.trades, *simulation.open_trade):
            ordered[trade["entry_bar"] - 1] = trade["quantity"]
    return np.where(np.isnan(ordered), MARKER * costs.initial_cash / bars.close, ordered)


def _refuse_turned_shadow(simulation: Simulation, d: Decisions) -> None:
    both = d.long_entry & ~d.long_exit & d.short_entry & ~d.short_exit
    before = -1
    for trade in (*simulation.trades, *simulation.open_trade):
        decided = int(trade["entry_bar"]) - 1
        if both[decided] and before != decided + 1:
            raise Unsayable(
                f"at the close of bar {decided} both sides enter and a shadow of Kelly's turns into a position: "
                "VectorBT, which has no shadows, cannot say that; the plain simulation checks it"
            )
        before = int(trade["exit_bar"])


def trade_mismatches(simulation: Simulation, outcome: Outcome) -> list[str]:
    """Return a line for each trade, open ones too, and for the equity where VectorBT differs."""
    ours = [tuple(t) for t in (*simulation.trades.tolist(), *simulation.open_trade.tolist())]
    out = []
    if len(ours) != len(outcome.trades):
        out.append(f"{len(ours)} trades here, {len(outcome.trades)} in VectorBT")
    for k, (a, b) in enumerate(zip(ours, outcome.trades, strict=False)):
        entry_bar, exit_bar, side, _, quantity, entry_price, exit_price, fees, profit = a
        exact = (entry_bar, exit_bar, side) == (b.entry_bar, b.exit_bar, b.side)
        scale = quantity * entry_price
        pairs = [(quantity, b.quantity, quantity), (entry_price, b.entry_price, entry_price)]
        pairs += [(exit_price, b.exit_price, exit_price), (fees, b.fees, scale), (profit, b.profit, scale)]
        if not exact or any(abs(x - y) > RELATIVE * abs(size) for x, y, size in pairs):
            out.append(f"trade {k}: {a} here, {b} in VectorBT")
    gap = np.abs(simulation.equity - outcome.equity) > RELATIVE * np.abs(simulation.equity)
    if gap.any() and not out:
        out.append(f"equity differs at bar {int(np.argmax(gap))}")
    return out


def verify(series: list[Bars], sweep: Sweep, wanted: int, seed: int, told: Costs | None = None) -> dict[str, Any]:
    """Compare combinations drawn at random with VectorBT, trade for trade.

    Parameters
    ----------
    series : list of Bars
    sweep : Sweep
    wanted : int
        Combinations to draw; each is checked on one of the series in turn.
    seed : int
    told : Costs, optional
        What VectorBT is told of the costs, for tests of the check itself; the sweep's own if not given.

    Returns
    -------
    dict
        ``checked`` and ``mismatches`` (combinations), ``unsaid`` (those VectorBT has no words for, held against the
        plain simulation alone), ``details`` (the first differences in words).
    """
    found: dict[str, Any] = {"checked": 0, "mismatches": 0, "unsaid": 0, "details": []}
    strategy = sweep.strategy()
    for k, combo in enumerate(draw(sweep.space, wanted, seed)):
        bars = series[k % len(series)]
        program = bind(strategy, sweep.space.row(combo), sweep.sizing)
        decisions = decisions_of(columns(program, bars))
        plain = simulate(bars, decisions, sweep.costs, program.sizing)
        lines = []
        if trades_of(bars, sweep, combo).tobytes() != plain.trades.tobytes():
            lines.append("the sweep's trades differ from the plain simulation's")
        try:
            costs = told or sweep.costs
            (outcome,) = orders(
                bars, [decisions], costs, [quantities_of(plain, decisions, program.sizing, sweep.costs)]
            )
            lines += trade_mismatches(plain, outcome)
            found["checked"] += 1
        except Unsayable as error:
            found["unsaid"] += 1
            found["details"].append(f"combination {combo}: {error}")
        found["mismatches"] += bool(lines)
        found["details"] += [f"combination {combo} on {bars.source}: {line}" for line in lines]
    found["details"] = found["details"][:SHOWN]
    return found


def sweep_bars(
    bars: Bars, sweep: Sweep, *, progress: Callable[[int], None] | None = None, budget: int = BUDGET
) -> Iterator[tuple[Shard, NDArray[np.float64]]]:
    """Sweep a space over one series through ``vbt.Portfolio.from_signals``, in chunks that keep to the budget.

    Yields
    ------
    Shard, ndarray of float64, shape (len(shard), len(METRICS))

    Raises
    ------
    Usage
        A combination asks for what VectorBT has no words for; the events backend computes it.
    """
    strategy, costs = sweep.strategy(), sweep.costs
    width = max(1, budget // (BYTES * len(bars)))
    for shard in sweep.space.shards():
        tally = np.empty((len(shard), len(TALLY)))
        for start in range(0, len(shard), width):
            part = range(start, min(start + width, len(shard)))
            programs = [bind(strategy, sweep.space.row(int(shard.combo[i])), sweep.sizing) for i in part]
            decided = [decisions_of(columns(program, bars)) for program in programs]
            try:
                sizes = [sized(bars, d, costs, p.sizing) for d, p in zip(decided, programs, strict=True)]
                outcomes = orders(bars, decided, costs, sizes)
            except Unsayable as error:
                raise Usage(f"{error}; use --backend events") from error
            for i, outcome in zip(part, outcomes, strict=True):
                tally_of(outcome, costs, tally[i])
            if progress is not None:
                progress(len(part))
        yield shard, metrics(tally, len(bars), years_of(bars), bars.bars_per_year, costs.initial_cash)


def sized(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> NDArray[np.float64] | None:
    """Return the quantities VectorBT is given for one combination."""
    return quantities_of(simulate(bars, decisions, costs, sizing), decisions, sizing, costs)


def tally_of(outcome: Outcome, costs: Costs, tally: NDArray[np.float64]) -> None:
    """Fill a row of sums from VectorBT's trades and equity."""
    closed = [t for t in outcome.trades if t.exit_bar >= 0]
    still = [t for t in outcome.trades if t.exit_bar < 0]
    trades, invested = np.zeros(len(closed), TRADE), np.zeros(outcome.equity.size, np.bool_)
    for k, t in enumerate(closed):
        trades[k] = (t.entry_bar, t.exit_bar, t.side, 0, t.quantity, t.entry_price, t.exit_price, t.fees, t.profit)
        invested[t.entry_bar : t.exit_bar + 1] = True
    for t in still:
        invested[t.entry_bar :] = True
    fees = float(sum(t.fees for t in still))
    count(outcome.equity, invested, trades, fees, float(bool(still)), costs.initial_cash, tally)
