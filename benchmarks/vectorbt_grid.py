"""The grid of ``bench_sweep`` as a VectorBT user would write it: indicators once, then chunks of columns.

Run as a process of its own: ``python -m benchmarks.vectorbt_grid BARS.npz OUT.npz COMBINATIONS``.
"""

from __future__ import annotations

import gc
import itertools
import json
import resource
import sys
import time
from typing import Any

import numpy as np
import talib
import vectorbt as vbt

FEE, SLIPPAGE, CASH = 0.001, 0.0005, 10_000.0
CHUNKS = (50, 250, 1000)
SAMPLE = 1000


def indicators(close: Any, grid: dict[str, list[float]]) -> tuple[dict[float, Any], dict[float, tuple[Any, Any]]]:
    """Return RSI by length and (mean, deviation) by length; windows are summed afresh, TA-Lib's deviation cancels."""
    rsi = {n: talib.RSI(close, int(n)) for n in grid["rsi_length"]}
    bands = {}
    for n in grid["band_length"]:
        windows = np.lib.stride_tricks.sliding_window_view(close, int(n))
        blank = np.full(int(n) - 1, np.nan)
        bands[n] = np.concatenate([blank, windows.mean(1)]), np.concatenate([blank, windows.std(1)])
    return rsi, bands


def late(column: Any) -> Any:
    """Move decisions to the bar that fills them."""
    return np.concatenate([np.zeros((1, column.shape[1]), bool), column[:-1]])


def chunk(bars: Any, found: Any, combos: list[tuple[float, ...]], engine: str) -> Any:
    """Return total return, Sharpe, drawdown, trades, win rate and fees of some combinations."""
    rsi, bands = found
    close = bars["close"][:, None]
    entries, exits = [], []
    for length, oversold, overbought, band_length, width in combos:
        mean, deviation = bands[band_length]
        entries.append((rsi[length] < oversold) & (bars["close"] < mean - width * deviation))
        exits.append((rsi[length] > overbought) | (bars["close"] > mean + width * deviation))
    entry, leave = np.column_stack(entries), np.column_stack(exits)
    portfolio = vbt.Portfolio.from_signals(
        np.broadcast_to(close, entry.shape),
        late(entry & ~leave),
        late(leave),
        price=np.broadcast_to(bars["open"][:, None], entry.shape),
        size=np.inf,
        fees=FEE,
        slippage=SLIPPAGE,
        init_cash=CASH,
        min_size=0.0,
        freq="1h",
        engine=engine,
    )
    sharpe = np.asarray(portfolio.sharpe_ratio(year_freq="365.25 days"), float)
    trades = portfolio.trades
    closed = np.asarray(trades.closed.count(), float)
    with np.errstate(invalid="ignore", divide="ignore"):
        wins = np.asarray(trades.winning.closed.count(), float) / closed
    out = [portfolio.total_return(), np.where(np.isinf(sharpe), np.nan, sharpe), portfolio.max_drawdown(), closed, wins]
    return np.column_stack([np.asarray(column, float) for column in out])


def run(
    bars: Any, grid: dict[str, list[float]], combos: list[tuple[float, ...]], engine: str, size: int
) -> tuple[float, Any]:
    """Return (seconds, metrics) of the combinations in chunks of ``size`` columns."""
    start = time.perf_counter()
    found = indicators(bars["close"], grid)
    out = []
    for at in range(0, len(combos), size):
        out.append(chunk(bars, found, combos[at : at + size], engine))
        gc.collect()
    return time.perf_counter() - start, np.concatenate(out)


def main() -> None:
    """Choose engine and chunk on a sample, run the whole grid with the better, print one JSON document."""
    source, target, spec = sys.argv[1:4]
    with np.load(source) as data:
        bars = {name: data[name] for name in ("open", "close")}
    grid = json.loads(spec)
    names = ("rsi_length", "oversold", "overbought", "band_length", "band_width")
    combos = list(itertools.product(*(grid[name] for name in names)))
    middle = combos[len(combos) // 2 - SAMPLE // 2 :][:SAMPLE]
    tried = {}
    for engine in ("numba", "rust"):
        run(bars, grid, combos[:2], engine, 2)
        for size in CHUNKS:
            seconds, _ = run(bars, grid, middle, engine, size)
            tried[f"{engine}/{size}"] = len(middle) * bars["close"].size / seconds
    engine, size = max(tried, key=tried.__getitem__).split("/")
    seconds, metrics = run(bars, grid, combos, engine, int(size))
    np.savez(target, metrics=metrics)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = len(combos) * bars["close"].size / seconds
    found = {"engine": engine, "chunk": int(size), "seconds": seconds, "rate": rate, "tried": tried, "peak_mb": peak}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
