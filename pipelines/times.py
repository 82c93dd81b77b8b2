"""Times as files write them (numbers since 1970 in four units, ISO text, dates) turned into UTC milliseconds."""

from __future__ import annotations

import polars as pl

from parquet_store.errors import Failed

# name, first size of the next unit (the year 5138 in this one, 1973 in the next), milliseconds = value * a // b
_UNITS = (
    ("seconds", 1e11, 1_000, 1),
    ("milliseconds", 1e14, 1, 1),
    ("microseconds", 1e17, 1, 1_000),
    ("nanoseconds", 9.3e18, 1, 1_000_000),
)
_ISO = (
    r"^(?P<y>\d{4})[-/.](?P<mo>\d{1,2})[-/.](?P<d>\d{1,2})"
    r"(?:[T\s]+(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2}(?:\.\d{1,9})?))?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_AM_PM = r"^\d{4}-\d{2}-\d{2} \d{2}-(?:AM|PM)$"
_SLASHED = r"^(\d{1,2})[/.](\d{1,2})[/.](\d{4})"
_UTC = pl.Datetime("ms", "UTC")
_ASSUMED = "times without a zone are read as UTC"


def read_times(column: pl.Series, clock: pl.Series | None = None) -> tuple[pl.Series, list[str]]:
    """Return the times of a column and what was assumed.

    Parameters
    ----------
    column : Series
        Datetimes, dates, numbers since 1970 (seconds to nanoseconds, told apart value by value), or text of those.
    clock : Series, optional
        Text of the time of day, where ``column`` has the dates.

    Returns
    -------
    Series of datetime[ms, UTC], list of str
        Null where a cell is no time; notes for the user.

    Raises
    ------
    Failed
        If the column holds something else, or dates whose day and month cannot be told apart.
    """
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            return column.dt.cast_time_unit("ms").dt.replace_time_zone("UTC"), [_ASSUMED]
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("ms"), []
    if kind == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"), []
    if kind.is_numeric():
        return _from_numbers(column)
    if kind != pl.String:
        raise Failed(f"column '{column.name}' holds {kind}: expected times; name another, as in --columns ts=NAME")
    text = column.str.strip_chars()
    if clock is not None:
        text = (text + " " + clock.str.strip_chars()).alias(column.name)
    known = text.filter(text.str.len_bytes() > 0)
    if known.is_empty():
        return pl.Series(text.name, [None] * len(text), dtype=_UTC), []
    if known.head(1).cast(pl.Float64, strict=False).null_count() == 0:
        whole, number = known.cast(pl.Int64, strict=False), known.cast(pl.Float64, strict=False)
        exact = whole.null_count() == number.null_count()
        return _from_numbers(text.cast(pl.Int64 if exact else pl.Float64, strict=False))
    if known.str.contains(_AM_PM).all():
        times = (text + "-00").str.to_datetime("%Y-%m-%d %I-%p-%M", strict=False, time_unit="ms")
        return times.dt.replace_time_zone("UTC"), [_ASSUMED]
    notes = []
    if known.head(1).str.contains(_SLASHED).item():
        text, note = _year_first(text, known)
        notes.append(note)
    times, said = _from_iso(text)
    return times, notes + said


def _from_numbers(column: pl.Series) -> tuple[pl.Series, list[str]]:
    value = pl.col(column.name)
    size = value.abs()
    scaled = pl.lit(None)
    units, below = [], 0.0
    for unit, bound, times, divisor in _UNITS:
        mine = (size >= below) & (size < bound)
        scaled = pl.when(mine).then((value * times).round() // divisor).otherwise(scaled)
        if column.to_frame().select(mine.any()).item():
            units.append(unit)
        below = bound
    times_read = column.to_frame().select(scaled.cast(pl.Int64).cast(_UTC).alias(column.name)).to_series()
    return times_read, [f"times are {' and '.join(units)} since 1970"] if units else []


def _from_iso(text: pl.Series) -> tuple[pl.Series, list[str]]:
    part = text.str.extract_groups(_ISO).struct.unnest()
    clock = [pl.col("h").fill_null("0"), pl.col("mi").fill_null("00"), pl.col("s").fill_null("00")]
    day = pl.concat_str(["y", "mo", "d"], separator="-")
    spelt = pl.concat_str([day, pl.concat_str(clock, separator=":")], separator=" ")
    digits = pl.col("zone").str.replace(":", "").str.replace("^(?:Z|UTC)$", "+0000")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    rows = part.select(
        local=spelt.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="ms"),
        offset=pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes),
        clock=pl.col("h").is_not_null(),
    )
    local, offset = rows["local"], rows["offset"]
    if (offset != 0).any() and (local.drop_nulls().to_physical() % 86_400_000 == 0).all():
        times, notes = local, ["every time is local midnight: read as the session's date"]
    else:
        times = rows.select(pl.col("local") - pl.duration(minutes=pl.col("offset").fill_null(0))).to_series()
        notes = [_ASSUMED] if (offset.is_null() & rows["clock"] & local.is_not_null()).any() else []
    return times.dt.replace_time_zone("UTC").alias(text.name), notes


def _year_first(text: pl.Series, known: pl.Series) -> tuple[pl.Series, str]:
    """Return dates such as 31/12/2024 year first, if the values show which part is the month."""
    above = [bool((known.str.extract(_SLASHED, group).cast(pl.Int64) > 12).any()) for group in (1, 2)]
    if above[0] == above[1]:
        raise Failed(
            f"column '{text.name}' holds dates such as {known[0]!r}, where day and month cannot be told apart: "
            "write them year first, as in 2024-03-01"
        )
    turned = text.str.replace(_SLASHED, "$3-$2-$1" if above[0] else "$3-$1-$2")
    return turned, f"dates are read as {'day/month' if above[0] else 'month/day'}/year"
