"""The sweeps of ``bench_sweep`` as a VectorBT user would write them: indicators once, then chunks of columns.

Run as a process of its own: ``python -m benchmarks.vectorbt_cases CASE BARS.npz POINTS.npz OUT.npz``.
"""

from __future__ import annotations

import gc
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import talib
import vectorbt as vbt

from benchmarks.cases import ATR_LENGTH, ATRS, CASES, CASH, FEE, SLIPPAGE, VAR_LENGTH, VAR_LIMIT

CHUNKS = (50, 250, 1000)
REPEATS = 3
ROWS = 4  # of a bar where stops must fill as they would: exits, entries, the open alone, the bar
YEAR = 365.25 * 24
COMMON: dict[str, Any] = {"size": np.inf, "fees": FEE, "slippage": SLIPPAGE, "init_cash": CASH, "min_size": 0.0}
Chunk = Callable[[Any, Any, dict[str, Any], str], Any]


def late(column: Any, first: Any = False) -> Any:
    """Move decisions to the bar that fills them."""
    return np.concatenate([np.full((1, column.shape[1]), first, column.dtype), column[:-1]])


def windows(values: Any, length: int) -> Any:
    """Return every window of ``length`` values, one a row."""
    return np.lib.stride_tricks.sliding_window_view(values, length)


def padded(values: Any, count: int) -> Any:
    """Return values with ``count`` unknown ones before them."""
    return np.concatenate([np.full(count, np.nan), values])


def indicators(bars: Any, points: dict[str, Any]) -> dict[Any, Any]:
    """Return every column the points ask for; windows are summed afresh, since TA-Lib's deviation cancels."""
    close, found = bars["close"], {}
    if "fast" in points:
        for name in ("fast", "slow"):
            for n in np.unique(points[name]):
                found["ema", n] = talib.EMA(close, int(n))
        return found
    for n in np.unique(points["rsi_length"]):
        found["rsi", n] = talib.RSI(close, int(n))
    for n in np.unique(points["band_length"]):
        found["mean", n] = padded(windows(close, int(n)).mean(1), int(n) - 1)
        found["deviation", n] = padded(windows(close, int(n)).std(1), int(n) - 1)
    if "trailing" in points:
        found["atr"] = talib.ATR(bars["high"], bars["low"], close, ATR_LENGTH)
        rank = math.ceil(0.05 * VAR_LENGTH)
        worst = np.partition(windows(close[1:] / close[:-1] - 1.0, VAR_LENGTH), rank - 1, axis=1)[:, rank - 1]
        found["var"] = padded(-worst, VAR_LENGTH)
    return found


def bands(bars: Any, found: dict[Any, Any], points: dict[str, Any]) -> tuple[Any, Any]:
    """Return the entries and exits of RSI and bands, one column a point, at the close that decides."""
    close, width = bars["close"][:, None], points["band_width"]
    rsi = np.column_stack([found["rsi", n] for n in points["rsi_length"]])
    mean = np.column_stack([found["mean", n] for n in points["band_length"]])
    reach = width * np.column_stack([found["deviation", n] for n in points["band_length"]])
    entry = (rsi < points["oversold"]) & (close < mean - reach)
    leave = (rsi > points["overbought"]) | (close > mean + reach)
    return entry & ~leave, leave


def banded(bars: Any, found: Any, points: dict[str, Any], engine: str) -> Any:
    """RSI and bands, long only, one row a bar."""
    entry, leave = bands(bars, found, points)
    wide = (np.broadcast_to(bars[name][:, None], entry.shape) for name in ("close", "open"))
    close, price = wide
    portfolio = vbt.Portfolio.from_signals(
        close, late(entry), late(leave), price=price, freq="1h", engine=engine, **COMMON
    )
    return figures(portfolio, np.asarray(portfolio.value()))


def crossed(bars: Any, found: Any, points: dict[str, Any], engine: str) -> Any:
    """A cross that reverses at every change, one row a bar."""
    fast = np.column_stack([found["ema", n] for n in points["fast"]])
    slow = np.column_stack([found["ema", n] for n in points["slow"]])
    wide = (np.broadcast_to(bars[name][:, None], fast.shape) for name in ("close", "open"))
    close, price = wide
    portfolio = vbt.Portfolio.from_signals(
        close, late(fast > slow), short_entries=late(fast < slow), price=price, upon_opposite_entry="reverse",
        lock_cash=True, freq="1h", engine=engine, **COMMON,
    )  # fmt: skip
    return figures(portfolio, np.asarray(portfolio.value()))


def stop_fractions(bars: Any, found: Any, width: int) -> Any:
    """Return the stop's distance at the deciding close as a fraction of the fill, moved to the fill's bar."""
    distance = late(np.broadcast_to(ATRS * found["atr"][:, None], (bars["close"].size, width)), np.nan)
    return distance / (bars["open"][:, None] * (1.0 + SLIPPAGE))


def stopped(bars: Any, found: Any, points: dict[str, Any], engine: str) -> Any:
    """The same with stops that fill as an order at the venue would: four rows a bar."""
    entry, leave = bands(bars, found, points)
    entry &= (found["var"] < VAR_LIMIT)[:, None] & (found["atr"] > 0.0)[:, None]
    n, width = entry.shape

    def rows(at: int, values: Any, blank: Any) -> Any:
        out = np.full((ROWS * n, width), blank, values.dtype)
        out[at::ROWS] = values
        return out

    def tape(name: str) -> Any:
        out = np.full((ROWS * n, 1), np.nan)
        out[2::ROWS, 0], out[3::ROWS, 0] = bars["open"], bars[name]
        return out

    portfolio = vbt.Portfolio.from_signals(
        np.broadcast_to(tape("close"), (ROWS * n, width)), rows(1, late(entry), False), rows(0, late(leave), False),
        price=np.repeat(bars["open"], ROWS)[:, None], open=tape("open"), high=tape("high"), low=tape("low"),
        sl_stop=rows(1, stop_fractions(bars, found, width), np.nan),
        sl_trail=np.broadcast_to(points["trailing"] != 0.0, (ROWS * n, width)),
        stop_entry_price="fillprice", stop_exit_price="stopmarket", upon_stop_exit="close", use_stops=True,
        accumulate=False, engine=engine, **COMMON,
    )  # fmt: skip
    return figures(portfolio, np.asarray(portfolio.value()).reshape(ROWS * n, width)[3::ROWS])


def stopped_plainly(bars: Any, found: Any, points: dict[str, Any], engine: str) -> Any:
    """The same in one row a bar, as most would write it; its fills on the entry bar are not those of a venue."""
    entry, leave = bands(bars, found, points)
    entry &= (found["var"] < VAR_LIMIT)[:, None] & (found["atr"] > 0.0)[:, None]
    shape = entry.shape
    portfolio = vbt.Portfolio.from_signals(
        np.broadcast_to(bars["close"][:, None], shape), late(entry), late(leave), price=bars["open"][:, None],
        open=bars["open"][:, None], high=bars["high"][:, None], low=bars["low"][:, None],
        sl_stop=stop_fractions(bars, found, shape[1]), sl_trail=np.broadcast_to(points["trailing"] != 0.0, shape),
        stop_entry_price="fillprice", stop_exit_price="stopmarket", upon_stop_exit="close", use_stops=True,
        accumulate=False, engine=engine, **COMMON,
    )  # fmt: skip
    return figures(portfolio, np.asarray(portfolio.value()))


def figures(portfolio: Any, equity: Any) -> Any:
    """Return total return, Sharpe, drawdown, closed trades and win rate of each column."""
    before = np.concatenate([np.full((1, equity.shape[1]), CASH), equity[:-1]])
    returns = equity / before - 1.0
    trades = portfolio.trades
    closed = np.asarray(trades.closed.count(), float)
    peak = np.maximum(np.maximum.accumulate(equity, axis=0), CASH)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = returns.std(axis=0, ddof=1)
        sharpe = np.where(deviation > 0.0, returns.mean(axis=0) / deviation * math.sqrt(YEAR), np.nan)
        wins = np.asarray(trades.winning.closed.count(), float) / closed
    fall = (equity / peak - 1.0).min(axis=0)
    return np.column_stack([equity[-1] / CASH - 1.0, sharpe, fall, closed, wins])


WRITTEN: dict[str, tuple[Chunk, tuple[int, ...]]] = {
    "grid": (banded, CHUNKS),
    "random": (banded, CHUNKS),
    "stops": (stopped, CHUNKS[:2]),
    "cross": (crossed, CHUNKS),
}


def run(chunk: Chunk, bars: Any, points: dict[str, Any], engine: str, size: int) -> tuple[float, Any]:
    """Return (seconds, metrics) of the points in chunks of ``size`` columns."""
    start, out = time.perf_counter(), []
    found = indicators(bars, points)
    count = len(next(iter(points.values())))
    for at in range(0, count, size):
        out.append(chunk(bars, found, {name: v[at : at + size] for name, v in points.items()}, engine))
        gc.collect()
    return time.perf_counter() - start, np.concatenate(out)


def main() -> None:
    """Choose engine and chunk, run the better one three times, print one JSON document."""
    name, source, given, target = sys.argv[1:5]
    with np.load(source) as data:
        bars = dict(data)
    with np.load(given) as data:
        points = dict(data)
    chunk, sizes = WRITTEN[name]
    assert name in CASES
    count = len(next(iter(points.values())))
    work, tried = count * bars["close"].size, {}
    for engine in ("numba", "rust"):
        run(chunk, bars, {key: values[:2] for key, values in points.items()}, engine, 2)
        for size in sizes:
            tried[f"{engine}/{size}"] = work / run(chunk, bars, points, engine, size)[0]
    engine, size = max(tried, key=tried.__getitem__).split("/")
    seconds, metrics = [], None
    for _ in range(REPEATS):
        taken, metrics = run(chunk, bars, points, engine, int(size))
        seconds.append(taken)
    np.savez(target, metrics=metrics)
    found: dict[str, Any] = {
        "engine": engine, "chunk": int(size), "combinations": count, "seconds": statistics.median(seconds),
        "rate": work / statistics.median(seconds), "tried": tried,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip
    if chunk is stopped:
        run(stopped_plainly, bars, {key: values[:2] for key, values in points.items()}, engine, 2)
        plain = [run(stopped_plainly, bars, points, engine, int(size))[0] for _ in range(REPEATS)]
        found["one_row_rate"] = work / statistics.median(plain)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
