"""How long do 1,000 symbols that close a bar at once take to advance, and how long one?

``python -m benchmarks.bench_advance``: one Python call a bar, its array of bars made beforehand, wall time and
processor time of one thread, quantiles over the calls.  The symbols are pieces of one real series, each from
another start.  Before anything is timed, every value of some symbols is compared byte by byte with the program
advanced alone.
"""

from __future__ import annotations

import gc
import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import hourly_bars, keep
from engine.graph import Advance, Bar, Program, Signals, Strategy, bind, ta
from engine.graph.node import FIELDS
from engine.graph.together import Together
from engine.strategies import STRATEGIES

SYMBOLS, CALLS, WARM = 1_000, 4_000, 300
QUANTILES = (50.0, 99.0, 99.9)


class Ten(Strategy):
    """Ten nodes: two averages and the strength index decide, the true range gives both distances."""

    def signals(self, bar: Bar) -> Signals:
        fast, slow = ta.ema(bar.close, 12), ta.ema(bar.close, 26)
        width = ta.atr(bar, 14)
        entry = (fast > slow) & (ta.rsi(bar.close, 14) < 70)
        return Signals(entry=entry, exit=fast < slow, stop=2 * width, target=3 * width)


def series(symbols: int, calls: int) -> tuple[NDArray[np.float64], str]:
    """Return bars of shape (calls, symbols, 5) and what they are."""
    bars, said = hourly_bars(symbols * 7 + calls)
    fields = np.stack([getattr(bars, name) for name in FIELDS], axis=1)
    return np.stack([fields[7 * s : 7 * s + calls] for s in range(symbols)], axis=1), said


def check(program: Program, bars: NDArray[np.float64]) -> None:
    """Compare some symbols with the program advanced alone."""
    count = bars.shape[1]
    made = Together([(str(s), program) for s in range(count)])
    some = {s: Advance(program) for s in {0, count // 3, count - 1}}
    every = np.arange(count)
    for t in range(WARM):
        made.advance(every, np.full(count, 900 + t), bars[t])
        for s, alone in some.items():
            alone.advance(900 + t, *bars[t, s].tolist())
            if made.values(s).tobytes() != alone.values.tobytes():
                raise SystemExit(f"bar {t} of symbol {s}: other bytes than the program alone")


def quantiles(program: Program, bars: NDArray[np.float64]) -> dict[str, float]:
    """Return microseconds a call."""
    count = bars.shape[1]
    made = Together([(str(s), program) for s in range(count)])
    every, numbers = np.arange(count), np.arange(len(bars))[:, None] + np.zeros(count, np.int64)
    took, own = np.empty(len(bars)), np.empty(len(bars))
    gc.disable()
    for t in range(len(bars)):
        number, closed = numbers[t], bars[t]
        before = time.thread_time_ns()
        start = time.perf_counter_ns()
        made.advance(every, number, closed)
        took[t] = time.perf_counter_ns() - start
        own[t] = time.thread_time_ns() - before
    gc.enable()
    return {
        f"p{q:g}{said}": round(float(np.percentile(x[WARM:] / 1e3, q)), 2)
        for said, x in (("", took), (" of processor time", own))
        for q in QUANTILES
    }


def restart(program: Program) -> dict[str, float]:
    """Return what going on with 500 programs costs."""
    programs = [(f"S{k % 50}", program) for k in range(250)] + [(f"T{k}", program) for k in range(250)]
    made = Together(programs)
    data = made.checkpoint()
    start = time.perf_counter()
    Together.resume(programs, data)
    return {"seconds": round(time.perf_counter() - start, 3), "megabytes": round(len(data) / 1e6, 2)}


def main() -> None:
    """Check, measure, print one line, keep."""
    programs = {"ten nodes": bind(Ten()), "mean_reversion": bind(STRATEGIES["mean_reversion"]())}
    many, said = series(SYMBOLS, CALLS)
    result: dict[str, Any] = {"bars": said, "symbols": SYMBOLS, "calls": CALLS - WARM, "microseconds": {}}
    for name, program in programs.items():
        check(program, many)
        result["microseconds"][name] = {
            "nodes": len(program.nodes),
            f"{SYMBOLS} symbols": quantiles(program, many),
            "1 symbol": quantiles(program, np.ascontiguousarray(many[:, :1])),
        }
    result["resume 500 programs"] = restart(programs["mean_reversion"])
    result["load"] = round(os.getloadavg()[0], 1)
    keep("bench_advance", result)
    parts = [f"{name}: {found}" for name, found in result["microseconds"].items()]
    print("advance, us a call:", "; ".join(parts), f"resume of 500: {result['resume 500 programs']}; bars: {said}")


if __name__ == "__main__":
    main()
