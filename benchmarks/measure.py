"""What every benchmark needs: real bars, the machine's name, and a file to keep results in."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import Bars

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LOCKSTEP_TEST_DATA", ROOT.parent / "shared" / "data"))
RESULTS = Path(__file__).resolve().parent / "results"
MINUTE, HOUR = 60_000, 3_600_000


def hourly_bars(count: int) -> tuple[Bars, str]:
    """Return ``count`` hours of BTC/USDT and what they are; a seeded random walk where the market data is absent."""
    path = DATA / "binance_BTC-USDT_1h.parquet"
    if path.is_file():
        return read_bars(path, "binance:BTC/USDT:1h", 0, count), "BTC/USDT hours from 2018"
    return walk(count, "1h", HOUR), "a seeded random walk"


def minute_bars(count: int) -> tuple[Bars, str]:
    """Return the last ``count`` minutes of 2018 of BTC/USD and what they are; else a seeded random walk."""
    path = DATA / "bitfinex_BTC-USD_1m.parquet"
    if path.is_file():
        return read_bars(path, "bitfinex:BTC/USD:1m", -count, count), "BTC/USD minutes to the end of 2018"
    return walk(count, "1m", MINUTE), "a seeded random walk"


def read_bars(path: Path, source: str, start: int, count: int) -> Bars:
    """Return rows of a bar file, from the end where ``start`` is negative."""
    import polars as pl

    frame = pl.read_parquet(path).slice(start, count)
    times = frame["ts"].dt.epoch("ms").to_numpy()
    columns = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return Bars.from_arrays(source, source.rsplit(":", 1)[1], times, *columns)


def walk(count: int, timeframe: str, milliseconds: int) -> Bars:
    """Return a seeded random walk with fat tails."""
    rng = np.random.default_rng(1)
    close = 10_000 * np.exp(np.cumsum(rng.standard_t(4, count) * 0.004))
    open = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open, close) * 1.001, np.minimum(open, close) * 0.999
    times = 1_514_764_800_000 + milliseconds * np.arange(count)
    volume = rng.exponential(1.0, count)
    return Bars.from_arrays(f"synthetic:WALK/USDT:{timeframe}", timeframe, times, open, high, low, close, volume)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import numba

    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "commit": commit.stdout.strip(),
    }


def keep(name: str, result: dict[str, Any]) -> None:
    """Write the result of a benchmark, with the machine, to results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**result, "machine": machine()}, indent=1, sort_keys=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
