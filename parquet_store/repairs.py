"""Which stored bars came from another venue than the series names, from which, and when they were put in.

A file beside the months holds those bars whole.  A stored bar counts as repaired while it is equal to the bar there,
so that the two files need not change at one moment: a writer killed between them leaves no bar under a wrong name.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from parquet_store.errors import Failed
from parquet_store.schema import BARS
from parquet_store.write import write_whole

NAME = "repairs.parquet"
SCHEMA = {**BARS.polars(), "source": pl.String(), "repaired_at": pl.Datetime("ms", "UTC")}


def read_repairs(folder: Path) -> pl.DataFrame:
    """Return what was put in so far: the columns of the bars, ``source`` and ``repaired_at``, sorted by time."""
    path = folder / NAME
    if not path.is_file():
        return pl.DataFrame(schema=SCHEMA)
    try:
        return pl.read_parquet(path, schema=SCHEMA, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Failed(
            f"{path} cannot be read ({str(error).splitlines()[0]}): restore it, or remove it and its series and "
            "download them again; it says which bars came from another venue"
        ) from error


def add_repairs(folder: Path, rows: pl.DataFrame, source: str, at_ms: int) -> None:
    """Note bars that are about to be put in; the caller is the sole writer."""
    at = pl.lit(at_ms).cast(SCHEMA["repaired_at"])
    new = rows.select(*BARS.names, source=pl.lit(source), repaired_at=at)
    _write(folder, pl.concat([read_repairs(folder).join(new, on="ts", how="anti"), new]).sort("ts"))


def drop_repairs(folder: Path, rows: pl.DataFrame) -> None:
    """Forget the repairs of bars that the series' own venue has given since; the caller is the sole writer."""
    noted = read_repairs(folder)
    left = noted.join(rows, on="ts", how="anti")
    if len(left) < len(noted):
        _write(folder, left.sort("ts"))


def standing(noted: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return those of the noted repairs that are what is stored: ts, source, repaired_at, sorted by time."""
    if noted.is_empty():
        return noted.select("ts", "source", "repaired_at")
    return noted.join(stored, on=BARS.names, how="semi").select("ts", "source", "repaired_at").sort("ts")


def _write(folder: Path, rows: pl.DataFrame) -> None:
    write_whole(folder / NAME, lambda file: rows.write_parquet(file, compression="zstd"))
