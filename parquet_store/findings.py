"""What is wrong with rows of bars: every rule is here, once, for imports and for checks of what is stored.

Rules look at one row, at its time, or at its neighbours; each finding names the row, the time and the value.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from parquet_store.conform import RAW, conform
from parquet_store.gaps import find_gaps
from parquet_store.moments import to_text
from parquet_store.schema import BARS
from parquet_store.timeframe import Timeframe

REFUSED = {
    "time": "no time, or one that cannot be read",
    "off_grid": "time is not the open of a bar",
    "text": "text where a number should be",
    "missing": "no value",
    "not_finite": "NaN or infinite",
    "not_positive": "price is zero or negative",
    "negative_volume": "volume is negative",
    "high_below": "high is below open or close",
    "low_above": "low is above open or close",
    "duplicate": "another row has the same time and different values",
}
NOTED = {
    "unsorted": "time is before that of the row above",
    "repeated": "exact copy of another row",
    "gap": "bars are absent",
}
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one row.

    Attributes
    ----------
    kind : str
        A key of ``REFUSED`` (such rows are not stored) or of ``NOTED``.
    row : int
        Number of the row in the frame, counted from 1.
    time : datetime or None
        Its open time, UTC; None where that is unknown.
    message : str
        The rule in words.
    value : str
        What was found.
    """

    kind: str
    row: int
    time: dt.datetime | None
    message: str
    value: str

    @property
    def refused(self) -> bool:
        """Whether a row with this finding may not be stored."""
        return self.kind in REFUSED

    def __str__(self) -> str:
        at = "time unknown" if self.time is None else to_text(round(self.time.timestamp() * 1_000))
        return f"row {self.row:,} ({at}): {self.message}: {self.value}"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON can carry it; the time as ISO text or None."""
        time = None if self.time is None else self.time.isoformat()
        return {"kind": self.kind, "row": self.row, "time": time, "message": self.message, "value": self.value}


def audit(frame: pl.DataFrame, timeframe: Timeframe | str) -> list[Finding]:
    """Return everything wrong with a frame of bars, in row order; an empty list is a clean bill.

    Parameters
    ----------
    frame : DataFrame
        Columns ts, open, high, low, close, volume, in any order of rows; numbers may be text.
    timeframe : Timeframe or str
        The length of a bar.

    Raises
    ------
    Failed
        If a column is missing or cannot hold its values.
    """
    bar = timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe)
    rows = conform(frame)
    found = findings(rows, faults(rows, bar), REFUSED) + findings(rows, notes(rows), NOTED)
    times = rows["ts"].drop_nulls().unique().sort().to_physical().to_numpy()
    first_row = {} if not len(times) else _row_of(rows)
    for gap in find_gaps(times, bar):
        before = round(gap.before.timestamp() * 1_000)
        value = f"{gap.missing:,} before this bar, after {to_text(round(gap.after.timestamp() * 1_000))}"
        found.append(Finding("gap", first_row[before], gap.before, NOTED["gap"], value))
    return sorted(found, key=lambda finding: finding.row)


def faults(rows: pl.DataFrame, bar: Timeframe) -> dict[str, pl.Series]:
    """Return, for each kind of ``REFUSED`` that occurs, the mask of the conformed rows that have the fault."""
    raw = [RAW + name for name in BARS.numbers if RAW + name in rows.columns]
    text = pl.any_horizontal([pl.col(name).is_not_null() for name in raw]) if raw else pl.lit(False)
    missing = [
        pl.col(name).is_null() & (pl.col(RAW + name).is_null() if RAW + name in raw else pl.lit(True))
        for name in BARS.numbers
    ]
    finite = {name: pl.col(name).is_finite().fill_null(False) for name in BARS.numbers}
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    body = finite["open"] & finite["close"]
    number = rows["ts"].to_physical().fill_null(0).to_numpy()
    values = pl.struct(BARS.numbers)
    masks = rows.select(
        time=pl.col("ts").is_null(),
        off_grid=pl.Series(bar.open_ms(bar.number(number)) != number),
        text=text,
        missing=pl.any_horizontal(missing),
        not_finite=pl.any_horizontal([pl.col(name).is_not_null() & ~finite[name] for name in BARS.numbers]),
        not_positive=pl.any_horizontal([finite[name] & (pl.col(name) <= 0) for name in _PRICES]),
        negative_volume=finite["volume"] & (pl.col("volume") < 0),
        high_below=body & finite["high"] & (pl.col("high") < top),
        low_above=body & finite["low"] & (pl.col("low") > bottom),
    )
    found = {kind: masks[kind].fill_null(False) for kind in masks.columns}
    times = rows["ts"]
    if times.null_count() or not _increasing(number):
        # of the versions of a bar that are otherwise good, all are at fault but the last and those that agree with it
        good = pl.DataFrame(found).select(~pl.any_horizontal(pl.all())).to_series()
        indexed = rows.with_row_index("row").filter(good & times.is_duplicated())
        conflict = indexed.filter(values.ne_missing(values.last().over("ts")))["row"]
        found["duplicate"] = pl.Series(np.isin(np.arange(len(rows)), conflict.to_numpy()))
    return {kind: mask for kind, mask in found.items() if mask.any()}


def notes(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Return masks of the conformed rows that are out of order or exact copies, as ``faults`` does."""
    if _increasing(rows["ts"].to_physical().fill_null(0).to_numpy()):
        return {}
    found = rows.select(
        unsorted=(pl.col("ts") < pl.col("ts").shift(1)).fill_null(False),
        repeated=pl.col("ts").is_not_null()
        & pl.struct(BARS.names).is_duplicated()
        & ~pl.struct(BARS.names).is_first_distinct(),
    )
    return {kind: found[kind] for kind in found.columns if found[kind].any()}


def findings(
    rows: pl.DataFrame, masks: dict[str, pl.Series], words: dict[str, str], limit: int | None = None
) -> list[Finding]:
    """Return the findings of masks over conformed rows; at most ``limit`` of each kind."""
    found = []
    for kind, mask in masks.items():
        picked = rows.with_row_index("row", offset=1).filter(mask).head(len(rows) if limit is None else limit)
        for row in picked.iter_rows(named=True):
            found.append(Finding(kind, row["row"], row["ts"], words[kind], _value(kind, row)))
    return found


def _value(kind: str, row: dict[str, Any]) -> str:
    if kind == "time":
        return repr(row.get(RAW + "ts") or "none")
    if kind in ("off_grid", "unsorted"):
        return str(row["ts"].replace(tzinfo=None))
    if kind == "text":
        return _joined((name, repr(row[RAW + name])) for name in BARS.numbers if row.get(RAW + name) is not None)
    if kind == "missing":
        return _joined((name, "none") for name in BARS.numbers if row[name] is None and row.get(RAW + name) is None)
    if kind == "not_finite":
        return _joined(
            (name, row[name]) for name in BARS.numbers if row[name] is not None and not np.isfinite(row[name])
        )
    if kind == "not_positive":
        return _joined((name, row[name]) for name in _PRICES if row[name] is not None and row[name] <= 0)
    named = {
        "negative_volume": ("volume",),
        "high_below": ("open", "high", "close"),
        "low_above": ("open", "low", "close"),
    }
    return _joined((name, row[name]) for name in named.get(kind, tuple(BARS.numbers)))


def _joined(pairs: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs)


def _increasing(times: np.ndarray[Any, np.dtype[np.int64]]) -> bool:
    return bool(np.all(times[1:] > times[:-1]))


def _row_of(rows: pl.DataFrame) -> dict[int, int]:
    """Return the first row, counted from 1, of each time in milliseconds."""
    times = rows["ts"].to_physical().to_list()
    return {time: len(times) - index for index, time in enumerate(reversed(times)) if time is not None}
