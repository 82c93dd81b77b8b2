"""Read stored files: only finished ones, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from parquet_store.errors import Failed
from parquet_store.moments import to_datetime
from parquet_store.schema import BARS


def scan_files(files: Mapping[str, Path], start: int | None = None, end: int | None = None) -> pl.LazyFrame:
    """Return the rows of month files whose time is in [start, end), in order.

    Parameters
    ----------
    files : mapping
        Month (``2024-03``) to file, oldest first.
    start, end : int or None
        Milliseconds since the Unix epoch; None is open.
    """
    low = "" if start is None else f"{to_datetime(start):%Y-%m}"
    high = "9999-99" if end is None else f"{to_datetime(end - 1):%Y-%m}"
    chosen = [path for month, path in files.items() if low <= month <= high]
    schema = BARS.polars()
    if not chosen:
        return pl.LazyFrame(schema=schema)
    # the schema is given, so that nothing is remembered of a file that a writer may replace before it is read
    rows = pl.scan_parquet(chosen, schema=schema, glob=False, hive_partitioning=False)
    if start is not None:
        rows = rows.filter(pl.col("ts") >= pl.lit(start).cast(pl.Datetime("ms", "UTC")))
    if end is not None:
        rows = rows.filter(pl.col("ts") < pl.lit(end).cast(pl.Datetime("ms", "UTC")))
    return rows


def read_file(path: Path) -> pl.DataFrame:
    """Return the rows of one stored file."""
    with naming_broken_files({"": path}):
        return pl.read_parquet(path, schema=BARS.polars(), glob=False, hive_partitioning=False)


@contextmanager
def naming_broken_files(files: Mapping[str, Path]) -> Iterator[None]:
    """Turn what Polars says of a damaged file into an error that names it and says what to do."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        broken = [path for path in files.values() if not _readable(path)]
        where = str(broken[0]) if broken else "the store"
        reason = str(error).splitlines()[0]
        raise Failed(
            f"{where} cannot be read ({reason}): move that file away or restore it, then import its month again; "
            "it was left as it is"
        ) from error


def _readable(path: Path) -> bool:
    try:
        pl.read_parquet(path, schema=BARS.polars(), glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True
