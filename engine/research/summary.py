"""What a sweep tells: the best row, the median row, buy and hold, the verification."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.graph import bind
from engine.graph.scalar import tidy
from engine.manifest import without_nan
from engine.research.sweep import Sweep
from engine.research.table import Run
from engine.simulate import METRICS, simulate_program
from engine.strategies import STRATEGIES
from pipelines import Bars

__all__ = ["RunSummary", "summarise", "verified_before"]


@dataclass(frozen=True)
class RunSummary:
    """What a sweep found; ``combos`` counts rows, ``sources`` says how each series is annualised."""

    run: str
    combos: int
    bars: int
    seconds: float
    combo_bars_per_second: float
    verified: dict[str, Any] | None
    best: dict[str, Any]
    median: dict[str, Any]
    benchmark: dict[str, dict[str, float]]
    sources: list[dict[str, Any]]
    plan: str
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """Return plain data, NaN as null."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["folder"] = str(self.folder)
        found: dict[str, Any] = without_nan(data)
        return found


def verified_before(folder: Path, plan: str) -> dict[str, Any] | None:
    """Return what an earlier verification of the plan with this digest found, None if there was none."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        found: dict[str, Any] | None = summary["verified"] if summary["plan"] == plan else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def summarise(
    run: Run, series: list[Bars], sweep: Sweep, rows: int, seconds: float, verified: dict[str, Any] | None
) -> RunSummary:
    """Return what the user is told: the best row, the median row, buy and hold."""
    bars = sum(len(b) for b in series)
    work = rows / len(series) * bars
    hold = bind(STRATEGIES["buy_and_hold"]())
    benchmark = {b.source: simulate_program(hold, b, sweep.costs).metrics for b in series}
    names = list(sweep.strategy.params)

    def shown(row: dict[str, Any]) -> dict[str, Any]:
        if not row:
            return {"source": None, "params": {}, "metrics": {}}
        return {
            "source": row["source"],
            "params": {name: tidy(row[name]) for name in names},
            "metrics": {name: row[name] for name in METRICS},
        }

    found = run.top(1)
    best = found[0] if found else {}
    return RunSummary(
        run=run.name,
        combos=rows,
        bars=bars,
        seconds=seconds,
        combo_bars_per_second=work / seconds,
        verified=verified,
        best=shown(best),
        median=shown(run.median()),
        benchmark=benchmark,
        sources=run.plan["sources"],
        plan=run.plan["digest"],
        folder=run.folder,
    )
