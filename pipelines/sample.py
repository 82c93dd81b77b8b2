"""Real daily bars that come with the ``arch`` package, so that everything can be tried offline."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from parquet_store.errors import Failed
from parquet_store.series import Series
from parquet_store.store import Store

SAMPLES = {"NASDAQ": "nasdaq", "SP500": "sp500"}  # Composite and S&P 500, sessions of 1999 to 2018


def load(store: Store) -> list[Series]:
    """Put the sample series into a store and return them: ``sample:NASDAQ:1d`` and ``sample:SP500:1d``.

    Prices are unadjusted index levels; ``ts`` is the session's date at 00:00 UTC.  Loading twice changes nothing.

    Raises
    ------
    Failed
        If ``arch`` is not installed, or holds its data elsewhere than known.
    """
    spec = find_spec("arch")
    if spec is None or spec.origin is None:
        raise Failed(
            "the sample comes with the package 'arch', which is not installed: "
            "install the extra 'research', as in pip install 'lockstep-engine[research]'"
        )
    loaded = []
    for symbol, name in SAMPLES.items():
        path = Path(spec.origin).parent / "data" / name / f"{name}.csv.gz"
        if not path.is_file():
            raise Failed(f"the installed 'arch' has no file {path}: install the version in requirements.lock")
        series = Series("sample", symbol, "1d")
        store.append(series, read(path), provenance=f"arch.data.{name}")
        loaded.append(series)
    return loaded


def read(path: Path) -> pl.DataFrame:
    """Return the bars of one of arch's files: dates as month/day/year, the adjusted close left out."""
    rows = pl.read_csv(path, infer_schema=False)
    date = pl.col("Date").str.to_datetime("%m/%d/%Y", time_unit="ms", time_zone="UTC")
    numbers = [
        pl.col(name.capitalize()).cast(pl.Float64).alias(name) for name in ("open", "high", "low", "close", "volume")
    ]
    return rows.select(date.alias("ts"), *numbers)
