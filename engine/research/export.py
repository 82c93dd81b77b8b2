"""From one row of a finished sweep to a manifest: simulated plainly again, judged, with its evidence.

What may well be luck is refused unless a reason is given, which the manifest then carries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from engine.graph import bind
from engine.manifest import refuse_unfit, write_manifest
from engine.research.luck import Verdict, judge_run
from engine.research.summary import verified_before
from engine.research.table import Run
from engine.simulate import METRICS, simulate_program
from engine.strategies import STRATEGIES, find_strategy
from parquet_store import Store
from parquet_store.errors import Failed, Usage
from pipelines import Bars, load_bars

__all__ = ["Exported", "export", "load_swept"]

NEAR = 1e-6  # a table made by VectorBT is that near; one made by the sweep's own kernel is nearer


@dataclass(frozen=True)
class Exported:
    """A written manifest."""

    path: Path
    digest: str
    params: dict[str, float]
    metrics: dict[str, float]
    verdict: Verdict
    despite: str | None


def load_swept(store: Store, run: Run, source: str) -> Bars:
    """Return the bars a run swept, or say that the stored data changed since."""
    item = next(item for item in run.plan["sources"] if item["source"] == source)
    bars = load_bars(store, source, item["first"], item["last"] + 1)
    if bars.fingerprint != item["fingerprint"]:
        raise Failed(f"{source}: the stored bars are not those run {run.name} swept; sweep again")
    return bars


def export(
    store: Store,
    run: Run,
    by: str = "sharpe",
    params: Mapping[str, float] | None = None,
    source: str | None = None,
    to: Path | None = None,
    despite: str | None = None,
) -> Exported:
    """Write the manifest of one row of a run: the best by a metric, or the one with these parameters.

    Parameters
    ----------
    despite : str, optional
        Why a candidate that fails its verdict is exported all the same; recorded in the manifest.

    Raises
    ------
    Usage
        Unknown metric, parameter, value or source; an empty reason.
    Failed
        The data changed since the sweep, the plain simulation does not give the row's figures, or the candidate may
        well be luck and no reason was given.
    """
    if despite is not None and not despite.strip():
        raise Usage('--despite: an empty reason; say why it is exported all the same, as in --despite "paper trial"')
    row = run.find(params, source) if params else run.best(by, source)
    strategy = find_strategy(run.plan["strategy"])
    chosen = {name: float(row[name]) for name in strategy.params}
    program = bind(strategy(), chosen, run.sizing)
    refuse_unfit(program, run.costs)
    bars = load_swept(store, run, row["source"])
    simulation = simulate_program(program, bars, run.costs)
    for name in METRICS:
        told, found = row[name], simulation.metrics[name]
        if not math.isclose(math.nan if told is None else told, found, rel_tol=NEAR, abs_tol=NEAR) and (
            told is not None or not math.isnan(found)
        ):
            raise Failed(
                f"run {run.name}: the table says {name} {told}, the plain simulation {found:g}; "
                "the run was made by other code: sweep again"
            )
    verdict = passed_verdict(store, run, bars, int(row["combo"]), despite)
    verified = verified_before(run.folder, run.plan["digest"])
    hold = simulate_program(bind(STRATEGIES["buy_and_hold"]()), bars, run.costs)
    evidence = {
        "metrics": simulation.metrics,
        "buy_and_hold": hold.metrics,
        "chosen_by": "params" if params else by,
        "run": run.name,
        "plan": run.plan["digest"],
        "combinations": run.sql("select count(*) from results")[1][0][0],
        "verified": verified,
        "verdict": verdict.as_json(),
        "despite": despite,
    }
    path = to or run.folder / "manifest.json"
    digest = write_manifest(
        path, program, run.costs, bars, strategy=Path(run.plan["strategy"]).name, params=chosen, evidence=evidence
    )
    return Exported(path, digest, chosen, simulation.metrics, verdict, despite)


def passed_verdict(store: Store, run: Run, bars: Bars, combo: int, despite: str | None) -> Verdict:
    """Return the full verdict on a combination of a run, or refuse it where it fails and no reason was given.

    What needs arch (the extra ``research``) is left out where that is not installed.
    """
    if despite is None:
        found = judge_run(store, run, bars, combo)
        if not found.passed:
            raise Failed(
                f"run {run.name}: the candidate {found.conclusion}; try fewer combinations or more history, or give "
                '--despite "REASON" to export it all the same: the manifest records the reason'
            )
        if find_spec("arch") is None:
            return found
    return judge_run(store, run, bars, combo, resampled=find_spec("arch") is not None)
