"""Import a file of bars: its kind, its layout, its times; nothing is repaired, and nothing is dropped unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from parquet_store.conform import RAW
from parquet_store.errors import Failed
from parquet_store.schema import BARS
from pipelines.columns import recognise
from pipelines.kinds import read_table
from pipelines.times import read_times


@dataclass(frozen=True)
class Imported:
    """A file's bars, ready for ``Store.append``.

    Attributes
    ----------
    frame : DataFrame
        Columns ts (datetime[ms, UTC], null where it cannot be read), open, high, low, close, volume, row for row as in
        the file; numbers are float64, or text where a cell of the column is no number.  If a time cannot be read, a
        column ``raw:ts`` keeps its text.
    layout : str
        The layout found: binance, cryptodatadownload, freqtrade, plain, store or yahoo.
    notes : tuple of str
        What was recognised, assumed or left out.
    """

    frame: pl.DataFrame
    layout: str
    notes: tuple[str, ...] = ()


def import_file(path: Path | str, *, columns: Mapping[str, str] | None = None, layout: str = "auto") -> Imported:
    """Read bars from a CSV (plain, gzip, zip), Parquet or Feather file.

    Parameters
    ----------
    path : Path or str
        The file.
    columns : mapping, optional
        The file's column names for ``ts``, ``open``, ``high``, ``low``, ``close`` and ``volume``, where they are not
        recognised: ``{"ts": "when"}``.
    layout : str
        ``auto``, or one of binance, cryptodatadownload, freqtrade, plain, store, yahoo: then another one is an error.

    Returns
    -------
    Imported
        The bars, unchecked and in the file's order: checking is the store's, so that bad rows can be set aside.

    Raises
    ------
    Usage
        If ``columns`` or ``layout`` name what there is not.
    Failed
        If the file is missing, empty, damaged, of another kind or layout, or lacks a column.
    """
    path = Path(path)
    table = read_table(path)
    found = recognise(table.frame, header=table.header, columns=columns, layout=layout, path=str(path))
    if table.frame.is_empty():
        raise Failed(f"{path} has a header and no rows: expected bars")
    clock = None if found.clock is None else table.frame[found.clock]
    try:
        times, said = read_times(table.frame[found.names["ts"]], clock)
    except Failed as error:
        raise Failed(f"{path}: {error}") from error
    unread = _unread(table.frame[found.names["ts"]], times)
    numbers = [_number(table.frame[found.names[name]]).alias(name) for name in BARS.numbers]
    used = {*found.names.values(), found.clock}
    unused = [name for name in table.frame.columns if name not in used]
    notes = [*table.notes, *found.notes, *said]
    if unused:
        notes.append(f"columns left out: {', '.join(unused)}")
    return Imported(pl.DataFrame([times.alias("ts"), *numbers, *unread]), found.layout, tuple(notes))


def _unread(column: pl.Series, times: pl.Series) -> list[pl.Series]:
    """Return a column with the text of cells that hold something, but no time; none if there is no such cell."""
    if times.null_count() == 0:
        return []
    text = column.cast(pl.String).str.strip_chars()
    odd = times.is_null() & (text.str.len_bytes().fill_null(0) > 0)
    return [text.set(~odd, None).alias(RAW + "ts")] if odd.any() else []


def _number(column: pl.Series) -> pl.Series:
    """Return text as numbers if every cell is one (or empty), else as it is."""
    if column.dtype != pl.String:
        return column
    text = column.str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    return number if number.null_count() == (text.fill_null("") == "").sum() else column
