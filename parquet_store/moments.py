"""Points in time as people give them, turned into milliseconds since the Unix epoch, UTC."""

from __future__ import annotations

import datetime as dt

from parquet_store.errors import Usage

Moment = int | str | dt.datetime | dt.date
"""Milliseconds since the Unix epoch, ISO text, a datetime or a date; without a zone it is UTC."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment_ms(moment: Moment | None) -> int | None:
    """Return the milliseconds since the Unix epoch of a moment, None for None.

    Raises
    ------
    Usage
        If text is no ISO date or time.
    """
    if moment is None or isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment.strip())
        except ValueError:
            raise Usage(
                f'"{moment}" is no time: expected ISO text such as 2024-03-01 or 2024-03-01T12:00+00:00'
            ) from None
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def to_datetime(milliseconds: int) -> dt.datetime:
    """Return the UTC datetime of milliseconds since the Unix epoch."""
    return _EPOCH + dt.timedelta(milliseconds=milliseconds)


def to_text(milliseconds: int) -> str:
    """Return a time as people read it: ``2024-03-01 12:00``, with seconds and fractions only where there are any."""
    moment = to_datetime(milliseconds)
    spec = "minutes" if milliseconds % 60_000 == 0 else "seconds" if milliseconds % 1_000 == 0 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec=spec)
