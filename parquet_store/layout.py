"""Where things lie under the store's root; the only module that turns names into paths and back.

    ROOT/bars/venue=V/symbol=S/timeframe=T/month=YYYY-MM/part.parquet   rows, one file a month
    ROOT/bars/venue=V/symbol=S/timeframe=T/series.json                  what is known of the series
    ROOT/bars/venue=V/symbol=S/timeframe=T/repairs.parquet              bars of it that another venue gave
    ROOT/bars/venue=V/symbol=S/timeframe=T/absent.parquet               bars the venue was asked for and did not have
    ROOT/funding/..., ROOT/trades/...                                   see ``events``
    ROOT/quarantine/venue=V/symbol=S/timeframe=T/DIGEST.parquet         rows that were refused, with the reason
    ROOT/runs/                                                          results; not touched here

Names are percent-encoded, as hive readers expect (``symbol=BTC%2FUSDT``): Polars and DuckDB show the real symbol.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from parquet_store.errors import Usage
from parquet_store.schema import Dataset
from parquet_store.series import Series

PART = "part.parquet"
TEMPORARY = ".tmp"


def resolve_root(path: Path | str | None) -> Path:
    """Return the store's folder: ``path``, else ``$LOCKSTEP_STORE``, else ``./.lockstep``."""
    root = Path(path or os.environ.get("LOCKSTEP_STORE") or ".lockstep").expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise Usage(f"{root} is a file; the store is a folder: give another place with --store or LOCKSTEP_STORE")
    return root


def series_folder(root: Path, dataset: str, series: Series) -> Path:
    """Return the folder of one series, which need not exist."""
    parts = (("venue", series.venue), ("symbol", series.symbol), ("timeframe", series.timeframe))
    return root.joinpath(dataset, *(f"{key}={quote(value, safe='')}" for key, value in parts))


def month_files(folder: Path) -> dict[str, Path]:
    """Return the finished files of a series, month (``2024-03``) to path, oldest first."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith("month="))
    except FileNotFoundError:
        return {}
    files = {name.removeprefix("month="): folder / name / PART for name in names}
    return {month: path for month, path in files.items() if path.is_file()}


def stored_series(root: Path, dataset: Dataset) -> list[Series]:
    """Return every series of a dataset that has rows, sorted by name."""
    found = []
    for folder in (root / dataset.name).glob("venue=*/symbol=*/timeframe=*"):
        venue, symbol, timeframe = (unquote(part.partition("=")[2]) for part in folder.parts[-3:])
        if month_files(folder):
            found.append(Series(venue, symbol, timeframe))
    return sorted(found, key=str)


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files that a killed writer left in a folder and in those within."""
    return [*folder.glob(f".*{TEMPORARY}"), *folder.glob(f"*/.*{TEMPORARY}")]
