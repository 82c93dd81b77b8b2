"""VectorBT as an independent check of a sweep and as a sweep backend of its own.

The order of fills, levels, gaps, fees, cash, records and equity are VectorBT's.  Sizes it cannot compute (fixed at the
decision, Kelly's) are handed to it as numbers.
"""

from __future__ import annotations

import importlib.util
import random
from typing import Any

import numpy as np

from engine.graph import bind
from engine.research.space import Space
from engine.research.sweep import Sweep, trades_of
from engine.research.vectorbt_orders import Outcome, Unsayable, orders
from engine.research.vectorbt_sizes import quantities_of
from engine.research.vectorbt_sweep import sweep_bars
from engine.simulate import Costs, Simulation, decide, simulate
from parquet_store.errors import Usage
from pipelines import Bars

__all__ = ["draw", "require", "sweep_bars", "trade_mismatches", "verify"]

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
    if space.draw is None and not space.conditions:
        return sorted(random.Random(seed).sample(range(space.size), min(wanted, space.size)))
    rng, kept, keys = np.random.default_rng(seed), np.zeros(0, np.int64), np.zeros(0)
    for shard in space.shards():  # those with the smallest of as many random numbers
        kept, keys = np.concatenate([kept, shard.combo]), np.concatenate([keys, rng.random(len(shard))])
        if kept.size > wanted:
            least = np.argpartition(keys, wanted)[:wanted]
            kept, keys = kept[least], keys[least]
    return sorted(kept.tolist())


def trade_mismatches(simulation: Simulation, outcome: Outcome) -> list[str]:
    """Return a line for each trade, open ones too, and for the equity where VectorBT differs."""
    ours, theirs = np.concatenate([simulation.trades, simulation.open_trade]), outcome.trades
    out = []
    if len(ours) != len(theirs):
        out.append(f"{len(ours)} trades here, {len(theirs)} in VectorBT")
    a, b = ours[: len(theirs)], theirs[: len(ours)]
    differ = np.zeros(len(a), np.bool_)
    for name in ("entry_bar", "exit_bar", "side"):
        differ |= a[name] != b[name]
    notional = a["quantity"] * a["entry_price"]
    for name in ("quantity", "entry_price", "exit_price", "fees", "profit"):
        scale = notional if name in ("fees", "profit") else np.abs(a[name])
        differ |= ~(np.abs(a[name] - b[name]) <= RELATIVE * scale)
    out += [f"trade {k}: {a[k]} here, {b[k]} in VectorBT" for k in np.flatnonzero(differ).tolist()]
    gap = ~(np.abs(simulation.equity - outcome.equity) <= RELATIVE * np.abs(simulation.equity))
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
        decisions = decide(program, bars)
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
