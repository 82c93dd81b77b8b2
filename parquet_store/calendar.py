"""Whether bars come around the clock or in sessions, and how many of them make a year."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parquet_store.timeframe import Timeframe

ALWAYS = "24/7"
SESSIONS = "sessions"
_DAY_MS = 86_400_000
_YEAR_MS = 365.25 * _DAY_MS
_SESSIONS_A_YEAR = 252


def calendar_of(times: npt.NDArray[np.int64], bar: Timeframe) -> str:
    """Return ``24/7`` if the bars go on through weekends, else ``sessions``.

    Parameters
    ----------
    times : int64 array
        Open times in milliseconds, increasing.
    bar : Timeframe
        Their timeframe.  Weeks and months hold every weekday, and are ``24/7``.

    Notes
    -----
    Weekend bars count if Saturdays and Sundays (UTC) are at least a quarter as full as the other days of the span, so
    that a stray bar, a Sunday evening's open or a Friday evening's late trades do not make a stock trade all week.
    A span without a weekend shows none: ``sessions``.
    """
    if bar.unit in "wM":
        return ALWAYS
    if not len(times):
        return SESSIONS
    length = bar.milliseconds
    assert length is not None
    first, last = int(times[0]), int(times[-1]) + length
    days = np.arange(first // _DAY_MS, (last - 1) // _DAY_MS + 1)
    opens = np.maximum(days * _DAY_MS, first)
    open_span = np.minimum((days + 1) * _DAY_MS, last) - opens
    weekend = _is_weekend(days)
    possible_weekend, possible_week = open_span[weekend].sum(), open_span[~weekend].sum()
    present_weekend = int(_is_weekend(times // _DAY_MS).sum())
    present_week = len(times) - present_weekend
    if present_weekend == 0:
        return SESSIONS
    return ALWAYS if 4 * present_weekend * possible_week >= present_week * possible_weekend else SESSIONS


def bars_per_year(times: npt.NDArray[np.int64], bar: Timeframe, calendar: str) -> float:
    """Return the number of bars that annual figures are built on.

    Around the clock: 365.25 days divided by the timeframe.  Sessions: 252 times the median number of bars a session
    (a UTC date that has bars); for bars of n days, 252 / n.
    """
    if bar.unit == "M":
        return 12 / bar.count
    assert bar.milliseconds is not None
    if calendar == ALWAYS:
        return _YEAR_MS / bar.milliseconds
    if bar.unit == "d":
        return _SESSIONS_A_YEAR / bar.count
    _, counts = np.unique(times // _DAY_MS, return_counts=True)
    return _SESSIONS_A_YEAR * float(np.median(counts)) if len(counts) else float(_SESSIONS_A_YEAR)


def _is_weekend(days: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return (days + 3) % 7 >= 5  # day 0 was a Thursday; Monday is 0
