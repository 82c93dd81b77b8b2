"""Replay: the exported program advanced bar by bar through the paper broker, held against the batch run, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.execution import PaperBroker
from engine.graph import Advance, Columns, Program, columns
from engine.graph.expression import FIELDS
from engine.graph.resolve import ROLES
from engine.kernels.step import find_step
from engine.manifest import Manifest
from engine.simulate import Costs, decisions_of, simulate
from pipelines import Bars

__all__ = ["ReplayReport", "replay", "replay_program"]

SHOWN = 10


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    Attributes
    ----------
    bars, trades, mismatches : int
        Bars advanced, closed trades, and values (node values, equity, trades) that differ by at least one bit.
    details : tuple of str
        The first differences in words.
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
    details = node_differences(batch, values)
    details += [f"equity differs at bar {t}" for t in np.flatnonzero(~same(simulated.equity, equity)).tolist()]
    details += trade_differences(simulated.trades, broker.trades)
    return ReplayReport(n, broker.trades.size, len(details), tuple(details[:SHOWN]))


def same(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where two arrays of float64 have the same bytes."""
    found: NDArray[np.bool_] = np.ascontiguousarray(a).view(np.int64) == np.ascontiguousarray(b).view(np.int64)
    return found


def node_differences(batch: Columns, values: NDArray[np.float64]) -> list[str]:
    """Return a line for each value of a node that differs; ``values`` has shape (bars, outputs)."""
    names = [
        f"node {k} ({node.step}).{name}"
        for k, node in enumerate(batch.program.nodes)
        for name in find_step(node.step).outputs
    ]
    outputs, at = np.nonzero(~same(batch.values, values.T))
    return [f"{names[j]} differs at bar {t}" for j, t in zip(outputs.tolist(), at.tolist(), strict=True)]


def trade_differences(batch: NDArray[Any], live: NDArray[Any]) -> list[str]:
    """Return a line for each trade that differs or is missing."""
    out = [f"trade {k} differs" for k in range(min(batch.size, live.size)) if batch[k].tobytes() != live[k].tobytes()]
    if batch.size != live.size:
        out += [f"trade {k} is missing" for k in range(min(batch.size, live.size), max(batch.size, live.size))]
    return out
