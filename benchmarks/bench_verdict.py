"""How long does it take to say how likely a sweep's winner is luck?

The verdict of a stored sweep of 10,000 combinations over 17,520 hours, from the table on disk; the cross-validation
of 4,096 trade lists over 12,870 splits alone, with one thread and two; and the resampling of the shortlist (SPA,
step-wise test, bootstrap: 1,000 resamples each) that reports and exports add.  First the probability of overfitting
must be that of NumPy's matrix products over the same block sums.

    python -m benchmarks.bench_verdict
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.cases import BARS, GRID, OFF
from benchmarks.measure import hourly_bars, keep

REPEATS = 5
LISTS = 4_096


def overfitting(sums: NDArray[np.float64], lengths: NDArray[np.int64]) -> float:
    """Return the probability of overfitting by matrix products, ties by the same rules."""
    chosen = np.zeros((12_870, 16))
    for row, half in zip(chosen, itertools.combinations(range(16), 8), strict=True):
        row[list(half)] = 1.0
    below = 0
    for part in np.array_split(np.arange(len(chosen)), 60):
        sharpe = []
        for half in (chosen[part], 1.0 - chosen[part]):
            count = half @ lengths
            total, square = sums[:, :, 0] @ half.T, sums[:, :, 1] @ half.T
            spread = square - total * total / count
            known = spread > 1e-14 * square
            ratio = total / count / np.sqrt(np.where(known, spread, 1.0) / (count - 1.0))
            sharpe.append(np.where(known, ratio, 0.0))
        inside, outside = sharpe
        mine = outside[inside.argmax(axis=0), np.arange(len(part))]
        rank = (outside < mine).sum(axis=0) + ((outside == mine).sum(axis=0) + 1) / 2
        below += int(np.sum(rank <= (len(sums) + 1) / 2))
    return below / len(chosen)


def timed(work: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    """Return the median of the wall times, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), found


def main() -> None:
    """Sweep, check, time, print one line and keep it."""
    from engine.research.luck import cross_validate, gather, judge_run
    from engine.research.luck.judge import compared, ranking
    from engine.research.run import Request, Run, run_sweep
    from engine.research.sweep import block_bounds
    from engine.simulate import Costs
    from parquet_store import Store

    bars, what = hourly_bars(BARS)
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    rows = pl.DataFrame({"ts": bars.time, **columns}).with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.append(bars.source, rows)
        values = {name: [float(x) for x in found] for name, found in (GRID | OFF).items()}
        summary = run_sweep(store, Request("mean_reversion", values, (bars.source,), Costs(), name="verdict"))
        run = Run.open(store, "verdict")
        seconds, verdict = timed(lambda: judge_run(store, run, bars))
        swept = gather(run, bars)
        _, places = compared(swept, ranking(swept.sharpe), LISTS)
        sums, lengths = run.block_sums(bars.source, swept.combo[places]), np.diff(block_bounds(len(bars)))
        one, alone = timed(lambda: cross_validate(sums, lengths, 1))
        two, _ = timed(lambda: cross_validate(sums, lengths, 2))
        assert alone is not None
        assert abs(alone.pbo - overfitting(sums, lengths)) <= 2 / 12_870
        assert verdict.pbo == alone.pbo
        resampled, _ = timed(lambda: judge_run(store, run, bars, resampled=True), 2)
    result = {
        "combinations": summary.combos,
        "bars": len(bars),
        "data": what,
        "sweep_seconds": summary.seconds,
        "verdict_seconds": seconds,
        "lists": len(places),
        "distinct_lists": verdict.distinct_lists,
        "cross_validation_seconds": {"one thread": one, "two threads": two},
        "resampled_seconds": resampled,
    }
    keep("bench_verdict", result)
    print(
        f"bench_verdict: {summary.combos:,} combinations x {len(bars):,} bars ({what}): verdict {seconds:.2f} s (sweep "
        f"{summary.seconds:.2f} s); {len(places):,} lists x 12,870 splits {one:.2f} s on one thread, {two:.2f} s on "
        f"two; with SPA, step-wise test and bootstrap {resampled:.1f} s"
    )


if __name__ == "__main__":
    main()
