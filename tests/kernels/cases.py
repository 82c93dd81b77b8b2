"""Every indicator step with its inputs, parameters and oracle, and the series the tests run them on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

import engine.kernels  # noqa: F401  (registers the steps)
from engine.kernels.step import find_step
from tests.data import DATA
from tests.naive import indicators as naive

Floats = npt.NDArray[np.float64]
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
# file, first row, rows, milliseconds a bar: liquid hours, flat and missing minutes, days, a fast trend
REAL = [
    ("binance_BTC-USDT_1h.parquet", 20_000, 2_500, HOUR),
    ("binance_DOGE-USDT_1h.parquet", 12_000, 2_500, HOUR),
    ("binance_XRP-ETH_1m.parquet", 0, 2_469, MINUTE),
    ("bitfinex_BTC-USD_1m.parquet", 100_000, 2_500, MINUTE),
    ("yahoo_SPY_1d_raw.parquet", 0, 5_774, DAY),
]
REAL_NAMES = [name for name, *_ in REAL]


@dataclass(frozen=True)
class Case:
    """One step with parameters; `oracle` takes the inputs and the parameters."""

    step: str
    inputs: tuple[str, ...]
    params: tuple[float, ...]
    oracle: Callable[..., Any]

    def __str__(self) -> str:
        return "-".join([self.step, *(f"{p:g}" for p in self.params)])

    def of(self, bars: dict[str, Floats]) -> list[Floats]:
        return [bars[name] for name in self.inputs]

    def expected(self, bars: dict[str, Floats]) -> tuple[Floats, ...]:
        whole = find_step(self.step).whole
        params = [int(p) if w else p for p, w in zip(self.params, whole, strict=True)]
        out = self.oracle(*self.of(bars), *params)
        return out if isinstance(out, tuple) else (out,)


CLOSE, BAR = ("close",), ("high", "low", "close")
CASES = [
    *(Case("sma", CLOSE, (n,), naive.sma) for n in (1, 2, 20, 200)),
    *(Case("ema", CLOSE, (n,), naive.ema) for n in (1, 12)),
    *(Case("wilder", CLOSE, (n,), naive.wilder) for n in (1, 14)),
    *(Case("moments", CLOSE, (n,), lambda x, n: (naive.sma(x, n), naive.std(x, n))) for n in (1, 2, 5, 20, 200)),
    *(Case("rsi", CLOSE, (n,), naive.rsi) for n in (1, 2, 14)),
    *(Case("macd", CLOSE, p, naive.macd) for p in ((12, 26, 9), (5, 2, 1), (1, 1, 3))),
    *(Case("roc", CLOSE, (n,), naive.roc) for n in (1, 10)),
    *(Case("highest", CLOSE, (n,), naive.highest) for n in (1, 2, 20, 200)),
    *(Case("lowest", CLOSE, (n,), naive.lowest) for n in (1, 2, 20, 200)),
    Case("true_range", BAR, (), naive.true_range),
    *(Case("atr", BAR, (n,), naive.atr) for n in (1, 14)),
    *(Case("adx", BAR, (n,), naive.adx) for n in (1, 2, 14)),
    *(Case("vwap", (*BAR, "volume"), (n,), naive.vwap) for n in (1, 2, 20, 200)),
    Case("obv", ("close", "volume"), (), naive.obv),
    Case("ibs", BAR, (), naive.ibs),
    *(Case("var", CLOSE, p, naive.var) for p in ((1, 0.05), (10, 0.3), (140, 0.05), (250, 0.05), (60, 1.0))),
    *(Case("shift", CLOSE, (n,), naive.shift) for n in (1, 7)),
]


@functools.cache
def real_bars(name: str) -> dict[str, Floats]:
    """Read one slice of real bars, with the bar numbers under "number"."""
    _, start, rows, step = next(item for item in REAL if item[0] == name)
    frame = pl.read_parquet(DATA / name).slice(start, rows)
    bars = {key: frame[key].to_numpy().astype(np.float64) for key in ("open", "high", "low", "close", "volume")}
    bars["number"] = frame["ts"].cast(pl.Datetime("ms", "UTC")).to_physical().to_numpy() // step
    return bars


@functools.cache
def made_bars(seed: int = 1, bars: int = 1_200, unknown: float = 0.0) -> dict[str, Floats]:
    """Make bars with flat stretches, jumps, bars without range or volume, and a share of unknown values."""
    random = np.random.default_rng(seed)
    moves = random.normal(0.0, 0.01, bars) * (random.random(bars) < 0.8)
    moves[random.random(bars) < 0.005] = 1.5
    moves[random.random(bars) < 0.005] = -1.5
    moves[bars // 4 : bars // 4 + 300] = 0.0
    close = np.exp(np.cumsum(moves)) * 50.0
    high = close * (1.0 + random.exponential(0.003, bars) * (random.random(bars) < 0.7))
    low = close * (1.0 - random.exponential(0.003, bars) * (random.random(bars) < 0.7))
    volume = random.exponential(1.0, bars) ** 6 * (random.random(bars) < 0.6)
    out = {"open": close, "high": high, "low": low, "close": close, "volume": volume}
    for name in out:
        out[name] = np.where(random.random(bars) < unknown, np.nan, out[name])
    number = np.cumsum(1 + (random.random(bars) < 0.05) * random.integers(1, 60, bars)) + 700
    out["number"] = number
    return out
