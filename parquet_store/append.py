"""Add rows to a series: check them, set bad ones aside or refuse them all, merge the rest month by month."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from parquet_store.conform import RAW, conform
from parquet_store.errors import Refuse
from parquet_store.findings import REFUSED, faults, findings, notes
from parquet_store.layout import PART, series_folder
from parquet_store.read import read_file
from parquet_store.schema import BARS
from parquet_store.series import Series
from parquet_store.write import make_folder, telling_disk_errors, write_rows, write_whole


@dataclass(frozen=True)
class Appended:
    """What an append did.

    Attributes
    ----------
    rows : int
        Rows of the input that are now in the store.
    replaced : int
        How many of them took the place of a stored row with the same time and other values.
    months : int
        Files written.
    quarantined : int
        Rows set aside.
    unchanged : int
        How many of ``rows`` had been stored before, just as they are.
    quarantine : Path or None
        The file they were set aside in.
    notes : tuple of str
        What was done to the input: sorted, copies dropped.
    """

    rows: int
    replaced: int
    months: int
    quarantined: int
    unchanged: int = 0
    quarantine: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """Rows fit to store, sorted and unique in time; and the bad ones as they came, with row number and reason."""

    rows: pl.DataFrame
    bad: pl.DataFrame
    notes: tuple[str, ...]


def check(series: Series, frame: pl.DataFrame, *, quarantine: bool) -> Checked:
    """Return the frame's rows, sorted, unique and fit to store, apart from those that are not.

    Raises
    ------
    Refuse
        If there are bad rows and ``quarantine`` is false: the count of each kind, the first row, what to do.
    """
    rows = conform(frame)
    masks = faults(rows, series.bar)
    bad = frame.clear()
    if masks:
        table = pl.DataFrame(masks)
        any_fault = table.select(pl.any_horizontal(pl.all())).to_series()
        if not quarantine:
            raise Refuse(_refusal(series, rows, masks, int(any_fault.sum())))
        words = pl.concat_str(
            [pl.when(kind).then(pl.lit(REFUSED[kind])) for kind in masks], separator="; ", ignore_nulls=True
        )
        own = [name for name in ("row", "reason") if name in frame.columns]
        numbered = frame.rename({name: f"{name}_" for name in own}).with_row_index("row", offset=1)
        bad = numbered.with_columns(table.select(reason=words).to_series()).filter(any_fault)
        rows = rows.filter(~any_fault)
    rows = rows.drop([name for name in rows.columns if name.startswith(RAW)])
    said = []
    for kind, mask in notes(rows).items():
        count = int(mask.sum())
        said.append(
            f"{count:,} exact copies of rows dropped"
            if kind == "repeated"
            else f"sorted: {count:,} rows were out of order"
        )
    if said:
        rows = rows.unique("ts", keep="last").sort("ts")
    return Checked(rows, bad, tuple(said))


def _refusal(series: Series, rows: pl.DataFrame, masks: dict[str, pl.Series], count: int) -> str:
    kinds = ", ".join(f"{int(mask.sum()):,} x {kind} ({REFUSED[kind]})" for kind, mask in masks.items())
    first = min(findings(rows, masks, REFUSED, limit=1), key=lambda finding: finding.row)
    return (
        f"{series}: {count:,} of {len(rows):,} rows are bad, so nothing was stored: {kinds}; first: {first}; "
        "correct them, or store the rest with --quarantine, which sets bad rows aside in a file with the reason"
    )


def months_of(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each month (``2024-03``) of sorted rows with its rows, oldest first."""
    if rows.is_empty():
        return
    months = rows["ts"].to_physical().to_numpy().astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(months)) + 1, [len(rows)]))
    for begin, end in itertools.pairwise(starts):
        yield str(months[begin]), rows.slice(int(begin), int(end - begin))


def merge_month(series: Series, folder: Path, month: str, rows: pl.DataFrame) -> tuple[bool, int, int]:
    """Bring one month's file up to date; the caller is the sole writer.

    Returns
    -------
    bool, int, int
        Whether the file was written; how many rows replaced a stored one; how many were there before, unchanged.
    """
    replaced = unchanged = 0
    path = folder / f"month={month}" / PART
    if path.is_file():
        stored = read_file(path)
        both = stored.join(rows, on="ts", how="inner", suffix="_new")
        same = both.select(
            pl.all_horizontal(pl.col(name) == pl.col(f"{name}_new") for name in BARS.numbers)
        ).to_series()
        unchanged = int(same.sum())
        replaced = len(both) - unchanged
        if unchanged == len(rows):
            return False, 0, unchanged
        rows = pl.concat([stored.join(rows, on="ts", how="anti"), rows]).sort("ts")
    write_rows(path, rows, BARS, series=str(series), month=month)
    return True, replaced, unchanged


def set_aside(root: Path, series: Series, bad: pl.DataFrame, provenance: str) -> Path:
    """Write bad rows to the quarantine; the same rows give the same file."""
    content = io.BytesIO()
    bad.write_parquet(content, compression="zstd", metadata={"series": str(series), "provenance": provenance})
    digest = hashlib.sha256(content.getvalue()).hexdigest()[:16]
    path = series_folder(root, "quarantine", series) / f"{digest}.parquet"
    with telling_disk_errors(path.parent):
        make_folder(path.parent)
        write_whole(path, lambda file: file.write(content.getvalue()))
    return path
