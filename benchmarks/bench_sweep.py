"""How much faster is a sweep than VectorBT, on the same grid, bars and answers?

5 RSI lengths x 5 band lengths x 5 widths x 8 oversold x 10 overbought levels on 17,520 hours, from bars to metrics,
all-in at the next open with fee and slippage.  Ours and VectorBT run in processes of their own; compile time is
apart on both sides; VectorBT gets its better engine and chunk.  Every return, Sharpe, drawdown, trade count and win
rate must agree before a time is printed.

    python -m benchmarks.bench_sweep
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

BARS = 17_520
GRID: dict[str, list[float]] = {
    "rsi_length": [7, 10, 14, 21, 28],
    "oversold": [round(15 + 25 * i / 7, 3) for i in range(8)],
    "overbought": [round(55 + 30 * i / 9, 3) for i in range(10)],
    "band_length": [10, 15, 20, 30, 50],
    "band_width": [1.5, 1.75, 2.0, 2.25, 2.5],
}
COMPARED = ("total_return", "sharpe", "max_drawdown", "trades", "win_rate")
REPEATS = 5


def ours(target: str, threads: int) -> dict[str, Any]:
    """Sweep the grid several times in this process; write the compared metrics, return times and peak memory."""
    from benchmarks.measure import hourly_bars
    from engine.graph import Sizing
    from engine.research.space import Space
    from engine.research.sweep import Sweep, sweep_bars
    from engine.simulate import METRICS, Costs
    from engine.strategies import find_strategy

    bars, what = hourly_bars(BARS)
    strategy = find_strategy("mean_reversion")
    off = {"stop_atr": [0.0], "var_limit": [0.0], "kelly_fraction": [0.0]}
    costs = Costs(fee=0.001, slippage=0.0005, initial_cash=10_000.0, size_at="fill")

    def once(grid: dict[str, list[float]]) -> Any:
        sweep = Sweep(strategy, Space.of(strategy, {**grid, **off}), costs, Sizing.of("all_in", fraction=1.0))
        return np.concatenate([found.metrics for found in sweep_bars(bars, sweep, threads=threads)])

    once({name: values[:1] for name, values in GRID.items()})
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = once(GRID)
        times.append(time.perf_counter() - start)
    np.savez(target, metrics=found[:, [METRICS.index(name) for name in COMPARED]])
    np.savez(target + ".bars", open=bars.open, close=bars.close)
    seconds = statistics.median(times)
    return {
        "seconds": seconds,
        "rate": len(found) * BARS / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bars": what,
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


def main() -> None:
    """Run both sides, compare the answers, print and keep the ratio."""
    from benchmarks.measure import keep

    with tempfile.TemporaryDirectory() as folder:
        mine, theirs = str(Path(folder) / "ours.npz"), str(Path(folder) / "vectorbt.npz")
        two = child("benchmarks.bench_sweep", "ours", mine, "2")
        one = child("benchmarks.bench_sweep", "ours", mine, "1")
        peer = child("benchmarks.vectorbt_grid", mine + ".bars.npz", theirs, json.dumps(GRID))
        with np.load(mine) as a, np.load(theirs) as b:
            difference = worst_difference(a["metrics"], b["metrics"])
            combos = len(a["metrics"])
    if not difference < 1e-9:
        raise SystemExit(f"answers differ by {difference:.1e} relative: no time is worth printing")
    best = max(two["rate"], one["rate"])
    ratio = best / peer["rate"]
    keep(
        "bench_sweep",
        {
            "question": "10,000 combinations x 17,520 hours, bars to metrics, against VectorBT",
            "combinations": combos,
            "bars": BARS,
            "data": two["bars"],
            "one_thread": one,
            "two_threads": two,
            "vectorbt": peer,
            "ratio": ratio,
            "worst_difference": difference,
        },
    )
    print(
        f"bench_sweep: {combos:,} combinations x {BARS:,} bars: {best / 1e9:.2f} G combination-bars/s "
        f"(one thread {one['rate'] / 1e9:.2f}), VectorBT {peer['rate'] / 1e6:.2f} M/s ({peer['engine']}, chunks of "
        f"{peer['chunk']}): {ratio:,.0f} times; peak {two['peak_mb']:.0f} MB against {peer['peak_mb']:.0f} MB; "
        f"answers agree to {difference:.0e}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        print(json.dumps(ours(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
