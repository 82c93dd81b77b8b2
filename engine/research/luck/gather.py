"""From a finished run to its verdict: record its trials in the store's ledger, gather its figures, judge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.research.luck.judge import LISTS, Swept, judge
from engine.research.luck.ledger import Ledger
from engine.research.luck.verdict import Verdict
from engine.research.sweep import Sweep
from engine.research.table import Run
from engine.strategies import find_strategy
from parquet_store import Store
from pipelines import Bars

__all__ = ["gather", "judge_run", "record_run"]


def gather(run: Run, bars: Bars) -> Swept:
    """Return what a run found on one of its series, given the bars it swept."""
    sweep = Sweep(find_strategy(run.plan["strategy"]), run.space, run.costs, run.sizing)
    scores = run.scores(bars.source)

    def block_sums(combos: NDArray[np.int64]) -> NDArray[np.float64]:
        return run.block_sums(bars.source, combos)

    def total_return(combos: NDArray[np.int64]) -> NDArray[np.float64]:
        if not combos.size:
            return np.zeros(0)
        source = bars.source.replace("'", "''")
        numbers = ", ".join(str(combo) for combo in combos.tolist())
        _, rows = run.sql(f"select combo, total_return from results where source = '{source}' and combo in ({numbers})")
        found = {combo: np.nan if value is None else value for combo, value in rows}
        return np.array([found[combo] for combo in combos.tolist()])

    return Swept(bars, sweep, scores.combo, scores.sharpe, scores.lists, block_sums, total_return)


def record_run(store: Store, run: Run, swept: Swept) -> None:
    """Put a run's trials on one of its series into the store's ledger; once, however often it is called."""
    Ledger(store.root).record(swept.entry(run.plan["digest"]))


def judge_run(
    store: Store,
    run: Run,
    bars: Bars,
    combo: int | None = None,
    *,
    lists: int | None = LISTS,
    resampled: bool = False,
    threads: int | None = None,
) -> Verdict:
    """Return how likely a candidate of a run is luck, after all trials the store knows for its data.

    Parameters
    ----------
    store : Store
    run : Run
        Finished; its trials on this series are put into the ledger if they are not there.
    bars : Bars
        Those the run swept.
    combo, lists, resampled, threads
        As for ``judge``.

    Raises
    ------
    Failed
        The ledger or the run's files are damaged.
    """
    swept = gather(run, bars)
    record_run(store, run, swept)
    trials = Ledger(store.root).trials(bars.source, int(bars.time[0]), int(bars.time[-1]))
    return judge(swept, trials, combo, lists=lists, resampled=resampled, threads=threads)
