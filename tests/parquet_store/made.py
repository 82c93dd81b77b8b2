"""Bars made for tests: legal, seeded, on the grid."""

from __future__ import annotations

import numpy as np
import polars as pl

from parquet_store import Timeframe
from parquet_store.moments import Moment, moment_ms


def made_bars(count: int, timeframe: str = "1h", start: Moment = "2024-01-30", seed: int = 0) -> pl.DataFrame:
    """Return legal bars without gaps; by default they cross from January into February."""
    rng = np.random.default_rng(seed)
    bar = Timeframe.parse(timeframe)
    first = moment_ms(start)
    assert first is not None
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1])) if count else close
    return pl.DataFrame(
        {
            "ts": bar.open_ms(bar.number(first) + np.arange(count)),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, count)),
            "low": np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, count)),
            "close": close,
            "volume": rng.uniform(0, 1_000, count),
        }
    ).with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))


def with_value(frame: pl.DataFrame, row: int, column: str, value: object) -> pl.DataFrame:
    """Return the frame with one cell changed; ``row`` counts from 0."""
    values = frame[column].to_list()
    values[row] = value
    kind = pl.String if isinstance(value, str) else frame.schema[column]
    if kind == pl.String:
        values = [None if cell is None else str(cell) for cell in values]
    return frame.with_columns(pl.Series(column, values, dtype=kind))
