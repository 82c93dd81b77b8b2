"""What a sweep tells: the best row, the median row, buy and hold, the verification."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.graph import bind
from engine.graph.scalar import tidy
from engine.manifest import without_nan
from engine.research.luck import Verdict, gather, judge_run, record_run
from engine.research.luck.judge import LISTS
from engine.research.request import Job
from engine.research.table import Run
from engine.simulate import METRICS, simulate_program
from engine.strategies import STRATEGIES
from parquet_store import Store
from pipelines import Bars

__all__ = ["RunSummary", "summarise", "told_before", "verified_before"]


@dataclass(frozen=True)
class RunSummary:
    """What a sweep found; ``combos`` counts rows, ``sources`` says how each series is annualised.

    ``verdict`` says of the best row how likely it is luck, as ``engine.research.luck.Verdict.as_json``.
    """

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
    verdict: dict[str, Any]
    plan: str
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """Return plain data, NaN as null."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["folder"] = str(self.folder)
        found: dict[str, Any] = without_nan(data)
        return found


def told_before(folder: Path, plan: str) -> RunSummary | None:
    """Return the summary of an earlier call for the plan with this digest, None if there is none."""
    try:
        data = json.loads((folder / "summary.json").read_text())
        found = RunSummary(**{**data, "folder": folder}) if data["plan"] == plan else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def verified_before(folder: Path, plan: str) -> dict[str, Any] | None:
    """Return what an earlier verification of the plan with this digest found, None if there was none."""
    before = told_before(folder, plan)
    return None if before is None else before.verified


def summarise(
    store: Store,
    run: Run,
    job: Job,
    made: int,
    seconds: float,
    verified: dict[str, Any] | None,
    before: RunSummary | None,
    lists: int = LISTS,
) -> RunSummary:
    """Return what the user is told: the best row, the median row, buy and hold, how likely it is luck.

    ``made`` rows were computed in ``seconds``; where that is none, ``before`` knows the speed.  ``lists`` distinct
    trade lists are cross-validated, all if 0.
    """
    bars = sum(len(b) for b in job.series)
    rows = int(run.sql("select count(*) from results")[1][0][0])
    hold = bind(STRATEGIES["buy_and_hold"]())
    benchmark = {b.source: simulate_program(hold, b, job.sweep.costs).metrics for b in job.series}
    names = list(job.sweep.strategy.params)

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
    speed = made / len(job.series) * bars / seconds if made else math.nan
    if not made and before is not None:
        speed, seconds = before.combo_bars_per_second, before.seconds
    verdict = judged(store, run, job.series, best, lists)
    return RunSummary(
        run=run.name,
        combos=rows,
        bars=bars,
        seconds=seconds,
        combo_bars_per_second=speed,
        verified=verified,
        best=shown(best),
        median=shown(run.median()),
        benchmark=benchmark,
        sources=run.plan["sources"],
        verdict=verdict.as_json(),
        plan=run.plan["digest"],
        folder=run.folder,
    )


def judged(store: Store, run: Run, series: list[Bars], best: dict[str, Any], lists: int) -> Verdict:
    """Record every trial in the store's ledger, and return how likely the best row is luck."""
    at = 0
    for k, bars in enumerate(series):
        if bars.source == best.get("source"):
            at = k
        else:
            record_run(store, run, gather(run, bars))
    return judge_run(store, run, series[at], best.get("combo"), lists=lists or None)
