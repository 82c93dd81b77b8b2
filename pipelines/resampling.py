"""Build longer bars of shorter ones; a bar that is not known to be over is never built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from parquet_store import Series, Store
from parquet_store.conform import conform
from parquet_store.errors import Failed, Usage
from parquet_store.moments import to_text
from parquet_store.schema import BARS
from parquet_store.timeframe import Timeframe
from pipelines.session import Session

_DAY_MS = 86_400_000


def resample(
    frame: pl.DataFrame | pl.LazyFrame,
    from_timeframe: Timeframe | str,
    to_timeframe: Timeframe | str,
    *,
    session: Session | str | None = None,
) -> pl.DataFrame:
    """Return the bars of a longer timeframe.

    Parameters
    ----------
    frame : DataFrame or LazyFrame
        Bars with the store's columns, sorted, unique and on the grid of ``from_timeframe``.
    from_timeframe, to_timeframe : Timeframe or str
        The second a whole multiple of the first, on the same grid, as in ``1m`` to ``5m`` or ``1d`` to ``1w``.
    session : Session or str, optional
        For ``1d`` only: trading hours, as in ``America/New_York 09:30-16:00``.  Bars outside them are left out, and a
        bar's time is the session's date at 00:00 UTC.  By default a day is a UTC day.

    Returns
    -------
    DataFrame
        The store's columns.  Open is the first, high the highest, low the lowest, close the last, volume the sum
        (added in order, as a running bar adds it) over the bars present; a group without bars gives none.

    Raises
    ------
    Usage
        If the timeframes do not fit, or a bar reaches over the edge of a session.
    Failed
        If the bars are not sorted, unique and on their grid.

    Notes
    -----
    The last group is left out unless its last bar, or any later one, is present; the first unless its first bar, or
    any earlier one, is: what is not known to be whole is not shown.
    """
    base, longer = _timeframe(from_timeframe), _timeframe(to_timeframe)
    _fits(base, longer)
    rows = conform(frame.collect() if isinstance(frame, pl.LazyFrame) else frame)
    times = rows["ts"].to_physical().to_numpy()
    if rows.null_count().sum_horizontal().item() or len(rows.columns) != len(BARS.fields):
        raise Failed("bars to resample hold missing values or text: check them first")
    wrong = np.flatnonzero((np.diff(times, prepend=times[:1] - 1) <= 0) | (base.open_ms(base.number(times)) != times))
    if len(wrong):
        raise Failed(
            f"bars to resample: row {wrong[0] + 1} ({to_text(int(times[wrong[0]]))}) is out of order or off the grid"
        )
    if not len(times):
        return rows
    seen = int(times[0]), base.close_ms(base.number(int(times[-1])))
    if session is None:
        group = longer.number(times)
        begins, ends = longer.open_ms(group), longer.close_ms(group)
    else:
        if longer.text != "1d" or base.is_session:
            raise Usage(f"a session makes bars of 1d out of shorter ones, not {longer} out of {base}")
        rows, group, begins, ends = _sessions(rows, base, _session(session))
    return _build(rows, longer, group, begins, ends, seen)


def _build(
    rows: pl.DataFrame,
    longer: Timeframe,
    group: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    seen: tuple[int, int],
) -> pl.DataFrame:
    """Build a bar of each run of equal ``group``, lasting ``begins`` to ``ends``, where the data cover ``seen``."""
    if not len(group):
        return rows
    first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    last = np.append(first[1:], len(group)) - 1
    index = np.repeat(np.arange(len(first)), last - first + 1)
    column = {name: rows[name].to_numpy() for name in BARS.numbers}
    built = pl.DataFrame(
        {
            "ts": longer.open_ms(group[first]),
            "open": column["open"][first],
            "high": np.maximum.reduceat(column["high"], first),
            "low": np.minimum.reduceat(column["low"], first),
            "close": column["close"][last],
            "volume": np.bincount(index, weights=column["volume"]),  # adds in order, unlike sum
        }
    ).with_columns(pl.col("ts").cast(pl.Datetime("ms", "UTC")))
    whole_first, whole_last = seen[0] <= begins[0], seen[1] >= ends[-1]
    return built.slice(0 if whole_first else 1, max(0, len(built) - int(not whole_first) - int(not whole_last)))


def _sessions(
    rows: pl.DataFrame, base: Timeframe, session: Session
) -> tuple[pl.DataFrame, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows inside sessions, their session's day number, and when it begins and ends in UTC milliseconds."""
    length = base.milliseconds
    assert length is not None
    opens, closes = session.opens * 60_000, session.closes * 60_000
    local = pl.col("ts").dt.convert_time_zone(session.zone).dt.replace_time_zone(None).dt.timestamp("ms")
    wall = rows.select(local).to_series().to_numpy()
    shift = opens if closes > opens else opens - _DAY_MS  # over midnight: the day of the close
    day = (wall - shift) // _DAY_MS
    since = wall - shift - day * _DAY_MS
    inside = since < session.minutes * 60_000
    over = (inside & (since + length > session.minutes * 60_000)) | (~inside & (since + length > _DAY_MS))
    if over.any():
        at = rows["ts"].to_physical().to_numpy()[int(np.argmax(over))]
        raise Usage(
            f"the {base} bar of {to_text(int(at))} UTC reaches over the edge of the session {session}: use shorter bars"
        )
    kept = rows.filter(pl.Series(inside))
    begins, ends = (
        _utc(day[inside] * _DAY_MS + shift + offset, session.zone) for offset in (0, session.minutes * 60_000)
    )
    return kept, day[inside], begins, ends


def _utc(wall: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    moments = (
        pl.Series(wall).cast(pl.Datetime("ms")).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    )
    return moments.to_physical().fill_null(strategy="forward").to_numpy()


def _fits(base: Timeframe, longer: Timeframe) -> None:
    fine, coarse = base.milliseconds, longer.milliseconds
    if fine is None:
        fits = coarse is None and longer.count % base.count == 0
    elif coarse is None:
        fits = _DAY_MS % fine == 0
    elif longer.unit == "w" and base.unit != "w":
        fits = _DAY_MS % fine == 0  # a week begins on a Monday, not on the epoch
    else:
        fits = coarse % fine == 0 and (base.unit != "w" or longer.unit == "w")
    if not fits:
        raise Usage(f"{base} bars do not make {longer} bars: expected a whole multiple on the same grid")


def _timeframe(timeframe: Timeframe | str) -> Timeframe:
    return timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe)


def _session(session: Session | str) -> Session:
    return session if isinstance(session, Session) else Session.parse(session)


def ensure_timeframe(store: Store, base: Series, timeframe: str) -> Series:
    """Return the series of a base at another timeframe, made of the base and stored where it is not there yet.

    Raises
    ------
    Usage
        The timeframe is not a longer one on the same grid.
    Failed
        The base has no whole bar of it.
    """
    series = Series(base.venue, base.symbol, timeframe)
    if series == base or series in store.series():
        return series
    rows = resample(store.read(base), base.bar, series.bar)
    if rows.is_empty():
        raise Failed(f"{base}: no whole bar of {timeframe} in it; import more, or choose a shorter timeframe")
    store.append(series, rows, provenance=f"{base} resampled")
    return series
