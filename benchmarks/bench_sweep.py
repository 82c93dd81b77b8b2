"""How much faster is a sweep than VectorBT, on the same combinations, bars and answers?

Four sweeps of 10,000 combinations over 17,520 hours, from bars to metrics, all in at the next open with fee and
slippage: a dense grid, random points, stops with a value-at-risk filter, a cross that is always in the market
(``cases.py``).  Each side runs in a process of its own, compile time apart on both; VectorBT gets its better engine
and the best of chunks of 50, 250 and 1,000 columns, and a random sample of the combinations, since its time grows in
proportion to them.  Every return, Sharpe, drawdown, trade count and win rate of the sample must agree before a time
is printed.

    python -m benchmarks.bench_sweep [grid random stops cross]
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import BARS, CASES

COMPARED = ("total_return", "sharpe", "max_drawdown", "trades", "win_rate")
SAMPLE = {"grid": 1000, "random": 1000, "cross": 1000, "stops": 250}
REPEATS = 7


def ours(name: str, target: str) -> dict[str, Any]:
    """Sweep a case several times in this process, on one thread and on two in turns.

    Write the compared metrics, return times and peak memory.
    """
    from benchmarks.measure import hourly_bars
    from engine.research.sweep import sweep_bars, warm_up
    from engine.simulate import METRICS

    bars, what = hourly_bars(BARS)
    case = CASES[name]
    sweep, shards = case.sweep()
    warm_up(bars, sweep)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEATS):
        for threads, taken in times.items():
            start = time.perf_counter()
            sweep, shards = case.sweep()
            found = np.concatenate([part.metrics for part in sweep_bars(bars, sweep, shards, threads=threads)])
            taken.append(time.perf_counter() - start)
    np.savez(target, metrics=found[:, [METRICS.index(column) for column in COMPARED]])
    np.savez(target + ".bars", open=bars.open, high=bars.high, low=bars.low, close=bars.close)
    seconds = {threads: statistics.median(taken) for threads, taken in times.items()}
    return {
        "bars": what,
        "combinations": len(found),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "one_thread": {"seconds": seconds[1], "rate": len(found) * BARS / seconds[1]},
        "two_threads": {"seconds": seconds[2], "rate": len(found) * BARS / seconds[2]},
    }


def child(*arguments: str) -> dict[str, Any]:
    """Run a module of this folder in a process of its own and return the JSON it prints."""
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def worst_difference(a: Any, b: Any) -> float:
    """Return the largest relative difference (absolute below 1e-3), infinity where only one side is unknown."""
    if (np.isnan(a) != np.isnan(b)).any():
        return float("inf")
    return float(np.nanmax(np.abs(a - b) / np.maximum(np.abs(a), 1e-3)))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Run both sides of one case, compare the answers and return the figures."""
    mine, points, theirs = (str(folder / f"{name}-{part}.npz") for part in ("ours", "points", "vectorbt"))
    own = child("benchmarks.bench_sweep", "--ours", name, mine)
    one, two = own["one_thread"], own["two_threads"]
    places = np.sort(np.random.default_rng(1).choice(own["combinations"], SAMPLE[name], replace=False))
    np.savez(points, **{column: values[places] for column, values in CASES[name].points().items()})
    peer = child("benchmarks.vectorbt_cases", name, mine + ".bars.npz", points, theirs)
    with np.load(mine) as a, np.load(theirs) as b:
        difference = worst_difference(a["metrics"][places], b["metrics"])
    if not difference < 1e-8:
        raise SystemExit(f"{name}: answers differ by {difference:.1e} relative: no time is worth printing")
    best = max(two["rate"], one["rate"])
    return {
        "question": CASES[name].question,
        "combinations": own["combinations"],
        "bars": BARS,
        "data": own["bars"],
        "peak_mb": own["peak_mb"],
        "one_thread": one,
        "two_threads": two,
        "vectorbt": peer,
        "ratio": best / peer["rate"],
        "least": CASES[name].least,
        "threads": two["rate"] / one["rate"],
        "worst_difference": difference,
    }


def main(names: list[str]) -> None:
    """Measure the cases, print and keep what came out."""
    from benchmarks.measure import RESULTS, keep

    kept: dict[str, Any] = {}
    if names and (RESULTS / "bench_sweep.json").exists():
        kept = json.loads((RESULTS / "bench_sweep.json").read_text()).get("cases", {})
    with tempfile.TemporaryDirectory() as folder:
        for name in names or CASES:
            found = kept[name] = measure(name, Path(folder))
            best = max(found["one_thread"]["rate"], found["two_threads"]["rate"])
            peer = found["vectorbt"]
            plain = f", {best / peer['one_row_rate']:,.0f} times its one-row form" if "one_row_rate" in peer else ""
            print(
                f"bench_sweep {name}: {found['combinations']:,} combinations x {BARS:,} bars: {best / 1e9:.3g} G "
                f"combination-bars/s (two threads {found['threads']:.2f} times one), VectorBT "
                f"{peer['rate'] / 1e6:.3g} M/s ({peer['engine']}, chunks of {peer['chunk']}): "
                f"{found['ratio']:,.0f} times{plain}; peak {found['peak_mb']:.0f} MB against "
                f"{peer['peak_mb']:.0f} MB; answers agree to {found['worst_difference']:.0e}",
                flush=True,
            )
            keep("bench_sweep", {"cases": kept})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ours"]:
        print(json.dumps(ours(sys.argv[2], sys.argv[3])))
    else:
        main(sys.argv[1:])
