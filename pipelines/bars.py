"""The only door from frames to the engine's arrays: contiguous, read-only, checked, numbered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from parquet_store.calendar import bars_per_year as count_bars_per_year
from parquet_store.calendar import calendar_of
from parquet_store.digest import fingerprint
from parquet_store.errors import Failed, Usage
from parquet_store.moments import Moment, to_text
from parquet_store.schema import BARS
from parquet_store.series import Series
from parquet_store.store import Store
from parquet_store.timeframe import Timeframe

Times = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one series as the engine reads them.

    Attributes
    ----------
    source : str
        The series, such as ``binance:BTC/USDT:1h``.
    timeframe : str
        Length of a bar.
    number : int64 array [n]
        Bar numbers, strictly increasing: open time divided by timeframe; absent bars leave a step above 1.
    time : int64 array [n]
        Open times, milliseconds since the Unix epoch, UTC.
    open, high, low, close : float64 array [n]
        Prices in quote currency, finite and positive.
    volume : float64 array [n]
        Quantity traded, finite, not negative.
    bars_per_year : float
        What annual figures are built on.
    calendar : str
        ``24/7`` or ``sessions``.

    Notes
    -----
    All arrays are C-contiguous and read-only.  Make one with ``Bars.from_arrays`` or ``load_bars``, which check.
    """

    source: str
    timeframe: str
    number: Times
    time: Times
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers
    bars_per_year: float
    calendar: str

    @classmethod
    def from_arrays(
        cls,
        source: str,
        timeframe: str,
        time: npt.ArrayLike,
        open: npt.ArrayLike,
        high: npt.ArrayLike,
        low: npt.ArrayLike,
        close: npt.ArrayLike,
        volume: npt.ArrayLike,
        *,
        bars_per_year: float | None = None,
        calendar: str | None = None,
    ) -> Bars:
        """Return bars made of arrays, checked.

        Parameters
        ----------
        source, timeframe : str
            A name for messages, and the length of a bar.
        time : array_like of int64 [n]
            Open times, milliseconds since the Unix epoch, UTC; strictly increasing and on the timeframe's grid.
        open, high, low, close, volume : array_like of float64 [n]
            Finite; prices positive; high and low enclose open and close; volume not negative.
        bars_per_year, calendar : optional
            By default what the times show.

        Raises
        ------
        Failed
            Naming the first bar that breaks a rule.
        """
        bar = Timeframe.parse(timeframe)
        times = _frozen(time, np.int64)
        columns = [_frozen(column, np.float64) for column in (open, high, low, close, volume)]
        _check(source, bar, times, columns)
        calendar = calendar or calendar_of(times, bar)
        if bars_per_year is None:
            bars_per_year = count_bars_per_year(times, bar, calendar)
        number = _frozen(bar.number(times), np.int64)
        prices = dict(zip(BARS.numbers, columns, strict=True))
        return cls(source, timeframe, number, times, bars_per_year=float(bars_per_year), calendar=calendar, **prices)

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def fingerprint(self) -> str:
        """Content digest of these bars; equals the store's for the same range."""
        return fingerprint([self.time, self.open, self.high, self.low, self.close, self.volume])

    def slice(self, begin: int, end: int | None = None) -> Bars:
        """Return the bars at positions [begin, end), as views; calendar and bars per year stay those of the whole."""
        part = slice(begin, end)
        arrays = {name: getattr(self, name)[part] for name in ("number", "time", *BARS.numbers)}
        return replace(self, **arrays)


def load_bars(
    store: Store,
    source: str | Series,
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    repaired: bool = True,
) -> Bars:
    """Return the stored bars of a range as arrays.

    Parameters
    ----------
    store : Store
        Where they are.
    source : str or Series
        Such as ``binance:BTC/USDT:1h``.
    start, end : int, str, datetime or date, optional
        Bars that open at ``start`` or later and before ``end``; without a zone, UTC.
    repaired : bool
        Whether bars that came from another venue are among them; ``Store.repairs`` says which those are.

    Raises
    ------
    Usage
        If the series is not stored, or has no bar in the range.
    Failed
        If a file is damaged or holds what no append lets through.
    """
    series = source if isinstance(source, Series) else Series.parse(source)
    meta = store.meta(series)
    rows = store.read(series, start, end, repaired=repaired)
    if rows.is_empty():
        span = store.span(series)
        asked = (f" {word} {moment}" for word, moment in (("from", start), ("before", end)) if moment is not None)
        raise Usage(f"{series}: no bars{''.join(asked)}: stored are {span.first:%Y-%m-%d} to {span.last:%Y-%m-%d}")
    time, *columns = (rows[name].to_physical().to_numpy() for name in BARS.names)
    for array in (time, *columns):
        array.flags.writeable = False  # nobody else has them: spare the copy
    return Bars.from_arrays(
        str(series), series.timeframe, time, *columns, bars_per_year=meta.bars_per_year, calendar=meta.calendar
    )


def _frozen(values: npt.ArrayLike, kind: type[Any]) -> npt.NDArray[Any]:
    array = np.ascontiguousarray(values, dtype=kind)
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array


def _check(source: str, bar: Timeframe, times: Times, columns: list[Numbers]) -> None:
    if times.ndim != 1 or any(column.shape != times.shape for column in columns):
        raise Failed(f"{source}: arrays differ in shape: time {times.shape}, {[column.shape for column in columns]}")
    open_, high, low, close, volume = columns
    rules = {
        "time is not the open of a bar": bar.open_ms(bar.number(times)) == times,
        "price is not finite and positive": np.logical_and.reduce([np.isfinite(c) & (c > 0) for c in columns[:4]]),
        "volume is not finite or is negative": np.isfinite(volume) & (volume >= 0),
        "high is below open or close": high >= np.maximum(open_, close),
        "low is above open or close": low <= np.minimum(open_, close),
        "time is not after that of the bar before": np.concatenate(([True], times[1:] > times[:-1]))[: len(times)],
    }
    for rule, holds in rules.items():
        if not holds.all():
            at = int(np.argmin(holds))
            values = ", ".join(f"{name} {column[at]}" for name, column in zip(BARS.numbers, columns, strict=True))
            raise Failed(f"{source}: bar {at} ({to_text(int(times[at]))}): {rule}: {values}")
