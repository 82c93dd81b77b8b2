"""Replay: a program advanced bar by bar through the paper broker, held against the batch run, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.execution import PaperBroker
from engine.graph import Advance, Columns, Program, columns
from engine.graph.node import FIELDS
from engine.graph.resolve import ROLES
from engine.kernels.step import find_step
from engine.manifest import Manifest
from engine.simulate import Costs, decisions_of, simulate
from engine.simulate.account import TRADE
from engine.simulate.run import open_trade
from pipelines import Bars

__all__ = ["ReplayReport", "replay", "replay_program"]

SHOWN = 5  # differences of each kind told in words


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    Attributes
    ----------
    bars, trades, mismatches : int
        Bars advanced, closed trades, and values (of nodes, equity, trades) that differ by at least one bit.
    details : tuple of str
        The first differences of each kind in words.
    """

    bars: int
    trades: int
    mismatches: int
    details: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"bars": self.bars, "trades": self.trades, "mismatches": self.mismatches, "details": list(self.details)}


def replay(manifest: Manifest, bars: Bars, progress: Callable[[int], None] | None = None) -> ReplayReport:
    """Replay a manifest over bars and compare with the batch run.

    Raises
    ------
    Failed
        The bars claim to be the manifest's data and are not, or this machine's kernels give other bits.
    """
    manifest.check_data(bars)
    return replay_program(manifest.program, manifest.costs, bars, progress)


def replay_program(
    program: Program, costs: Costs, bars: Bars, progress: Callable[[int], None] | None = None
) -> ReplayReport:
    """Advance a program over bars, its state put through a checkpoint half-way, and compare with the batch run."""
    live, broker, n = Advance(program), PaperBroker(program, costs), len(bars)
    roles = [program.role(role) for role in ROLES]
    values, equity = np.empty((n, live.values.size)), np.empty(n)
    numbers = bars.number.tolist()
    fields = list(zip(*(getattr(bars, name).tolist() for name in FIELDS), strict=True))
    for t, bar in enumerate(fields):
        if t == n // 2:
            live = Advance.resume(program, live.checkpoint())
        broker.open(*bar[:3])
        live.advance(numbers[t], *bar)
        values[t] = live.values
        read = [np.nan if ref is None else live.read(ref) for ref in roles]
        entry, leave, short_entry, short_leave = (x == x and x != 0.0 for x in read[:4])
        broker.close(bar[3], (entry, leave, short_entry, short_leave), read[4], read[5])
        equity[t] = broker.equity
        if progress is not None and t % 1024 == 1023:
            progress(1024)
    batch = columns(program, bars)
    simulated = simulate(bars, decisions_of(batch), costs, program.sizing)
    still = open_trade(broker.account, bars, n)
    found = (
        node_differences(batch, values),
        bar_differences("equity", simulated.equity, equity),
        trade_differences("trade", simulated.trades, broker.trades),
        trade_differences("open trade", simulated.open_trade, still),
    )
    details = [line for _, lines in found for line in lines[:SHOWN]]
    return ReplayReport(n, broker.trades.size, sum(count for count, _ in found), tuple(details))


def same(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where two arrays of float64 have the same bytes."""
    found: NDArray[np.bool_] = np.ascontiguousarray(a).view(np.int64) == np.ascontiguousarray(b).view(np.int64)
    return found


def bar_differences(name: str, batch: NDArray[np.float64], live: NDArray[np.float64]) -> tuple[int, list[str]]:
    """Return on how many bars a column differs, and a line for the first of them."""
    at = np.flatnonzero(~same(batch, live))
    return at.size, [f"{name} differs at bar {t}" for t in at[:SHOWN].tolist()]


def node_differences(batch: Columns, values: NDArray[np.float64]) -> tuple[int, list[str]]:
    """Return how many values of nodes differ, and a line for the first; ``values`` has shape (bars, outputs)."""
    names = [
        f"node {k} ({node.step}).{name}"
        for k, node in enumerate(batch.program.nodes)
        for name in find_step(node.step).outputs
    ]
    total = 0
    details: list[str] = []
    for j, name in enumerate(names):
        count, lines = bar_differences(name, batch.values[j], np.ascontiguousarray(values[:, j]))
        total, details = total + count, details + lines
    return total, details


def trade_differences(name: str, batch: NDArray[Any], live: NDArray[Any]) -> tuple[int, list[str]]:
    """Return how many trades differ or are missing on either side, and a line for the first of them."""
    common, longest = sorted((batch.size, live.size))
    differ = [
        k for k in range(common) if any(batch[k][x].tobytes() != live[k][x].tobytes() for x in TRADE.fields or ())
    ]
    total = len(differ) + longest - common
    lines = [f"{name} {k} differs" for k in differ[:SHOWN]]
    return total, lines + [f"{name} {k} is missing" for k in range(common, min(longest, common + SHOWN))]
