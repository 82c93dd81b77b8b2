"""Which bars are absent, given the calendar that the bars themselves show."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from parquet_store.calendar import SESSIONS, calendar_of
from parquet_store.moments import to_datetime
from parquet_store.timeframe import Timeframe

_DAY_MS = 86_400_000
_LONGEST_CLOSURE_DAYS = 7  # the longest closure of a stock exchange in living memory, weekends included


@dataclass(frozen=True)
class Gap:
    """A run of ``missing`` bars between two that are present; ``after`` and ``before`` are their open times, UTC."""

    after: dt.datetime
    before: dt.datetime
    missing: int

    def to_dict(self) -> dict[str, Any]:
        """Return the gap as JSON can carry it."""
        return {"after": self.after.isoformat(), "before": self.before.isoformat(), "missing": self.missing}


def find_gaps(times: npt.NDArray[np.int64], bar: Timeframe, calendar: str | None = None) -> list[Gap]:
    """Return the runs of absent bars, oldest first.

    Parameters
    ----------
    times : int64 array
        Open times in milliseconds, strictly increasing.
    bar : Timeframe
        The length of a bar.
    calendar : str, optional
        ``24/7`` or ``sessions``; by default what the times show.

    Notes
    -----
    Around the clock, every absent number is a gap.  With sessions, absent bars within one UTC date are a gap, a step
    to another date is closing time up to seven days (weekends, holidays); beyond, the weekdays between are a gap.
    """
    if len(times) < 2:
        return []
    numbers = bar.number(times)
    missing = np.diff(numbers) - 1
    if (calendar or calendar_of(times, bar)) == SESSIONS:
        dates = times // _DAY_MS
        steps = np.diff(dates)
        weekdays = np.busday_count((dates[:-1] + 1).astype("datetime64[D]"), dates[1:].astype("datetime64[D]"))
        missing = np.where(steps == 0, missing, np.where(steps > _LONGEST_CLOSURE_DAYS, weekdays, 0))
    return [
        Gap(to_datetime(int(times[i])), to_datetime(int(times[i + 1])), int(missing[i]))
        for i in np.flatnonzero(missing > 0)
    ]
