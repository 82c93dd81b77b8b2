"""Which bars a venue was asked for and did not have, so that they need not be asked for for ever.

A file beside the months holds runs of them and how often they were asked for.  It is a memory and no truth: a bar
that is stored is not absent, whatever stands there, and without the file the venue is asked once more.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from parquet_store.write import write_whole

NAME = "absent.parquet"
SCHEMA = pl.Schema({"first": pl.Datetime("ms", "UTC"), "last": pl.Datetime("ms", "UTC"), "asked": pl.Int64()})


def read_absent(folder: Path) -> pl.DataFrame:
    """Return the runs: open times of the first and the last absent bar, how often asked for, sorted, disjoint."""
    path = folder / NAME
    if not path.is_file():
        return pl.DataFrame(schema=SCHEMA)
    try:
        return pl.read_parquet(path, schema=SCHEMA, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError):  # a memory only: the venue is asked once more
        return pl.DataFrame(schema=SCHEMA)


def write_absent(folder: Path, runs: pl.DataFrame, start_ms: int, end_ms: int) -> None:
    """Put runs in the place of those known of the bars that open in [start, end); the caller is the sole writer.

    Parameters
    ----------
    folder : Path
        Of the series.
    runs : DataFrame
        Columns first, last, asked; all within the range.
    start_ms, end_ms : int
        Milliseconds since the Unix epoch, UTC.
    """
    start, end = (pl.lit(ms).cast(SCHEMA["first"]) for ms in (start_ms, end_ms))
    inside = pl.lit(end_ms - 1).cast(SCHEMA["first"])
    known = read_absent(folder)
    one = pl.duration(milliseconds=1)
    # a known run that reaches into the range is cut to what is outside of it
    before = known.filter(pl.col("first") < start).with_columns(last=pl.min_horizontal(pl.col("last"), start - one))
    after = known.filter(pl.col("last") > inside).with_columns(first=pl.max_horizontal(pl.col("first"), end))
    merged = pl.concat([frame.cast(SCHEMA) for frame in (before, runs, after)]).sort("first")
    write_whole(folder / NAME, lambda file: merged.write_parquet(file, compression="zstd"))
