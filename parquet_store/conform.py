"""Bring a frame from anywhere to the dataset's columns, without losing what could not be read."""

from __future__ import annotations

import polars as pl

from parquet_store.errors import Failed
from parquet_store.schema import BARS, Dataset

RAW = "raw:"  # prefix of a column that keeps the text of a number that could not be read
_EARLIEST, _LATEST = -2_208_988_800_000, 7_258_118_400_000  # 1900 and 2200: other times come of units mistaken


def conform(frame: pl.DataFrame, dataset: Dataset = BARS) -> pl.DataFrame:
    """Return the frame with exactly the dataset's columns and types, row for row.

    Parameters
    ----------
    frame : DataFrame
        At least the dataset's columns.  Times: any datetime (without a zone: UTC) or date.  Numbers: any numeric
        type, or text.

    Returns
    -------
    DataFrame
        Times as ``datetime[ms, UTC]`` (null: unknown, or not between 1900 and 2200), numbers as float64 (null:
        missing or no number), -0.0 as 0.0.
        For a text column in which a cell is no number, ``raw:NAME`` keeps that cell's text, null elsewhere.  A text
        column ``raw:ts``, in which an import keeps times that it could not read, is kept.

    Raises
    ------
    Failed
        If a column is missing or of a type that cannot hold its values.
    """
    missing = [name for name in dataset.names if name not in frame.columns]
    if missing:
        raise Failed(
            f"no column {', '.join(repr(name) for name in missing)}: found {', '.join(frame.columns) or 'none'}; "
            f"name it, as in --columns {missing[0]}=NAME"
        )
    columns: list[pl.Expr] = []
    for field in dataset.fields:
        kind = frame.schema[field.name]
        if field.kind == "time":
            columns.append(_time(field.name, kind))
        elif kind == pl.String:
            text = pl.col(field.name).str.strip_chars()
            number = text.cast(pl.Float64, strict=False)
            columns.append(number + 0.0)
            odd = pl.when(number.is_null() & (text.str.len_bytes() > 0)).then(text)
            columns.append(odd.alias(RAW + field.name))
        elif kind.is_numeric() or kind == pl.Null:
            columns.append(pl.col(field.name).cast(pl.Float64) + 0.0)
        else:
            raise Failed(
                f"column '{field.name}' holds {kind}: expected numbers; name another, as in --columns {field.name}=NAME"
            )
    if frame.schema.get(RAW + dataset.key) == pl.String:
        columns.append(pl.col(RAW + dataset.key))
    conformed = frame.select(columns)
    empty = [name for name in conformed.columns if name.startswith(RAW) and conformed[name].null_count() == len(frame)]
    return conformed.drop(empty)


def _time(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if kind == pl.Date or kind == pl.Null:
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    if isinstance(kind, pl.Datetime):
        zoned = column.dt.replace_time_zone("UTC") if kind.time_zone is None else column.dt.convert_time_zone("UTC")
        time = zoned.dt.cast_time_unit("ms")
        return pl.when(time.to_physical().is_between(_EARLIEST, _LATEST)).then(time).alias(name)
    raise Failed(f"column '{name}' holds {kind}: expected a datetime or a date")
